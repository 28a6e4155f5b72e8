//! Which targets are refused, and that all others arrive as they are.

use super::{PATH, Pair};
use crate::support::gateway::ROUTES;
use crate::support::raw::{exchange, get};

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
        let answer =
            pair.refuses_as_malformed(get(&format!("/data/core/ups/audiences?{query}"), ""));

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
  - name: others
    match: { prefix: [/data/core/ups/segments, /data/core/ups/config] }
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
        "/data/core/ups/audiences/%2Fs",
        "/data/core/ups/audiences/s%2F%2F2",
        "/data/core/ups/audiences/s%2F/",
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
        pair.refuses_as_malformed(format!("{line}\r\n\r\n"));
    }
    for line in ["OPTIONS *", "GET *", "OPTIONS **"] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: gateway\r\n\r\n");
        pair.refuses_request(bytes, 400, "malformed_request");
    }
    let own = format!("GET http://{here}{PATH} HTTP/1.1\r\nHost: {here}\r\n\r\n");
    assert_eq!(exchange(here, own).text(), PATH);
}
