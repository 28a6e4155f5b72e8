//! Renewals that fail while the old token lives: callers see nothing of it until that has run out.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::token_service::{TokenService, fresh_token};
use crate::support::adobe::{Act, Adobe};
use crate::support::port::Port;
use crate::support::running::{CREDENTIAL, Running, pass};
use crate::support::steady::{Call, Steady};

#[test]
fn a_renewal_that_fails_is_not_seen_before_the_token_has_run_out() {
    let error = r#"{"error":"internal_error"}"#;
    let faults = [
        ("500", Act::json("500 Internal Server Error", error)),
        ("a page", Act::json("200 OK", "<html>")),
        ("reset", Act::Reset),
        ("429", Act::json("429 Too Many Requests", "")),
        (
            "no such client",
            Act::json("401 Unauthorized", r#"{"error":"invalid_client"}"#),
        ),
        ("silent", Act::silence()),
    ];
    let gateways = faults.map(|(name, act)| {
        // Silence has to be told from slowness while there is a token still.
        let patience = if name == "silent" { "300ms" } else { "1s" };
        thread::spawn(move || {
            let minted = Arc::new(Mutex::new(None));
            let first = Arc::clone(&minted);
            let ims = TokenService::start(move |calls, _| {
                if calls > 1 {
                    return act.clone();
                }
                *first.lock().unwrap() = Some(Instant::now());
                Act::token("first", 3)
            });
            let upstream = Adobe::willing();
            let gateway = start_with(&ims.adobe.url(), &upstream, patience);
            gateway.wait_for_service();
            let callers = Steady::start(gateway.address, 2, Duration::from_millis(20));

            let failing = gateway.wait_for_state("demo", "failing");
            let ready = gateway.readiness();
            gateway.wait_for_state("demo", "missing");
            callers.wait_for_all();
            let unready = gateway.readiness();
            ims.heal();
            gateway.wait_for_state("demo", "valid");
            gateway.wait_for_service();
            callers.wait_for_all();
            let calls = callers.stop();

            assert_eq!(failing["generation"], 1, "{name}: {failing}");
            assert_eq!(ready, (200, "ready\n".to_owned()), "{name}");
            assert_eq!(unready.0, 503, "{name}: {}", unready.1);
            assert!(ims.calls() <= 20, "{name}: {} token calls", ims.calls());
            let minted = minted.lock().unwrap().unwrap();
            assert_gap(name, &calls, minted, &upstream);
        })
    });
    let failed = gateways.into_iter().filter_map(|it| it.join().err());
    assert_eq!(
        failed.count(),
        0,
        "faults with an unexpected end, see above"
    );
}

#[test]
fn a_token_service_that_goes_away_is_missed_only_when_the_token_has_run_out() {
    let port = Port::take();
    let (listener, open) = port.open();
    let ims = TokenService::on(listener);
    ims.turn(|_, _| Act::token("first", 3));
    let upstream = Adobe::willing();
    let gateway = start(&port.url(), &upstream);
    let asked = Instant::now();
    gateway.wait_for_service();
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(20));

    drop(open);
    gateway.wait_for_state("demo", "failing");
    let ready = gateway.readiness();
    gateway.wait_for_state("demo", "missing");
    pass(Duration::from_secs(1));
    let (listener, _open) = port.open();
    let ims = TokenService::on(listener);
    let back = gateway.wait_for_service();
    callers.wait_for_all();
    let calls = callers.stop();

    assert_eq!(ready, (200, "ready\n".to_owned()));
    assert!(back < Duration::from_secs(6), "back after {back:?}");
    assert_eq!(ims.calls(), 1);
    assert_gap("gone", &calls, asked, &upstream);
}

#[test]
fn one_failure_is_made_good_before_anybody_notices() {
    let ims = TokenService::start(|calls, seen| match calls {
        1 => Act::token("first", 4),
        2 => Act::json("500 Internal Server Error", ""),
        _ => fresh_token(calls, seen),
    });
    let upstream = Adobe::willing();
    let gateway = start(&ims.adobe.url(), &upstream);
    gateway.wait_for_service();
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(20));

    gateway.wait_for_generation("demo", 2);
    let calls = callers.stop();

    assert_eq!(ims.calls(), 3);
    assert!(calls.iter().all(|call| call.answer.status == 200));
}

/// Checks that callers were served, then told that there is no token, and then served again, and that nothing went
/// upstream in between.
fn assert_gap(name: &str, calls: &[Call], minted: Instant, upstream: &Adobe) {
    let refused = |call: &&Call| call.answer.status != 200;
    let first = calls.iter().find(refused).expect("callers noticed");
    // The token lives for three seconds, less a twentieth.
    let after = (first.begun + first.took).duration_since(minted);
    assert!(after > Duration::from_secs(2), "{name}: after {after:?}");
    for call in calls.iter().filter(refused) {
        assert_eq!(
            call.answer.problem(),
            (503, "token_unavailable".to_owned()),
            "{name}"
        );
        assert!(call.answer.header("retry-after").is_some(), "{name}");
        assert!(call.took < Duration::from_secs(12), "{name}");
    }
    let last = calls.iter().rposition(|call| refused(&call)).unwrap();
    assert!(last + 1 < calls.len(), "{name}: nobody was served again");
    let old = upstream.seen();
    let old = old
        .iter()
        .filter(|seen| seen.values("authorization") == ["Bearer first"]);
    let served = calls.iter().take_while(|call| !refused(call)).count();
    // Those whose service was waited for are counted by the upstream alone.
    assert!(old.count() <= served + 2, "{name}");
}

fn start(ims: &str, upstream: &Adobe) -> Running {
    start_with(ims, upstream, "1s")
}

fn start_with(ims: &str, upstream: &Adobe, timeout: &str) -> Running {
    let upstream = upstream.url();
    Running::start(
        &format!(
            "{CREDENTIAL}ims: {{ url: '{ims}', timeout: {timeout} }}\nupstream: {{ url: '{upstream}' }}\n"
        ),
        &[],
    )
}
