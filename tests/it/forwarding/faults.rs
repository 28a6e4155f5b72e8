//! What a caller gets when the upstream, or the caller itself, does not keep to HTTP or to its time.

use std::sync::Arc;

use http::Method;

use super::{PATH, ROUTE, by_number, number, numbered, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::port::Port;
use crate::support::raw::{Raw, exchange, get, send};
use crate::support::signal::{signal, wait};

#[test]
fn answers_that_are_not_clear_http_are_refused_and_their_connection_closed() {
    const ANSWERS: &[&[u8]] = &[
        b"what is this?\r\n\r\n",
        b"{\"not\":\"http\"}\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let requests = [
            get(&numbered(index), ""),
            send("POST", &numbered(index), "", "{}"),
        ];
        for request in requests {
            let before = adobe.heads();

            let refused = exchange(gateway.address, request);
            let next = exchange(gateway.address, get(PATH, ""));

            assert_eq!(
                refused.problem(),
                (502, "upstream_protocol".to_owned()),
                "{text}"
            );
            assert_eq!((next.status, next.text().as_str()), (200, PATH), "{text}");
            assert_eq!(adobe.heads(), before + 2, "{text}");
            let seen = adobe.seen();
            let [.., bad, good] = &seen[..] else {
                panic!("two requests arrived")
            };
            assert_ne!(bad.connection, good.connection, "{text}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_broken_reaches_the_caller_as_an_abort() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhellohello\r\n0\r\n\r\n",
    ];
    let (adobe, gateway) = start(|seen| match number(seen) {
        Some(100) => Act::play(|wire| {
            wire.write("HTTP/1.1 200 OK\r\n\r\nhello");
            wire.read_until(b"never");
        }),
        Some(number) => Act::AnswerAndClose(ANSWERS[number].to_vec()),
        None => Act::echo(seen),
    });
    let mut h2 = Client::connect(gateway.address, Speaks::H2).await;

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let before = adobe.heads();

        let cut = exchange(gateway.address, get(&numbered(index), ""));
        let target = format!("http://gateway{}", numbered(index));
        let over_h2 = h2.send(request(Method::GET, &target, &[], "")).await;
        let next = exchange(gateway.address, get(PATH, ""));

        assert_eq!((cut.status, cut.complete), (200, false), "{text}");
        assert!(over_h2.is_err(), "{text}");
        assert_eq!(next.text(), PATH, "{text}");
        assert_eq!(adobe.heads(), before + 3, "{text}");
    }
    assert!(!h2.is_closed());
}

#[test]
fn a_reset_in_the_middle_of_an_answer_is_an_abort_even_without_a_length() {
    let (go, came) = signal::<()>();
    let (_adobe, gateway) = start(move |_| {
        let came = Arc::clone(&came);
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\n\r\nhello");
            wait(&came);
            wire.reset();
        })
    });
    let mut raw = Raw::connect(gateway.address);

    raw.write(get(PATH, ""));
    assert!(raw.read_until(b"hello"));
    go.send(()).unwrap();

    assert!(!raw.answer(false).unwrap().complete);
}

#[test]
fn an_upstream_that_refuses_connections_is_502() {
    let adobe = Adobe::willing();
    let closed = Port::take();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{}' }}\nupstream: {{ url: '{}' }}\n{ROUTE}",
        adobe.url(),
        closed.url()
    ));

    for request in [get(PATH, ""), send("POST", PATH, "", "{}")] {
        let answer = exchange(gateway.address, request);

        assert_eq!(answer.problem(), (502, "upstream_connect".to_owned()));
    }
}

#[test]
fn a_request_that_may_have_been_executed_is_sent_once() {
    for act in [
        Act::Reset,
        Act::AnswerAndClose(Vec::new()),
        Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
    ] {
        let (adobe, gateway) = start(move |seen| {
            if seen.target().contains("export") {
                act.clone()
            } else {
                Act::echo(seen)
            }
        });
        // Once over a fresh connection, once over one that has been used.
        for reused in [false, true] {
            for (method, body) in [("POST", "[]"), ("PATCH", "{}"), ("PUT", "{}")] {
                if reused {
                    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
                }
                let before = adobe.heads();

                let answer = exchange(
                    gateway.address,
                    send(method, "/data/core/ups/export/jobs", "", body),
                );

                assert_eq!(answer.status, 502, "{method}: {}", answer.text());
                assert!(
                    matches!(
                        answer.problem().1.as_str(),
                        "upstream_reset" | "upstream_protocol"
                    ),
                    "{}",
                    answer.text()
                );
                assert_eq!(adobe.heads(), before + 1, "{method}");
            }
        }
    }
}

#[test]
fn silence_is_504_and_its_connection_is_closed() {
    let (ended, end) = signal();
    let adobe = Adobe::start(move |seen| {
        if seen.target().contains("warm") {
            return Act::ok();
        }
        let ended = ended.clone();
        Act::play(move |wire| {
            wire.wait_for_end();
            ended.send(()).unwrap();
        })
    });
    let gateway = Gateway::start(&adobe.url(), &format!("{ROUTE}    timeout: 200ms\n"));
    // The first token may take as long as that by itself.
    while exchange(gateway.address, get("/data/core/ups/warm", "")).status != 200 {}

    for request in [get(PATH, ""), send("POST", PATH, "", "{}")] {
        let before = adobe.heads();
        let answer = exchange(gateway.address, request);

        assert_eq!(answer.problem(), (504, "upstream_timeout".to_owned()));
        assert_eq!(adobe.heads(), before + 1);
        wait(&end);
    }
}

#[test]
fn a_caller_who_does_not_send_its_body_is_408_and_not_the_upstreams_fault() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), &format!("{ROUTE}    timeout: 200ms\n"));

    let answer = exchange(
        gateway.address,
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhel"
        ),
    );

    assert_eq!(answer.problem(), (408, "request_timeout".to_owned()));
    assert!(adobe.seen().is_empty());
}

#[test]
fn silence_in_the_middle_of_an_answer_ends_it() {
    let (ended, end) = signal();
    let adobe = Adobe::start(move |_| {
        let ended = ended.clone();
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            wire.wait_for_end();
            ended.send(()).unwrap();
        })
    });
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', response_idle_timeout: 1s }}\n{ROUTE}"
    ));

    let answer = exchange(gateway.address, get(PATH, ""));

    assert_eq!((answer.status, answer.complete), (200, false));
    wait(&end);
}

#[test]
fn interim_answers_without_end_are_cut_off_and_others_are_served() {
    let (ended, end) = signal();
    let (adobe, gateway) = start(move |seen| {
        if number(seen).is_none() {
            return Act::echo(seen);
        }
        let ended = ended.clone();
        Act::play(move |wire| {
            while wire.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100)) {}
            ended.send(()).unwrap();
        })
    });

    let refused = exchange(gateway.address, get(&numbered(0), ""));

    assert_eq!(refused.problem(), (502, "upstream_protocol".to_owned()));
    wait(&end);
    assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
    assert_eq!(adobe.heads(), 2);
}
