//! Which header fields pass, in both directions, and which end with the connection.

use std::collections::BTreeSet;

use http::Method;

use super::{PATH, ROUTE, start};
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};

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
          Forwarded: for=10.0.0.1\r\nMax-Forwards: 0\r\n\r\n",
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
        "x-forwarded-for",
        "forwarded",
    ] {
        assert!(seen.values(name).is_empty(), "{name} in {}", seen.head);
    }
    for (name, values) in [
        ("accept", &["*/*", "text/x"][..]),
        ("accept-encoding", &["br;q=1.0, gzip"]),
        ("cookie", &["a=1; b=2"]),
        ("x-empty", &[""]),
        ("if-none-match", &["\"1\""]),
        // It is about TRACE and OPTIONS alone.
        ("max-forwards", &["0"]),
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
fn where_a_request_came_from_is_passed_on_only_by_setting() {
    let fields = "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nX-Forwarded-For: 10.0.0.3\r\nx-forwarded-host: shop\r\n\
                  X_Forwarded_Proto: https\r\nX-Forwarded-Client-Cert: By=x\r\nForwarded: for=10.0.0.1;by=\"[::1]\"\r\n\
                  X-Real-IP: 10.0.0.1\r\nTrue-Client-IP: 10.0.0.1\r\n";
    let names = fields
        .split("\r\n")
        .filter_map(|line| Some(line.split_once(':')?.0));
    let names: BTreeSet<_> = names.map(str::to_lowercase).collect();

    for (setting, passed) in [
        ("", false),
        (", forwarded: drop", false),
        (", forwarded: pass", true),
    ] {
        let adobe = Adobe::willing();
        let url = adobe.url();
        let gateway = Gateway::with(&format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}'{setting} }}\n{ROUTE}"
        ));

        assert_eq!(exchange(gateway.address, get(PATH, fields)).status, 200);

        let seen = adobe.seen().pop().unwrap();
        let told = seen.fields().map(|(name, _)| name.to_lowercase());
        let told: BTreeSet<_> = told.filter(|name| names.contains(name)).collect();
        let wanted = if passed {
            names.clone()
        } else {
            BTreeSet::new()
        };
        assert_eq!(told, wanted, "{setting}");
        if passed {
            let values = ["10.0.0.1, 10.0.0.2", "10.0.0.3"];
            assert_eq!(seen.values("x-forwarded-for"), values);
        }
    }
}

#[test]
fn a_request_that_goes_round_in_circles_is_stopped() {
    let (adobe, gateway) = start(|_| Act::ok());
    let hop = "Via: 1.1 profile-gateway\r\n";

    let fourth = exchange(gateway.address, get(PATH, &hop.repeat(4)));
    assert_eq!(fourth.status, 200);
    assert_eq!(adobe.seen().pop().unwrap().values("via").len(), 5);
    let sixth = exchange(gateway.address, get(PATH, &hop.repeat(5)));
    assert_eq!(sixth.problem(), (508, "loop_detected".to_owned()));
    assert_eq!(adobe.heads(), 1);
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
