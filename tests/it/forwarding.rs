//! What arrives at Adobe and what comes back: byte for byte where it is the caller's, rebuilt where it is the connection's.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use profile_gateway::config::Supplied;
use profile_gateway::simulator::{self, Simulator, Tls};

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get, send};
use crate::support::signal::{signal, wait};

/// One route for everything, in a sandbox where everything is permitted.
const ROUTE: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

const PATH: &str = "/data/core/ups/config/mergePolicies";
const JSON: &str = "application/json";

/// Requests as application teams write them: method, target, content type and body.
const SHAPES: &[(&str, &str, &str, &str)] = &[
    (
        "GET",
        "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=ana.lopez@example.org&entityIdNS=email",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=ana+shop%40example.org&entityIdNS=email",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?entityId=ana%20shop%40example.org",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?entityId=crm%2F0042%3Fx%26y",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?entityId=%41%6e%61",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?entityId=%c3%a9t%C3%A9",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?entityId=AbC0/xyz+9==&entityIdNS=ECID",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?mergePolicyId=&fields=&schema.name=_xdm.context.profile",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?fields=person.name,homeAddress.city,_acme.loyalty",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?a=1&a=2&b=3&a=1",
        "",
        "",
    ),
    ("GET", "/data/core/ups/access/entities?", "", ""),
    ("GET", "/data/core/ups/access/entities?&&=&x&=y", "", ""),
    (
        "GET",
        "/data/core/ups/access/entities?orderby=+timestamp",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?orderby=-timestamp&startTime=1763900000000&endTime=1763990000000",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?property=web.webPageDetails.name==Checkout",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?property=order.total!=0&property=city~Ber",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/access/entities?property=order.total%3E%3D10%26x",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/audiences?property=name==%22Spring%20Sale%22&limit=50&start=0",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/audiences?sort=updateTime:desc,name:asc",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/audiences?ids=[a,b]&filter={x:(y)}|z^2",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/audiences?q=100%25&r=a'b*c!d$e;f:g/h?i@j",
        "",
        "",
    ),
    ("GET", "/data/core/ups/audiences/", "", ""),
    (
        "GET",
        "/data/core/ups/audiences/8c1d2a40-77aa-4c1e-9a10-6f6f0f4f2b11",
        "",
        "",
    ),
    ("GET", "/data/core/ups/preview/QUJDOjE6Mg==", "", ""),
    (
        "GET",
        "/data/core/ups/segment/definitions?_next=@/audiences?start=1&limit=20",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ups/export/jobs/?limit=2&offset=1763990000000_17",
        "",
        "",
    ),
    (
        "GET",
        "/data/core/ca/attributes?property=status==PUBLISHED",
        JSON,
        "",
    ),
    ("DELETE", "/data/core/ups/audiences/8c1d2a40", JSON, ""),
    (
        "DELETE",
        "/data/core/ups/access/entities?entityId=a%2Bb",
        "",
        "",
    ),
    (
        "HEAD",
        "/data/core/ups/config/mergePolicies?limit=1",
        "",
        "",
    ),
    ("POST", "/data/core/ups/segment/jobs", "", ""),
    (
        "POST",
        "/data/core/ups/access/entities",
        JSON,
        r#"{"schema":{"name":"_xdm.context.profile"},"identities":[{"entityId":"a+b@example.org","entityIdNS":{"code":"email"}}]}"#,
    ),
    (
        "POST",
        "/data/core/ups/access/entities",
        JSON,
        "{\"broken\": LOW\n \"comma\" missing,, }\r\n\r\n\t",
    ),
    (
        "POST",
        "/data/core/ups/audiences",
        "application/json; charset=UTF-8",
        "[{\"name\":\"\u{e9}t\u{e9}\"},\n{}]",
    ),
    (
        "POST",
        "/data/core/ups/segment/jobs",
        JSON,
        r#"[{"segmentId":"1"},{"segmentId":"2"}]"#,
    ),
    (
        "POST",
        "/data/core/ups/system/jobs",
        "text/plain",
        "dataSetId=5f1e48c740829b",
    ),
    (
        "POST",
        "/data/core/ups/config/destinations",
        "application/vnd.adobe.platform.projectionDestination+json; version=1",
        r#"{"type":"EDGE"}"#,
    ),
    (
        "PUT",
        "/data/core/ups/config/projections/3",
        "application/vnd.adobe.platform.projectionConfig+json; version=1",
        r#"{"currentVersion":2}"#,
    ),
    ("PUT", "/data/core/ups/config/mergePolicies/7", JSON, "{ }"),
    (
        "PATCH",
        "/data/core/ups/config/mergePolicies/7",
        "application/json-patch+json",
        r#"[{"op":"replace","path":"/default","value":true}]"#,
    ),
    (
        "DELETE",
        "/data/core/ups/access/entities",
        JSON,
        r#"{"entityId":"x"}"#,
    ),
    (
        "GET",
        "/data/core/ups/access/entities",
        JSON,
        r#"{"a":"body with GET"}"#,
    ),
];

fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Adobe, Gateway) {
    let adobe = Adobe::start(script);
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    (adobe, gateway)
}

fn assert_arrived(seen: &Seen, shape: &(&str, &str, &str, &str)) {
    let (method, target, content_type, body) = *shape;
    assert_eq!(seen.request_line(), format!("{method} {target} HTTP/1.1"));
    assert_eq!(
        String::from_utf8_lossy(&seen.body),
        body,
        "{method} {target}"
    );
    let named: &[&str] = if content_type.is_empty() {
        &[]
    } else {
        &[content_type]
    };
    assert_eq!(seen.values("content-type"), named, "{method} {target}");
    seen.assert_owned("dev-2");
}

#[test]
fn targets_and_bodies_of_http1_arrive_byte_for_byte() {
    let (adobe, gateway) = start(|_| Act::ok());

    for shape in SHAPES {
        let (method, target, content_type, body) = *shape;
        let named = if content_type.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {content_type}\r\n")
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n{named}");
        let length = if body.is_empty() && method != "POST" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let whole = format!("{head}{length}");
        let mut requests = vec![format!("{whole}\r\n{body}")];
        if !body.is_empty() {
            let (first, second) = body.split_at(1);
            requests.push(format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n{first}\r\n{:X}\r\n{second}\r\n000\r\nx-end: 1\r\n\r\n",
                second.len()
            ));
        }
        for request in requests {
            let mut raw = Raw::connect(gateway.address);
            raw.write(&request);
            let answer = raw.answer(method == "HEAD");
            let answer = answer.unwrap_or_else(|| panic!("no answer to {request}"));

            assert_eq!(answer.status, 200, "{request}: {}", answer.text());
            assert_arrived(&adobe.seen().pop().unwrap(), shape);
        }
    }
}

#[tokio::test]
async fn targets_and_bodies_of_http2_arrive_byte_for_byte() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut client = Client::connect(gateway.address, Speaks::H2).await;

    for shape in SHAPES {
        let (method, target, content_type, body) = *shape;
        let fields = [("content-type", content_type)];
        let fields = if content_type.is_empty() {
            &fields[..0]
        } else {
            &fields[..]
        };
        let target = format!("http://gateway{target}");
        let request = request(method.parse().unwrap(), &target, fields, body);

        let reply = client.send(request).await.unwrap();

        assert_eq!(reply.status, 200, "{method} {target}: {:?}", reply.body);
        assert_arrived(&adobe.seen().pop().unwrap(), shape);
    }
}

#[test]
fn a_payload_needs_a_content_type_unless_the_route_says_otherwise() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - name: strict
    match: { path: '/data/core/ups/strict' }
    sandbox: dev-2
  - name: loose
    match: { path: '/data/core/ups/loose' }
    sandbox: dev-2
    content_type: pass
",
    );
    let post = |path: &str, fields: &str, body: &str| {
        let head = format!("POST /data/core/ups/{path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
        exchange(gateway.address, head)
    };

    for (fields, body) in [
        ("Content-Length: 2\r\n", "{}"),
        ("Content-Type:\r\nContent-Length: 2\r\n", "{}"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let refused = post("strict", fields, body);
        assert_eq!(
            refused.problem(),
            (400, "content_type_required".to_owned()),
            "{fields}"
        );
        assert!(
            adobe
                .seen()
                .iter()
                .all(|seen| !seen.target().contains("strict"))
        );

        assert_eq!(post("loose", fields, body).status, 200, "{fields}");
        assert_eq!(adobe.seen().pop().unwrap().body, b"{}");
    }
    assert_eq!(post("strict", "Content-Length: 0\r\n", "").status, 200);
    assert!(
        adobe
            .seen()
            .pop()
            .unwrap()
            .values("content-type")
            .is_empty()
    );
}

#[test]
fn a_body_of_unknown_length_that_turns_out_empty_is_none() {
    let (adobe, gateway) = start(|_| Act::ok());

    for (method, lengths) in [("GET", &[][..]), ("DELETE", &["0"]), ("POST", &["0"])] {
        let head =
            format!("{method} {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = exchange(gateway.address, format!("{head}0\r\nx-end: 1\r\n\r\n"));

        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        let seen = adobe.seen().pop().unwrap();
        assert!(seen.values("transfer-encoding").is_empty(), "{}", seen.head);
        let sent = seen.values("content-length");
        assert!(sent.is_empty() || sent == lengths, "{}", seen.head);
    }
}

#[test]
fn fields_of_the_connection_end_at_it_and_all_others_pass() {
    let (adobe, gateway) = start(|_| {
        Act::Answer(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
              Proxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTrailer: x-end\r\n\
              X-Request-Id: theirs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: W/\"1\"\r\nX-Empty:\r\n\
              X-Odd: \xe9 \"q\", ,\r\nServer: adobe\r\nContent-Length: 2\r\n\r\n{}"
                .to_vec(),
        )
    });

    let mut raw = Raw::connect(gateway.address);
    raw.write(
        b"GET /data/core/ups/x HTTP/1.1\r\nHost: a\r\nConnection: x-hop, ,X-Other\r\nConnection: te\r\n\
          X-Hop: 1\r\nx-other: 1\r\nTE: trailers\r\nTrailer: x\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n\
          Proxy-Authorization: Basic x\r\nUpgrade: x\r\nHTTP2-Settings: x\r\nExpect: 100-continue\r\n\
          Accept: */*\r\nAccept: text/x\r\nAccept-Encoding: br;q=1.0, gzip\r\nCookie: a=1; b=2\r\n\
          X-Empty:\r\nX-Odd: \xe9 \"q\", ,\r\nIf-None-Match: \"1\"\r\nRange: bytes=0-1\r\nX-Request-Id: ours\r\n\
          X-Profile-Instance-Id: ups\r\nUser-Agent: shop/1\r\nVia: 1.0 edge\r\nX-Forwarded-For: 10.0.0.1\r\n\
          Forwarded: for=10.0.0.1\r\n\r\n",
    );
    let answer = raw.answer(false).unwrap();

    let seen = adobe
        .seen()
        .pop()
        .unwrap_or_else(|| panic!("{}", answer.text()));
    for name in [
        "connection",
        "x-hop",
        "x-other",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
        "expect",
        "content-length",
        "transfer-encoding",
    ] {
        assert!(seen.values(name).is_empty(), "{name} in {}", seen.head);
    }
    for (name, values) in [
        ("accept", &["*/*", "text/x"][..]),
        ("accept-encoding", &["br;q=1.0, gzip"]),
        ("cookie", &["a=1; b=2"]),
        ("x-empty", &[""]),
        ("if-none-match", &["\"1\""]),
        ("range", &["bytes=0-1"]),
        ("x-request-id", &["ours"]),
        ("x-profile-instance-id", &["ups"]),
        ("user-agent", &["shop/1"]),
        ("via", &["1.0 edge", "1.1 profile-gateway"]),
        ("x-odd", &["\u{e9} \"q\", ,"]),
    ] {
        assert_eq!(seen.values(name), values, "{name} in {}", seen.head);
    }
    for name in [
        "x-hop",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "upgrade",
        "trailer",
        "connection",
    ] {
        assert!(answer.values(name).is_empty(), "{name} in {}", answer.head);
    }
    for (name, values) in [
        ("set-cookie", &["a=1", "b=2"][..]),
        ("etag", &["W/\"1\""]),
        ("x-empty", &[""]),
        ("x-odd", &["\u{e9} \"q\", ,"]),
        ("server", &["adobe"]),
        ("content-length", &["2"]),
    ] {
        assert_eq!(answer.values(name), values, "{name} in {}", answer.head);
    }
}

#[test]
fn cookies_split_by_http2_arrive_as_one() {
    let (adobe, gateway) = start(|_| Act::ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    runtime.block_on(async {
        let mut client = Client::connect(gateway.address, Speaks::H2).await;
        let fields = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")];
        let request = request(Method::GET, &format!("http://a{PATH}"), &fields, "");
        assert_eq!(client.send(request).await.unwrap().status, 200);
    });

    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);
    assert_eq!(seen.values("via"), ["2.0 profile-gateway"]);
    assert!(seen.values("te").is_empty());
}

/// Answers by the number in the target's query.
fn by_number(answers: &'static [&'static [u8]]) -> impl Fn(&Seen) -> Act + Send + Sync {
    move |seen| match number(seen).and_then(|number| answers.get(number)) {
        Some(answer) => Act::Answer(answer.to_vec()),
        None => Act::echo(seen),
    }
}

fn number(seen: &Seen) -> Option<usize> {
    seen.target().split_once("?answer=")?.1.parse().ok()
}

fn numbered(number: usize) -> String {
    format!("{PATH}?answer={number}")
}

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
    let (adobe, gateway) = start(by_number(ANSWERS));
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
fn answers_of_http10_and_answers_without_length_are_passed_on() {
    let (_adobe, gateway) = start(|seen| {
        Act::AnswerAndClose(match number(seen) {
            Some(0) => b"HTTP/1.0 200 OK\r\n\r\nold".to_vec(),
            Some(1) => b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".to_vec(),
            Some(2) => b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"
                .to_vec(),
            _ => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nold".to_vec(),
        })
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

#[test]
fn a_caller_who_waits_for_100_continue_gets_it() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(raw.next_head().unwrap().status, 100);
    raw.write("hello");

    assert_eq!(raw.answer(false).unwrap().status, 200);
    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.body, b"hello");
    assert!(seen.values("expect").is_empty());
}

#[test]
fn a_caller_who_waits_for_100_continue_and_is_refused_sends_nothing() {
    let (adobe, gateway) = start(|_| Act::ok());
    let mut raw = Raw::connect(gateway.address);

    raw.write(
        "POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );

    assert_eq!(raw.next_head().unwrap().status, 404);
    assert_eq!(adobe.heads(), 0);
}

#[test]
fn the_first_piece_of_an_answer_comes_before_the_second_is_sent() {
    for (head, pieces) in [
        (
            "Transfer-Encoding: chunked\r\n",
            ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"],
        ),
        ("Content-Length: 6\r\n", ["one", "two"]),
    ] {
        let (go, came) = signal::<()>();
        let (_adobe, gateway) = start(move |_| {
            let came = Arc::clone(&came);
            Act::play(move |wire| {
                wire.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n{}", pieces[0]));
                wait(&came);
                wire.write(pieces[1]);
                wire.wait_for_end();
            })
        });
        let mut raw = Raw::connect(gateway.address);

        raw.write(get(PATH, ""));
        assert!(raw.read_until(b"one"));
        go.send(()).unwrap();

        assert_eq!(raw.answer(false).unwrap().text(), "onetwo");
    }
}

#[test]
fn the_first_piece_of_a_body_arrives_before_the_second_is_sent() {
    for (framing, pieces) in [
        (
            "Transfer-Encoding: chunked\r\n",
            ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"],
        ),
        ("Content-Length: 6\r\n", ["one", "two"]),
    ] {
        let (arrived, first) = signal();
        let adobe = Adobe::at_heads(move |_| {
            let arrived = arrived.clone();
            Some(Act::play(move |wire| {
                arrived.send(wire.read_until(b"one")).unwrap();
                let whole = wire.read_until(b"two");
                wire.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{whole:<5}"
                ));
                wire.wait_for_end();
            }))
        });
        let gateway = Gateway::start(&adobe.url(), ROUTE);
        let mut raw = Raw::connect(gateway.address);

        raw.write(format!(
            "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n{framing}\r\n{}",
            pieces[0]
        ));
        assert!(wait(&first));
        raw.write(pieces[1]);

        assert_eq!(raw.answer(false).unwrap().text(), "true ");
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_caller() {
    let adobe = Adobe::at_heads(|seen| match seen.target() {
        "/data/core/ups/early" => Some(Act::play(|wire| {
            wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\n{}");
            wire.wait_for_end();
        })),
        "/data/core/ups/reset" => Some(Act::Reset),
        _ => None,
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let content_type = "Content-Type: a/b\r\n";

    for _ in 0..20 {
        for (path, fields, status) in [
            ("/data/core/ups/early", content_type, 413),
            ("/data/core/ups/reset", content_type, 502),
            ("/data/core/ups/x", "", 400),
            ("/data/core/../x", content_type, 400),
            ("/elsewhere", content_type, 404),
        ] {
            for (method, framing, part) in [
                ("POST", "Content-Length: 600000\r\n", "begun"),
                ("POST", "Transfer-Encoding: chunked\r\n", "5\r\nbegun\r\n"),
                (
                    "GET",
                    "Transfer-Encoding: chunked\r\n",
                    "5\r\nbegun\r\n1000\r\nx",
                ),
            ] {
                let mut raw = Raw::connect(gateway.address);
                raw.write(format!(
                    "{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}{framing}\r\n{part}"
                ));

                let answer = raw.answer(false);

                let answer =
                    answer.unwrap_or_else(|| panic!("no answer to {method} {path} {framing}"));
                assert_eq!(answer.status, status, "{path} {framing}");
                assert!(answer.complete);
            }
        }
    }
    assert!(adobe.seen().is_empty());
    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
}

#[tokio::test]
async fn trailers_of_an_answer_reach_callers_of_http2() {
    let (_adobe, gateway) = start(|_| {
        Act::Answer(
            b"HTTP/1.1 200 OK\r\nTrailer: x-end\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-End: 1\r\n\r\n"
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
    assert_eq!(trailers.unwrap()["x-end"], "1");
    assert_eq!(collected.to_bytes(), "{}");
    // Over HTTP/1.1 they are left out, as nobody asked for them, and the body still ends well.
    let plain = exchange(gateway.address, get(PATH, ""));
    assert!(plain.complete);
    assert_eq!(plain.text(), "{}");
}

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
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{}' }}\nupstream: {{ url: 'http://{closed}' }}\n{ROUTE}",
        adobe.url()
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
            if seen.target().contains("fail") {
                act.clone()
            } else {
                Act::echo(seen)
            }
        });
        // Once over a fresh connection, once over one that has been used.
        for reused in [false, true] {
            for (method, body) in [("GET", ""), ("POST", "{}"), ("PUT", "{}"), ("DELETE", "")] {
                if reused {
                    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
                }
                let before = adobe.heads();

                let answer = exchange(
                    gateway.address,
                    send(method, "/data/core/ups/fail", "", body),
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
    let adobe = Adobe::start(move |_| {
        let ended = ended.clone();
        Act::play(move |wire| {
            wire.wait_for_end();
            ended.send(()).unwrap();
        })
    });
    let gateway = Gateway::start(&adobe.url(), &format!("{ROUTE}    timeout: 200ms\n"));

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
fn a_connection_closed_while_idle_costs_the_caller_nothing() {
    let (closed, close) = signal();
    let (adobe, gateway) = start(move |seen| {
        let (target, closed) = (seen.target().to_owned(), closed.clone());
        Act::play(move |wire| {
            let length = target.len();
            wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"
            ));
            wire.close();
            closed.send(()).unwrap();
        })
    });
    let mut raw = Raw::connect(gateway.address);

    for index in 0..50 {
        let target = format!("{PATH}?{index}");
        raw.write(send("POST", &target, "", "{}"));
        let answer = raw.answer(false).unwrap();

        assert_eq!((answer.status, answer.text()), (200, target));
        wait(&close);
    }
    assert_eq!(adobe.heads(), 50);
}

#[test]
fn bytes_after_an_answer_do_not_become_the_next_one() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}x",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));
    let mut raw = Raw::connect(gateway.address);

    for (index, answer) in ANSWERS.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
        for method in ["GET", "HEAD"] {
            raw.write(get(&numbered(index), "").replacen("GET", method, 1));
            let first = raw.answer(method == "HEAD").unwrap();
            raw.write(get(PATH, ""));
            let next = raw.answer(false).unwrap();

            assert!([status, 502].contains(&first.status), "{text}");
            assert_eq!(
                (next.status, next.text().as_str()),
                (200, PATH),
                "{method} {text}"
            );
            let seen = adobe.seen();
            let [.., poisoned, clean] = &seen[..] else {
                panic!("two requests arrived")
            };
            assert_ne!(poisoned.connection, clean.connection, "{method} {text}");
        }
    }
}

#[test]
fn bytes_on_an_idle_connection_do_not_become_the_next_answer() {
    let (poison, poisoned) = signal::<()>();
    let (done, written) = signal();
    let (_adobe, gateway) = start(move |seen| {
        if !seen.target().contains("poison") {
            return Act::echo(seen);
        }
        let (poisoned, done) = (Arc::clone(&poisoned), done.clone());
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            wait(&poisoned);
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            done.send(()).unwrap();
            wire.wait_for_end();
        })
    });
    let mut raw = Raw::connect(gateway.address);

    for _ in 0..50 {
        raw.write(get("/data/core/ups/poison", ""));
        assert_eq!(raw.answer(false).unwrap().text(), "{}");
        poison.send(()).unwrap();
        wait(&written);
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().text(), PATH);
    }
}

#[test]
fn connections_are_used_again_after_answers_of_every_kind() {
    const ANSWERS: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    ];
    let (adobe, gateway) = start(by_number(ANSWERS));
    let mut raw = Raw::connect(gateway.address);

    for _ in 0..5 {
        for index in 0..ANSWERS.len() {
            raw.write(send("POST", &numbered(index), "", "{}"));
            raw.answer(false).unwrap();
        }
    }

    let seen = adobe.seen();
    let connections: std::collections::BTreeSet<_> =
        seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(seen.len(), 30);
    // An answer may reach the caller a moment before its connection is free again.
    assert!(connections.len() <= 4, "{connections:?}");
}

#[test]
fn a_caller_who_leaves_takes_the_upstream_connection_along() {
    let (ended, end) = signal();
    let (arrived, arrival) = signal();
    let (_adobe, gateway) = start(move |seen| {
        let (before_head, ended) = (seen.target().contains("head"), ended.clone());
        let arrived = arrived.clone();
        Act::play(move |wire| {
            if !before_head {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello");
            }
            arrived.send(()).unwrap();
            wire.wait_for_end();
            ended.send(()).unwrap();
        })
    });

    let mut raw = Raw::connect(gateway.address);
    raw.write(get(PATH, ""));
    wait(&arrival);
    assert!(raw.read_until(b"hello"));
    drop(raw);
    wait(&end);

    let mut raw = Raw::connect(gateway.address);
    raw.write(get("/data/core/ups/head", ""));
    wait(&arrival);
    drop(raw);
    wait(&end);
}

/// A simulator over TLS and a gateway before it, which trusts it or does not.
async fn over_tls(address: &str, trusted: bool, upstream: &str) -> (Simulator, Gateway, Adobe) {
    let simulator = Simulator::start(simulator::Settings {
        address: address.parse().unwrap(),
        tls: Some(Tls::default()),
        lenient: true,
        ..simulator::Settings::default()
    })
    .await
    .unwrap();
    let certificate = simulator.certificate_pem().unwrap();
    let files = Supplied::default().with_file("/ca.pem", certificate);
    let url = simulator.url();
    let trust = if trusted { ", ca_file: /ca.pem" } else { "" };
    // Where the platform is not to be trusted the token has to come from elsewhere.
    let adobe = Adobe::willing();
    let ims = if address.starts_with("127.0.0.1") && trusted {
        format!("ims: {{ url: '{url}'{trust} }}")
    } else {
        format!("ims: {{ url: '{}' }}", adobe.url())
    };
    let more = format!("{ims}\nupstream: {{ url: '{url}'{trust}{upstream} }}\n{ROUTE}");
    let gateway = Gateway::with_files(&more, &files);
    (simulator, gateway, adobe)
}

#[tokio::test]
async fn the_upstream_is_reached_over_tls_with_http1_and_with_http2() {
    for (upstream, version) in [
        ("", http::Version::HTTP_11),
        (", http2: true", http::Version::HTTP_2),
    ] {
        let (simulator, gateway, _adobe) = over_tls("127.0.0.1:0", true, upstream).await;
        for speaks in [Speaks::H1, Speaks::H2] {
            let mut client = Client::connect(gateway.address, speaks).await;
            let mut count = 0;
            for shape in SHAPES {
                let (method, target, content_type, body) = *shape;
                if method == "GET" && !body.is_empty() {
                    continue;
                }
                let fields = [("content-type", content_type), ("host", "gateway")];
                let fields = if content_type.is_empty() {
                    &fields[1..]
                } else {
                    &fields[..]
                };
                let target = if speaks == Speaks::H2 {
                    format!("http://gateway{target}")
                } else {
                    target.to_owned()
                };
                simulator.control().forget_requests();

                let reply = client
                    .send(request(method.parse().unwrap(), &target, fields, body))
                    .await
                    .unwrap();

                let seen = simulator.control().requests();
                let seen: Vec<_> = seen
                    .iter()
                    .filter(|seen| seen.operation != "ims.token")
                    .collect();
                let [seen] = &seen[..] else {
                    panic!("{method} {target}: {seen:?} {reply:?}")
                };
                count += 1;
                assert_eq!(seen.version, version);
                assert_eq!(
                    (seen.method.as_str(), seen.target.as_str()),
                    (method, shape.1)
                );
                assert_eq!(seen.body, Bytes::from(body), "{target}");
                assert_eq!(seen.values("x-sandbox-name"), ["dev-2"]);
                assert_eq!(seen.values("authorization").len(), 1);
                assert!(seen.remarks.is_empty(), "{:?}", seen.remarks);
                for name in ["connection", "te", "transfer-encoding"] {
                    let own = name == "transfer-encoding" && version == http::Version::HTTP_11;
                    assert!(own || seen.values(name).is_empty(), "{name}");
                }
                let hosts = seen.values("host");
                assert!(hosts.len() <= 1 && !hosts.contains(&"gateway"), "{hosts:?}");
            }
            assert!(count > 35);
        }
    }
}

#[tokio::test]
async fn an_upstream_with_a_wrong_certificate_gets_no_request() {
    for (address, trusted) in [("127.0.0.1:0", false), ("127.0.0.2:0", true)] {
        for upstream in ["", ", http2: true"] {
            let (simulator, gateway, _adobe) = over_tls(address, trusted, upstream).await;
            let mut client = Client::connect(gateway.address, Speaks::H1).await;

            let reply = client
                .send(request(Method::GET, PATH, &[("host", "a")], ""))
                .await
                .unwrap();

            assert_eq!(reply.status, 502);
            assert_eq!(reply.json()["reason"], "upstream_tls", "{address}");
            assert!(simulator.control().requests().is_empty());
        }
    }
}
