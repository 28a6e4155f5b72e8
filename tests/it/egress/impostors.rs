//! Somebody else where IMS or the platform should be: they are not shown one byte of a request.

use std::time::Duration;

use profile_gateway::config::Supplied;
use rcgen::date_time_ymd;
use tokio::time::Instant;

use super::server::{Authority, Identity, Server};
use super::{PATH, ROUTE};
use crate::support::adobe::{Adobe, TOKEN};
use crate::support::gateway::Gateway;
use crate::support::raw::{exchange, get};

/// The beginning of an answer in TLS 1.1: its version, a random number, no session, a cipher suite, no compression.
const TLS_1_1: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
    0123456789abcdef0123456789abcdef\x00\xc0\x13\x00";

/// Alerts in an answer that is no TLS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

fn impostors(authority: &Authority) -> Vec<(&'static str, Server)> {
    let expired = authority.issue(&["localhost"], |certificate| {
        certificate.not_before = date_time_ymd(2020, 1, 1);
        certificate.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = authority.issue(&["localhost"], |certificate| {
        certificate.not_before = date_time_ymd(2999, 1, 1);
        certificate.not_after = date_time_ymd(2999, 2, 1);
    });
    let elsewhere = authority.issue(&["localhost.example.com", "*.localhost"], |_| {});
    let unknown = Authority::new().issue(&["localhost"], |_| {});
    vec![
        ("expired", Server::start(&expired)),
        ("not yet valid", Server::start(&early)),
        ("for another name", Server::start(&elsewhere)),
        (
            "self-signed",
            Server::start(&Identity::self_signed(&["localhost"])),
        ),
        ("of an unknown authority", Server::start(&unknown)),
        ("TLS 1.1", Server::saying(TLS_1_1)),
        ("no TLS", Server::saying(PLAIN)),
    ]
}

/// Checks that the server was asked, and told nothing.
fn assert_told_nothing(case: &str, server: &Server) {
    let shown = server.shown();
    assert!(shown.connections > 0, "{case}");
    assert_eq!(shown.plain, "", "{case}");
    for part in [
        "HTTP/1.1",
        "GET ",
        "POST ",
        TOKEN,
        "demo-secret",
        "demo-client",
    ] {
        let found = shown
            .wire
            .windows(part.len())
            .any(|it| it == part.as_bytes());
        assert!(!found, "{case}: {part}");
    }
}

#[test]
fn a_false_upstream_is_told_nothing() {
    let authority = Authority::new();
    let files = Supplied::default().with_file("/ca.pem", authority.pem.clone());
    let ims = Adobe::willing();

    for (case, server) in impostors(&authority) {
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: '{}' }}
upstream: {{ url: 'https://localhost:{}', ca_file: /ca.pem }}
{ROUTE}",
                ims.url(),
                server.address.port()
            ),
            &files,
        );

        let asked = Instant::now();
        let refused = exchange(gateway.address, get(PATH, ""));
        let took = asked.elapsed();

        assert_eq!(
            refused.problem(),
            (502, "upstream_tls".to_owned()),
            "{case}"
        );
        // Less than a connection may take, and something for the first token.
        assert!(took < Duration::from_secs(4), "{case}: {took:?}");
        assert_told_nothing(case, &server);
    }
}

#[test]
fn a_false_token_service_is_shown_no_secret() {
    let authority = Authority::new();
    let files = Supplied::default().with_file("/ca.pem", authority.pem.clone());
    let upstream = Adobe::willing();

    for (case, server) in impostors(&authority) {
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: 'https://localhost:{}', ca_file: /ca.pem }}
upstream: {{ url: '{}' }}
{ROUTE}",
                server.address.port(),
                upstream.url()
            ),
            &files,
        );

        let refused = exchange(gateway.address, get(PATH, ""));

        assert_eq!(
            refused.problem(),
            (503, "token_unavailable".to_owned()),
            "{case}"
        );
        assert_told_nothing(case, &server);
        let facts = exchange(gateway.admin, get("/credentials", "")).text();
        assert!(
            facts.contains("TLS with https://localhost"),
            "{case}: {facts}"
        );
        // These are the words for the other way out.
        assert!(!facts.contains("upstream"), "{case}: {facts}");
    }
    assert_eq!(upstream.heads(), 0);
}
