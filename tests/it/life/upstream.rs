//! The connections to the upstream: kept while nothing about them changes, and replaced when something does.

use super::{ALL, PATH, configuration};
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{Running, eventually};
use crate::support::signal::{signal, wait};

#[test]
fn connections_stay_when_something_else_changes() {
    let adobe = Adobe::willing();
    let with = |most: u32| {
        let text = configuration(
            &adobe.url(),
            &format!("{ALL}workers: 1\nin_flight: {most}\n"),
        );
        text.replace(
            "upstream: {",
            &format!("upstream: {{ request_body: {most}KiB,"),
        )
    };
    let gateway = Running::start(&with(1), &[]);

    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    for most in 2..6 {
        assert_eq!(gateway.reload(&with(most)), "applied");
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }

    let used: Vec<_> = adobe.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(used, [used[0]; 5]);
    let opened = gateway.count("profile_gateway_upstream_connections_opened_total");
    assert_eq!(opened, 1);
}

#[test]
fn another_upstream_is_for_new_requests_and_what_is_in_flight_ends_at_the_old_one() {
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let old = Adobe::start(move |seen| {
        if seen.target().ends_with("/slow") {
            arrived.send(()).unwrap();
            wait(&may_go);
        }
        Act::json("200 OK", "\"old\"")
    });
    let new = Adobe::start(|_| Act::json("200 OK", "\"new\""));
    let text = |upstream: &Adobe| {
        let text = configuration(&old.url(), &format!("{ALL}workers: 1\n"));
        let (from, to) = (old.url(), upstream.url());
        text.replace(
            &format!("upstream: {{ url: '{from}'"),
            &format!("upstream: {{ url: '{to}'"),
        )
    };
    let gateway = Running::start(&text(&old), &[]);
    let mut slow = Raw::connect(gateway.address);
    slow.write(get("/data/core/ups/slow", ""));
    wait(&has_arrived);
    let mut caller = Raw::connect(gateway.address);
    let mut ask = || {
        caller.write(get(PATH, ""));
        caller.answer(false).unwrap().text()
    };
    assert_eq!(ask(), "\"old\"");

    let open = |state: &str| {
        gateway.count(&format!(
            "profile_gateway_upstream_connections{{state=\"{state}\"}}"
        ))
    };
    let count = |name: &str| gateway.count(&format!("profile_gateway_upstream_connections_{name}"));
    assert_eq!([open("idle"), open("in_use")], [1, 1]);
    assert_eq!(gateway.reload(&text(&new)), "applied");
    assert_eq!(ask(), "\"new\"");
    // The old one that nobody used is closed, and the other one is still in use.
    assert_eq!([open("idle"), open("in_use")], [1, 1]);
    assert_eq!(count("closed_total{cause=\"replaced\"}"), 1);
    go.send(()).unwrap();

    assert_eq!(slow.answer(false).unwrap().text(), "\"old\"");
    eventually("end of the old connection", || {
        (count("closed_total{cause=\"replaced\"}") == 2).then_some(())
    });
    assert_eq!([open("idle"), open("in_use")], [1, 0]);
    // And back again, several times: nothing that was counted is lost.
    for upstream in [&old, &new, &old, &new] {
        assert_eq!(gateway.reload(&text(upstream)), "applied");
        ask();
    }
    assert_eq!(count("opened_total"), 3 + 4);
    assert_eq!(count("closed_total"), 2 + 4);
    assert_eq!(open("idle"), 1);
    assert_eq!(old.token_calls().len(), 1);
}
