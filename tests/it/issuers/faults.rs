//! What becomes of an issuer that does not answer as it should.

use std::time::Duration;

use profile_gateway::config::Supplied;
use profile_gateway::issuers::{Class, Issuer, State};

use super::{Signer, discovery, kept, set, settings, within};
use crate::support::adobe::{Act, Adobe, Seen};

const ISSUER: &str = "https://issuer.example";

/// Asks an issuer once, whose keys are at `/keys` and discovery at `/`, and returns why that failed.
fn failure(of: &str, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Class, String) {
    let server = Adobe::start(script);
    let from = match of {
        "discovery" => format!("discovery: '{}'", server.url()),
        _ => format!("jwks_url: '{}/keys'", server.url()),
    };
    let text = format!(
        "a: {{ issuer: '{ISSUER}', audiences: [us], timeout: 500ms, bearer: s3ntinel, {from} }}"
    );
    let mut found = None;
    kept(&settings(&text, &Supplied::default()), async |verifier| {
        let issuers = verifier.issuers();
        assert_eq!(
            issuers.first_keys(within(Duration::from_secs(20))).await,
            ["a"]
        );
        let status = issuers.iter().map(Issuer::status).next().unwrap();
        assert_eq!((status.state, status.keys), (State::Missing, 0));
        found = status.failure;
    });
    let failure = found.unwrap();
    let message = failure.message.replace(&server.url(), "URL");
    assert!(
        !message.contains("s3ntinel") && !message.contains("marker"),
        "{message}"
    );
    assert!(!server.seen().is_empty() || failure.class == Class::Unreachable);
    (failure.class, message)
}

#[test]
fn whatever_an_issuer_answers_is_taken_as_keys_or_named_as_a_failure() {
    let elsewhere = Adobe::willing();
    let moved = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}/keys\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let answers: Vec<(Act, Class, &str)> = vec![
        (
            Act::json("404 Not Found", "marker"),
            Class::Refused,
            "URL/keys answered 404",
        ),
        (
            Act::json("401 Unauthorized", "{}"),
            Class::Refused,
            "URL/keys answered 401",
        ),
        (
            Act::json("500 Internal Server Error", "{}"),
            Class::Refused,
            "URL/keys answered 500",
        ),
        (
            Act::json("204 No Content", ""),
            Class::Refused,
            "URL/keys answered 204",
        ),
        (
            Act::Answer(moved.into_bytes()),
            Class::Refused,
            "URL/keys answered 302; redirects are not followed",
        ),
        (
            Act::json("200 OK", "<html>marker</html>"),
            Class::Invalid,
            "what URL/keys answered is no JWK set: an object with a list `keys` of objects, each member once",
        ),
        (
            Act::json("200 OK", r#"{"keys":[]}"#),
            Class::Invalid,
            "what URL/keys answered holds no key that tokens may be signed with",
        ),
        (
            Act::json("200 OK", &" ".repeat(256 * 1024 + 1)),
            Class::Invalid,
            "what URL/keys answered is larger than 256 KiB",
        ),
        (
            Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"k".to_vec()),
            Class::Unreachable,
            "the answer of URL/keys broke off",
        ),
        (Act::silence(), Class::Unreachable, "500ms"),
        (Act::Reset, Class::Unreachable, "URL/keys: "),
        (
            Act::AnswerAndClose(b"marker\r\n\r\n".to_vec()),
            Class::Unreachable,
            "URL/keys: ",
        ),
        (
            Act::play(|wire| {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
                wire.wait_for_end();
            }),
            Class::Unreachable,
            "the keys did not come within 500ms",
        ),
    ];
    for (act, class, message) in answers {
        let (found, said) = failure("keys", move |_| act.clone());
        assert!(
            found == class && said.contains(message),
            "{found:?}: {said}"
        );
    }
    assert_eq!(elsewhere.heads(), 0);
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let (poured, how_much) = std::sync::mpsc::channel();
    let poured = std::sync::Mutex::new(poured);
    let (class, said) = failure("keys", move |_| {
        let poured = poured.lock().unwrap().clone();
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
            let _ = poured.send(wire.pour(100_000_000));
        })
    });

    assert_eq!(
        (class, said.as_str()),
        (
            Class::Invalid,
            "what URL/keys answered is larger than 256 KiB"
        )
    );
    // What the kernel holds for both comes on top.
    assert!(how_much.recv().unwrap() < 20_000_000);
}

#[test]
fn a_discovery_document_of_somebody_else_or_to_nowhere_leads_to_no_keys() {
    let keys = set(&[&Signer::new("k1")]);
    for (document, message) in [
        (
            discovery("https://other.example", "URL/keys"),
            "is of another issuer",
        ),
        (
            discovery(ISSUER, "http://127.0.0.2:1/keys"),
            "over plain http at another place",
        ),
        (
            discovery(ISSUER, "/keys"),
            "has no `jwks_uri` that is a URL",
        ),
        (keys.clone(), "is of another issuer"),
        ("[]".to_owned(), "is no discovery document"),
    ] {
        let keys = keys.clone();
        let (class, said) = failure("discovery", move |seen| match seen.target() {
            "/.well-known/openid-configuration" => Act::json("200 OK", &document),
            _ => Act::json("200 OK", &keys),
        });
        assert!(class == Class::Invalid && said.contains(message), "{said}");
        assert!(
            said.starts_with("what URL/.well-known/openid-configuration answered"),
            "{said}"
        );
    }
}
