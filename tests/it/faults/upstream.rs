//! A platform that cannot be found, swallows what it is sent, or goes and comes back.

use std::time::Duration;

use tokio::time::Instant;

use super::in_front_of;
use crate::support::adobe::Adobe;
use crate::support::port::{Deaf, Port};
use crate::support::process::Process;
use crate::support::raw::{Answer, exchange, get, send};
use crate::support::running::{CREDENTIAL, LOOKUP, Running, pass};
use crate::support::steady::Steady;

/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_secs(1);

/// Starts a gateway whose platform is at `url`.
fn before(adobe: &Adobe, url: &str) -> Running {
    let ims = adobe.url();
    Running::start(
        &format!(
            "ims: {{ url: '{ims}' }}\nupstream: {{ url: '{url}', allow_plain_http: true }}\n{CREDENTIAL}"
        ),
        &[],
    )
}

fn timed(ask: impl FnOnce() -> Answer) -> (Answer, Duration) {
    let begun = Instant::now();
    (ask(), begun.elapsed())
}

#[test]
fn a_name_that_is_none_is_told_within_the_time_to_connect() {
    let adobe = Adobe::willing();
    // The system's resolver refuses it without asking anybody: labels do not begin so.
    let gateway = before(&adobe, "http://-none.example.com");
    gateway.wait_for_state("demo", "valid");

    let (answer, took) = timed(|| gateway.ask());

    assert_eq!(answer.problem(), (502, "upstream_name".to_owned()));
    assert!(took < Duration::from_secs(3) + SLACK, "{took:?}");
    assert_eq!(gateway.readiness().0, 200);
    gateway.stop();
}

#[test]
fn a_platform_that_swallows_packets_is_given_up_on_in_time_for_everybody() {
    let adobe = Adobe::willing();
    let deaf = Deaf::take();
    let gateway = before(&adobe, &deaf.url());
    gateway.wait_for_state("demo", "valid");

    // What may be repeated, and what may not.
    let callers = [
        get(LOOKUP, ""),
        send("POST", "/data/core/ups/segment/jobs", "", "[]"),
    ]
    .map(|request| {
        let callers = gateway.address;
        std::thread::spawn(move || timed(|| exchange(callers, request)))
    });

    for caller in callers {
        let (answer, took) = caller.join().unwrap();
        assert_eq!(answer.problem(), (502, "upstream_connect".to_owned()));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    gateway.stop();
}

#[test]
fn a_platform_that_is_killed_is_used_within_ten_seconds_of_its_return_and_no_old_connection_is() {
    let port = Port::take();
    let listen = port.address().to_string();
    let start = || {
        let adobe = Process::start(&["simulate", "--listen", &listen], &[]);
        adobe.wait_for("Adobe simulated at");
        adobe
    };
    let adobe = start();
    let text = in_front_of(&port.url(), "").replace("p8e-never-to-be-seen", "demo-secret");
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_service();
    let callers = Steady::start(gateway.address, 4, Duration::from_millis(10));
    callers.wait_for_all();

    let gone = Instant::now();
    drop(adobe);
    pass(Duration::from_secs(3));
    let adobe = start();
    let returned = Instant::now();
    let back = gateway.wait_for_service();
    // Connections of the old life are on none of the ways: nothing fails from here on.
    let served = Instant::now();
    callers.wait_for_all();
    pass(Duration::from_secs(1));
    let calls = callers.stop();
    let dead = gateway.count("profile_gateway_upstream_connections_closed_total{cause=\"dead\"}");

    assert!(dead > 0 && returned > gone);
    assert!(back < Duration::from_secs(10), "{back:?}");
    let mut failed = 0;
    for call in &calls {
        let (status, ended) = (call.answer.status, call.begun + call.took);
        if ended < gone || call.begun > served {
            assert_eq!(status, 200, "{}", call.answer.text());
        } else if status != 200 {
            failed += 1;
            assert!(
                [502, 503].contains(&call.answer.problem().0),
                "{}",
                call.answer.text()
            );
            assert!(
                call.took < Duration::from_secs(5) + SLACK,
                "{:?}",
                call.took
            );
        }
    }
    assert!(failed > 0);
    drop(adobe);
    gateway.stop();
}
