//! What is bounded: quotas, requests in flight, and the bytes held for a side that does not take them.

use std::net::TcpStream;
use std::sync::Arc;

use http::Method;

use crate::support::adobe::{Act, Adobe, Seen, pour};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{Answer, Raw, exchange, get};
use crate::support::signal::{signal, wait};

const ROUTE: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

const PATH: &str = "/data/core/ups/config/mergePolicies";

/// A gateway with one credential of this quota, as the scripted Adobe knows it.
fn with_quota(adobe: &Adobe, quota: &str, routes: &str) -> Gateway {
    let url = adobe.url();
    Gateway::bare(&format!(
        "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
    quota: {quota}
{routes}"
    ))
}

fn assert_quota(answer: &Answer, name: &str, requests: u32, seconds: u32) {
    assert_eq!(answer.problem(), (429, "quota".to_owned()));
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=seconds).contains(&wait), "{}", answer.head);
    let policy = format!("\"{name}\";q={requests};w={seconds}");
    assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()));
    let state = format!("\"{name}\";r=0;t={wait}");
    assert_eq!(answer.header("ratelimit"), Some(state.as_str()));
    assert!(answer.text().contains(name), "{}", answer.text());
}

#[test]
fn a_spent_quota_of_a_route_is_429_with_when_to_come_back() {
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - name: scarce
    match: { path: /data/core/ups/scarce }
    sandbox: dev-2
    limits: [{ rate: 6/h, burst: 3 }, { rate: 1000/s }]
  - name: rest
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
",
    );

    for _ in 0..3 {
        assert_eq!(
            exchange(gateway.address, get("/data/core/ups/scarce", "")).status,
            200
        );
    }
    for _ in 0..3 {
        let refused = exchange(gateway.address, get("/data/core/ups/scarce", ""));

        assert_quota(&refused, "route scarce", 6, 3600);
        assert_eq!(refused.header("retry-after"), Some("600"));
    }
    assert_eq!(adobe.heads(), 3);
    // Other routes are not concerned.
    assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
}

#[test]
fn the_quota_of_a_credential_is_shared_by_its_routes_and_connections() {
    let adobe = Adobe::echoing();
    let gateway = with_quota(
        &adobe,
        "50/h",
        "
routes:
  - name: one
    match: { path: '/data/core/ups/one' }
    sandbox: dev-2
  - name: two
    match: { path: '/data/core/ups/two' }
    sandbox: dev-2
",
    );

    // A tenth of a ceiling may come at once.
    let statuses: Vec<_> = (0..8)
        .map(|index| {
            let path = if index % 2 == 0 { "one" } else { "two" };
            exchange(gateway.address, get(&format!("/data/core/ups/{path}"), "")).status
        })
        .collect();

    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(adobe.heads(), 5);
    assert_eq!(adobe.token_calls().len(), 1);
    for path in ["one", "two"] {
        let refused = exchange(gateway.address, get(&format!("/data/core/ups/{path}"), ""));
        assert_quota(&refused, "credential demo", 50, 3600);
    }
}

#[test]
fn what_is_not_permitted_or_not_well_formed_costs_no_quota() {
    let adobe = Adobe::echoing();
    let gateway = with_quota(
        &adobe,
        "1/h",
        "
routes:
  - name: reads
    match: { path: '/data/core/{*rest}' }
    sandbox: prod
",
    );

    for (refused, status) in [
        (get("/data/core/ups/../x", ""), 400),
        (get("/elsewhere", ""), 404),
        (get(PATH, "").replacen("GET", "DELETE", 1), 403),
        (get(PATH, "Host: b\r\n"), 400),
    ] {
        assert_eq!(exchange(gateway.address, refused).status, status);
    }

    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 429);
}

/// A gateway that takes two requests in flight, before an Adobe that begins answers and ends them when told to.
fn with_two_places(finish: impl Fn() + Send + Sync + 'static) -> (Adobe, Gateway) {
    let finish = Arc::new(finish);
    let adobe = Adobe::start(move |seen: &Seen| {
        if !seen.target().contains("slow") {
            return Act::echo(seen);
        }
        let finish = Arc::clone(&finish);
        Act::play(move |wire| {
            wire.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\none");
            finish();
            wire.write("two");
        })
    });
    let gateway = Gateway::start(&adobe.url(), &format!("in_flight: 2\n{ROUTE}"));
    (adobe, gateway)
}

fn begin_slow(gateway: &Gateway) -> Raw {
    let mut raw = Raw::connect(gateway.address);
    raw.write(get("/data/core/ups/slow", ""));
    assert!(raw.read_until(b"one"));
    raw
}

/// Tries until a request is served; that it ever is, is the point.
fn is_served_in_the_end(gateway: &Gateway) -> bool {
    (0..20_000).any(|_| exchange(gateway.address, get(PATH, "")).status == 200)
}

#[test]
fn requests_over_the_bound_are_refused_until_an_answer_ends() {
    let (go, came) = signal::<()>();
    let (adobe, gateway) = with_two_places(move || wait(&came));
    let mut first = begin_slow(&gateway);
    let mut second = begin_slow(&gateway);

    for _ in 0..3 {
        let refused = exchange(gateway.address, get(PATH, ""));
        assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(adobe.heads(), 2);
    go.send(()).unwrap();
    go.send(()).unwrap();
    for slow in [&mut first, &mut second] {
        assert_eq!(slow.answer(false).unwrap().text(), "onetwo");
    }

    assert!(is_served_in_the_end(&gateway));
}

#[test]
fn a_caller_who_leaves_gives_its_place_back() {
    let (go, came) = signal::<()>();
    let (_adobe, gateway) = with_two_places(move || wait(&came));
    let first = begin_slow(&gateway);
    let _second = begin_slow(&gateway);
    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 503);

    drop(first);

    assert!(is_served_in_the_end(&gateway));
    go.send(()).unwrap();
    go.send(()).unwrap();
}

#[test]
fn an_answer_under_way_ends_well_when_the_gateway_drains() {
    let (go, came) = signal::<()>();
    let (_adobe, gateway) = with_two_places(move || wait(&came));
    let mut slow = begin_slow(&gateway);

    gateway.drain();
    go.send(()).unwrap();

    assert_eq!(slow.answer(false).unwrap().text(), "onetwo");
    assert!(slow.is_closed());
    gateway.stop();
}

#[test]
fn what_had_connected_when_the_drain_begins_is_served() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut callers: Vec<_> = (0..40).map(|_| Raw::connect(gateway.address)).collect();
    for caller in &mut callers {
        caller.write(get("/data/core/ups/x", ""));
    }

    gateway.drain();

    for caller in &mut callers {
        assert_eq!(caller.answer(false).expect("an answer").status, 200);
        assert!(caller.is_closed());
    }
    gateway.stop();
}

#[test]
fn refused_requests_give_their_place_back() {
    let (_adobe, gateway) = with_two_places(|| {});

    for _ in 0..5 {
        assert_eq!(exchange(gateway.address, get("/elsewhere", "")).status, 404);
        assert_eq!(
            exchange(gateway.address, get("/data/core/../x", "")).status,
            400
        );
    }

    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
}

/// What is poured in, and the most of it that may be gone when nobody takes it. Between them lie the buffers of
/// four sockets, whose size is the kernel's to choose, and the gateway's own, which are below a megabyte.
const POURED: usize = 512 << 20;
const HELD: usize = 64 << 20;

fn reads_little(stream: &TcpStream) {
    socket2::SockRef::from(stream)
        .set_recv_buffer_size(16 * 1024)
        .unwrap();
}

fn pouring() -> (
    Adobe,
    Arc<std::sync::Mutex<std::sync::mpsc::Receiver<usize>>>,
) {
    let (count, poured) = signal();
    let adobe = Adobe::start(move |_| {
        let count = count.clone();
        Act::play(move |wire| {
            wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {POURED}\r\n\r\n"
            ));
            count.send(wire.pour(POURED)).unwrap();
        })
    });
    (adobe, poured)
}

#[test]
fn an_answer_that_nobody_reads_is_held_back() {
    let (adobe, poured) = pouring();
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut raw = Raw::connect(gateway.address);
    reads_little(raw.socket());

    raw.write(get(PATH, ""));
    assert_eq!(raw.next_head().unwrap().status, 200);

    let poured = wait(&poured);
    assert!(poured < HELD, "{poured} bytes were taken");
    drop(raw);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_held_back_over_http2() {
    let (adobe, poured) = pouring();
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut client = Client::connect(gateway.address, Speaks::H2).await;

    let answer = client
        .begin(request(Method::GET, &format!("http://a{PATH}"), &[], ""))
        .await
        .unwrap();

    let poured = wait(&poured);
    assert!(poured < HELD, "{poured} bytes were taken");
    drop(answer);
}

#[test]
fn a_body_that_the_upstream_does_not_read_is_held_back() {
    let (go, came) = signal::<()>();
    let adobe = Adobe::at_heads(move |_| {
        let came = Arc::clone(&came);
        Some(Act::play(move |_| wait(&came)))
    });
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', request_body: 1GiB }}\n{ROUTE}"
    ));
    let mut raw = Raw::connect(gateway.address);

    raw.write(format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: {POURED}\r\n\r\n"
    ));
    let poured = pour(raw.socket(), POURED);

    assert!(poured < HELD, "{poured} bytes were taken");
    go.send(()).unwrap();
}

#[tokio::test]
async fn fifty_megabytes_stream_to_callers_of_both_protocols() {
    const BYTES: usize = 50 << 20;
    let adobe = Adobe::start(|seen| {
        let chunked = seen.target().ends_with("chunked");
        Act::play(move |wire| {
            if !chunked {
                wire.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n"
                ));
                wire.pour(BYTES);
                return;
            }
            wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..50 {
                wire.write("100000\r\n");
                wire.pour(1 << 20);
                wire.write("\r\n");
            }
            wire.write("0\r\n\r\n");
        })
    });
    let gateway = Gateway::start(&adobe.url(), ROUTE);

    for target in ["/data/core/ups/length", "/data/core/ups/chunked"] {
        let h1 = exchange(gateway.address, get(target, ""));
        assert!(h1.complete, "{target}");
        assert_eq!(h1.body.len(), BYTES, "{target}");

        let mut client = Client::connect(gateway.address, Speaks::H2).await;
        let target = format!("http://a{target}");
        let h2 = client
            .send(request(Method::GET, &target, &[], ""))
            .await
            .unwrap();
        assert_eq!(h2.body.len(), BYTES, "{target}");
        assert!(h2.body.iter().all(|byte| *byte == b'x'));
    }
}
