//! How the process stops: readiness first, then the delay, then the drain.

use std::time::Duration;

use tokio::time::Instant;

use super::{ALL, PATH, configuration};
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{Raw, get};
use crate::support::running::Running;
use crate::support::signal::{signal, wait};

const DRAINING: (u16, &str) = (503, "not ready: draining\n");

/// Starts a gateway that stops so, with an Adobe that answers `/slow` when it is told to.
fn start(drain: &str) -> (Running, Slow) {
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let adobe = Adobe::start(move |seen| {
        if seen.target().ends_with("/slow") {
            arrived.send(()).unwrap();
            wait(&may_go);
        }
        Act::echo(seen)
    });
    let text = configuration(&adobe.url(), &format!("{ALL}drain: {drain}\n"));
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");
    (
        gateway,
        Slow {
            adobe,
            has_arrived,
            go,
        },
    )
}

struct Slow {
    adobe: Adobe,
    has_arrived: std::sync::Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>,
    go: std::sync::mpsc::Sender<()>,
}

const SLOW: &str = "/data/core/ups/slow";

#[test]
fn after_sigterm_everything_is_served_as_usual_for_a_while_but_for_readiness() {
    let (gateway, slow) = start("{ delay: 3s, timeout: 10s }");
    let mut idle = Raw::connect(gateway.address);
    idle.write(get(PATH, ""));
    assert_eq!(idle.answer(false).unwrap().status, 200);
    let mut busy = Raw::connect(gateway.address);
    busy.write(get(SLOW, ""));
    wait(&slow.has_arrived);

    gateway.process.terminate();
    gateway.process.wait_for("not ready any more");
    let (status, text) = gateway.readiness();
    assert_eq!((status, text.as_str()), DRAINING);
    // A new connection, and one there was: neither is told to go.
    for caller in [&mut Raw::connect(gateway.address), &mut idle] {
        caller.write(get(PATH, ""));
        let answer = caller.answer(false).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    // Even another configuration is taken.
    let changed = configuration(&slow.adobe.url(), &ALL.replace("name: all", "name: every"));
    assert_eq!(gateway.reload(&changed), "applied");

    gateway.process.wait_for("draining\"");
    assert!(idle.is_closed());
    slow.go.send(()).unwrap();
    let answer = busy.answer(false).unwrap();
    assert_eq!(answer.text(), SLOW);
    assert!(busy.is_closed());
    let (code, printed) = gateway.process.finish();
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.trim_end().ends_with("\"message\":\"stopped\"}"),
        "{printed}"
    );
}

#[test]
fn thirty_requests_in_flight_are_answered_before_the_end_and_told_that_it_is_the_last_answer() {
    let (gateway, slow) = start("{ delay: 1s, timeout: 10s }");
    let mut callers: Vec<_> = (0..30).map(|_| Raw::connect(gateway.address)).collect();
    for caller in &mut callers {
        caller.write(get(SLOW, ""));
    }
    for _ in &callers {
        wait(&slow.has_arrived);
    }

    let begun = Instant::now();
    gateway.process.terminate();
    gateway.process.wait_for("not ready any more");
    let (status, text) = gateway.readiness();
    assert_eq!((status, text.as_str()), DRAINING);
    gateway.process.wait_for("draining\"");
    for _ in &callers {
        slow.go.send(()).unwrap();
    }

    for caller in &mut callers {
        let answer = caller.answer(false).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, SLOW));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(caller.is_closed());
    }
    let (code, printed) = gateway.process.finish();
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn sigint_waits_for_nobody_to_be_sent_elsewhere() {
    let (gateway, slow) = start("{ delay: 10m, timeout: 10s }");
    let mut busy = Raw::connect(gateway.address);
    busy.write(get(SLOW, ""));
    wait(&slow.has_arrived);

    gateway.process.signal("INT");
    gateway.process.wait_for("draining");
    slow.go.send(()).unwrap();

    let answer = busy.answer(false).unwrap();
    assert_eq!(answer.text(), SLOW);
    assert_eq!(gateway.process.finish().0, Some(0));
}

#[test]
fn a_second_signal_ends_the_delay_and_the_drain_at_once() {
    for drain in ["{ delay: 10m }", "{ delay: 0s, timeout: 1h }"] {
        let (gateway, slow) = start(drain);
        let mut busy = Raw::connect(gateway.address);
        busy.write(get(SLOW, ""));
        wait(&slow.has_arrived);

        gateway.process.terminate();
        gateway.process.wait_for(if drain.contains("10m") {
            "not ready any more"
        } else {
            "\"draining\""
        });
        gateway.process.signal("INT");

        let (code, printed) = gateway.process.finish();
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains("by a second signal"), "{printed}");
        assert!(busy.answer(false).is_none());
    }
}

#[test]
fn callers_of_http2_are_told_to_go_and_finish_what_they_have_begun() {
    let (gateway, slow) = start("10s");
    let mut caller = Raw::connect(gateway.address);
    let get = [
        // :method GET, :scheme http, :authority, :path, as literals without an index.
        &[0x82, 0x86, 0x01, 0x07][..],
        b"gateway",
        &[0x04, u8::try_from(SLOW.len()).unwrap()],
        SLOW.as_bytes(),
    ]
    .concat();
    caller.write(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(0x4, 0, 0, &[]),
            frame(0x1, 0x5, 1, &get),
        ]
        .concat(),
    );
    wait(&slow.has_arrived);

    gateway.process.terminate();
    // GOAWAY has 8 bytes at least, and is of the whole connection.
    let goaway = [0, 0, 8, 0x7, 0, 0, 0, 0, 0];
    assert!(caller.read_until(&goaway));
    slow.go.send(()).unwrap();

    assert!(caller.read_until(SLOW.as_bytes()));
    // It has not answered the ping by which the gateway finds out when the caller knows; leaving is an answer too.
    drop(caller);
    assert_eq!(gateway.process.finish().0, Some(0));
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn what_is_cut_off_at_the_end_is_told_by_the_names_of_its_own_configuration() {
    let (gateway, slow) = start("200ms");
    let mut busy = Raw::connect(gateway.address);
    busy.write(get(SLOW, ""));
    wait(&slow.has_arrived);
    let other = ALL.replace("name: all", "name: other");
    let text = configuration(&slow.adobe.url(), &format!("{other}drain: 100ms\n"));
    assert_eq!(gateway.reload(&text), "applied");
    let mut later = Raw::connect(gateway.address);
    later.write(get(SLOW, ""));
    wait(&slow.has_arrived);

    gateway.process.terminate();

    assert!(busy.answer(false).is_none() && later.answer(false).is_none());
    let (code, printed) = gateway.process.finish();
    assert_eq!(code, Some(0), "{printed}");
    for route in ["all", "other"] {
        let route = format!("\"route\":\"{route}\"");
        let line = printed.lines().find(|line| line.contains(&route));
        assert!(line.unwrap().contains("\"end\":\"cut_off\""), "{printed}");
    }
    assert!(printed.contains("drain time is over"), "{printed}");
}
