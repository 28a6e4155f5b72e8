//! Which upstream connections are used again, and which never.

use std::sync::Arc;

use super::{PATH, ROUTE, by_number, numbered, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get, send};
use crate::support::signal::{signal, wait};

#[test]
fn a_connection_closed_while_idle_costs_the_caller_nothing() {
    let (closed, close) = signal();
    let (adobe, gateway) = start(move |seen| {
        let (target, closed) = (seen.target().to_owned(), closed.clone());
        Act::play(move |wire| {
            let length = target.len();
            wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"
            ));
            wire.close();
            closed.send(()).unwrap();
        })
    });
    let mut raw = Raw::connect(gateway.address);

    for index in 0..50 {
        let target = format!("{PATH}?{index}");
        raw.write(send("POST", &target, "", "{}"));
        let answer = raw.answer(false).unwrap();

        assert_eq!((answer.status, answer.text()), (200, target));
        wait(&close);
    }
    assert_eq!(adobe.heads(), 50);
}

#[test]
fn bytes_after_an_answer_do_not_become_the_next_one() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}x",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));
    let mut raw = Raw::connect(gateway.address);

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
        for method in ["GET", "HEAD"] {
            raw.write(get(&numbered(index), "").replacen("GET", method, 1));
            let first = raw.answer(method == "HEAD").unwrap();
            raw.write(get(PATH, ""));
            let next = raw.answer(false).unwrap();

            assert!([status, 502].contains(&first.status), "{text}");
            assert_eq!(
                (next.status, next.text().as_str()),
                (200, PATH),
                "{method} {text}"
            );
            let seen = adobe.seen();
            let [.., poisoned, clean] = &seen[..] else {
                panic!("two requests arrived")
            };
            assert_ne!(poisoned.connection, clean.connection, "{method} {text}");
        }
    }
}

#[test]
fn bytes_on_an_idle_connection_do_not_become_the_next_answer() {
    let (poison, poisoned) = signal::<()>();
    let (done, written) = signal();
    let (_adobe, gateway) = start(move |seen| {
        if !seen.target().contains("poison") {
            return Act::echo(seen);
        }
        let (poisoned, done) = (Arc::clone(&poisoned), done.clone());
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            wait(&poisoned);
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            done.send(()).unwrap();
            wire.wait_for_end();
        })
    });
    let mut raw = Raw::connect(gateway.address);

    for _ in 0..50 {
        raw.write(get("/data/core/ups/poison", ""));
        assert_eq!(raw.answer(false).unwrap().text(), "{}");
        poison.send(()).unwrap();
        wait(&written);
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().text(), PATH);
    }
}

#[test]
fn connections_are_used_again_after_answers_of_every_kind() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-End: 1\r\n\r\n",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));
    let mut raw = Raw::connect(gateway.address);

    for _ in 0..5 {
        for index in 0..ANSWERS.len() {
            raw.write(send("POST", &numbered(index), "", "{}"));
            raw.answer(false).unwrap();
        }
    }

    let seen = adobe.seen();
    let connections: std::collections::BTreeSet<_> =
        seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(seen.len(), 35);
    // An answer may reach the caller a moment before its connection is free again.
    assert!(connections.len() <= 4, "{connections:?}");
}

#[test]
fn a_caller_who_leaves_takes_the_upstream_connection_along() {
    let (ended, end) = signal();
    let (arrived, arrival) = signal();
    let (_adobe, gateway) = start(move |seen| {
        let (before_head, ended) = (seen.target().contains("head"), ended.clone());
        let arrived = arrived.clone();
        Act::play(move |wire| {
            if !before_head {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello");
            }
            arrived.send(()).unwrap();
            wire.wait_for_end();
            ended.send(()).unwrap();
        })
    });

    let mut raw = Raw::connect(gateway.address);
    raw.write(get(PATH, ""));
    wait(&arrival);
    assert!(raw.read_until(b"hello"));
    drop(raw);
    wait(&end);

    let mut raw = Raw::connect(gateway.address);
    raw.write(get("/data/core/ups/head", ""));
    wait(&arrival);
    drop(raw);
    wait(&end);
}

#[test]
fn requests_over_the_cap_wait_or_are_refused_and_are_counted() {
    let (arrived, arrival) = signal();
    let (answer, answered) = signal::<()>();
    let adobe = Adobe::start(move |seen| {
        if seen.target() == PATH {
            return Act::echo(seen);
        }
        arrived.send(()).unwrap();
        wait(&answered);
        Act::echo(seen)
    });
    let url = adobe.url();
    // Two workers, and shares are rounded up: each has one connection, and a place for one who waits.
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}
upstream: {{ url: '{url}', connections: 1, waiting: 1 }}
{ROUTE}"
    ));
    let mut callers: Vec<_> = (0..4).map(|_| Raw::connect(gateway.address)).collect();
    // Callers go to the worker with the fewest, so each has two: one is served and one waits.
    for caller in &mut callers {
        caller.write(get("/data/core/ups/held", ""));
    }
    wait(&arrival);
    wait(&arrival);
    let metrics = || exchange(gateway.admin, get("/metrics", "")).text();
    let waiting = "profile_gateway_upstream_requests_waiting 2\n";
    while !metrics().contains(waiting) {}

    let refused = exchange(gateway.address, get(PATH, ""));
    let now = metrics();
    for _ in 0..4 {
        answer.send(()).unwrap();
    }

    assert_eq!(refused.problem(), (503, "connections_busy".to_owned()));
    assert_eq!(refused.values("retry-after"), ["1"]);
    for line in [
        r#"connections{state="in_use"} 2"#,
        r#"connections{state="idle"} 0"#,
        "connections_opened_total 2",
        "requests_waited_total 2",
        "requests_refused_total 1",
    ] {
        assert!(
            now.contains(&format!("profile_gateway_upstream_{line}\n")),
            "{now}"
        );
    }
    for caller in &mut callers {
        assert_eq!(caller.answer(false).unwrap().status, 200);
    }
    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    assert!(metrics().contains("profile_gateway_upstream_connections_reused_total 3\n"));
}

#[test]
fn the_time_of_a_route_ends_the_wait_for_a_connection_too() {
    let (arrived, arrival) = signal();
    let adobe = Adobe::start(move |_| {
        let arrived = arrived.clone();
        Act::play(move |wire| {
            arrived.send(()).unwrap();
            wire.wait_for_end();
        })
    });
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}
upstream: {{ url: '{url}', connections: 1 }}
routes:
  - name: held
    match: {{ path: '/data/core/ups/held' }}
    sandbox: dev-2
  - name: short
    match: {{ path: '/data/core/{{*rest}}' }}
    sandbox: dev-2
    timeout: 100ms
"
    ));
    let mut callers: Vec<_> = (0..2).map(|_| Raw::connect(gateway.address)).collect();
    for caller in &mut callers {
        caller.write(get("/data/core/ups/held", ""));
        wait(&arrival);
    }

    let late = exchange(gateway.address, get(PATH, ""));

    assert_eq!(late.problem(), (503, "connections_busy".to_owned()));
    assert_eq!(late.values("retry-after"), ["1"]);
    assert_eq!(adobe.heads(), 2);
}

#[test]
fn a_204_that_announces_a_body_has_its_connection_to_itself() {
    for framing in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
        // The body may still come, when the next request has been sent.
        let (adobe, gateway) = start(move |seen| {
            if seen.target().ends_with("first") {
                Act::Answer(format!("HTTP/1.1 204 No Content\r\n{framing}\r\n\r\n").into_bytes())
            } else {
                Act::echo(seen)
            }
        });
        let mut raw = Raw::connect(gateway.address);
        for target in [format!("{PATH}?first"), format!("{PATH}?next")] {
            raw.write(get(&target, ""));
            raw.answer(false).unwrap();
        }

        let connections: Vec<_> = adobe.seen().iter().map(|seen| seen.connection).collect();
        assert_ne!(connections[0], connections[1], "{framing}");
    }
}
