//! That answers reach callers of every version as Adobe gave them.

use http::Method;
use http_body_util::BodyExt;

use super::{PATH, ROUTE, by_number, number, numbered, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};

#[tokio::test]
async fn answers_pass_untouched_whatever_their_status() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": 1 }",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 Fine With Us\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nLocation: /data/core/ups/x/1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 207 Multi-Status\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Moved\r\nLocation: /data/core/ups/other\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 24\r\n\r\n{\"error_code\": \"403027\"}",
        b"HTTP/1.1 422 Unprocessable\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\n\x00\x01\x02\x03",
        b"HTTP/1.1 503 Later\r\nRetry-After: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 Odd\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 599 Odd\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ];
    let adobe = Adobe::start(by_number(ANSWERS));
    let gateway = Gateway::start(&adobe.url(), &format!("{ROUTE}    retry: false\n"));
    let mut h2 = Client::connect(gateway.address, Speaks::H2).await;

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text
            .rsplit_once("HTTP/1.1")
            .unwrap()
            .1
            .split_once("\r\n\r\n")
            .unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = head.contains("chunked");
        let body = if chunked { "abcdefg" } else { body };
        let fields: Vec<_> = head
            .split("\r\n")
            .skip(1)
            .map(|line| line.split_once(": ").unwrap())
            .filter(|(name, _)| *name != "Transfer-Encoding")
            .collect();

        let h1 = exchange(gateway.address, get(&numbered(index), ""));
        let target = format!("http://gateway{}", numbered(index));
        let h2 = h2
            .send(request(Method::GET, &target, &[], ""))
            .await
            .unwrap();

        assert_eq!((h1.status, h2.status.as_u16()), (status, status), "{text}");
        assert_eq!(h1.text(), body, "{text}");
        assert_eq!(String::from_utf8_lossy(&h2.body), body, "{text}");
        assert!(h1.complete);
        for (name, value) in &fields {
            assert_eq!(h1.values(name), [*value], "{name} in {}", h1.head);
            assert_eq!(h2.header(name), *value, "{name} in {:?}", h2.headers);
        }
        let added = |name: &str| {
            !fields
                .iter()
                .any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        for line in h1.head.split("\r\n").skip(1) {
            let name = line.split_once(':').unwrap().0;
            let ours = name == "date" || (chunked && name == "transfer-encoding");
            assert!(!added(name) || ours, "{name} was added to {text}");
        }
    }
    // Redirects among them were passed on and not followed.
    assert_eq!(adobe.seen().len(), 2 * ANSWERS.len());
}

#[tokio::test]
async fn answers_to_head_keep_their_length_and_have_no_body() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));
    let mut raw = Raw::connect(gateway.address);
    let mut h2 = Client::connect(gateway.address, Speaks::H2).await;

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let length = text.split_once("Length: ").map(|(_, rest)| rest.trim_end());

        raw.write(get(&numbered(index), "").replacen("GET", "HEAD", 1));
        let answer = raw.answer(true).unwrap();
        let target = format!("http://gateway{}", numbered(index));
        let reply = h2
            .send(request(Method::HEAD, &target, &[], ""))
            .await
            .unwrap();

        assert_eq!(answer.header("content-length"), length, "{text}");
        assert_eq!(
            reply.header("content-length"),
            length.unwrap_or(""),
            "{text}"
        );
        assert!(reply.body.is_empty());
    }
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
    let connections: std::collections::BTreeSet<_> =
        adobe.seen().iter().map(|seen| seen.connection).collect();
    assert!(connections.len() <= 3, "{connections:?}");
}

#[test]
fn callers_of_http10_are_served() {
    let (adobe, gateway) = start(|seen| match seen.target() {
        "/data/core/ups/chunked" => Act::Answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec(),
        ),
        _ => Act::echo(seen),
    });

    for (fields, target, body) in [
        ("", "/data/core/ups/x", "/data/core/ups/x"),
        ("", "/data/core/ups/chunked", "abc"),
        ("Host: a\r\n", "/data/core/ups/x", "/data/core/ups/x"),
    ] {
        let mut raw = Raw::connect(gateway.address);
        raw.write(format!("GET {target} HTTP/1.0\r\n{fields}\r\n"));
        let answer = raw.answer(false).unwrap();

        assert_eq!((answer.status, answer.text().as_str()), (200, body));
        assert_eq!(answer.header("transfer-encoding"), None);
        assert!(answer.complete && raw.is_closed());
        let seen = adobe.seen().pop().unwrap();
        assert_eq!(seen.request_line(), format!("GET {target} HTTP/1.1"));
        assert_eq!(seen.values("via"), ["1.0 profile-gateway"]);
        assert_eq!(seen.values("host"), [adobe.url().replace("http://", "")]);
    }
    let mut raw = Raw::connect(gateway.address);
    raw.write("POST /data/core/ups/x HTTP/1.0\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(raw.answer(false).unwrap().status, 200);
    assert_eq!(adobe.seen().pop().unwrap().body, b"{}");
}

#[test]
fn callers_of_http10_stay_only_if_they_ask_and_the_answer_has_a_length() {
    let (adobe, gateway) = start(|seen| {
        if seen.target().ends_with("chunked") {
            Act::Answer(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .to_vec(),
            )
        } else {
            Act::echo(seen)
        }
    });
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.0\r\n{fields}\r\n");
    let keep = "Connection: keep-alive\r\n";
    let mut raw = Raw::connect(gateway.address);

    raw.write([get(PATH, keep), get(PATH, keep)].concat());
    for _ in 0..2 {
        let answer = raw.answer(false).unwrap();
        assert_eq!(answer.values("connection"), ["keep-alive"]);
        assert_eq!((answer.status, answer.text().as_str()), (200, PATH));
    }
    raw.write(get("/data/core/ups/chunked", keep));
    let answer = raw.answer(false).unwrap();
    assert_eq!(answer.values("connection"), ["close"]);
    assert_eq!(answer.values("transfer-encoding"), [""; 0]);
    assert_eq!(answer.text(), "abc");
    assert!(raw.is_closed());

    for fields in ["", "Connection: close\r\n"] {
        let mut raw = Raw::connect(gateway.address);
        raw.write(get(PATH, fields));
        assert_ne!(
            raw.answer(false).unwrap().header("connection"),
            Some("keep-alive")
        );
        assert!(raw.is_closed());
    }
    // What is said of one connection is not said of the other.
    assert!(
        adobe
            .seen()
            .iter()
            .all(|seen| seen.values("connection").is_empty())
    );
}

#[test]
fn answers_of_http10_and_answers_without_length_are_passed_on() {
    let (_adobe, gateway) = start(|seen| match number(seen) {
        Some(0) => Act::AnswerAndClose(b"HTTP/1.0 200 OK\r\n\r\nold".to_vec()),
        Some(1) => Act::AnswerAndClose(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".to_vec()),
        // What promises to stay open does: closing it would race with the next request.
        Some(2) => Act::Answer(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold".to_vec(),
        ),
        _ => Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nold".to_vec()),
    });
    let mut raw = Raw::connect(gateway.address);

    for index in 0..4 {
        raw.write(get(&numbered(index), ""));
        let answer = raw.answer(false).unwrap();

        assert_eq!((answer.status, answer.text().as_str()), (200, "old"));
        assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}", answer.head);
        assert!(answer.complete);
        assert_eq!(answer.header("connection"), None);
    }
}

#[tokio::test]
async fn trailers_of_an_answer_reach_callers_of_http2() {
    let (_adobe, gateway) = start(|_| {
        Act::Answer(
            b"HTTP/1.1 200 OK\r\nTrailer: x-end\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-End: 1\r\n\
              Content-Length: 7\r\nConnection: close\r\nSet-Cookie: a=b\r\n\r\n"
                .to_vec(),
        )
    });
    let mut client = Client::connect(gateway.address, Speaks::H2).await;

    let answer = client
        .begin(request(Method::GET, &format!("http://a{PATH}"), &[], ""))
        .await
        .unwrap();
    let collected = answer.into_body().collect().await.unwrap();

    let trailers = collected.trailers().cloned();
    let trailers = trailers.unwrap();
    assert_eq!(trailers["x-end"], "1");
    // What belongs in a head is left out.
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(collected.to_bytes(), "{}");
    // Over HTTP/1.1 they are left out, as nobody asked for them, and the body still ends well.
    let plain = exchange(gateway.address, get(PATH, ""));
    assert!(plain.complete);
    assert_eq!(plain.text(), "{}");
}
