//! Whatever is wrong with the token service from the start on: callers are told so, it is not hammered, nothing goes
//! upstream, operators learn why, and its return is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::token_service::TokenService;
use crate::support::adobe::{Act, Adobe};
use crate::support::port::Port;
use crate::support::running::{CREDENTIAL, Running, SECRET, failed_calls, pass};
use crate::support::steady::{Call, Steady};

/// One thing that goes wrong, and what it may cost.
#[derive(Clone)]
struct Fault {
    name: &'static str,
    act: Act,
    /// What is configured of `ims` besides.
    ims: &'static str,
    /// The class operators are told.
    class: &'static str,
    /// What readiness says of it.
    says: &'static str,
    /// How long it lasts.
    lasts: Duration,
    /// The most token calls meanwhile.
    calls: usize,
    /// How soon its end has to be noticed.
    back_within: Duration,
}

/// A fault that only somebody who changes something can end; it is tried ever more rarely.
fn permanent(status: &'static str, body: &str, says: &'static str) -> Fault {
    Fault {
        name: says,
        act: Act::json(status, body),
        ims: "",
        class: "refused",
        says,
        // The second try comes 4.5 to 5 s after the first has failed, which on a busy machine is before callers notice.
        lasts: Duration::from_secs(3),
        calls: 1,
        back_within: Duration::from_secs(6),
    }
}

/// A fault that may pass.
fn passing(name: &'static str, act: Act, class: &'static str, says: &'static str) -> Fault {
    Fault {
        name,
        act,
        ims: "",
        class,
        says,
        lasts: Duration::from_secs(6),
        calls: 12,
        back_within: Duration::from_secs(6),
    }
}

fn answered(status: &str, fields: &str, body: &str) -> Act {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n");
    Act::Answer([head.as_bytes(), body.as_bytes()].concat())
}

fn bad_token(name: &'static str, body: &str, says: &'static str) -> Fault {
    passing(name, answered("200 OK", "", body), "bad_answer", says)
}

/// Waits, and then answers as it should have at once.
fn late(by: Duration) -> Act {
    Act::play(move |wire| {
        pass(by);
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"access_token\":\"late\"}\r\n");
    })
}

#[test]
fn no_fault_of_the_token_service_reaches_the_upstream_or_outlasts_itself() {
    let (elsewhere, most) = (Adobe::willing(), Arc::default());

    // All at once, since nearly all of it is waiting.
    survive(
        [
            refusals(),
            pauses(),
            failures(),
            no_tokens(&elsewhere),
            floods(&most),
        ]
        .concat(),
    );

    assert!(elsewhere.token_calls().is_empty() && elsewhere.seen().is_empty());
    // What the kernel keeps for both sides is not read yet.
    let most = most.load(Ordering::SeqCst);
    assert!((1..9_000_000).contains(&most), "{most} bytes were taken");
}

/// What IMS refuses, which is asked for rarely.
fn refusals() -> Vec<Fault> {
    vec![
        Fault {
            class: "invalid_client",
            ..permanent(
                "400 Bad Request",
                &format!(r#"{{"error":"invalid_client","error_description":"wrong {SECRET}"}}"#),
                "IMS answered 400 invalid_client wrong …",
            )
        },
        Fault {
            class: "invalid_client",
            ..permanent(
                "401 Unauthorized",
                r#"{"error":"invalid_client","error_description":"invalid client_secret parameter"}"#,
                "IMS answered 401 invalid_client invalid client_secret parameter",
            )
        },
        permanent(
            "400 Bad Request",
            r#"{"error":"invalid_scope"}"#,
            "IMS answered 400 invalid_scope",
        ),
        permanent(
            "200 OK",
            r#"{"error":"unauthorized_client"}"#,
            "IMS answered 200 unauthorized_client",
        ),
        permanent(
            "404 Not Found",
            r#"{"message":"no such page"}"#,
            "IMS answered 404 no such page",
        ),
    ]
}

/// Pauses that IMS asks for, which it gets.
fn pauses() -> Vec<Fault> {
    let asked = |status, seconds| {
        let fields = format!("Retry-After: {seconds}\r\n");
        answered(status, &fields, r#"{"error":"slow_down"}"#)
    };
    vec![
        Fault {
            calls: 2,
            ..passing(
                "429 with Retry-After",
                asked("429 Too Many Requests", 5),
                "throttled",
                "IMS answered 429 slow_down",
            )
        },
        Fault {
            calls: 3,
            ..passing(
                "503 with Retry-After",
                asked("503 Service Unavailable", 3),
                "server_error",
                "IMS answered 503 slow_down",
            )
        },
        Fault {
            calls: 2,
            ..passing(
                "429 with Retry-After, cut",
                Act::AnswerAndClose(
                    b"HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 100\r\n\r\n{".to_vec(),
                ),
                "throttled",
                "IMS answered 429; the answer broke off",
            )
        },
        Fault {
            ims: "timeout: 1s, ",
            calls: 2,
            ..passing(
                "503 with Retry-After, silent in mid-body",
                Act::play(|wire| {
                    wire.write(
                        "HTTP/1.1 503 Busy\r\nRetry-After: 4\r\nContent-Length: 100\r\n\r\n{",
                    );
                    wire.wait_for_end();
                }),
                "server_error",
                "IMS answered 503; the rest did not come within 1s",
            )
        },
        Fault {
            lasts: Duration::from_secs(2),
            back_within: Duration::from_secs(30),
            ..passing(
                "429 without",
                answered("429 Too Many Requests", "", ""),
                "throttled",
                "IMS answered 429",
            )
        },
    ]
}

/// Failures that may pass, and silence.
fn failures() -> Vec<Fault> {
    let internal = r#"{"error":"internal_error","error_description":"Please try again later"}"#;
    vec![
        passing(
            "500",
            answered("500 Internal Server Error", "", internal),
            "server_error",
            "IMS answered 500 internal_error Please try again later",
        ),
        passing(
            "502 from a proxy",
            answered("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"),
            "server_error",
            "IMS answered 502 and something that is not JSON",
        ),
        passing(
            "reset",
            Act::Reset,
            "unreachable",
            "IMS closed the connection",
        ),
        passing(
            "closed in mid-head",
            Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
            "unreachable",
            "IMS closed the connection",
        ),
        passing(
            "closed in mid-body",
            Act::AnswerAndClose(
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"half".to_vec(),
            ),
            "bad_answer",
            "the answer broke off",
        ),
        Fault {
            ims: "timeout: 500ms, ",
            ..passing(
                "slower than the timeout",
                late(Duration::from_millis(1500)),
                "unreachable",
                "IMS did not answer within 500ms",
            )
        },
        Fault {
            ims: "timeout: 1s, ",
            calls: 6,
            ..passing(
                "silent for ever",
                Act::silence(),
                "unreachable",
                "IMS did not answer within 1s",
            )
        },
        Fault {
            ims: "timeout: 1s, ",
            calls: 6,
            ..passing(
                "silent in mid-body",
                Act::play(|wire| {
                    wire.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
                    wire.wait_for_end();
                }),
                "unreachable",
                "IMS did not answer within 1s",
            )
        },
    ]
}

/// What is no token answer. A redirect leads `elsewhere`.
fn no_tokens(elsewhere: &Adobe) -> Vec<Fault> {
    let there = format!("Location: {}/ims/token/v3\r\n", elsewhere.url());
    let illegal = "the access_token is empty or not a legal field value";
    vec![
        bad_token("a page", "<html>Sign in</html>", "the answer is not JSON"),
        bad_token("cut", r#"{"access_token":"a.b"#, "the answer is not JSON"),
        bad_token("empty", "", "the answer is not JSON"),
        bad_token("null", "null", "the answer has no access_token"),
        bad_token(
            "an array",
            r#"[{"access_token":"a.b.c"}]"#,
            "the answer has no access_token",
        ),
        bad_token(
            "no token",
            r#"{"token_type":"bearer","expires_in":86399}"#,
            "the answer has no access_token",
        ),
        bad_token("an empty token", r#"{"access_token":""}"#, illegal),
        bad_token(
            "a token with a line in it",
            r#"{"access_token":"a.b\r\nx-sandbox-name: prod"}"#,
            illegal,
        ),
        bad_token(
            "another type",
            r#"{"access_token":"a.b.c","token_type":"mac"}"#,
            "the answer's token_type is not bearer",
        ),
        passing(
            "a redirect",
            answered("307 Temporary Redirect", &there, ""),
            "bad_answer",
            "IMS answered 307",
        ),
    ]
}

/// Answers without end, of which 64 KiB are read. `most` is what was taken of one at most.
fn floods(most: &Arc<AtomicUsize>) -> Vec<Fault> {
    let endless = |head: &'static str, bytes: usize| {
        let most = Arc::clone(most);
        Act::play(move |wire| {
            wire.write(head);
            most.fetch_max(wire.pour(bytes), Ordering::SeqCst);
        })
    };
    let says = "the answer is larger than 64 KiB";

    vec![
        passing(
            "10 MB",
            endless(
                "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
                10_000_000,
            ),
            "bad_answer",
            says,
        ),
        passing(
            "20 MB without a length",
            endless("HTTP/1.1 200 OK\r\n\r\n", 20_000_000),
            "bad_answer",
            says,
        ),
        passing(
            "20 MB with an error",
            endless(
                "HTTP/1.1 500 Oh\r\nContent-Length: 20000000\r\n\r\n",
                20_000_000,
            ),
            "server_error",
            "IMS answered 500; the answer is larger than 64 KiB",
        ),
        Fault {
            calls: 2,
            ..passing(
                "20 MB with 429 and Retry-After",
                endless(
                    "HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 20000000\r\n\r\n",
                    20_000_000,
                ),
                "throttled",
                "IMS answered 429; the answer is larger than 64 KiB",
            )
        },
    ]
}

#[test]
fn a_token_service_that_is_not_there_is_found_when_it_comes() {
    let port = Port::take();
    let upstream = Adobe::willing();
    let gateway = start(&port.url(), &upstream, "");
    let lasts = Duration::from_secs(4);

    let calls = endure(&gateway, lasts);
    let facts = gateway.credential("demo");
    let (status, text) = gateway.readiness();
    let (listener, _open) = port.open();
    let ims = TokenService::on(listener);
    let back = gateway.wait_for_service();

    assert!(!calls.is_empty());
    assert_eq!(facts["last_error"]["class"], "unreachable");
    assert!(failed_calls(&facts) <= 12, "{facts}");
    assert!(
        status == 503 && text.contains("credential demo") && text.contains("refused"),
        "{text}"
    );
    assert!(back < Duration::from_secs(6), "back after {back:?}");
    assert_eq!((ims.calls(), upstream.heads()), (1, 1));
    assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));
}

/// Starts a gateway for each of the faults, all at once, and holds it to what is expected of it.
fn survive(faults: Vec<Fault>) {
    let gateways = faults
        .into_iter()
        .map(|fault| thread::spawn(move || survive_one(&fault)));
    let gateways: Vec<_> = gateways.collect();
    let failed = gateways
        .into_iter()
        .filter_map(|gateway| gateway.join().err());
    assert_eq!(
        failed.count(),
        0,
        "faults with an unexpected end, see above"
    );
}

fn survive_one(fault: &Fault) {
    let name = fault.name;
    let act = fault.act.clone();
    let ims = TokenService::start(move |_, _| act.clone());
    let upstream = Adobe::willing();
    let gateway = start(&ims.adobe.url(), &upstream, fault.ims);
    let memory = gateway.process.peak_kib();

    let calls = endure(&gateway, fault.lasts);
    let token_calls = ims.calls();
    let facts = gateway.credential("demo");
    let (status, text) = gateway.readiness();
    let grown = gateway.process.peak_kib() - memory;
    let reached = upstream.heads();
    ims.heal();
    let back = gateway.wait_for_service();
    let ready = gateway.readiness();
    let printed = gateway.stop();

    assert!(!calls.is_empty(), "{name}");
    assert_eq!(reached, 0, "{name}: nothing may go upstream");
    assert!(
        (1..=fault.calls).contains(&token_calls),
        "{name}: {token_calls} calls in {:?}",
        fault.lasts
    );
    assert_eq!(facts["state"], "missing", "{name}: {facts}");
    assert_eq!(facts["last_error"]["class"], fault.class, "{name}: {facts}");
    assert_eq!(status, 503, "{name}: {text}");
    assert!(
        text.starts_with("not ready: credential demo") && text.contains(fault.says),
        "{name}: {text}"
    );
    assert!(grown < 12 * 1024, "{name}: {grown} KiB more memory");
    assert!(back < fault.back_within, "{name}: back after {back:?}");
    assert_eq!(ready, (200, "ready\n".to_owned()), "{name}");
    for told in [&printed, &text, &facts.to_string()] {
        assert!(!told.contains("never"), "{name}: {told}");
    }
}

fn start(ims: &str, upstream: &Adobe, more: &str) -> Running {
    let upstream = upstream.url();
    Running::start(
        &format!("{CREDENTIAL}ims: {{ {more}url: '{ims}' }}\nupstream: {{ url: '{upstream}' }}\n"),
        &[],
    )
}

/// Has callers ask for a while, all of whom have to be told in time that there is no token.
fn endure(gateway: &Running, lasts: Duration) -> Vec<Call> {
    let begun = Instant::now();
    let callers = Steady::start(gateway.address, 1, Duration::from_millis(100));
    gateway.process.wait_for("no token could be minted");
    pass(lasts.saturating_sub(begun.elapsed()));
    let calls = callers.stop();
    for call in &calls {
        let answer = &call.answer;
        assert_eq!(answer.problem(), (503, "token_unavailable".to_owned()));
        let wait = answer.header("retry-after").expect("a Retry-After");
        assert!((1..=330).contains(&wait.parse::<u64>().unwrap()), "{wait}");
        assert!(!answer.text().contains("never"), "{}", answer.text());
        assert!(call.took < Duration::from_secs(12), "{:?}", call.took);
    }
    calls
}
