//! That a request goes out again when that can help and does no harm, and only then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ROUTE;
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::gateway::Gateway;
use crate::support::port::Deaf;
use crate::support::raw::{Raw, exchange, get, send};

/// A read, one that is a POST, a write that may be repeated, and one that may not.
const READ: (&str, &str, &str) = ("GET", "/data/core/ups/access/entities?x=1", "");
const READ_BY_POST: (&str, &str, &str) = ("POST", "/data/core/ups/access/entities", "{\"a\": 1}");
const PUT: (&str, &str, &str) = ("PUT", "/data/core/ups/config/mergePolicies/1", "{\"b\": 2}");
const JOB: (&str, &str, &str) = ("POST", "/data/core/ups/segment/jobs", "[{\"c\": 3}]");

/// Does `act` for the first `count` requests of each target, and then answers.
fn failing(count: usize, act: Act) -> impl Fn(&Seen) -> Act + Send + Sync {
    let met = Arc::new(AtomicUsize::new(0));
    move |_| {
        if met.fetch_add(1, Ordering::SeqCst) < count {
            act.clone()
        } else {
            Act::json("200 OK", r#"{"good":true}"#)
        }
    }
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = exchange(gateway.admin, get("/metrics", "")).text();
    let line = text.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_was_not_executed_goes_again_and_what_may_have_been_only_if_that_does_no_harm() {
    let code = |status, code| Act::json(status, &format!(r#"{{"error_code":"{code}"}}"#));
    let throttled = r#"[{"message":"Too many requests","retryAfterMs":"20","statusCode":"429"}]"#;
    // What happens first; the metric's cause; whether any request goes again or only one that is safe to repeat.
    for (act, cause, any) in [
        (Act::Reset, "reset", false),
        (Act::AnswerAndClose(Vec::new()), "reset", false),
        (Act::json("500 Oops", ""), "server_error", false),
        (
            Act::json("502 Bad Gateway", "<html>"),
            "server_error",
            false,
        ),
        (
            Act::json("503 Unavailable", r#"{"message":"UPS"}"#),
            "server_error",
            false,
        ),
        (Act::json("504 Slow", ""), "server_error", false),
        (Act::json("429 Too Many", throttled), "throttled", false),
        (code("403 Forbidden", "503020"), "not_validated", true),
        (code("503 Unavailable", "503010"), "not_validated", true),
        (code("500 Oops", "503000"), "not_validated", true),
    ] {
        for (method, target, body) in [READ, READ_BY_POST, PUT, JOB] {
            let adobe = Adobe::start(failing(1, act.clone()));
            let gateway = Gateway::start(&adobe.url(), ROUTE);
            let what = format!("{method} {target} after {cause}");

            let answer = exchange(gateway.address, send(method, target, "X-Own: 1\r\n", body));

            let goes = any || target != JOB.1;
            assert_eq!(answer.status == 200, goes, "{what}: {}", answer.head);
            assert_eq!(adobe.heads(), if goes { 2 } else { 1 }, "{what}");
            let name = format!("profile_gateway_upstream_retries_total{{cause=\"{cause}\"}}");
            assert_eq!(metric(&gateway, &name), u64::from(goes), "{what}");
            for seen in adobe.seen() {
                seen.assert_owned("dev-2");
                assert_eq!((seen.target(), &*seen.body), (target, body.as_bytes()));
                assert_eq!(seen.values("x-own"), ["1"]);
                assert_eq!(seen.values("via"), ["1.1 profile-gateway"]);
            }
        }
    }
}

#[test]
fn an_answer_with_trailers_gives_its_connection_to_the_next_attempt() {
    let answer = b"HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-End: 1\r\n\r\n";
    let adobe = Adobe::start(failing(1, Act::Answer(answer.to_vec())));
    let url = adobe.url();
    // There is no other.
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', connections: 1 }}\n{ROUTE}    timeout: 5s\n"
    ));

    let answer = exchange(gateway.address, get(READ.1, ""));

    assert_eq!(answer.status, 200, "{}", answer.text());
    let connections: Vec<_> = adobe.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 2);
    assert_eq!(connections[0], connections[1]);
}

#[test]
fn nothing_else_goes_again() {
    for status in [
        "400", "401", "403", "404", "405", "408", "409", "415", "422", "429", "501", "505",
    ] {
        let body = r#"{"error_code":"1"}"#;
        let adobe = Adobe::start(failing(9, Act::json(&format!("{status} No"), body)));
        let gateway = Gateway::start(&adobe.url(), ROUTE);

        let answer = exchange(gateway.address, get(READ.1, ""));

        assert_eq!(
            (answer.status.to_string(), answer.text()),
            (status.to_owned(), body.to_owned())
        );
        assert_eq!(adobe.heads(), 1, "{status}");
    }
}

#[test]
fn a_request_goes_out_three_times_at_most_and_the_last_answer_is_adobes() {
    let adobe = Adobe::start(failing(99, Act::json("503 Unavailable", "their words")));
    let gateway = Gateway::start(&adobe.url(), ROUTE);

    let answer = exchange(gateway.address, get(READ.1, ""));

    assert_eq!(
        (answer.status, answer.text()),
        (503, "their words".to_owned())
    );
    assert_eq!(adobe.heads(), 3);
}

#[test]
fn the_operator_turns_it_off_for_a_route_or_for_all() {
    for (upstream, route) in [
        ("", "    retry: false\n"),
        (", retries: { attempts: 0 }", ""),
    ] {
        let adobe = Adobe::start(failing(1, Act::Reset));
        let url = adobe.url();
        let gateway = Gateway::with(&format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}'{upstream} }}\n{ROUTE}{route}"
        ));

        let answer = exchange(gateway.address, get(READ.1, ""));

        assert_eq!(answer.problem(), (502, "upstream_reset".to_owned()));
        assert_eq!(adobe.heads(), 1);
    }
}

#[test]
fn a_spent_budget_holds_requests_back_and_is_told() {
    let adobe = Adobe::start(failing(9, Act::json("503 Unavailable", "")));
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', retries: {{ budget_percent: 100, budget_floor: 0 }} }}\n{ROUTE}"
    ));

    let answer = exchange(gateway.address, get(READ.1, ""));

    // One request pays for one more attempt.
    assert_eq!((answer.status, adobe.heads()), (503, 2));
    assert_eq!(
        metric(&gateway, "profile_gateway_upstream_retries_withheld_total"),
        1
    );
}

#[test]
fn a_connection_that_had_grown_old_costs_neither_an_error_nor_budget() {
    let adobe = Adobe::start(|seen| {
        // Every connection ends with its second request.
        static SERVED: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
        if SERVED[seen.connection].fetch_add(1, Ordering::SeqCst) == 0 {
            Act::ok()
        } else {
            Act::AnswerAndClose(Vec::new())
        }
    });
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', retries: {{ budget_percent: 0, budget_floor: 0 }} }}\n{ROUTE}"
    ));
    let mut raw = Raw::connect(gateway.address);

    for index in 0..20 {
        raw.write(get(READ.1, ""));
        assert_eq!(raw.answer(false).unwrap().status, 200, "{index}");
    }
    let name = "profile_gateway_upstream_retries_total{cause=\"stale_connection\"}";
    assert_eq!(metric(&gateway, name), 19);
}

#[test]
fn a_body_that_is_not_kept_is_not_sent_again() {
    for (length, goes) in [(200 * 1024, true), (300 * 1024, false)] {
        let adobe = Adobe::start(failing(1, Act::Reset));
        let gateway = Gateway::start(&adobe.url(), ROUTE);
        let body = "x".repeat(length);

        let answer = exchange(gateway.address, send("POST", READ_BY_POST.1, "", &body));

        assert_eq!(answer.status == 200, goes, "{}", answer.text());
        let lengths: Vec<_> = adobe.seen().iter().map(|seen| seen.body.len()).collect();
        assert_eq!(lengths, vec![length; if goes { 2 } else { 1 }]);
    }
}

#[test]
fn a_request_that_finds_no_connection_tries_again_whatever_it_is() {
    let adobe = Adobe::willing();
    let url = adobe.url();
    // Nobody listens there, and nobody else can.
    let (_taken, nowhere) = unlistened();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: 'http://{nowhere}' }}\n{ROUTE}"
    ));

    let answer = exchange(gateway.address, send("POST", JOB.1, "", JOB.2));

    assert_eq!(answer.problem(), (502, "upstream_connect".to_owned()));
    let name = "profile_gateway_upstream_retries_total{cause=\"no_connection\"}";
    assert_eq!(metric(&gateway, name), 2);
}

/// Takes a port without listening on it.
fn unlistened() -> (socket2::Socket, std::net::SocketAddr) {
    use socket2::{Domain, Socket, Type};

    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn what_goes_again_draws_on_the_quota_too() {
    let adobe = Adobe::start(failing(9, Act::json("503 Unavailable", "theirs")));
    let gateway = Gateway::start(
        &adobe.url(),
        &format!("{ROUTE}    limits: [{{ rate: 2/h }}]\n"),
    );

    let first = exchange(gateway.address, get(READ.1, ""));
    let next = exchange(gateway.address, get(READ.1, ""));

    assert_eq!((first.status, first.text()), (503, "theirs".to_owned()));
    assert_eq!(next.problem(), (429, "quota".to_owned()));
    assert_eq!(adobe.heads(), 2);
}

#[test]
fn what_was_known_is_told_when_the_request_does_not_get_out_again() {
    // Answers once, and then is not there any more.
    let whole = Act::AnswerAndClose(
        b"HTTP/1.1 503 Unavailable\r\nConnection: close\r\nContent-Length: 6\r\n\r\ntheirs"
            .to_vec(),
    );
    for (act, expected) in [(whole, 503), (Act::Reset, 502)] {
        let (socket, address) = unlistened();
        socket.listen(8).unwrap();
        let listener = std::net::TcpListener::from(socket);
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            drop(listener);
            serve_once(&stream, &act);
        });
        let ims = Adobe::willing();
        let gateway = Gateway::with(&format!(
            "ims: {{ url: '{}' }}\nupstream: {{ url: 'http://{address}' }}\n{ROUTE}",
            ims.url()
        ));

        let answer = exchange(gateway.address, get(READ.1, ""));

        assert_eq!(answer.status, expected, "{}", answer.text());
        if expected == 503 {
            assert_eq!(answer.text(), "theirs");
        } else {
            assert_eq!(answer.problem().1, "upstream_reset");
        }
    }
}

/// Reads one request's head and does `act`.
fn serve_once(mut stream: &std::net::TcpStream, act: &Act) {
    use std::io::{Read, Write};

    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut piece).unwrap();
        head.extend_from_slice(&piece[..count]);
    }
    match act {
        Act::AnswerAndClose(bytes) => stream.write_all(bytes).unwrap(),
        Act::Answer(_) | Act::Play(_) | Act::Reset => socket2::SockRef::from(stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap(),
    }
}

#[test]
fn an_upstream_that_swallows_packets_is_waited_for_once() {
    let adobe = Adobe::willing();
    let deaf = Deaf::take();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{}' }}\nupstream: {{ url: '{}', connect_timeout: 2100ms }}\n{ROUTE}",
        adobe.url(),
        deaf.url()
    ));

    let answer = exchange(gateway.address, get(READ.1, ""));

    assert_eq!(answer.problem(), (502, "upstream_connect".to_owned()));
    let name = "profile_gateway_upstream_retries_total{cause=\"no_connection\"}";
    assert_eq!(metric(&gateway, name), 0);
}

#[test]
fn nothing_goes_again_for_a_caller_who_has_left() {
    let asked = r#"[{"retryAfterMs":"1900"}]"#;
    let adobe = Adobe::start(failing(1, Act::json("429 Too Many", asked)));
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let in_flight = || metric(&gateway, "profile_gateway_requests_in_flight");

    let mut raw = Raw::connect(gateway.address);
    raw.write(get(READ.1, ""));
    while adobe.heads() == 0 {}
    drop(raw);

    // It is given up long before it would have gone again.
    let begun = tokio::time::Instant::now();
    while in_flight() > 0 {}
    assert!(begun.elapsed().as_millis() < 1800, "it waited for its turn");
    assert_eq!(adobe.heads(), 1);
}
