//! Which upstream connections are used again, and which never.

use std::sync::Arc;

use super::{PATH, by_number, numbered, start};
use crate::support::adobe::Act;
use crate::support::raw::{Raw, get, send};
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
    assert_eq!(seen.len(), 30);
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
