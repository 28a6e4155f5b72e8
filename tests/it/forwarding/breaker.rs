//! That an upstream that fails fast is not hammered, and is used again soon after it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::ROUTE;
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{exchange, get, send};

const JOB: &str = "/data/core/ups/segment/jobs";

/// A platform that resets every connection while it is down.
fn upstream() -> (Adobe, Gateway, Arc<AtomicBool>) {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let adobe = Adobe::start(move |_| {
        if is_down.load(Ordering::SeqCst) {
            Act::Reset
        } else {
            Act::ok()
        }
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    (adobe, gateway, down)
}

fn is_open(gateway: &Gateway) -> bool {
    let metrics = exchange(gateway.admin, get("/metrics", "")).text();
    let open =
        |value| metrics.contains(&format!("profile_gateway_upstream_breaker_open {value}\n"));
    assert!(open(0) != open(1), "{metrics}");
    open(1)
}

#[test]
fn calls_stop_after_ten_failures_and_go_on_when_one_is_answered() {
    let (adobe, gateway, down) = upstream();
    let call = || exchange(gateway.address, send("POST", JOB, "", "[]"));
    for _ in 0..10 {
        assert_eq!(call().problem(), (502, "upstream_reset".to_owned()));
    }

    // Callers who do not wait. Pauses grow from half a second, so that few of them are let through on trial.
    let mut held_back = 0;
    for _ in 0..200 {
        let answer = call();
        held_back += usize::from(answer.problem() == (503, "upstream_failing".to_owned()));
        assert!(answer.status != 503 || answer.header("retry-after").is_some());
    }
    assert_eq!(adobe.heads(), 10 + 200 - held_back);
    assert!(held_back >= 180, "{held_back}");
    assert!(is_open(&gateway));

    down.store(false, Ordering::SeqCst);
    let back = Instant::now();
    while call().status != 200 {
        // No pause is longer than five seconds.
        assert!(back.elapsed() < Duration::from_mins(1), "not back in time");
    }
    assert!(!is_open(&gateway));
    for _ in 0..20 {
        assert_eq!(call().status, 200);
    }
}

#[test]
fn answers_are_no_failures_whatever_their_status() {
    let adobe = Adobe::start(|_| Act::json("503 Unavailable", ""));
    let gateway = Gateway::start(&adobe.url(), ROUTE);

    for _ in 0..40 {
        let answer = exchange(gateway.address, send("POST", JOB, "", "[]"));
        assert_eq!((answer.status, answer.text()), (503, String::new()));
    }
}

#[test]
fn a_callers_short_deadlines_and_broken_bodies_stop_nobody_else() {
    let adobe = Adobe::start(|seen| {
        if seen.target() == JOB {
            Act::ok()
        } else {
            Act::silence()
        }
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    assert_eq!(
        exchange(gateway.address, send("POST", JOB, "", "[]")).status,
        200
    );

    for _ in 0..20 {
        // Over while it connects or while it waits for the answer.
        let slow = get("/data/core/ups/slow", "Request-Timeout: 0.01\r\n");
        assert!(matches!(exchange(gateway.address, slow).status, 502 | 504));
        let broken = "POST /data/core/ups/slow HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n\
                      Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\nzz\r\n";
        assert_eq!(exchange(gateway.address, broken).status, 400);
    }

    assert_eq!(
        exchange(gateway.address, send("POST", JOB, "", "[]")).status,
        200
    );
}
