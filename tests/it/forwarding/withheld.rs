//! What callers do not get of an answer's fields.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method};
use http_body_util::BodyExt;

use super::{PATH, ROUTE, number, numbered, start};
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{CREDENTIAL, Running, SECRET};

/// An answer with these fields in its head, and the same in its trailers.
fn answer(status: &str, fields: &str) -> Act {
    let text = format!(
        "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n{fields}\r\n2\r\n{{}}\r\n0\r\n{fields}\r\n"
    );
    Act::Answer(text.into_bytes())
}

/// Fields that repeat what a request was sent with, in several ways, and some that are harmless.
fn repeats(seen: &Seen) -> String {
    let bearer = seen.values("authorization")[0];
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let key = seen.values("x-api-key")[0];
    format!(
        "X-Echo: {bearer}\r\nX-Found: no access for {token}!\r\nX-Twice: a\r\nX-Twice: b{token}\r\n\
         X-Secret: key=demo-secret;\r\nX-Key: {key}\r\nX-Scheme: Bearer\r\nX-Long: {}\r\n",
        "y".repeat(3000)
    )
}

/// Asks over HTTP/2, and returns the fields of the head and of the trailers.
async fn ask(gateway: &Gateway, target: &str) -> [HeaderMap; 2] {
    let mut client = Client::connect(gateway.address, Speaks::H2).await;
    let request = request(Method::GET, &format!("http://a{target}"), &[], "");
    let (head, body) = client.begin(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap();
    assert_eq!(body.to_bytes(), "{}");
    [head.headers, trailers]
}

fn names(fields: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = fields
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-"))
        .collect();
    names.sort_unstable();
    names
}

fn echoes(gateway: &Gateway) -> [bool; 2] {
    let text = exchange(gateway.admin, get("/metrics", "")).text();
    ["head", "trailers"].map(|place| {
        let sample = format!("profile_gateway_echoed_credentials_total{{place=\"{place}\"}} 4\n");
        text.contains(&sample)
    })
}

#[tokio::test]
async fn a_field_that_shows_a_token_or_a_secret_does_not_reach_its_caller() {
    for status in ["200 OK", "403 Forbidden", "500 Oops"] {
        let (_adobe, gateway) = start(move |seen| answer(status, &repeats(seen)));

        let [head, trailers] = ask(&gateway, PATH).await;

        for fields in [&head, &trailers] {
            assert_eq!(names(fields), ["x-key", "x-long", "x-scheme"], "{status}");
        }
        assert_eq!(echoes(&gateway), [true, true], "{status}");
        let plain = exchange(gateway.address, get(PATH, ""));
        assert!(plain.complete && plain.text() == "{}");
        assert_eq!(plain.values("x-key").len(), 1);
        for name in ["x-echo", "x-found", "x-twice", "x-secret"] {
            assert!(plain.values(name).is_empty(), "{name}");
        }
    }
}

/// Answers the first request when it is told to; refuses the first token for the second one.
fn late(told: Receiver<()>) -> impl Fn(&Seen) -> Act + Send + Sync {
    let told = Arc::new(Mutex::new(told));
    move |seen| {
        let first = seen.values("authorization") == ["Bearer first-of-the-tokens"];
        let fields = repeats(seen);
        match number(seen) {
            Some(0) => {
                let told = Arc::clone(&told);
                Act::play(move |wire| {
                    told.lock().unwrap().recv().unwrap();
                    wire.write(format!(
                        "HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\n{{}}"
                    ));
                })
            }
            Some(_) if first => Act::token_refused(),
            Some(_) | None => Act::ok(),
        }
    }
}

#[test]
fn a_token_that_was_replaced_meanwhile_does_not_come_back_either() {
    let (tell, told): (Sender<()>, _) = channel();
    let mint = |calls: usize, _: &Seen| {
        let which = if calls == 1 { "first" } else { "next" };
        Act::token(&format!("{which}-of-the-tokens"), 86_399)
    };
    let adobe = Adobe::minting(mint, late(told));
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut raw = Raw::connect(gateway.address);
    raw.write(get(&numbered(0), ""));
    while adobe.heads() < 1 {
        std::thread::yield_now();
    }

    assert_eq!(exchange(gateway.address, get(&numbered(1), "")).status, 200);
    tell.send(()).unwrap();

    let answer = raw.answer(false).unwrap();
    assert_eq!(answer.values("x-key").len(), 1);
    assert!(
        !answer.head.contains("first-of-the-tokens"),
        "{}",
        answer.head
    );
}

#[tokio::test]
async fn fields_that_are_listed_stay_here_and_what_they_say_is_heard() {
    let fields = "Server: a\r\nX-Internal-A: 1\r\nX-Internal: 2\r\nX-Internal-B: 3\r\nX-Internal-B: 4\r\nX-Other: 5\r\n\
        Content-Type: text/plain\r\nContent-Language: en\r\n";
    let adobe = Adobe::start(move |seen| match number(seen) {
        Some(_) => Act::Answer(
            b"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        None => answer("200 OK", fields),
    });
    let url = adobe.url();
    let listed = "drop_answer_fields: [Server, 'x-internal-*', retry-after, 'content-*']";
    let more = format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', {listed} }}\n{ROUTE}");
    let gateway = Gateway::with(&more);

    let [head, trailers] = ask(&gateway, PATH).await;
    for fields in [&head, &trailers] {
        assert_eq!(names(fields), ["x-internal", "x-other"]);
        assert!(!fields.contains_key("server") && !fields.contains_key("content-language"));
    }
    // What the body cannot be read without stays.
    assert_eq!(head["content-type"], "text/plain");
    let paused = exchange(gateway.address, get(&numbered(1), ""));
    assert_eq!((paused.status, paused.header("retry-after")), (429, None));
    assert_eq!(paused.header("content-length"), Some("0"));
    let next = exchange(gateway.address, get(PATH, ""));
    assert_eq!(next.problem(), (429, "upstream_paused".to_owned()));
    assert!(
        next.header("retry-after").is_some(),
        "it is the gateway's own"
    );
}

#[test]
fn an_echo_is_warned_of_once_and_not_repeated_in_the_log() {
    let adobe = Adobe::start(|seen| {
        let bearer = seen.values("authorization")[0];
        answer(
            "200 OK",
            &format!("X-Echo: {bearer}\r\nX-Secret: {SECRET}\r\n"),
        )
    });
    let url = adobe.url();
    let text =
        format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{CREDENTIAL}{ROUTE}");
    let gateway = Running::start(&text, &[]);

    for _ in 0..3 {
        let answer = exchange(gateway.address, get(PATH, ""));
        assert_eq!(answer.status, 200);
        assert!(answer.header("x-echo").is_none() && answer.header("x-secret").is_none());
    }

    assert_eq!(
        gateway.count("profile_gateway_echoed_credentials_total"),
        12
    );
    let printed = gateway.stop();
    let warned: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("showed a token or a client secret"))
        .collect();
    assert_eq!(warned.len(), 1, "{printed}");
    assert!(warned[0].contains("WARN") && warned[0].contains("\"place\":\"head\""));
    for secret in [SECRET, crate::support::adobe::TOKEN] {
        assert!(!printed.contains(secret));
    }
}
