//! Readiness, and what operators are told, through an outage of the token service.

use super::token_service::{ATTRIBUTES, SPARE, TokenService, fresh_token, is_of};
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, Running, failed_calls};

fn down(_: usize, _: &Seen) -> Act {
    let body = r#"{"error":"internal_error","error_description":"Please try again later"}"#;
    let length = body.len();
    Act::Answer(
        format!("HTTP/1.1 500 Oh\r\nx-debug-id: abc-1\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

#[test]
fn readiness_ends_when_the_token_does_and_not_with_the_outage() {
    let ims = TokenService::start(|_, _| Act::token("short", 4));
    let upstream = Adobe::willing();
    let gateway = start(&ims, &upstream, CREDENTIAL);

    let valid = gateway.wait_for_state("demo", "valid");
    ims.turn(down);
    let failing = gateway.wait_for_state("demo", "failing");
    let ready = gateway.readiness();
    let served = gateway.ask().status;
    let missing = gateway.wait_for_state("demo", "missing");
    let unready = gateway.readiness();
    let reached = upstream.heads();
    let refused = gateway.ask();
    ims.heal();
    let again = gateway.wait_for_state("demo", "valid");

    assert_eq!(valid["last_error"], serde_json::Value::Null, "{valid}");
    assert_eq!(ready, (200, "ready\n".to_owned()));
    assert_eq!(served, 200);
    for facts in [&failing, &missing] {
        let error = &facts["last_error"];
        assert_eq!(error["class"], "server_error", "{facts}");
        assert_eq!(
            error["message"], "IMS answered 500 internal_error Please try again later",
            "{facts}"
        );
        assert!(failed_calls(facts) >= 1, "{facts}");
    }
    assert!(failing["usable_for_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(missing["usable_for_seconds"], serde_json::Value::Null);
    assert_eq!(
        unready,
        (
            503,
            "not ready: credential demo has no valid token: IMS answered 500 internal_error \
             Please try again later (x-debug-id abc-1)\n"
                .to_owned()
        )
    );
    assert_eq!(refused.problem(), (503, "token_unavailable".to_owned()));
    assert_eq!(upstream.heads(), reached);
    assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));
    assert_eq!(gateway.ask().status, 200);
    // What went wrong last is still to be read.
    assert_eq!(again["last_error"]["class"], "server_error", "{again}");
    let generation = |facts: &serde_json::Value| facts["generation"].as_u64().unwrap();
    assert!(generation(&again) > generation(&missing));
}

#[test]
fn a_credential_that_is_not_required_is_named_and_ends_no_readiness() {
    let ims = TokenService::start(|calls, seen| {
        if is_of("spare-client", seen) {
            down(calls, seen)
        } else {
            fresh_token(calls, seen)
        }
    });
    let upstream = Adobe::willing();
    let gateway = start(&ims, &upstream, &format!("{CREDENTIAL}{SPARE}"));

    gateway.wait_for_state("demo", "valid");
    gateway.wait_for_state("spare", "missing");
    let (status, text) = gateway.readiness();
    let demo = gateway.ask();
    let spare = exchange(gateway.address, get(ATTRIBUTES, ""));
    ims.heal();
    gateway.wait_for_state("spare", "valid");

    assert_eq!(status, 200);
    assert!(
        text.starts_with(
            "ready\nnot required: credential spare has no valid token: IMS answered 500"
        ),
        "{text}"
    );
    assert_eq!(demo.status, 200);
    assert_eq!(spare.problem(), (503, "token_unavailable".to_owned()));
    assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));
    assert_eq!(exchange(gateway.address, get(ATTRIBUTES, "")).status, 200);
}

fn start(ims: &TokenService, upstream: &Adobe, more: &str) -> Running {
    let (ims, upstream) = (ims.adobe.url(), upstream.url());
    Running::start(
        &format!("{more}ims: {{ url: '{ims}' }}\nupstream: {{ url: '{upstream}' }}\n"),
        &[],
    )
}
