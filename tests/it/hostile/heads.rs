//! Which heads are refused for their request line, fields, host or size.

use super::{PATH, Pair};
use crate::support::gateway::ROUTES;
use crate::support::raw::{exchange, get, send};

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
        pair.refuses_as_malformed(format!("{line}\r\nHost: gateway\r\n\r\n"));
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
        pair.refuses_as_malformed(get(PATH, fields));
    }
    for bytes in [
        format!("GET {PATH} HTTP/1.1\nHost: gateway\n\n"),
        format!("GET {PATH} HTTP/1.1\r\nHost: gateway\r\n\n"),
        format!("GET {PATH} HTTP/1.1\nHost: gateway\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\rHost: gateway\r\r"),
    ] {
        pair.refuses_as_malformed(bytes);
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
        pair.refuses_as_malformed(bytes);
        // Over HTTP/1.0 there may be none.
        if !hosts.is_empty() {
            let bytes = format!("GET {PATH} HTTP/1.0\r\n{hosts}\r\n");
            pair.refuses_as_malformed(bytes);
        }
    }
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
    // What `Max-Forwards` is about ends here, whatever is left of it.
    for left in ["0", "1", "-1", "x"] {
        let fields = format!("Max-Forwards: {left}\r\n");
        for method in ["OPTIONS", "TRACE"] {
            let bytes = get(PATH, &fields).replacen("GET", method, 1);
            pair.refuses_request(bytes, 405, "method_not_routed");
        }
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
fn expectations_other_than_100_continue_are_refused() {
    let mut pair = Pair::new(ROUTES);

    for fields in [
        "Expect: 200-ok\r\n",
        "Expect:\r\n",
        "Expect: 100-continue, x\r\n",
        "Expect: 100-continue\r\nExpect: x\r\n",
    ] {
        pair.refuses_request(send("POST", PATH, fields, "{}"), 417, "expectation_failed");
        // Whether the body will come is not known.
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 2\r\n{fields}\r\n"
        );
        pair.refuses(head, 417, "expectation_failed");
    }
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
