//! What is refused over HTTP/2, from a client library, and in frames made by hand where none would send them.

use http::Method;

use super::{PATH, Pair};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{Raw, exchange, get};

#[tokio::test]
async fn ambiguous_http2_requests_are_refused_and_others_on_the_connection_are_served() {
    let Pair { adobe, gateway, .. } = Pair::new(ROUTES);
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
    for (expects, status) in [("x", 417), ("100-continue, x", 417), ("100-continue", 200)] {
        let fields = [("expect", expects), ("content-type", "a/b")];
        let expecting = request(Method::POST, &format!("{base}{PATH}"), &fields, "{}");
        let before = adobe.heads();
        assert_eq!(
            client.send(expecting).await.unwrap().status,
            status,
            "{expects}"
        );
        assert_eq!(
            adobe.heads() - before,
            usize::from(status == 200),
            "{expects}"
        );
    }
    let expected = adobe.seen().pop().unwrap();
    assert!(expected.values("expect").is_empty() && expected.body == b"{}");
    let many: Vec<_> = (0..101).map(|_| ("x-a", "1")).collect();
    let many = request(Method::GET, &format!("{base}{PATH}"), &many, "");
    assert_eq!(client.send(many).await.unwrap().status, 431);
    let long = format!("{base}{PATH}?{}", "a".repeat(16 * 1024));
    let long = request(Method::GET, &long, &[], "");
    assert_eq!(client.send(long).await.unwrap().status, 414);
    assert_eq!(adobe.heads(), 1);

    let good = request(Method::GET, &format!("{base}{PATH}"), &[], "");
    assert_eq!(client.send(good).await.unwrap().body, PATH);
}

#[test]
fn malformed_http2_requests_never_arrive_whole() {
    let Pair { adobe, gateway, .. } = Pair::new(ROUTES);
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

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    [vec![0x00], text(name), text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}

/// `:method: POST`, `:scheme: http`, by their places in the static table.
const POST_HTTP: [u8; 2] = [0x83, 0x86];
