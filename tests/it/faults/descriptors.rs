//! A process that may have fewer descriptors than callers want.

use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;

use super::in_front_of;
use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{LOOKUP, Running, pass};

#[test]
fn more_callers_than_descriptors_wait_their_turn_while_those_inside_and_operators_are_served() {
    let adobe = Adobe::willing();
    let text = in_front_of(&adobe.url(), "workers: 2\n");
    let gateway = Running::start_after("ulimit -n 64", &text);
    gateway.wait_for_state("demo", "valid");
    let mut inside = Raw::connect(gateway.address);
    let ask = |caller: &mut Raw| {
        caller.write(get(LOOKUP, ""));
        caller.answer(false).unwrap().status
    };
    assert_eq!(ask(&mut inside), 200);

    let crowd: Vec<_> = (0..300).map(|_| Raw::connect(gateway.address)).collect();
    gateway.process.wait_for("who comes now waits");
    let before = gateway.process.processor_time();
    pass(Duration::from_secs(1));
    let idle = gateway.process.processor_time().saturating_sub(before);
    for _ in 0..5 {
        let live = exchange(gateway.admin, get("/livez", ""));
        assert_eq!((live.status, ask(&mut inside)), (200, 200));
        assert_eq!(gateway.readiness().0, 200);
    }
    assert_eq!(gateway.reload(&format!("{text}in_flight: 7\n")), "applied");
    for mut caller in crowd {
        assert_eq!(ask(&mut caller), 200);
    }

    assert!(idle < Duration::from_millis(200), "{idle:?} in a second");
    assert_eq!(gateway.ask().status, 200);
    let printed = gateway.stop();
    assert_eq!(
        printed.matches("who comes now waits").count(),
        1,
        "{printed}"
    );
    assert!(!printed.contains("os error 24"), "{printed}");
}

#[test]
fn callers_are_served_where_the_process_itself_has_most_of_the_descriptors() {
    let adobe = Adobe::willing();
    let text = in_front_of(&adobe.url(), "workers: 8\n");
    let gateway = Running::start_after("ulimit -n 80", &text);
    gateway.wait_for_state("demo", "valid");

    let crowd: Vec<_> = (0..50).map(|_| Raw::connect(gateway.address)).collect();
    gateway.process.wait_for("who comes now waits");
    for mut caller in crowd {
        caller.write(get(LOOKUP, ""));
        assert_eq!(caller.answer(false).unwrap().status, 200);
    }
    assert_eq!(gateway.readiness().0, 200);
}

#[test]
fn a_process_takes_as_many_descriptors_as_it_may() {
    let adobe = Adobe::willing();
    let gateway = Running::start_after("ulimit -Sn 64", &in_front_of(&adobe.url(), ""));
    gateway.wait_for_state("demo", "valid");

    let mut crowd: Vec<_> = (0..100).map(|_| Raw::connect(gateway.address)).collect();
    for caller in &mut crowd {
        caller.write(get(LOOKUP, ""));
        assert_eq!(caller.answer(false).unwrap().status, 200);
    }
}

#[tokio::test]
async fn requests_wait_for_the_connections_that_there_are_descriptors_for() {
    let adobe = Adobe::willing();
    let gateway = Running::start_after("ulimit -n 64", &in_front_of(&adobe.url(), "workers: 2\n"));
    gateway.wait_for_state("demo", "valid");
    gateway.process.wait_for("fewer are made");
    let lookup = request(Method::GET, &format!("http://gateway{LOOKUP}"), &[], "");

    let mut answers = JoinSet::new();
    let mut callers = Vec::new();
    for _ in 0..4 {
        let caller = Client::connect(gateway.address, Speaks::H2).await;
        caller.send_at_once(&lookup, 100, &mut answers);
        callers.push(caller);
    }

    let statuses = answers.join_all().await;
    assert!(statuses.iter().all(|it| *it == 200), "{statuses:?}");
    let opened = gateway.count("profile_gateway_upstream_connections_opened_total");
    // A quarter, which is shared out among the workers and rounded up.
    assert!((1..=18).contains(&opened), "{opened}");
}
