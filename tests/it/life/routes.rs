//! Routes that come, go and change: for the next request, and not for one in flight.

use http::Method;

use super::{ALL, PATH, configuration};
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::raw::{Raw, get, send};
use crate::support::running::Running;
use crate::support::signal::{signal, wait};

const READS: &str = "
routes:
  - name: reads
    match: { path: '/data/core/{*rest}' }
    permit: [read]
";

const SEGMENTS: &str = "
routes:
  - name: segments
    match: { path: '/data/core/ups/segment/{*rest}' }
  - name: policies
    match: { path: '/data/core/ups/config/{*rest}', methods: [GET] }
";

#[test]
fn the_next_request_on_the_same_connection_is_served_by_the_routes_of_then() {
    let adobe = Adobe::willing();
    let with = |routes: &str| configuration(&adobe.url(), routes);
    let gateway = Running::start(&with(ALL), &[]);
    let mut caller = Raw::connect(gateway.address);
    let mut statuses = || {
        let mut ask = |request: String| {
            caller.write(request);
            caller.answer(false).unwrap()
        };
        let read = ask(get(PATH, ""));
        let write = ask(send("POST", PATH, "", "{}"));
        [read, write].map(|answer| match answer.status {
            200 => "ok".to_owned(),
            _ => answer.reason(),
        })
    };

    assert_eq!(statuses(), ["ok", "ok"]);
    assert_eq!(gateway.reload(&with(READS)), "applied");
    assert_eq!(statuses(), ["ok", "not_granted"]);
    assert_eq!(gateway.reload(&with(SEGMENTS)), "applied");
    assert_eq!(statuses(), ["ok", "method_not_routed"]);
    let gone = SEGMENTS.replace("config", "elsewhere");
    assert_eq!(gateway.reload(&with(&gone)), "applied");
    assert_eq!(statuses(), ["no_route", "no_route"]);
    assert_eq!(gateway.reload(&with(ALL)), "applied");
    assert_eq!(statuses(), ["ok", "ok"]);
    let printed = gateway.stop();
    for changed in [
        "\"changed\":\"routes.all, routes.reads\"",
        "\"changed\":\"routes.policies, routes.reads, routes.segments\"",
        "\"changed\":\"routes.policies.match.path\"",
    ] {
        assert!(printed.contains(changed), "{changed} in {printed}");
    }
}

#[tokio::test]
async fn requests_on_one_http2_connection_see_the_old_and_the_new() {
    let adobe = Adobe::willing();
    let with = |routes: &str| configuration(&adobe.url(), routes);
    let gateway = Running::start(&with(ALL), &[]);
    let target = format!("http://{}{PATH}", gateway.address);
    let json = ("content-type", "application/json");
    let post = || request(Method::POST, &target, &[json], "{}");
    let mut caller = Client::connect(gateway.address, Speaks::H2).await;

    let before = caller.send(post()).await.unwrap();
    assert_eq!(gateway.reload(&with(READS)), "applied");
    let after = caller.send(post()).await.unwrap();

    assert_eq!(before.status, 200);
    assert_eq!(after.status, 403);
    assert!(!caller.is_closed());
}

#[test]
fn a_request_in_flight_ends_by_the_routes_it_began_with_and_is_told_of_by_their_names() {
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let adobe = Adobe::start(move |seen| {
        if seen.target().ends_with("/slow") {
            arrived.send(()).unwrap();
            wait(&may_go);
        }
        Act::ok()
    });
    let with = |routes: &str| configuration(&adobe.url(), routes);
    let gateway = Running::start(&with(ALL), &[]);
    let mut slow = Raw::connect(gateway.address);
    slow.write(send(
        "POST",
        "/data/core/ups/slow",
        "x-request-id: slow-one\r\n",
        "{}",
    ));
    wait(&has_arrived);

    assert_eq!(gateway.reload(&with(SEGMENTS)), "applied");
    go.send(()).unwrap();
    let answer = slow.answer(false).unwrap();
    slow.write(get(
        "/data/core/ups/segment/x",
        "x-request-id: quick-one\r\n",
    ));
    let next = slow.answer(false).unwrap();
    gateway.process.wait_for("quick-one");
    let counted = |route: &str| {
        gateway.count(&format!(
            "profile_gateway_requests_total{{route=\"{route}\",status=\"2xx\"}}"
        ))
    };

    assert_eq!((answer.status, next.status), (200, 200));
    let line = gateway.process.wait_for("slow-one");
    assert!(line.contains("\"route\":\"all\""), "{line}");
    let line = gateway.process.wait_for("quick-one");
    assert!(line.contains("\"route\":\"segments\""), "{line}");
    assert_eq!([counted("all"), counted("segments")], [1, 1]);
}
