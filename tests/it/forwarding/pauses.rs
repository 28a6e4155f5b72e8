//! That a pause Adobe asks for holds for everybody, and no longer than it must.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::Instant;

use super::{ROUTE, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};

const LOOKUP: &str = "/data/core/ups/access/entities";
const OTHER: &str = "/data/core/ups/audiences";

fn throttle(fields: &str, body: &str) -> Act {
    let length = body.len();
    let head = format!("HTTP/1.1 429 Too Many\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
    Act::Answer(head.into_bytes())
}

fn metrics(gateway: &Gateway) -> String {
    exchange(gateway.admin, get("/metrics", "")).text()
}

#[test]
fn a_pause_of_the_gateway_is_for_all_requests_with_the_key() {
    for body in [
        r#"{"error_code":"429050","message":"Too many requests"}"#,
        "",
        "<html>",
    ] {
        let (adobe, gateway) = start(move |_| throttle("Retry-After: 38\r\n", body));

        let first = exchange(gateway.address, get(LOOKUP, ""));
        let next = exchange(gateway.address, get(OTHER, ""));

        // The first is Adobe's own answer.
        assert_eq!(
            (first.status, first.header("retry-after")),
            (429, Some("38"))
        );
        assert_eq!(first.text(), body);
        assert_eq!(next.problem(), (429, "upstream_paused".to_owned()));
        let wait: u64 = next.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=38).contains(&wait), "{wait}");
        let state = format!("\"upstream\";r=0;t={wait}");
        assert_eq!(next.values("ratelimit"), [&*state]);
        let paused = "profile_gateway_credential_paused{credential=\"demo\"} 1\n";
        assert!(metrics(&gateway).contains(paused));
        assert_eq!(adobe.heads(), 1);
    }
}

#[test]
fn a_pause_of_hours_is_one_of_five_minutes() {
    let (_adobe, gateway) = start(|_| throttle("Retry-After: 99999999999999999999\r\n", ""));
    exchange(gateway.address, get(LOOKUP, ""));

    let next = exchange(gateway.address, get(LOOKUP, ""));

    let wait: u64 = next.header("retry-after").unwrap().parse().unwrap();
    assert!((280..=300).contains(&wait), "{wait}");
}

#[test]
fn what_gives_no_time_or_speaks_for_one_service_pauses_nothing() {
    let service = r#"[{"message":"Too many requests","retryAfterMs":"5000","statusCode":"429"}]"#;
    let jobs = r#"{"status":429,"message":"too many jobs"}"#;
    for (fields, body) in [
        ("", r#"{"error_code":"429050"}"#),
        ("Retry-After: soon\r\n", ""),
        ("", service),
        ("Retry-After: 3600\r\n", jobs),
    ] {
        let (adobe, gateway) = start(move |_| throttle(fields, body));

        for _ in 0..3 {
            let answer = exchange(gateway.address, get(LOOKUP, ""));
            assert_eq!((answer.status, answer.text()), (429, body.to_owned()));
        }
        assert_eq!(adobe.heads(), 3);
    }
}

#[test]
fn a_callers_coding_or_head_request_makes_no_pause_of_a_services_answer() {
    let service = zipped(r#"[{"message":"Too many requests","statusCode":"429"}]"#);
    let gateway_s = zipped(r#"{"error_code":"429050"}"#);
    for (method, coding, body, pauses) in [
        ("GET", "gzip", service.clone(), false),
        ("GET", "br", service, false),
        ("HEAD", "identity", Vec::new(), false),
        ("GET", "gzip", gateway_s, true),
    ] {
        let (adobe, gateway) = start(move |_| {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 429 Too Many\r\nRetry-After: 60\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n"
            );
            Act::Answer([head.into_bytes(), body.clone()].concat())
        });
        let mut raw = Raw::connect(gateway.address);

        for _ in 0..2 {
            raw.write(get(LOOKUP, "").replacen("GET", method, 1));
            assert_eq!(raw.answer(method == "HEAD").unwrap().status, 429);
        }

        assert_eq!(
            adobe.heads(),
            if pauses { 1 } else { 2 },
            "{method} {coding}"
        );
    }
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn one_request_finds_out_when_a_pause_is_over() {
    let met = Arc::new(AtomicUsize::new(0));
    let adobe = Adobe::start(move |_| match met.fetch_add(1, Ordering::SeqCst) {
        // Twice, so that the first to try again is told once more.
        0 | 1 => throttle("Retry-After: 1\r\n", r#"{"error_code":"429001"}"#),
        _ => Act::ok(),
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut statuses = Vec::new();
    let begun = Instant::now();
    exchange(gateway.address, get(LOOKUP, ""));

    // Everybody comes again and again; those who come too early cost nothing.
    while statuses.last() != Some(&200) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{statuses:?}");
        let answer = exchange(gateway.address, get(LOOKUP, ""));
        statuses.push(answer.status);
    }

    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "two pauses of a second"
    );
    assert_eq!(adobe.heads(), 3, "one to find out each time");
    assert_eq!(exchange(gateway.address, get(OTHER, "")).status, 200);
}

#[test]
fn a_pause_is_of_one_key_and_not_of_another() {
    let adobe = Adobe::start(|seen| {
        if seen.values("x-api-key") == ["one"] {
            throttle("Retry-After: 60\r\n", "")
        } else {
            Act::ok()
        }
    });
    let url = adobe.url();
    let credential = |name, client: &str| {
        format!(
            "  {name}: {{ organization: {name}@AdobeOrg, client_id: {client}, client_secrets: [s-{name}-secret] }}\n"
        )
    };
    let gateway = Gateway::bare(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\ncredentials:\n{}{}{}
routes:
  - {{ name: a, match: {{ path: {LOOKUP} }}, sandbox: dev-2, credential: one }}
  - {{ name: b, match: {{ path: {OTHER} }}, sandbox: dev-2, credential: two }}
  - {{ name: c, match: {{ path: /data/core/ups/preview }}, sandbox: dev-2, credential: three }}
",
        credential("one", "one"),
        credential("two", "two"),
        // Another organisation, and the same key.
        credential("three", "one"),
    ));

    assert_eq!(exchange(gateway.address, get(LOOKUP, "")).status, 429);
    assert_eq!(
        exchange(gateway.address, get(LOOKUP, "")).reason(),
        "upstream_paused"
    );
    assert_eq!(exchange(gateway.address, get(OTHER, "")).status, 200);
    let same_key = exchange(gateway.address, get("/data/core/ups/preview", ""));
    assert_eq!(same_key.reason(), "upstream_paused");
}
