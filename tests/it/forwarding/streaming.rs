//! What passes before the rest of it exists, in both directions.

use std::sync::Arc;
use std::thread;

use super::{PATH, ROUTE, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};
use crate::support::signal::{signal, wait};

#[test]
fn a_caller_who_waits_for_100_continue_gets_it() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(raw.next_head().unwrap().status, 100);
    raw.write("hello");

    assert_eq!(raw.answer(false).unwrap().status, 200);
    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.body, b"hello");
    assert!(seen.values("expect").is_empty());
}

#[test]
fn a_caller_who_waits_for_100_continue_and_is_refused_sends_nothing() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut raw = Raw::connect(gateway.address);

    raw.write(
        "POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );

    let refused = raw.answer(false).unwrap();
    assert_eq!(refused.problem().0, 404);
    assert_eq!(refused.values("connection"), ["close"]);
    // It is not known whether this is the body, so it is not read.
    raw.write(get(PATH, ""));
    assert!(raw.is_closed());
    assert_eq!(adobe.heads(), 0);
}

#[test]
fn a_caller_who_waits_for_100_continue_gets_an_early_answer_after_it() {
    let adobe = Adobe::at_heads(|_| {
        Some(Act::play(|wire| {
            wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\n{}");
            wire.wait_for_end();
        }))
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));

    let answer = raw.answer(false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (413, "{}"));
    assert_eq!(answer.values("connection"), ["close"]);
    assert!(raw.is_closed());
}

#[test]
fn who_speaks_http10_is_not_told_to_go_on() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!(
        "POST {PATH} HTTP/1.0\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    raw.write("hello");

    assert_eq!(raw.next_head().unwrap().status, 200);
    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.body, b"hello");
    assert!(seen.values("expect").is_empty());
}

#[test]
fn the_first_piece_of_an_answer_comes_before_the_second_is_sent() {
    for (head, pieces) in [
        (
            "Transfer-Encoding: chunked\r\n",
            ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"],
        ),
        ("Content-Length: 6\r\n", ["one", "two"]),
    ] {
        let (go, came) = signal::<()>();
        let (_adobe, gateway) = start(move |_| {
            let came = Arc::clone(&came);
            Act::play(move |wire| {
                wire.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n{}", pieces[0]));
                wait(&came);
                wire.write(pieces[1]);
                wire.wait_for_end();
            })
        });
        let mut raw = Raw::connect(gateway.address);

        raw.write(get(PATH, ""));
        assert!(raw.read_until(b"one"));
        go.send(()).unwrap();

        assert_eq!(raw.answer(false).unwrap().text(), "onetwo");
    }
}

#[test]
fn the_first_piece_of_a_body_arrives_before_the_second_is_sent() {
    for (framing, pieces) in [
        (
            "Transfer-Encoding: chunked\r\n",
            ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"],
        ),
        ("Content-Length: 6\r\n", ["one", "two"]),
    ] {
        let (arrived, first) = signal();
        let adobe = Adobe::at_heads(move |_| {
            let arrived = arrived.clone();
            Some(Act::play(move |wire| {
                arrived.send(wire.read_until(b"one")).unwrap();
                let whole = wire.read_until(b"two");
                wire.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{whole:<5}"
                ));
                wire.wait_for_end();
            }))
        });
        let gateway = Gateway::start(&adobe.url(), ROUTE);
        let mut raw = Raw::connect(gateway.address);

        raw.write(format!(
            "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n{framing}\r\n{}",
            pieces[0]
        ));
        assert!(wait(&first));
        raw.write(pieces[1]);

        assert_eq!(raw.answer(false).unwrap().text(), "true ");
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_caller() {
    let adobe = Adobe::at_heads(|seen| match seen.target() {
        "/data/core/ups/early" => Some(Act::play(|wire| {
            wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\n{}");
            wire.wait_for_end();
        })),
        "/data/core/ups/reset" => Some(Act::Reset),
        _ => None,
    });
    // Half of what it is sent it resets, which is reason enough not to call it for a while.
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', breaker: {{ failures: 0 }} }}\n{ROUTE}"
    ));
    let content_type = "Content-Type: a/b\r\n";

    for _ in 0..20 {
        for (path, fields, status) in [
            ("/data/core/ups/early", content_type, 413),
            ("/data/core/ups/reset", content_type, 502),
            ("/data/core/ups/x", "", 400),
            ("/data/core/../x", content_type, 400),
            ("/elsewhere", content_type, 404),
        ] {
            for (method, framing, part) in [
                ("POST", "Content-Length: 600000\r\n", "begun"),
                ("POST", "Transfer-Encoding: chunked\r\n", "5\r\nbegun\r\n"),
                (
                    "GET",
                    "Transfer-Encoding: chunked\r\n",
                    "5\r\nbegun\r\n1000\r\nx",
                ),
            ] {
                let mut raw = Raw::connect(gateway.address);
                raw.write(format!(
                    "{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}{framing}\r\n{part}"
                ));

                let answer = raw.answer(false);

                let answer =
                    answer.unwrap_or_else(|| panic!("no answer to {method} {path} {framing}"));
                assert_eq!(answer.status, status, "{path} {framing}");
                assert!(answer.complete);
            }
        }
    }
    assert!(adobe.seen().is_empty());
    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
}

#[test]
fn a_body_that_drips_on_after_its_answer_keeps_no_connection_from_others() {
    let (ended, end) = signal();
    let adobe = Adobe::at_heads(move |seen| {
        let ended = ended.clone();
        (seen.target() == "/data/core/ups/early").then(|| {
            Act::play(move |wire| {
                wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\n{}");
                wire.wait_for_end();
                ended.send(()).unwrap();
            })
        })
    });
    let url = adobe.url();
    // One connection for each of the two workers, so that each has its caller who drips.
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', connections: 1 }}\n{ROUTE}    timeout: 20s\n"
    ));
    let mut dripping: Vec<_> = (0..2).map(|_| Raw::connect(gateway.address)).collect();
    for raw in &mut dripping {
        raw.write(
            "POST /data/core/ups/early HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 600000\r\n\r\nx",
        );
        let answer = raw.answer(false).unwrap();
        assert_eq!((answer.status, answer.complete), (413, true));
        // No other request can follow what is not read.
        assert_eq!(answer.values("connection"), ["close"]);
    }

    let drip = thread::spawn(move || {
        while !dripping.is_empty() {
            dripping.retain_mut(Raw::drips);
        }
    });
    for _ in 0..2 {
        wait(&end);
    }
    for _ in 0..2 {
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }
    drip.join().unwrap();
}
