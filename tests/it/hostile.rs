//! What must not be passed on: malformed, ambiguous and oversize requests, byte by byte.

use http::Method;

use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{Answer, Raw, exchange, get, send};

const PATH: &str = "/data/core/ups/config/mergePolicies";

/// A gateway before an Adobe that answers with the target it was asked for.
struct Pair {
    adobe: Adobe,
    gateway: Gateway,
    /// How many requests Adobe should have seen.
    due: usize,
}

impl Pair {
    fn new(more: &str) -> Self {
        let adobe = Adobe::echoing();
        let gateway = Gateway::start(&adobe.url(), more);
        Self {
            adobe,
            gateway,
            due: 0,
        }
    }

    /// Sends `bytes`, expects a problem and the connection's end, and that nobody else is any worse for it.
    fn refuses(&mut self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) -> Answer {
        let bytes = bytes.as_ref();
        let (answer, mut raw) = self.answers_with_problem(bytes, status, reason);
        let shown = String::from_utf8_lossy(bytes);
        assert!(raw.is_closed(), "open after {shown:?}");
        answer
    }

    /// Like [`Self::refuses`], where only the request and not the connection is in doubt.
    fn refuses_request(&mut self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) -> Answer {
        self.answers_with_problem(bytes.as_ref(), status, reason).0
    }

    fn answers_with_problem(&mut self, bytes: &[u8], status: u16, reason: &str) -> (Answer, Raw) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        let mut raw = Raw::connect(self.gateway.address);
        raw.write(bytes);
        let answer = raw
            .answer(bytes.starts_with(b"HEAD "))
            .unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!(
            answer.problem(),
            (status, reason.to_owned()),
            "{shown:?}: {}",
            answer.text()
        );
        assert_eq!(self.adobe.heads(), self.due, "passed on: {shown:?}");
        self.serves_the_next();
        (answer, raw)
    }

    /// A fresh connection gets its own answer.
    fn serves_the_next(&mut self) {
        let target = format!("{PATH}?next={}", self.due);
        let next = exchange(self.gateway.address, get(&target, ""));
        self.due += 1;
        assert_eq!((next.status, next.text()), (200, target));
        assert_eq!(self.adobe.heads(), self.due);
    }
}

fn head(fields: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: text/plain\r\n{fields}\r\n")
}

#[test]
fn malformed_heads_are_refused_and_the_connection_closed() {
    let mut pair = Pair::new(ROUTES);

    for line in [
        "GET",
        "GET /data/core/ups/x",
        "GET  /data/core/ups/x HTTP/1.1",
        "GET /data/core/ups/x  HTTP/1.1",
        "GET /data/core/ups/x HTTP/1.1 ",
        " GET /data/core/ups/x HTTP/1.1",
        "GET\t/data/core/ups/x\tHTTP/1.1",
        "GET /data/core/ups/x y HTTP/1.1",
        "GET /data/core/ups/x HTTP/1.2",
        "GET /data/core/ups/x HTTP/1.11",
        "GET /data/core/ups/x HTTP/0.9",
        "GET /data/core/ups/x HTTP/2.0",
        "GET /data/core/ups/x HTTP/11",
        "GET /data/core/ups/x http/1.1",
        "GET /data/core/ups/x XTTP/1.1",
        "G@T /data/core/ups/x HTTP/1.1",
        "GET data/core/ups/x HTTP/1.1",
        "GET ?x=1 HTTP/1.1",
        "GET /data/core/ups/x#part HTTP/1.1",
        "GET /data/core/ups/x?y=1#part HTTP/1.1",
        "GET /data/core/ups/x\0 HTTP/1.1",
        "GET /data/core/ups/x?\x01 HTTP/1.1",
        "GET /data/core/ups/x?\x7f HTTP/1.1",
        "HTTP/1.1 200 OK",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
    ] {
        pair.refuses(
            format!("{line}\r\nHost: gateway\r\n\r\n"),
            400,
            "malformed_request",
        );
    }
    for fields in [
        "A: 1\r\n folded\r\n",
        "A: 1\r\n\tfolded\r\n",
        " A: 1\r\n",
        "A : 1\r\n",
        "A\t: 1\r\n",
        "A\r\n",
        ": 1\r\n",
        "A: 1\0\r\n",
        "A\0: 1\r\n",
        "A: 1\x01\r\n",
        "A: 1\x7f\r\n",
        "A: 1\rB: 2\r\n",
        "A: 1\r\r\n",
        "A: 1\n",
        "A: 1\nB: 2\r\n",
        "A\u{e9}: 1\r\n",
        "A(b): 1\r\n",
    ] {
        pair.refuses(get(PATH, fields), 400, "malformed_request");
    }
    for bytes in [
        format!("GET {PATH} HTTP/1.1\nHost: gateway\n\n"),
        format!("GET {PATH} HTTP/1.1\r\nHost: gateway\r\n\n"),
        format!("GET {PATH} HTTP/1.1\nHost: gateway\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\rHost: gateway\r\r"),
    ] {
        pair.refuses(bytes, 400, "malformed_request");
    }
}

#[test]
fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let mut pair = Pair::new(ROUTES);
    let hidden = get("/data/core/ups/hidden", "");

    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\ncontent-length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: \"5\"\r\n",
        "Content-Length:\r\n",
        "Content-Length: x\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: \u{665}\r\n",
        "Content_Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: chunked;x=y\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "Transfer-Encoding: CHUNKED\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
    ] {
        let bytes = format!("{}0\r\n\r\n{hidden}", head(fields));
        pair.refuses(bytes, 400, "malformed_request");
    }
    let old = format!("POST {PATH} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    pair.refuses(format!("{old}0\r\n\r\n{hidden}"), 400, "malformed_request");
}

#[test]
fn a_body_that_breaks_its_framing_never_arrives_whole() {
    let mut pair = Pair::new(ROUTES);
    let hidden = get("/data/core/ups/hidden", "");

    for chunks in [
        "x\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\n A: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: \0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(pair.gateway.address);
        raw.write(format!(
            "{}{chunks}{hidden}",
            head("Transfer-Encoding: chunked\r\n")
        ));
        if let Some(answer) = raw.answer(false) {
            assert_eq!(
                answer.problem(),
                (400, "body_broken".to_owned()),
                "{chunks:?}"
            );
            assert!(raw.is_closed(), "{chunks:?}");
        }
        // The head may have been on its way; a whole request may not.
        assert_eq!(pair.adobe.seen().len(), pair.due, "{chunks:?}");
        let heads = pair.adobe.heads();
        assert!(heads <= pair.due + 1, "{chunks:?}");
        let next = exchange(pair.gateway.address, get(PATH, ""));
        assert_eq!((next.status, next.text().as_str()), (200, PATH));
        pair.due += 1;
        assert_eq!(pair.adobe.seen().len(), pair.due, "{chunks:?}");
    }
}

#[test]
fn a_body_cut_short_never_arrives_whole() {
    for (framing, part) in [
        ("Content-Length: 10\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
    ] {
        let mut pair = Pair::new(ROUTES);
        let mut raw = Raw::connect(pair.gateway.address);
        raw.write(format!("{}{part}", head(framing)));
        raw.socket().shutdown(std::net::Shutdown::Write).unwrap();

        let answer = raw.answer(false);

        assert!(
            answer.is_none_or(|answer| answer.problem() == (400, "body_broken".to_owned())),
            "{part:?}"
        );
        assert!(pair.adobe.seen().is_empty(), "{part:?}");
        let next = exchange(pair.gateway.address, get(PATH, ""));
        assert_eq!(next.text(), PATH);
        pair.due += 1;
        assert_eq!(pair.adobe.seen().len(), pair.due, "{part:?}");
    }
}

#[test]
fn every_byte_of_a_target_arrives_as_it_is_or_is_refused_with_a_reason() {
    let pair = Pair::new(ROUTES);

    for place in [
        "/data/core/ups/a@b",
        "/data/core/ups/a?b=@c",
        "/data/core/ups/a?@",
    ] {
        for byte in 0..=255_u8 {
            let mut target = Vec::new();
            for letter in place.bytes() {
                target.push(if letter == b'@' { byte } else { letter });
            }
            let bytes = [b"GET ", &target[..], b" HTTP/1.1\r\nHost: gateway\r\n\r\n"].concat();
            let before = pair.adobe.heads();

            let answer = exchange(pair.gateway.address, bytes);

            let shown = String::from_utf8_lossy(&target).into_owned();
            if answer.status == 200 {
                let seen = pair.adobe.seen().pop().unwrap();
                assert_eq!(seen.target(), shown);
                assert!(byte.is_ascii_graphic(), "{shown:?}");
            } else {
                let expected = (400, "malformed_request".to_owned());
                assert_eq!(answer.problem(), expected, "{shown:?} ({byte:#x})");
                assert_eq!(pair.adobe.heads(), before, "{shown:?}");
                let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte);
                assert!(!plain, "{shown:?}");
            }
        }
    }
}

#[test]
fn raw_delimiters_in_a_query_are_refused_with_the_way_to_write_them() {
    let mut pair = Pair::new(ROUTES);

    for (query, encoded) in [
        ("property=placeContext.localTime<=1", "%3C"),
        ("property=created>=2026-11-01", "%3E"),
        ("property=name==\"Spring\"", "%22"),
    ] {
        let answer = pair.refuses(
            get(&format!("/data/core/ups/audiences?{query}"), ""),
            400,
            "malformed_request",
        );

        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(encoded), "{detail}");
    }
}

#[test]
fn paths_with_a_second_meaning_are_refused() {
    let mut pair = Pair::new(ROUTES);

    for path in [
        "/data/core/ups/../ups/x",
        "/data/core/ups/./x",
        "/data/core/ups/..",
        "/data/core/ups/.",
        "/../data/core/ups/x",
        "/data/core/ups/%2e%2e/x",
        "/data/core/ups/%2E%2E/x",
        "/data/core/ups/.%2e/x",
        "/data/core/ups/%2e/x",
        "/data/core/ups/%252e%252e/x",
        "/data/core/ups/%252E%252E%252Fx",
        "/data/core/ups/..%2f..%2fx",
        "/data/core/ups/..;/x",
        "/data/core/ups/..%00/x",
        "/data/core/ups/..\\x",
        "/data/core/ups/..%5cx",
        "/data/core/ups/x%2fy",
        "/data/core/ups/x%2Fy",
        "/data/core/ups/x%252fy",
        "/data/core/ups/x%25252fy",
        "/data/core/ups/x%5Cy",
        "/data/core/ups/x\\y",
        "/data/core/ups/x;y=z",
        "/data/core/ups/x%3By",
        "/data/core/ups/x%00",
        "/data/core/ups/x%0d%0aHost:%20y",
        "/data/core/ups/x%7F",
        "/data/core/ups//x",
        "//data/core/ups/x",
        "/data/core/ups/x//",
        "/data/core/ups/x%",
        "/data/core/ups/x%4",
        "/data/core/ups/x%GG",
        "/data/core/ups/%c0%ae%c0%ae/x",
        "/data/core/ups/%c0%af",
        "/data/core/ups/x%ff",
        "/data/core/ups/%61ccess/entities",
        "/data/core/ups/é",
        "/data/core/ups/{x}",
        "/data/core/ups/x|y",
        "/data/core/ups/x^y",
        "/data/core/ups/x`y",
        "/data/core/ups/[x]",
        "/elsewhere/../data/core/ups/x",
        "/elsewhere/%2e%2e/data/core/ups/x",
        "/elsewhere%2fx",
    ] {
        pair.refuses_request(get(path, ""), 400, "malformed_request");
    }
}

#[test]
fn an_encoded_slash_passes_byte_for_byte_where_a_route_lets_it() {
    let mut pair = Pair::new(
        "
routes:
  - name: slashes
    match: { path: '/data/core/ups/audiences/{id}' }
    sandbox: dev-2
    encoded_slashes: pass
  - name: rest
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
",
    );

    for target in [
        "/data/core/ups/audiences/s%201%2F2",
        "/data/core/ups/audiences/s%2f2?x=%2F&y=%2f",
        "/data/core/ups/audiences/a%2Fb%2fc",
    ] {
        let answer = exchange(pair.gateway.address, get(target, ""));
        pair.due += 1;

        assert_eq!((answer.status, answer.text()), (200, target.to_owned()));
    }
    for target in [
        "/data/core/ups/segments/s%2F2",
        "/data/core/ups/audiences/s%5C2",
        "/data/core/ups/audiences/s%252F2",
        "/data/core/ups/audiences/..%2F2",
        "/data/core/ups/audiences/s%2F..",
        "/data/core/ups/audiences/s%2F.%2F2",
        "/data/core/ups/audiences/s%2F%2E%2E",
    ] {
        pair.refuses_request(get(target, ""), 400, "malformed_request");
    }
}

#[test]
fn other_forms_of_targets_and_other_hosts_are_refused() {
    let mut pair = Pair::new(ROUTES);
    let adobe = pair.adobe.url().replace("http://", "");
    let here = pair.gateway.address;

    for line in [
        "GET http://example.com/data/core/ups/x HTTP/1.1\r\nHost: example.com".to_owned(),
        format!("GET http://{adobe}/data/core/ups/x HTTP/1.1\r\nHost: example.com"),
        "GET http://example.com/data/core/ups/x HTTP/1.1\r\nHost: gateway".to_owned(),
        format!("GET http://{here}/data/core/ups/x HTTP/1.1\r\nHost: gateway"),
        format!("GET http://user@{here}/data/core/ups/x HTTP/1.1\r\nHost: {here}"),
        format!("GET https://{here}/data/core/ups/x HTTP/1.1\r\nHost: {here}"),
        format!("GET ftp://{here}/data/core/ups/x HTTP/1.1\r\nHost: {here}"),
        "GET http:///data/core/ups/x HTTP/1.1\r\nHost: gateway".to_owned(),
        "GET http: HTTP/1.1\r\nHost: gateway".to_owned(),
        "GET gateway:80 HTTP/1.1\r\nHost: gateway:80".to_owned(),
    ] {
        pair.refuses(format!("{line}\r\n\r\n"), 400, "malformed_request");
    }
    for line in ["OPTIONS *", "GET *", "OPTIONS **"] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: gateway\r\n\r\n");
        pair.refuses_request(bytes, 400, "malformed_request");
    }
    let own = format!("GET http://{here}{PATH} HTTP/1.1\r\nHost: {here}\r\n\r\n");
    assert_eq!(exchange(here, own).text(), PATH);
}

#[test]
fn methods_that_tunnel_or_echo_or_have_no_route_are_refused() {
    let mut pair = Pair::new(ROUTES);

    for line in [
        "CONNECT example.com:443",
        "CONNECT /data/core/ups/x",
        "CONNECT http://example.com/",
        "TRACE /data/core/ups/x",
        "TRACE *",
    ] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
        pair.refuses(bytes, 405, "method_not_routed");
    }
    let long = "X".repeat(200);
    for method in [
        "OPTIONS", "PROPFIND", "get", "Get", "PURGE", "PRI", "REFUSED", "QUERY", &long,
    ] {
        let bytes = format!("{method} {PATH} HTTP/1.1\r\nHost: gateway\r\n\r\n");
        let answer = pair.refuses_request(bytes, 405, "method_not_routed");

        assert_eq!(
            answer.header("allow"),
            Some("DELETE, GET, HEAD, PATCH, POST, PUT"),
            "{method}"
        );
    }
}

#[test]
fn exactly_one_valid_host_is_needed() {
    let mut pair = Pair::new(ROUTES);

    for hosts in [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: user@a\r\n",
        "Host: a/b\r\n",
        "Host: http://a\r\n",
        "Host: a:\r\n",
        "Host: a:b\r\n",
        "Host: a:99999\r\n",
        "Host: a:80:80\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: a\\b\r\n",
        "Host: [::1\r\n",
        "Host: \u{e9}\r\n",
        "Host: %61\r\n",
        "Host : a\r\n",
    ] {
        let bytes = format!("GET {PATH} HTTP/1.1\r\n{hosts}\r\n");
        pair.refuses(bytes, 400, "malformed_request");
    }
}

#[test]
fn the_http2_preface_is_refused_where_http2_is_off() {
    let mut pair = Pair::new(&format!(
        "listeners: [{{ address: '127.0.0.1:0', http2: false }}]\n{ROUTES}"
    ));

    pair.refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request");
}

#[test]
fn what_is_too_large_is_refused_with_its_own_status() {
    let mut pair = Pair::new(ROUTES);

    let fields = |count| "x-a: 1\r\n".repeat(count);
    pair.refuses(get(PATH, &fields(100)), 431, "head_too_large");
    let long = format!("x-long: {}\r\n", "a".repeat(33 * 1024));
    pair.refuses(get(PATH, &long), 431, "head_too_large");
    let without_end = format!(
        "GET {PATH} HTTP/1.1\r\nHost: a\r\nx: {}",
        "a".repeat(40 * 1024)
    );
    pair.refuses(without_end, 431, "head_too_large");
    let target = format!("{PATH}?x={}", "a".repeat(16 * 1024));
    pair.refuses(get(&target, ""), 414, "target_too_long");
    pair.refuses(
        format!("GET /{}", "a".repeat(40 * 1024)),
        414,
        "target_too_long",
    );
    pair.refuses("A".repeat(40 * 1024), 414, "target_too_long");

    let answer = exchange(pair.gateway.address, get(PATH, &fields(99)));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_by_its_length_and_by_its_chunks() {
    let adobe = Adobe::echoing();
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', request_body: 64KiB }}\n{ROUTES}"
    ));
    let most = "x".repeat(64 * 1024);

    let whole = exchange(gateway.address, send("POST", PATH, "", &most));
    assert_eq!(whole.status, 200);
    assert_eq!(adobe.seen().pop().unwrap().body.len(), 64 * 1024);
    let declared = exchange(gateway.address, send("POST", PATH, "", &format!("{most}x")));
    assert_eq!(declared.problem(), (413, "too_large".to_owned()));
    let huge = head("Content-Length: 18446744073709551615\r\n");
    let declared = exchange(gateway.address, huge);
    assert_eq!(declared.problem(), (413, "too_large".to_owned()));
    assert_eq!(adobe.heads(), 1);

    let mut raw = Raw::connect(gateway.address);
    raw.write(head("Transfer-Encoding: chunked\r\n"));
    raw.write(format!("10000\r\n{most}\r\n1\r\nx\r\n0\r\n\r\n"));
    let counted = raw.answer(false).unwrap();
    assert_eq!(counted.problem(), (413, "too_large".to_owned()));
    assert_eq!(adobe.seen().len(), 1);
    assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
}

#[test]
fn an_upgrade_is_never_made_nor_passed_on() {
    let pair = Pair::new(ROUTES);

    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n",
    ] {
        for request in [get(PATH, fields), send("POST", PATH, fields, "{}")] {
            let answer = exchange(pair.gateway.address, &request);

            assert_eq!((answer.status, answer.text().as_str()), (200, PATH));
            let seen = pair.adobe.seen().pop().unwrap();
            for name in ["upgrade", "http2-settings", "connection"] {
                assert!(seen.values(name).is_empty(), "{}", seen.head);
            }
        }
    }
}

#[test]
fn expectations_other_than_100_continue_are_refused() {
    let mut pair = Pair::new(ROUTES);

    for fields in [
        "Expect: 200-ok\r\n",
        "Expect:\r\n",
        "Expect: 100-continue, x\r\n",
        "Expect: 100-continue\r\nExpect: x\r\n",
    ] {
        pair.refuses_request(send("POST", PATH, fields, "{}"), 417, "expectation_failed");
    }
}

#[test]
fn what_follows_a_bad_request_is_not_read() {
    let pair = Pair::new(ROUTES);
    let bad = format!("GET {PATH} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let bytes = [
        get(&format!("{PATH}?1"), ""),
        send("POST", &format!("{PATH}?2"), "", "{}"),
        bad,
        get(&format!("{PATH}?4"), ""),
    ]
    .concat();

    for cut in [bytes.len(), 1, 60, 100] {
        let mut raw = Raw::connect(pair.gateway.address);
        for piece in bytes.as_bytes().chunks(cut) {
            raw.write(piece);
        }
        let before = pair.adobe.heads();
        let answers: Vec<_> = std::iter::from_fn(|| raw.answer(false)).collect();

        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 400], "in pieces of {cut}");
        assert_eq!(answers[0].text(), format!("{PATH}?1"));
        assert_eq!(answers[1].text(), format!("{PATH}?2"));
        assert_eq!(answers[2].problem().1, "malformed_request");
        assert!(raw.is_closed());
        assert!(pair.adobe.heads() <= before + 2);
        assert!(
            !pair
                .adobe
                .seen()
                .iter()
                .any(|seen| seen.target().ends_with("?4"))
        );
    }
}

#[test]
fn the_stand_in_for_refused_heads_means_nothing_when_a_caller_sends_it() {
    let mut pair = Pair::new(ROUTES);

    let stand_in = "REFUSED / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
    pair.refuses(stand_in, 404, "no_route");
    let kept = "REFUSED / HTTP/1.1\r\nhost: refused\r\n\r\n";
    let mut raw = Raw::connect(pair.gateway.address);
    raw.write(format!("{kept}{}", get(PATH, "")));
    assert_eq!(raw.answer(false).unwrap().status, 404);
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
}

#[test]
fn refused_requests_are_counted_like_all_others() {
    let mut pair = Pair::new(ROUTES);
    let both = head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");

    pair.refuses(both, 400, "malformed_request");

    let metrics = exchange(pair.gateway.admin, get("/metrics", "")).text();
    assert!(metrics.contains("malformed_request"), "{metrics}");
}

#[test]
fn a_request_without_end_is_not_one() {
    let pair = Pair::new(ROUTES);

    for part in [
        "",
        "G",
        "GET /data",
        "\r\n",
        "\r\n\r\n",
        "GET /data/core/ups/x HTTP/1.1\r\nHost: a\r\n",
    ] {
        let mut raw = Raw::connect(pair.gateway.address);
        raw.write(part);
        raw.socket().shutdown(std::net::Shutdown::Write).unwrap();

        let answer = raw.answer(false);

        assert!(
            answer.is_none_or(|answer| answer.problem().0 == 400),
            "{part:?}"
        );
    }
    assert_eq!(pair.adobe.heads(), 0);
}

#[tokio::test]
async fn ambiguous_http2_requests_are_refused_and_others_on_the_connection_are_served() {
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(&adobe.url(), ROUTES);
    let mut client = Client::connect(gateway.address, Speaks::H2).await;
    let base = format!("http://{}", gateway.address);

    for (method, target, fields) in [
        ("GET", "/data/core/ups/x", vec![("host", "example.com")]),
        ("GET", "/data/core/ups/../x", vec![]),
        ("GET", "/data/core/ups/%2e%2e/x", vec![]),
        ("GET", "/data/core/ups/x%2Fy", vec![]),
        ("GET", "/data/core/ups/x%5Cy", vec![]),
        ("GET", "/data/core/ups//x", vec![]),
        ("GET", "/data/core/ups/x;y", vec![]),
        (
            "GET",
            "/data/core/ups/x",
            vec![("transfer_encoding", "chunked")],
        ),
        ("POST", "/data/core/ups/x", vec![("content_length", "5")]),
        (
            "POST",
            "/data/core/ups/x",
            vec![("content-length", "2"), ("content-length", "2")],
        ),
    ] {
        let mut request = request(
            method.parse().unwrap(),
            &format!("{base}{target}"),
            &fields,
            if method == "POST" { "{}" } else { "" },
        );
        request
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());

        let reply = client.send(request).await.unwrap();

        assert_eq!(reply.status, 400, "{target} {fields:?}");
        assert_eq!(reply.json()["reason"], "malformed_request");
        assert_eq!(adobe.heads(), 0, "{target} {fields:?}");
    }
    let user = request(
        Method::GET,
        &format!("http://user@{}{PATH}", gateway.address),
        &[],
        "",
    );
    assert_eq!(client.send(user).await.unwrap().status, 400);
    let trace = request(Method::TRACE, &format!("{base}{PATH}"), &[], "");
    assert_eq!(client.send(trace).await.unwrap().status, 405);
    let many: Vec<_> = (0..101).map(|_| ("x-a", "1")).collect();
    let many = request(Method::GET, &format!("{base}{PATH}"), &many, "");
    assert_eq!(client.send(many).await.unwrap().status, 431);
    let long = format!("{base}{PATH}?{}", "a".repeat(16 * 1024));
    let long = request(Method::GET, &long, &[], "");
    assert_eq!(client.send(long).await.unwrap().status, 414);
    assert_eq!(adobe.heads(), 0);

    let good = request(Method::GET, &format!("{base}{PATH}"), &[], "");
    assert_eq!(client.send(good).await.unwrap().body, PATH);
}

/// Frames made by hand, for what no client library would send.
mod frames {
    use super::*;

    /// `:method: POST`, `:scheme: http`, by their places in the static table.
    const POST_HTTP: [u8; 2] = [0x83, 0x86];

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes
    }

    fn literal(name: &str, value: &str) -> Vec<u8> {
        [vec![0x00], text(name), text(value)].concat()
    }

    /// Opens a connection and sends a POST with these fields, and `body` in one frame that ends the stream.
    fn post(gateway: &Gateway, fields: &[(&str, &str)], body: &str) -> Raw {
        let mut block = POST_HTTP.to_vec();
        block.extend([vec![0x04], text(PATH), vec![0x01], text("gateway")].concat());
        block.extend(literal("content-type", "text/plain"));
        for (name, value) in fields {
            block.extend(literal(name, value));
        }
        let mut raw = Raw::connect(gateway.address);
        raw.write(
            [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
                frame(0x4, 0, 0, &[]),
                frame(0x1, 0x4, 1, &block),
                frame(0x0, 0x1, 1, body.as_bytes()),
            ]
            .concat(),
        );
        raw
    }

    #[test]
    fn malformed_http2_requests_never_arrive_whole() {
        let adobe = Adobe::echoing();
        let gateway = Gateway::start(&adobe.url(), ROUTES);
        let reset = frame(0x3, 0, 1, &1_u32.to_be_bytes());

        for fields in [
            vec![("connection", "close")],
            vec![("connection", "x-sandbox-name")],
            vec![("transfer-encoding", "chunked")],
            vec![("upgrade", "h2c")],
            vec![("keep-alive", "timeout=5")],
            vec![("proxy-connection", "close")],
            vec![("te", "gzip")],
            vec![("content-length", "4")],
            vec![("content-length", "6")],
            vec![("content-length", "x")],
            vec![("content-length", "")],
            vec![(":path", "/data/core/ups/y")],
            vec![(":status", "200")],
            vec![(":unknown", "1")],
            vec![("x-a", "1\r\nx-b: 2")],
            vec![("x-a", "1\0")],
            vec![("X-Sandbox-Name", "prod")],
            vec![("Content-Type", "a")],
            vec![("x a", "1")],
        ] {
            let mut raw = post(&gateway, &fields, "hello");

            // A stream error, or a connection error and the end; reading on to the end says which.
            let refused = raw.read_until(&reset) || !raw.read_until(PATH.as_bytes());
            assert!(refused, "{fields:?}");
            assert!(adobe.seen().is_empty(), "{fields:?}");
        }
        assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);

        let mut raw = post(&gateway, &[("content-length", "5")], "hello");
        assert!(raw.read_until(PATH.as_bytes()));
        assert_eq!(adobe.seen().pop().unwrap().body, b"hello");
    }
}
