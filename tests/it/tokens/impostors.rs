//! Somebody else at the token service's address: it is shown no secret, and callers wait for the real one.

use std::thread;
use std::time::Duration;

use profile_gateway::simulator::{Client, Settings, Tls};

use crate::support::adobe::Adobe;
use crate::support::running::{CREDENTIAL, Running, SECRET, failed_calls, pass};
use crate::support::simulated::Simulated;

#[test]
fn whoever_cannot_prove_to_be_the_token_service_gets_no_byte_of_a_request() {
    // Who answers, how it is reached, which certificate is trusted, and what operators are told.
    let cases = [
        (
            "tls",
            "https://ims-na1.adobelogin.com",
            "own",
            "certificate",
        ),
        ("tls", "https://localhost", "another's", "certificate"),
        ("plain", "https://localhost", "own", "TLS"),
        ("tls", "http://127.0.0.1", "own", "HTTP"),
    ];
    let gateways = cases.map(|(server, url, trusted, says)| {
        thread::spawn(move || {
            let (adobe, another) = (simulated(true), simulated(true));
            let plain = simulated(false);
            let upstream = Adobe::willing();
            let asked = if server == "tls" { &adobe } else { &plain };
            let authority = if trusted == "own" { &adobe } else { &another };
            let address = asked.address;
            let port = address.port();
            let more = format!(
                "{CREDENTIAL}ims: {{ url: '{url}:{port}', address: '{address}', ca_file: $FOLDER/ca.pem }}\n\
                 upstream: {{ url: '{}' }}\n",
                upstream.url()
            );
            let authority = authority.certificate_pem.as_deref().unwrap();

            let gateway = Running::start(&more, &[("ca.pem", authority)]);
            gateway.process.wait_for("no token could be minted");
            let refused = gateway.ask();
            pass(Duration::from_secs(3));
            let facts = gateway.credential("demo");
            let (status, text) = gateway.readiness();

            assert_eq!(refused.problem(), (503, "token_unavailable".to_owned()));
            assert!(refused.header("retry-after").is_some());
            assert_eq!(facts["last_error"]["class"], "unreachable", "{url}: {facts}");
            assert!(failed_calls(&facts) <= 12, "{url}: {facts}");
            assert!(status == 503 && text.contains(says), "{url}: {text}");
            assert_eq!(upstream.heads(), 0);
            for server in [&adobe, &another, &plain] {
                assert!(server.control.requests().is_empty(), "{url}");
            }
            assert!(!gateway.stop().contains(SECRET));
        })
    });
    let failed = gateways.into_iter().filter_map(|it| it.join().err());
    assert_eq!(failed.count(), 0, "impostors that were believed, see above");
}

#[test]
fn the_real_token_service_is_believed() {
    let adobe = simulated(true);
    let port = adobe.address.port();
    let upstream = Adobe::willing();
    let more = format!(
        "{CREDENTIAL}ims: {{ url: 'https://localhost:{port}', ca_file: $FOLDER/ca.pem }}\n\
         upstream: {{ url: '{}' }}\n",
        upstream.url()
    );

    let gateway = Running::start(
        &more,
        &[("ca.pem", adobe.certificate_pem.as_deref().unwrap())],
    );
    gateway.wait_for_service();

    assert_eq!(adobe.control.requests_of("ims.token").len(), 1);
}

fn simulated(tls: bool) -> Simulated {
    Simulated::start(Settings {
        tls: tls.then(Tls::default),
        clients: vec![Client {
            secrets: vec![SECRET.to_owned()],
            ..Client::demo()
        }],
        ..Settings::default()
    })
}
