//! Quotas and the bound on requests in flight, over reloads.

use super::{ALL, PATH, configuration};
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{CREDENTIAL, Running};
use crate::support::signal::{signal, wait};

/// Asks until it is refused, and returns how often it was served.
fn served(gateway: &Running) -> usize {
    let mut caller = Raw::connect(gateway.address);
    let mut ask = || {
        caller.write(get(PATH, ""));
        let answer = caller.answer(false).unwrap();
        (answer.status == 200)
            .then_some(())
            .ok_or_else(|| answer.reason())
    };
    let mut served = 0;
    loop {
        match ask() {
            Ok(()) => served += 1,
            Err(reason) => {
                assert_eq!(reason, "quota");
                return served;
            }
        }
    }
}

#[test]
fn a_reload_gives_nothing_back_of_what_is_spent_of_a_routes_limit() {
    let adobe = Adobe::willing();
    let with = |limits: &str, more: &str| {
        configuration(&adobe.url(), &format!("{ALL}    limits: {limits}\n{more}"))
    };
    let gateway = Running::start(&with("[{ rate: 10/h }]", ""), &[]);
    for _ in 0..6 {
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }

    // Something else changes, ten times.
    for round in 1..=10 {
        let more = format!("in_flight: {round}\n");
        assert_eq!(gateway.reload(&with("[{ rate: 10/h }]", &more)), "applied");
    }
    assert_eq!(served(&gateway), 4);
    // The limit itself does.
    assert_eq!(gateway.reload(&with("[{ rate: 13/h }]", "")), "applied");
    assert_eq!(served(&gateway), 3);
    assert_eq!(gateway.reload(&with("[{ rate: 5/h }]", "")), "applied");
    assert_eq!(served(&gateway), 0);
    // Its route gets another place, and it a companion.
    let routes = "
routes:
  - name: first
    match: { path: '/data/core/ups/first' }
  - name: all
    match: { path: '/data/core/{*rest}' }
    limits: [{ rate: 5/h }, { rate: 100/h }]
";
    assert_eq!(
        gateway.reload(&configuration(&adobe.url(), routes)),
        "applied"
    );
    assert_eq!(served(&gateway), 0);
}

#[test]
fn a_reload_gives_nothing_back_of_what_is_spent_of_a_credentials_quota() {
    let adobe = Adobe::willing();
    let with = |quota: &str, more: &str| {
        let credential = format!("{CREDENTIAL}    quota: {quota}\n");
        configuration(&adobe.url(), more).replace(CREDENTIAL, &credential)
    };
    let gateway = Running::start(&with("60/h", ALL), &[]);

    // A tenth may come at once.
    assert_eq!(served(&gateway), 6);
    let renamed = ALL.replace("name: all", "name: every");
    assert_eq!(gateway.reload(&with("60/h", &renamed)), "applied");
    assert_eq!(served(&gateway), 0);
    assert_eq!(gateway.reload(&with("80/h", &renamed)), "applied");
    assert_eq!(served(&gateway), 2);
}

#[test]
fn a_quota_is_the_api_keys_whatever_its_credentials_are_called() {
    let adobe = Adobe::willing();
    let credential = |name: &str, client: &str, more: &str| {
        let credential = CREDENTIAL
            .replace("demo:", &format!("{name}:"))
            .replace("demo-client", client);
        let credential = credential.replace("\ncredentials:\n", "");
        format!("{credential}{more}")
    };
    let quota = "    quota: 60/h\n";
    let with = |credentials: &[String], of_first: &str| {
        let routes = format!(
            "
routes:
  - name: all
    match: {{ path: '/data/core/{{*rest}}' }}
    credential: {of_first}
"
        );
        let credentials = format!("\ncredentials:\n{}", credentials.concat());
        configuration(&adobe.url(), &routes).replace(CREDENTIAL, &credentials)
    };
    let gateway = Running::start(
        &with(
            &[
                credential("one", "client", quota),
                credential("two", "client", ""),
            ],
            "one",
        ),
        &[],
    );
    gateway.wait_for_state("two", "valid");
    assert_eq!(served(&gateway), 6);

    // The other name of the same key, and then another name alone.
    let both = [
        credential("one", "client", quota),
        credential("two", "client", quota),
    ];
    assert_eq!(gateway.reload(&with(&both, "two")), "applied");
    assert_eq!(served(&gateway), 0);
    let renamed = [credential("three", "client", quota)];
    assert_eq!(gateway.reload(&with(&renamed, "three")), "applied");
    assert_eq!(served(&gateway), 0);
    // Another key with that name.
    let other = [
        credential("three", "other-client", quota),
        credential("four", "client", quota),
    ];
    assert_eq!(gateway.reload(&with(&other, "three")), "applied");
    assert_eq!(served(&gateway), 6);
    // A key that nobody used for a while, nor even named.
    assert_eq!(gateway.reload(&with(&other[..1], "three")), "applied");
    assert_eq!(gateway.reload(&with(&other, "four")), "applied");
    assert_eq!(served(&gateway), 0);
}

#[test]
fn a_lower_bound_on_requests_in_flight_counts_those_that_are() {
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let adobe = Adobe::start(move |seen| {
        if seen.target().ends_with("/slow") {
            arrived.send(()).unwrap();
            wait(&may_go);
        }
        Act::ok()
    });
    let with = |most: u32| configuration(&adobe.url(), &format!("{ALL}in_flight: {most}\n"));
    let gateway = Running::start(&with(3), &[]);
    let mut slow: Vec<_> = (0..3).map(|_| Raw::connect(gateway.address)).collect();
    for caller in &mut slow {
        caller.write(get("/data/core/ups/slow", ""));
        wait(&has_arrived);
    }

    assert_eq!(gateway.reload(&with(2)), "applied");
    assert_eq!(
        exchange(gateway.address, get(PATH, "")).reason(),
        "overloaded"
    );
    go.send(()).unwrap();
    go.send(()).unwrap();
    go.send(()).unwrap();
    for caller in &mut slow {
        assert_eq!(caller.answer(false).unwrap().status, 200);
    }

    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    assert_eq!(gateway.count("profile_gateway_requests_in_flight"), 0);
}
