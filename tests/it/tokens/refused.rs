//! Tokens that Adobe refuses before their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{Raw, exchange, get, send};
use crate::support::running::eventually;

const LOOKUP: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=a";

/// An Adobe that gives the tokens `t1`, `t2` and so on, and takes those from `t<valid>` on.
struct Revoking {
    adobe: Adobe,
    valid: Arc<AtomicUsize>,
}

impl Revoking {
    fn start() -> Self {
        Self::refusing_by(Act::token_refused())
    }

    fn refusing_by(refusal: Act) -> Self {
        let valid = Arc::new(AtomicUsize::new(1));
        let from = Arc::clone(&valid);
        let adobe = Adobe::minting(
            |calls, _| Act::token(&format!("t{calls}"), 86_399),
            move |seen| {
                if number(seen) < from.load(Ordering::SeqCst) {
                    refusal.clone()
                } else {
                    Act::echo(seen)
                }
            },
        );
        Self { adobe, valid }
    }

    fn revoke_before(&self, token: usize) {
        self.valid.store(token, Ordering::SeqCst);
    }

    fn tokens_seen(&self) -> Vec<usize> {
        self.adobe.seen().iter().map(number).collect()
    }
}

/// Returns the number of the token a request carried.
fn number(seen: &Seen) -> usize {
    let [bearer] = seen.values("authorization")[..] else {
        panic!("not one token in {}", seen.head)
    };
    bearer.strip_prefix("Bearer t").unwrap().parse().unwrap()
}

#[test]
fn a_revoked_token_is_replaced_and_the_caller_sees_nothing_of_it() {
    let adobe = Revoking::start();
    let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);
    assert_eq!(exchange(gateway.address, get(LOOKUP, "")).status, 200);
    adobe.revoke_before(2);

    let lookup = exchange(gateway.address, get(LOOKUP, "Accept: application/json\r\n"));
    let body = r#"{"identities":[]}"#;
    let several = exchange(
        gateway.address,
        send("POST", "/data/core/ups/access/entities", "", body),
    );

    assert_eq!((lookup.status, several.status), (200, 200));
    assert_eq!(lookup.text(), LOOKUP);
    assert_eq!(adobe.tokens_seen(), [1, 1, 2, 2]);
    assert_eq!(adobe.adobe.token_calls().len(), 2);
    let metrics = exchange(gateway.admin, get("/metrics", "")).text();
    for line in [
        r#"profile_gateway_token_calls_total{credential="demo",outcome="minted"} 2"#,
        r#"profile_gateway_token_calls_total{credential="demo",outcome="throttled"} 0"#,
        r#"profile_gateway_token_refusals_total{credential="demo"} 1"#,
        r#"profile_gateway_token_replacements_total{credential="demo"} 1"#,
        r#"profile_gateway_token_taken_total{credential="demo"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let seen = adobe.adobe.seen();
    assert_eq!(seen[1].head.replace("Bearer t1", "Bearer t2"), seen[2].head);
    assert_eq!(seen[3].body, body.as_bytes());
}

#[test]
fn every_method_and_body_that_is_kept_goes_up_again_whole() {
    let target = "/data/core/ups/config/mergePolicies/1";
    let large = "x".repeat(200 * 1024);
    let chunked = format!(
        "POST {target} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n3\r\n 2]\r\n0\r\n\r\n"
    );
    for (request, body) in [
        (send("POST", target, "", "{}"), "{}"),
        (send("PATCH", target, "", "[]"), "[]"),
        (send("PUT", target, "", &large), large.as_str()),
        (
            format!("DELETE {target} HTTP/1.1\r\nHost: gateway\r\n\r\n"),
            "",
        ),
        (chunked, "[1, 2]"),
    ] {
        let adobe = Revoking::start();
        adobe.revoke_before(2);
        let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);

        let answer = exchange(gateway.address, &request);

        let seen = adobe.adobe.seen();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(adobe.tokens_seen(), [1, 2]);
        assert!(seen.iter().all(|seen| seen.body == body.as_bytes()));
        assert!(
            seen.iter()
                .all(|seen| seen.values("x-sandbox-name") == ["dev-2"])
        );
    }
}

#[test]
fn a_body_too_large_to_be_kept_is_refused_once_and_the_token_replaced_for_others() {
    let adobe = Revoking::start();
    let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);
    adobe.revoke_before(2);
    let target = "/data/core/ups/config/mergePolicies/1";

    let large = exchange(
        gateway.address,
        send("PUT", target, "", &"x".repeat(300 * 1024)),
    );
    let next = exchange(gateway.address, get(target, ""));

    assert_eq!((large.status, next.status), (401, 200));
    assert!(large.text().contains("401013"), "{}", large.text());
    assert_eq!(adobe.adobe.token_calls().len(), 2);
}

#[test]
fn an_answer_that_comes_before_the_whole_body_loses_nothing_of_it() {
    let adobe = Adobe::minting(
        |calls, _| Act::token(&format!("t{calls}"), 86_399),
        Act::echo,
    );
    let early = Adobe::at_heads(|seen| {
        (seen.values("authorization") == ["Bearer t1"]).then(Act::token_refused)
    });
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{}' }}\nupstream: {{ url: '{}' }}\n{ROUTES}",
        adobe.url(),
        early.url()
    ));
    let mut raw = Raw::connect(gateway.address);
    raw.write(
        "POST /data/core/ups/config/mergePolicies HTTP/1.1\r\nHost: gateway\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n01234",
    );
    // The refusal has come, and a second token, when the rest is sent.
    eventually("second token", || {
        (adobe.token_calls().len() >= 2).then_some(())
    });
    raw.write("56789");

    let answer = raw.answer(false).unwrap();

    assert_eq!(answer.status, 200);
    let seen = early.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body, b"0123456789");
    assert_eq!(seen[0].values("authorization"), ["Bearer t2"]);
}

#[test]
fn a_token_that_is_refused_for_ever_costs_two_attempts_a_request_and_few_calls() {
    let adobe = Revoking::start();
    adobe.revoke_before(usize::MAX);
    let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);

    for _ in 0..100 {
        let answer = exchange(gateway.address, get(LOOKUP, ""));
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error_code"], "401013");
    }

    assert!(adobe.tokens_seen().len() <= 110);
    let calls = adobe.adobe.token_calls().len();
    assert!(calls <= 5, "{calls}");
}

#[test]
fn what_another_token_would_not_cure_is_passed_on_and_the_token_kept() {
    for (status, body) in [
        (
            "403 Forbidden",
            r#"{"error_code":"503020","message":"Could not read the profile"}"#,
        ),
        (
            "503 Service Unavailable",
            r#"{"error_code":"503010","message":"Could not validate the oauth token"}"#,
        ),
        (
            "401 Unauthorized",
            r#"{"error_code":"401015","message":"Scope mismatch"}"#,
        ),
        (
            "403 Forbidden",
            r#"{"error_code":403003,"message":"Api Key is invalid"}"#,
        ),
        (
            "403 Forbidden",
            r#"{"message":"UPS-ACC-1000004: IMS Org is not provisioned.","statusCode":"403"}"#,
        ),
        ("400 Bad Request", r#"{"message":"UPS-400"}"#),
        ("403 Forbidden", ""),
    ] {
        let adobe = Revoking::refusing_by(Act::json(status, body));
        adobe.revoke_before(2);
        let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);

        let answer = exchange(gateway.address, get(LOOKUP, ""));

        assert!(status.starts_with(&answer.status.to_string()));
        assert_eq!(answer.text(), body);
        assert!(adobe.tokens_seen().iter().all(|token| *token == 1));
        assert_eq!(adobe.adobe.token_calls().len(), 1);
    }
}

#[test]
fn every_sign_of_a_refusal_replaces_the_token() {
    let chunked = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n\
        8\r\n{\"error_\r\ne\r\ncode\":401013} \r\n0\r\n\r\n";
    for refusal in [
        Act::json(
            "403 Forbidden",
            r#"{"error_code":"403024","message":"Not allowed to read the profile"}"#,
        ),
        Act::json(
            "400 Bad Request",
            r#"{"error_code":"100911-400","title":"invalid token"}"#,
        ),
        Act::json("401 Unauthorized", ""),
        Act::json("401 Unauthorized", r#"{"error":"revoked"}"#),
        Act::Answer(chunked.to_vec()),
    ] {
        let adobe = Revoking::refusing_by(refusal);
        adobe.revoke_before(2);
        let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);

        let answer = exchange(gateway.address, get(LOOKUP, ""));

        assert_eq!((answer.status, adobe.tokens_seen()), (200, vec![1, 2]));
    }
}

#[test]
fn a_refusal_of_a_head_request_has_no_body_and_is_known_by_its_status() {
    let adobe = Revoking::refusing_by(Act::Answer(
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 56\r\n\r\n".to_vec(),
    ));
    adobe.revoke_before(2);
    let gateway = Gateway::start(&adobe.adobe.url(), ROUTES);
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!("HEAD {LOOKUP} HTTP/1.1\r\nHost: gateway\r\n\r\n"));

    assert_eq!(raw.answer(true).unwrap().status, 200);
    assert_eq!(adobe.tokens_seen(), [1, 2]);
}

#[test]
fn which_answers_refuse_a_token_is_configured() {
    for (signs, tokens) in [("[]", vec![1]), ("['4300']", vec![1, 2])] {
        let adobe = Revoking::refusing_by(Act::json("403 Forbidden", r#"{"error_code":4300}"#));
        adobe.revoke_before(2);
        let url = adobe.adobe.url();
        let gateway = Gateway::with(&format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', token_refused_by: {signs} }}\n{ROUTES}"
        ));

        exchange(gateway.address, get(LOOKUP, ""));

        assert_eq!(adobe.tokens_seen(), tokens, "{signs}");
    }
}

#[test]
fn a_long_answer_with_the_status_of_a_refusal_is_passed_on_whole() {
    let body = format!(r#"{{"error":"{}"}}"#, "x".repeat(100_002));
    let chunks = format!("2710\r\n{}\r\n", "y".repeat(10_000)).repeat(10);
    let chunked =
        format!("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let adobe = Adobe::start(move |seen| match seen.target() {
        "/data/core/ups/chunked" => Act::Answer(chunked.clone().into_bytes()),
        _ => Act::json("401 Unauthorized", &body),
    });
    let gateway = Gateway::start(&adobe.url(), ROUTES);

    let measured = exchange(gateway.address, get("/data/core/ups/measured", ""));
    let chunked = exchange(gateway.address, get("/data/core/ups/chunked", ""));

    assert!(measured.complete && chunked.complete);
    assert_eq!(
        (measured.body.len(), chunked.body.len()),
        (100_014, 100_000)
    );
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn an_answer_that_breaks_off_refuses_nothing_and_breaks_off_for_the_caller() {
    let adobe = Adobe::start(|_| {
        Act::AnswerAndClose(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{\"error".to_vec(),
        )
    });
    let gateway = Gateway::start(&adobe.url(), ROUTES);

    let answer = exchange(gateway.address, get(LOOKUP, ""));

    assert_eq!((answer.status, answer.complete), (401, false));
    assert_eq!(answer.body, b"{\"error");
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn a_token_is_kept_and_a_body_not_where_nothing_is_replaced() {
    let adobe = Revoking::start();
    adobe.revoke_before(2);
    let url = adobe.adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', token_refused_by: [] }}\n{ROUTES}"
    ));

    let body = "x".repeat(200 * 1024);
    let target = "/data/core/ups/config/mergePolicies/1";
    let answer = exchange(gateway.address, send("PUT", target, "", &body));

    assert_eq!(answer.status, 401);
    assert_eq!(adobe.adobe.seen()[0].body, body.as_bytes());
    assert_eq!(adobe.adobe.token_calls().len(), 1);
}
