//! That who follows an answer's references to the upstream comes back to the gateway.

use http::Method;

use super::ROUTE;
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};

const TARGET: &str = "/data/core/ups/export/jobs";

/// An upstream whose answers refer to itself and to others in every field and in the body.
fn referring() -> Adobe {
    Adobe::start(|seen| {
        let own = seen.values("host")[0];
        let body =
            format!("{{\"_links\":{{\"next\":{{\"href\":\"http://{own}{TARGET}?start=1\"}}}}}}");
        let length = body.len();
        Act::Answer(
            format!(
                "HTTP/1.1 201 Created\r\nLocation: http://{own}{TARGET}/1?x#y\r\nContent-Location: //{own}{TARGET}/1\r\n\
                 Link: <http://{own}{TARGET}?a=1,2>; rel=\"next, <x>\", </first>;rel=first\r\n\
                 Link: <https://{own}/x>;rel=other, <http://other.example/x>\r\nX-Location: http://{own}/x\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    })
}

fn gateway(adobe: &Adobe, setting: &str) -> Gateway {
    let url = adobe.url();
    Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}'{setting} }}\n{ROUTE}"
    ))
}

/// The values of the four fields, and the body, where references to the upstream lead to `base`.
fn expected(own: &str, base: &str) -> [String; 5] {
    let network = if base.ends_with(own) {
        format!("//{own}")
    } else {
        base.to_owned()
    };
    [
        format!("{base}{TARGET}/1?x#y"),
        format!("{network}{TARGET}/1"),
        format!(
            "<{base}{TARGET}?a=1,2>; rel=\"next, <x>\", </first>;rel=first|<https://{own}/x>;rel=other, <http://other.example/x>"
        ),
        format!("http://{own}/x"),
        format!("{{\"_links\":{{\"next\":{{\"href\":\"http://{own}{TARGET}?start=1\"}}}}}}"),
    ]
}

#[test]
fn references_to_the_upstream_lead_to_the_gateway_as_the_caller_addressed_it() {
    let adobe = referring();
    let gateway = gateway(&adobe, "");
    let own = adobe.address().to_string();
    let local = gateway.address;

    for (line, host, base) in [
        (TARGET.to_owned(), "Host: gateway\r\n", "http://gateway"),
        (
            TARGET.to_owned(),
            "Host: Gateway.internal:8080\r\n",
            "http://Gateway.internal:8080",
        ),
        (TARGET.to_owned(), "Host: [::1]:80\r\n", "http://[::1]:80"),
        (
            format!("http://{local}{TARGET}"),
            &format!("Host: {local}\r\n"),
            &format!("http://{local}"),
        ),
    ] {
        let answer = exchange(local, format!("GET {line} HTTP/1.1\r\n{host}\r\n"));

        let told = ["location", "content-location", "link", "x-location"]
            .map(|name| answer.values(name).join("|"));
        let [location, content_location, link, other, body] = expected(&own, base);
        assert_eq!(told, [location, content_location, link, other], "{host}");
        assert_eq!(answer.text(), body, "{host}");
    }
    // Whoever names no host gets paths.
    let mut raw = Raw::connect(local);
    raw.write(format!("GET {TARGET} HTTP/1.0\r\n\r\n"));
    let answer = raw.answer(false).unwrap();
    assert_eq!(answer.values("location"), [format!("{TARGET}/1?x#y")]);
    assert_eq!(
        answer.values("link")[0],
        format!("<{TARGET}?a=1,2>; rel=\"next, <x>\", </first>;rel=first")
    );
}

#[tokio::test]
async fn callers_of_http2_get_references_to_their_authority() {
    let adobe = referring();
    let gateway = gateway(&adobe, "");
    let own = adobe.address().to_string();
    let mut client = Client::connect(gateway.address, Speaks::H2).await;

    for fields in [&[][..], &[("host", "gateway:81")]] {
        let target = format!("http://gateway:81{TARGET}");
        let reply = client
            .send(request(Method::GET, &target, fields, ""))
            .await
            .unwrap();

        let told = ["location", "content-location", "link", "x-location"].map(|name| {
            let values = reply.headers.get_all(name).iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
            values.join("|")
        });
        let [location, content_location, link, other, body] = expected(&own, "http://gateway:81");
        assert_eq!(told, [location, content_location, link, other]);
        assert_eq!(reply.body, body);
    }
}

#[tokio::test]
async fn behind_what_ends_tls_references_lead_to_the_url_that_the_listener_is_given() {
    let adobe = referring();
    let (url, own) = (adobe.url(), adobe.address().to_string());
    let gateway = Gateway::with(&format!(
        "listeners: [{{ address: '127.0.0.1:0', public_url: 'https://profile.internal.example/' }}]\n\
         ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{ROUTE}"
    ));
    let [location, content_location, link, other, _] =
        expected(&own, "https://profile.internal.example");
    let expected = [location, content_location, link, other];
    let names = ["location", "content-location", "link", "x-location"];

    // Whatever the caller says, or says nothing.
    for lines in [
        "HTTP/1.1\r\nHost: gateway:8080\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: other.example\r\n",
        "HTTP/1.0\r\n",
    ] {
        let mut raw = Raw::connect(gateway.address);
        raw.write(format!("GET {TARGET} {lines}\r\n"));
        let answer = raw.answer(false).unwrap();
        let told = names.map(|name| answer.values(name).join("|"));
        assert_eq!(told, expected, "{lines}");
    }
    let mut client = Client::connect(gateway.address, Speaks::H2).await;
    let target = format!("http://gateway:81{TARGET}");
    let reply = client
        .send(request(Method::GET, &target, &[], ""))
        .await
        .unwrap();
    assert_eq!(reply.headers["location"], expected[0]);
}

#[test]
fn references_are_left_as_they_are_by_setting() {
    let adobe = referring();
    let own = adobe.address().to_string();
    let gateway = gateway(&adobe, ", rewrite_links: false");

    let answer = exchange(gateway.address, get(TARGET, ""));

    let [location, content_location, link, ..] = expected(&own, &format!("http://{own}"));
    assert_eq!(answer.values("location"), [location]);
    assert_eq!(answer.values("content-location"), [content_location]);
    assert_eq!(answer.values("link").join("|"), link);
}
