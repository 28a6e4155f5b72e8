//! Which heads pass, with which framing, and why the others do not.

use std::time::Duration;

use proptest::prelude::*;

use super::{Framing, Head, check};
use crate::error::Reason;
use crate::listener::Limits;

fn limits() -> Limits {
    Limits {
        head_bytes: 2048,
        fields: 10,
        target_bytes: 512,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_mins(1),
        connections: 16,
    }
}

fn head(text: &str) -> Result<Option<Head>, Reason> {
    check(text.as_bytes(), &limits(), ([127, 0, 0, 1], 8080).into()).map_err(|error| error.reason())
}

#[test]
fn plain_heads_pass_with_their_framing() {
    for (text, framing) in [
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
        (
            "GET /a?b=c<d HTTP/1.1\r\nHost: x\r\n\r\n"
                .replace('<', "%3C")
                .as_str(),
            Framing::Length(0),
        ),
        (
            "POST /a HTTP/1.1\r\nhost: x:80\r\nContent-Length: 17\r\n\r\nbody",
            Framing::Length(17),
        ),
        (
            "POST /a HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n",
            Framing::Chunked,
        ),
        ("GET /a HTTP/1.0\r\n\r\n", Framing::Length(0)),
        ("\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
        (
            "GET http://127.0.0.1:8080/a HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
            Framing::Length(0),
        ),
        (
            "GET /a?x={\"y\"}|^[é] HTTP/1.1\r\nHost: x\r\n\r\n"
                .replace('"', "'")
                .as_str(),
            Framing::Length(0),
        ),
    ] {
        assert_eq!(
            head(text).unwrap().map(|head| head.framing),
            Some(framing),
            "{text}"
        );
    }
}

#[test]
fn ambiguous_heads_are_refused() {
    for text in [
        "GET /a HTTP/1.1\nHost: x\n\n",
        "GET /a HTTP/1.1\r\nHost: x\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n",
        "GET /a HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: \r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x:y\r\n\r\n",
        "GET http://evil.example/a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET http://127.0.0.1/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET https://127.0.0.1/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a?b<c HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a?b=\"c\" HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a`b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
        "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET /a\r\nHost: x\r\n\r\n",
        "G@T /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\ncontent_length: 5\r\n\r\n",
        "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert_eq!(head(text), Err(Reason::MalformedRequest), "{text:?}");
    }
}

#[test]
fn tunnels_and_echoes_are_refused() {
    for method in ["CONNECT", "TRACE"] {
        let text = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");

        assert_eq!(head(&text), Err(Reason::MethodNotRouted));
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_has_all_arrived() {
    let long_target = format!("GET /{}", "a".repeat(600));
    let long_field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(2048));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "A: b\r\n".repeat(11));

    assert_eq!(head(&long_target), Err(Reason::TargetTooLong));
    assert_eq!(head(&long_field), Err(Reason::HeadTooLarge));
    assert_eq!(head(&many_fields), Err(Reason::HeadTooLarge));
    assert_eq!(head("GET / HTTP/1.1\r\nHost: x\r\n"), Ok(None));
    assert_eq!(head(""), Ok(None));
}

#[test]
fn what_hyper_cannot_hold_is_too_large() {
    let length = |length: u64| {
        let text = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        head(&text).map(|head| head.unwrap().framing)
    };
    let wide = Limits {
        head_bytes: 1 << 20,
        target_bytes: 1 << 20,
        ..limits()
    };
    let target = |bytes: usize| {
        let target = "a".repeat(bytes - 1);
        let text = format!("GET /{target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let judged = check(text.as_bytes(), &wide, ([127, 0, 0, 1], 80).into());
        (
            judged.map(|_| ()).map_err(|error| error.reason()),
            format!("/{target}").parse::<http::Uri>().is_ok(),
        )
    };

    assert_eq!(length(u64::MAX - 2), Ok(Framing::Length(u64::MAX - 2)));
    assert_eq!(length(u64::MAX - 1), Err(Reason::TooLarge));
    assert_eq!(target(65_534), (Ok(()), true));
    assert_eq!(target(65_535), (Err(Reason::TargetTooLong), false));
}

proptest! {
    #[test]
    fn hyper_can_read_every_target_that_passes(
        target in "(|http://127.0.0.1|http://127.0.0.1:8080|http://localhost)(|/|[*]|[?]|/.{0,6}|/[ -~]{0,6}|/[!-~]{0,6}[?][!-~\u{e9}]{0,6})",
    ) {
        let host = target.strip_prefix("http://").map_or("x", |rest| {
            rest.find(['/', '?', '*']).map_or(rest, |end| rest.split_at(end).0)
        });
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");

        if check(text.as_bytes(), &limits(), ([127, 0, 0, 1], 8080).into()).is_ok() {
            prop_assert!(target.parse::<http::Uri>().is_ok(), "{:?}", target);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes, &limits(), ([127, 0, 0, 1], 8080).into());
    }

    #[test]
    fn a_head_is_judged_the_same_however_it_arrives(
        head in "(GET|POST) /[a-z<]{0,5} HTTP/1.[012]\r\nHost: x\r\n([A-Za-z_-]{1,5}: [ -~]{0,9}(\r\n|\n)){0,3}\r\n",
        cut in 0_usize..40,
    ) {
        let whole = check(head.as_bytes(), &limits(), ([127, 0, 0, 1], 1).into());
        let part = check(&head.as_bytes()[..cut.min(head.len())], &limits(), ([127, 0, 0, 1], 1).into());

        if part.is_err() {
            prop_assert!(whole.is_err());
        }
    }
}
