//! One token call for all who wait, whoever of them goes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::token_service::{TokenService, fresh_token};
use crate::support::adobe::Adobe;
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{CREDENTIAL, LOOKUP, Running, eventually};

/// A token service that answers when it may, and says when it is asked.
fn held() -> (TokenService, Receiver<()>, Sender<()>) {
    let (ask, asked) = channel();
    let (allow, allowed) = channel();
    let both = Arc::new(Mutex::new((ask, allowed)));
    let ims = TokenService::start(move |calls, seen| {
        let both = both.lock().unwrap();
        both.0.send(()).unwrap();
        both.1.recv().unwrap();
        fresh_token(calls, seen)
    });
    (ims, asked, allow)
}

fn start(ims: &TokenService, upstream: &Adobe) -> Running {
    start_with(ims, upstream, "")
}

fn start_with(ims: &TokenService, upstream: &Adobe, more: &str) -> Running {
    let (ims, upstream) = (ims.adobe.url(), upstream.url());
    Running::start(
        &format!(
            "{CREDENTIAL}{more}ims: {{ url: '{ims}', timeout: 30s }}\nupstream: {{ url: '{upstream}' }}\n"
        ),
        &[],
    )
}

#[test]
fn all_who_wait_for_a_slow_token_service_share_its_one_answer() {
    let (ims, asked, allow) = held();
    let upstream = Adobe::willing();
    let gateway = start(&ims, &upstream);
    let address = gateway.address;
    let callers = (0..50).map(|_| thread::spawn(move || exchange(address, get(LOOKUP, "")).status));
    let callers: Vec<_> = callers.collect();
    asked.recv().unwrap();
    wait_for_callers(&gateway, 50.0);

    let (ready, facts) = (gateway.readiness(), gateway.credential("demo"));
    let reached = upstream.heads();
    allow.send(()).unwrap();
    let statuses: Vec<_> = callers.into_iter().map(|it| it.join().unwrap()).collect();

    assert!(
        ready.0 == 503 && ready.1.contains("under way"),
        "{}",
        ready.1
    );
    assert_eq!(facts["state"], "starting");
    assert_eq!(reached, 0);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((ims.calls(), upstream.heads()), (1, 50));
}

#[test]
fn the_first_caller_hanging_up_takes_the_token_from_nobody() {
    let (ims, asked, allow) = held();
    let upstream = Adobe::willing();
    let gateway = start(&ims, &upstream);
    let (address, mut first) = (gateway.address, Raw::connect(gateway.address));
    first.write(get(LOOKUP, ""));
    asked.recv().unwrap();
    wait_for_callers(&gateway, 1.0);
    let second = thread::spawn(move || exchange(address, get(LOOKUP, "")).status);
    wait_for_callers(&gateway, 2.0);

    drop(first);
    gateway.process.wait_for("caller_gone");
    allow.send(()).unwrap();

    assert_eq!(second.join().unwrap(), 200);
    assert_eq!(gateway.ask().status, 200);
    assert_eq!((ims.calls(), upstream.heads()), (1, 2));
}

#[test]
fn a_caller_waits_for_a_token_until_its_deadline_and_the_call_goes_on() {
    let (ims, asked, allow) = held();
    let upstream = Adobe::willing();
    let routes = "
routes:
  - { name: all, match: { path: '/data/core/ups/{*rest}' }, sandbox: dev-2, timeout: 300ms }
";
    let gateway = start_with(&ims, &upstream, routes);
    asked.recv().unwrap();

    let late = gateway.ask();
    allow.send(()).unwrap();
    gateway.wait_for_state("demo", "valid");

    assert_eq!(late.problem(), (503, "token_unavailable".to_owned()));
    assert_eq!(late.header("retry-after"), Some("1"));
    assert_eq!(gateway.ask().status, 200);
    assert_eq!((ims.calls(), upstream.heads()), (1, 1));
}

fn wait_for_callers(gateway: &Running, count: f64) {
    eventually("waiting callers", || {
        let waiting = gateway.metric("profile_gateway_requests_in_flight");
        (waiting >= count).then_some(())
    });
}
