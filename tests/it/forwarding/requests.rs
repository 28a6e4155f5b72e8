//! That targets and bodies arrive as they were sent.

use super::shapes::SHAPES;
use super::{PATH, start};
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange};

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
