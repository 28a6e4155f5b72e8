//! Which versions of TLS are spoken, what is trusted, and the certificate that the gateway shows of itself.

use std::fs;

use profile_gateway::config::Supplied;
use tempfile::TempDir;

use super::server::{Authority, Server};
use super::{PATH, ROUTE};
use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, Running};

#[test]
fn tls_1_2_is_spoken_unless_1_3_is_asked_for() {
    let authority = Authority::new();
    let files = Supplied::default().with_file("/ca.pem", authority.pem.clone());
    let ims = Adobe::willing();
    let identity = authority.issue(&["localhost"], |_| {});

    for (server, min_tls, expected) in [
        (Server::old(&identity), "", 200),
        (Server::old(&identity), ", min_tls: 1.2", 200),
        (Server::old(&identity), ", min_tls: 1.3", 502),
        (Server::start(&identity), ", min_tls: '1.3'", 200),
    ] {
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: '{}' }}
upstream: {{ url: 'https://localhost:{}', ca_file: /ca.pem{min_tls} }}
{ROUTE}",
                ims.url(),
                server.address.port()
            ),
            &files,
        );

        let answer = exchange(gateway.address, get(PATH, ""));

        assert_eq!(answer.status, expected, "{min_tls}");
        assert_eq!(
            server.shown().plain.is_empty(),
            expected == 502,
            "{min_tls}"
        );
        if expected == 502 {
            assert_eq!(answer.reason(), "upstream_tls");
        }
    }
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let client = clients.issue(&["gateway"], |_| {});
    let stranger = Authority::new().issue(&["gateway"], |_| {});
    let identity = authority.issue(&["localhost"], |_| {});
    let files = Supplied::default()
        .with_file("/ca.pem", authority.pem)
        .with_file("/client.pem", client.pem.clone())
        .with_file("/client.key", client.key_pem)
        .with_file("/stranger.pem", stranger.pem.clone())
        .with_file("/stranger.key", stranger.key_pem);
    let shows =
        |name| format!(", client_certificate: {{ certificate: /{name}.pem, key: /{name}.key }}");

    for (certificate, expected) in [
        (shows("client"), 200),
        (shows("stranger"), 502),
        (String::new(), 502),
    ] {
        // IMS gets what is right, so that the upstream is asked.
        let ims = Server::mutual(&identity, &clients);
        let upstream = Server::mutual(&identity, &clients);
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: 'https://localhost:{}', ca_file: /ca.pem{} }}
upstream: {{ url: 'https://localhost:{}', ca_file: /ca.pem{certificate} }}
{ROUTE}",
                ims.address.port(),
                shows("client"),
                upstream.address.port()
            ),
            &files,
        );

        let answer = exchange(gateway.address, get(PATH, ""));

        assert_eq!(answer.status, expected, "{certificate}: {}", answer.text());
        assert!(!ims.shown().certificates.is_empty());
        let shown = upstream.shown();
        assert!(shown.connections > 0);
        assert_eq!(
            shown.certificates.is_empty(),
            expected == 502,
            "{certificate}"
        );
        assert_eq!(shown.plain.is_empty(), expected == 502, "{certificate}");
    }
}

#[test]
fn the_environment_can_add_trust_and_cannot_take_the_keys() {
    let authority = Authority::new();
    let server = Server::start(&authority.issue(&["localhost"], |_| {}));
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("roots.pem"), &authority.pem).unwrap();
    let port = server.address.port();
    let more = format!(
        "{CREDENTIAL}ims: {{ url: 'https://localhost:{port}' }}\nupstream: {{ url: 'https://localhost:{port}' }}\n"
    );

    let gateway = Running::with_environment(
        &more,
        &[],
        &[
            ("SSL_CERT_FILE", &path("roots.pem")),
            ("SSLKEYLOGFILE", &path("keys")),
        ],
    );
    gateway.wait_for_service();

    assert!(server.shown().plain.contains("GET /data/core/ups/"));
    assert!(!fs::exists(path("keys")).unwrap());
    gateway.stop();
}
