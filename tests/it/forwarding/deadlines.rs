//! That every part of an exchange ends in its time, and what moves is not cut off.

use std::net::TcpListener;
use std::time::Duration;

use tokio::time::Instant;

use super::ROUTE;
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::pass;
use crate::support::signal::{signal, wait};

const LOOKUP: &str = "/data/core/ups/access/entities";
const JOB: &str = "/data/core/ups/segment/jobs";

/// Starts a gateway whose one route has `more`, and has it fetch its token.
fn warm(adobe: &Adobe, more: &str) -> Gateway {
    let gateway = Gateway::start(&adobe.url(), &format!("{ROUTE}{more}"));
    while exchange(gateway.address, get("/data/core/ups/warm", "")).status != 200 {}
    gateway
}

/// Is silent when a target is called for the first time, but for `warm`.
fn slow_at_first() -> Adobe {
    let seen_before = std::sync::Mutex::new(std::collections::HashSet::new());
    Adobe::start(move |seen| {
        let target = seen.target().to_owned();
        let first = seen_before.lock().unwrap().insert(target.clone());
        if first && !target.contains("warm") {
            Act::silence()
        } else {
            Act::ok()
        }
    })
}

#[test]
fn an_attempt_that_takes_too_long_makes_way_for_another_if_that_does_no_harm() {
    let adobe = slow_at_first();
    let gateway = warm(&adobe, "    timeouts: { attempt: 1s }\n");
    let job = format!(
        "POST {JOB} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n[]"
    );

    let read = exchange(gateway.address, get(LOOKUP, ""));
    let job = exchange(gateway.address, job);

    assert_eq!(read.status, 200);
    assert_eq!(job.problem(), (504, "upstream_timeout".to_owned()));
}

#[test]
fn a_caller_can_shorten_the_time_and_not_lengthen_it() {
    let adobe = Adobe::start(|seen| {
        if seen.target().contains("warm") {
            Act::ok()
        } else {
            Act::silence()
        }
    });
    // Nobody waits for an answer as long as the first route and the last caller would.
    let gateway = warm(
        &adobe,
        &format!(
            "    timeout: 10m
  - {{ name: jobs, match: {{ path: {JOB} }}, sandbox: dev-2, timeout: 1s }}\n"
        ),
    );
    for (target, timeout, has_deadline, shortest) in [
        (LOOKUP, "Request-Timeout: 0.4\r\n", false, 400),
        (LOOKUP, "", true, 0),
        (LOOKUP, "Request-Timeout: 600\r\n", true, 0),
        (JOB, "Request-Timeout: 600\r\n", false, 1000),
    ] {
        let soon = profile_gateway::clock::since_epoch() + Duration::from_secs(1);
        let fields = if has_deadline {
            format!("{timeout}X-Request-Deadline: {}\r\n", soon.as_secs_f64())
        } else {
            timeout.to_owned()
        };
        let begun = Instant::now();

        let answer = exchange(gateway.address, get(target, &fields));

        assert_eq!(
            answer.problem(),
            (504, "upstream_timeout".to_owned()),
            "{fields}"
        );
        // However slow the machine is, it is no sooner.
        assert!(
            begun.elapsed() >= Duration::from_millis(shortest),
            "{fields}"
        );
    }
    // It is for the gateway, and what cannot be read is told.
    exchange(
        gateway.address,
        get("/data/core/ups/warm", "Request-Timeout: 5\r\n"),
    );
    assert!(
        adobe
            .seen()
            .iter()
            .all(|seen| seen.values("request-timeout").is_empty())
    );
    let wrong = exchange(gateway.address, get(LOOKUP, "Request-Timeout: soon\r\n"));
    assert_eq!(wrong.problem(), (400, "malformed_request".to_owned()));
    assert!(
        wrong.text().contains("must be a number of seconds"),
        "{}",
        wrong.text()
    );
}

/// How many pieces it comes in, which takes three seconds.
const PIECES: usize = 60;

/// A large answer that moves for longer than all the times that are set but the total.
fn moving() -> Adobe {
    Adobe::start(|seen| {
        if seen.target().contains("warm") {
            return Act::ok();
        }
        Act::play(|wire| {
            wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {PIECES}\r\n\r\n"
            ));
            for _ in 0..PIECES {
                pass(Duration::from_millis(50));
                if !wire.write("x") {
                    return;
                }
            }
        })
    })
}

#[test]
fn an_answer_that_moves_is_cut_off_by_a_total_time_alone() {
    let adobe = moving();
    let timeouts = "    timeout: 1500ms\n    timeouts: { attempt: 1400ms, response_idle: 2s";
    let patient = warm(&adobe, &format!("{timeouts} }}\n"));
    let strict = warm(&adobe, &format!("{timeouts}, total: 1600ms }}\n"));

    let whole = exchange(patient.address, get(LOOKUP, ""));
    let cut = exchange(strict.address, get(LOOKUP, ""));
    let by_caller = exchange(patient.address, get(LOOKUP, "Request-Timeout: 1.6\r\n"));

    assert_eq!(
        (whole.status, whole.complete, whole.body.len()),
        (200, true, PIECES)
    );
    for cut in [cut, by_caller] {
        assert_eq!((cut.status, cut.complete), (200, false));
        assert!(!cut.body.is_empty() && cut.body.len() < PIECES);
    }
}

#[test]
fn a_request_body_that_comes_to_a_halt_is_408_and_frees_the_upstream() {
    let (ended, end) = signal();
    let adobe = Adobe::at_heads(move |seen| {
        if seen.target().contains("warm") {
            return None;
        }
        let ended = ended.clone();
        Some(Act::play(move |wire| {
            wire.wait_for_end();
            ended.send(()).unwrap();
        }))
    });
    let gateway = warm(&adobe, "    timeouts: { request_idle: 300ms }\n");

    for framing in [
        "Content-Length: 50\r\n\r\nbegun",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
    ] {
        let mut raw = Raw::connect(gateway.address);
        raw.write(format!(
            "POST {JOB} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n{framing}"
        ));

        let answer = raw.answer(false).unwrap();

        assert_eq!(
            answer.problem(),
            (408, "request_timeout".to_owned()),
            "{framing}"
        );
        wait(&end);
    }
}

#[test]
fn a_body_that_keeps_moving_is_not_halted() {
    let adobe = Adobe::willing();
    let gateway = warm(&adobe, "    timeouts: { request_idle: 2s }\n");
    let mut raw = Raw::connect(gateway.address);
    raw.write(format!(
        "POST {LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 20\r\n\r\n"
    ));
    for _ in 0..20 {
        pass(Duration::from_millis(150));
        raw.write("x");
    }

    assert_eq!(raw.answer(false).unwrap().status, 200);
}

#[test]
fn a_wait_for_a_connection_ends_in_its_time() {
    for timeouts in ["connection: 300ms", "attempt: 300ms"] {
        waits_for_a_connection(timeouts);
    }
}

fn waits_for_a_connection(timeouts: &str) {
    let adobe = Adobe::start(|seen| {
        if seen.target().contains("warm") {
            Act::ok()
        } else {
            Act::silence()
        }
    });
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', connections: 1 }}\n{ROUTE}    timeouts: {{ {timeouts} }}
  - {{ name: holders, match: {{ path: {JOB} }}, sandbox: dev-2 }}\n"
    ));
    while exchange(gateway.address, get("/data/core/ups/warm", "")).status != 200 {}
    // Enough that there is one on each of two workers.
    let holders: Vec<_> = (0..6)
        .map(|_| {
            let mut raw = Raw::connect(gateway.address);
            raw.write(get(JOB, ""));
            raw
        })
        .collect();
    while adobe.heads() < 3 {}

    let answer = exchange(gateway.address, get(LOOKUP, ""));

    assert_eq!(answer.problem(), (503, "connections_busy".to_owned()));
    drop(holders);
}

#[test]
fn a_route_waits_for_tls_as_long_as_it_says() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let adobe = Adobe::start(|_| Act::ok());
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}
upstream: {{ url: 'https://localhost', address: '{address}', tls_timeout: 60s, retries: {{ attempts: 0 }} }}
{ROUTE}    timeouts: {{ connect: 30s, tls: 300ms }}\n"
    ));
    let answer = loop {
        let answer = exchange(gateway.address, get(LOOKUP, ""));
        if answer.problem().1 != "token_unavailable" {
            break answer;
        }
    };

    assert_eq!(answer.problem(), (502, "upstream_tls".to_owned()));
    let told = answer.text();
    assert!(told.contains("was not established within 300ms"), "{told}");
}

#[test]
fn a_callers_time_bounds_its_wait_for_a_token_too() {
    let adobe = Adobe::minting(|_, _| Act::silence(), |_| Act::ok());
    let url = adobe.url();
    // Nobody waits for an answer as long as the call itself may take.
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}', timeout: 60s }}\nupstream: {{ url: '{url}' }}\n{ROUTE}"
    ));

    let answer = exchange(gateway.address, get(LOOKUP, "Request-Timeout: 0.3\r\n"));

    assert_eq!(answer.problem(), (503, "token_unavailable".to_owned()));
    assert!(adobe.seen().is_empty());
}
