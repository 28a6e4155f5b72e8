//! Two credentials, of which one gets nowhere: the other one's callers are not to notice.

use std::thread;
use std::time::Duration;

use super::token_service::{ATTRIBUTES, SPARE, TokenService, is_of};
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, LOOKUP, Running, pass};
use crate::support::steady::Steady;

#[test]
fn a_credential_whose_calls_hang_or_fail_for_ever_delays_no_other() {
    let trickle = Act::play(|wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while wire.write(" ") {
            pass(Duration::from_millis(5));
        }
    });
    let gateways = [
        ("hang", Act::silence()),
        ("fail", Act::Reset),
        ("trickle", trickle),
    ]
    .map(|(name, act)| thread::spawn(move || serve_beside(name, &act)));
    let failed = gateways.into_iter().filter_map(|it| it.join().err());
    assert_eq!(failed.count(), 0, "cases with an unexpected end, see above");
}

/// Has a second credential get `act` instead of tokens, while the first renews one that lives for a second.
fn serve_beside(name: &str, act: &Act) {
    let act = act.clone();
    let ims = TokenService::start(move |calls, seen| {
        if is_of("spare-client", seen) {
            act.clone()
        } else {
            Act::token(&format!("t{calls}"), 1)
        }
    });
    let upstream = Adobe::willing();
    let gateway = Running::start(
        &format!(
            "{CREDENTIAL}{SPARE}ims: {{ url: '{}' }}\nupstream: {{ url: '{}' }}\n",
            ims.adobe.url(),
            upstream.url()
        ),
        &[],
    );
    let address = gateway.address;
    gateway.wait_for_service();
    // These wait for what never comes, until they are told so.
    let stuck: Vec<_> = (0..10)
        .map(|_| thread::spawn(move || exchange(address, get(ATTRIBUTES, "")).reason()))
        .collect();
    let callers = Steady::start(address, 2, Duration::from_millis(5));

    gateway.wait_for_generation("demo", 6);
    let spare = gateway.credential("spare");
    let calls = callers.stop();

    let unserved = calls.iter().filter(|call| call.answer.status != 200);
    assert_eq!(unserved.count(), 0, "{name}: of {} calls", calls.len());
    assert_eq!(spare["generation"], 0, "{name}: {spare}");
    let state = spare["state"].as_str().unwrap();
    assert!(["starting", "missing"].contains(&state), "{name}: {spare}");
    for stuck in stuck {
        assert_eq!(stuck.join().unwrap(), "token_unavailable", "{name}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.target() == LOOKUP));
}
