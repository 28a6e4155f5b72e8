//! Which route a request takes, as what it goes upstream, and which operation it is taken for.

use http::Method;

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::raw::{exchange, get, send};
use crate::support::running::{CREDENTIAL, Running};

const LOOKUP: &str = "/data/core/ups/access/entities?entityId=a%40b&x=+&api=1";
const JOBS: &str = "/data/core/ups/export/jobs";

/// What came of a request: its status, and where it arrived as what.
type Arrived = (u16, Option<(String, String)>);

fn arrived(adobe: &Adobe, status: u16) -> Arrived {
    let seen = adobe.seen().pop().filter(|_| status == 200);
    let seen = seen.map(|seen: Seen| {
        let sandbox = seen.values("x-sandbox-name")[0].to_owned();
        (sandbox, seen.target().to_owned())
    });
    (status, seen)
}

fn in_sandbox(sandbox: &str, target: &str) -> Arrived {
    (200, Some((sandbox.to_owned(), target.to_owned())))
}

#[tokio::test]
async fn hosts_fields_operations_and_kinds_pick_the_route_over_both_versions() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - { name: all, match: { prefix: /data }, sandbox: prod }
  - { name: host, match: { prefix: /data, host: ['*.Trials.internal', trials.internal] }, sandbox: dev-2 }
  - name: team
    match: { prefix: /data, headers: [{ name: X-Team, exact: crm }, { name: accept, prefix: application/ }] }
    sandbox: dev-2
  - { name: exports, match: { path: '/data/core/ups/export/{*rest}', operations: ['exports.*'], methods: [GET, POST] }, sandbox: dev-2 }
  - { name: deletes, match: { kinds: [delete] }, sandbox: dev-2 }
",
    );
    let crm = ("x-team", "crm");
    let json = ("accept", "application/json");
    for speaks in [Speaks::H1, Speaks::H2] {
        let mut client = Client::connect(gateway.address, speaks).await;
        for (method, host, target, fields, sandbox) in [
            (Method::GET, "other.internal", LOOKUP, &[][..], "prod"),
            (Method::GET, "trials.internal", LOOKUP, &[], "dev-2"),
            (Method::GET, "TRIALS.internal.:8080", LOOKUP, &[], "dev-2"),
            (Method::GET, "a.b.trials.internal:81", LOOKUP, &[], "dev-2"),
            (Method::GET, "xtrials.internal", LOOKUP, &[], "prod"),
            (Method::GET, "a", LOOKUP, &[crm, json], "dev-2"),
            (
                Method::GET,
                "a",
                LOOKUP,
                &[crm, json, ("x-team", "crm")],
                "dev-2",
            ),
            (Method::GET, "a", LOOKUP, &[crm], "prod"),
            (
                Method::GET,
                "a",
                LOOKUP,
                &[crm, json, ("x-team", "ops")],
                "prod",
            ),
            (Method::GET, "a", JOBS, &[], "dev-2"),
            (Method::POST, "a", JOBS, &[], "dev-2"),
        ] {
            let uri = format!("http://{host}{target}");
            let mut own = fields.to_vec();
            if speaks == Speaks::H1 {
                own.push(("host", host));
            }
            let uri = if speaks == Speaks::H1 { target } else { &uri };
            let reply = client
                .send(request(method.clone(), uri, &own, ""))
                .await
                .unwrap();

            let status = reply.status.as_u16();
            let what = format!("{speaks:?} {method} {host} {target} {fields:?}");
            assert_eq!(
                arrived(&adobe, status),
                in_sandbox(sandbox, target),
                "{what}"
            );
        }
    }
    // The path comes before the operation: what no narrower path is for goes to production, and is refused there.
    let refused = exchange(
        gateway.address,
        send("POST", "/data/core/ups/system/jobs", "", "{}"),
    );
    assert_eq!(refused.problem(), (403, "production_read_only".to_owned()));
}

#[tokio::test]
async fn paths_are_rewritten_by_whole_segments_and_queries_not_at_all() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - { name: crm, match: { path: '/crm/{*rest}' }, rewrite: { strip_prefix: /crm }, sandbox: dev-2 }
  - name: short
    match: { prefix: /p }
    rewrite: { replace_prefix: { from: /p, to: /data/core/ups } }
    sandbox: prod
    encoded_slashes: pass
",
    );

    for speaks in [Speaks::H1, Speaks::H2] {
        let mut client = Client::connect(gateway.address, speaks).await;
        for (method, target, expected) in [
            (
                Method::GET,
                format!("/crm{LOOKUP}"),
                in_sandbox("dev-2", LOOKUP),
            ),
            (
                Method::GET,
                "/crm/data/core/ups/?".to_owned(),
                in_sandbox("dev-2", "/data/core/ups/?"),
            ),
            (
                Method::GET,
                "/crm/data/core/ups/audiences/%C3%A9?a=/crm/&b=%2F".to_owned(),
                in_sandbox("dev-2", "/data/core/ups/audiences/%C3%A9?a=/crm/&b=%2F"),
            ),
            (
                Method::GET,
                "/crm/crm/x".to_owned(),
                in_sandbox("dev-2", "/crm/x"),
            ),
            (
                Method::GET,
                "/p".to_owned(),
                in_sandbox("prod", "/data/core/ups"),
            ),
            (
                Method::GET,
                "/p/?a".to_owned(),
                in_sandbox("prod", "/data/core/ups/?a"),
            ),
            (
                Method::POST,
                "/p/access/entities".to_owned(),
                in_sandbox("prod", "/data/core/ups/access/entities"),
            ),
            // What it is there decides, however it is spelled here.
            (Method::POST, "/p/system/jobs".to_owned(), (403, None)),
            (Method::POST, "/p/system%2Fjobs".to_owned(), (403, None)),
            (Method::POST, "/p/System/JOBS/".to_owned(), (403, None)),
            (Method::GET, "/px".to_owned(), (404, None)),
            (Method::GET, "/crm/../p".to_owned(), (400, None)),
            (Method::GET, "/crm/data//core".to_owned(), (400, None)),
            (Method::GET, "/crm/data%2Fcore".to_owned(), (400, None)),
            (Method::GET, "/crm%2Fdata/core".to_owned(), (400, None)),
        ] {
            let uri = format!("http://gateway{target}");
            let reply = match speaks {
                Speaks::H1 => {
                    client
                        .send(request(method, &target, &[("host", "gateway")], ""))
                        .await
                }
                Speaks::H2 => client.send(request(method, &uri, &[], "")).await,
            };

            let status = reply.unwrap().status.as_u16();
            assert_eq!(arrived(&adobe, status), expected, "{speaks:?} {target}");
        }
    }
}

#[test]
fn references_in_answers_come_back_to_the_path_that_was_rewritten() {
    let adobe = Adobe::start(|seen| {
        let own = seen.values("host")[0];
        Act::Answer(
            format!(
                "HTTP/1.1 201 Created\r\nLocation: http://{own}{JOBS}/1?x#y\r\nContent-Location: {JOBS}/1\r\n\
                 Link: <http://{own}{JOBS}?a=1,2>; rel=\"next\", </other>;rel=up, <http://{own}/other>\r\n\
                 Content-Length: 0\r\n\r\n"
            )
            .into_bytes(),
        )
    });
    let route = "routes: [{ name: crm, match: { prefix: /crm }, sandbox: dev-2,
        rewrite: { replace_prefix: { from: /crm, to: /data/core } } }]";
    let told = |gateway: &Gateway| {
        let answer = exchange(gateway.address, get("/crm/ups/export/jobs", ""));
        ["location", "content-location", "link"].map(|name| answer.values(name).join("|"))
    };

    let gateway = Gateway::start(&adobe.url(), route);
    assert_eq!(
        told(&gateway),
        [
            "http://gateway/crm/ups/export/jobs/1?x#y",
            "/crm/ups/export/jobs/1",
            "<http://gateway/crm/ups/export/jobs?a=1,2>; rel=\"next\", </other>;rel=up, <http://gateway/other>",
        ]
    );
    assert_eq!(adobe.seen().pop().unwrap().target(), JOBS);

    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', rewrite_links: false }}\n{route}"
    ));
    assert_eq!(
        told(&gateway)[1],
        format!("{JOBS}/1"),
        "nothing is rewritten"
    );
}

#[test]
fn no_spelling_leads_around_a_route() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - { name: few, match: { path: /data/core/ups/Access/entities }, sandbox: prod }
  - { name: rest, match: { path: '/data/core/ups/{*rest}' }, sandbox: dev-2, encoded_slashes: pass }
  - { name: crm, match: { prefix: /crm/system }, rewrite: { strip_prefix: /CRM }, sandbox: prod }
  - { name: all, match: { prefix: /CRM }, rewrite: { strip_prefix: /crm }, sandbox: dev-2, encoded_slashes: pass }
",
    );
    let ask = |target: &str| {
        let answer = exchange(gateway.address, get(target, ""));
        arrived(&adobe, answer.status)
    };
    for (target, sandbox, there) in [
        ("/data/core/ups/access/entities", "prod", None),
        ("/data/core/ups/Access/entities", "prod", None),
        ("/DATA/core/UPS/access/ENTITIES/?A=b", "prod", None),
        ("/data/core/ups/access/Other", "dev-2", None),
        ("/data/core/ups/audiences/a%2fb", "dev-2", None),
        ("/crm/SYSTEM/jobs", "prod", Some("/SYSTEM/jobs")),
        ("/CRM/system", "prod", Some("/system")),
        ("/Crm/Other%2Fx", "dev-2", Some("/Other%2Fx")),
    ] {
        let there = there.unwrap_or(target);
        assert_eq!(ask(target), in_sandbox(sandbox, there), "{target}");
    }

    for target in [
        "/data/core/ups/access%2Fentities",
        "/data/core/ups/Access%2fEntities/",
        "/crm%2Fsystem/jobs",
        "/crm/system%2Fjobs",
    ] {
        let answer = exchange(gateway.address, get(target, ""));
        assert_eq!(answer.problem(), (400, "malformed_request".to_owned()));
    }
    let answer = exchange(gateway.address, get("/data/core/ups/access%2Fentities", ""));
    let told = "has an encoded slash at byte 21, and would take another route with a plain one";
    assert!(answer.text().contains(told), "{}", answer.text());
    assert_eq!(adobe.seen().len(), 8);
}

#[test]
fn what_meets_no_condition_has_no_route_and_only_methods_that_would_be_taken_are_told() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
routes:
  - { name: reads, match: { prefix: /data, host: a.internal, methods: [GET] }, sandbox: dev-2 }
  - { name: team, match: { prefix: /data, headers: [{ name: x-team, present: true }], methods: [PUT] }, sandbox: dev-2 }
  - { name: jobs, match: { prefix: /data, kinds: [job] }, sandbox: dev-2 }
",
    );
    let ask = |method: &str, target: &str, host: &str, fields: &str| {
        let answer = exchange(
            gateway.address,
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"),
        );
        (answer.status, answer.header("allow").map(str::to_owned))
    };
    let other = |allow: &str| (405, Some(allow.to_owned()));

    assert_eq!(ask("GET", LOOKUP, "a.internal", ""), (200, None));
    assert_eq!(ask("GET", LOOKUP, "b.internal", ""), (404, None));
    assert_eq!(ask("PUT", LOOKUP, "a.internal", ""), other("GET, HEAD"));
    assert_eq!(
        ask("GET", LOOKUP, "b.internal", "X-Team: a\r\n"),
        other("PUT")
    );
    assert_eq!(
        ask("DELETE", LOOKUP, "a.internal", "X-Team: a\r\n"),
        other("GET, HEAD, PUT")
    );
    // Only a POST would be a job there.
    assert_eq!(ask("PUT", JOBS, "b.internal", ""), other("POST"));
    assert_eq!(ask("PUT", "/elsewhere", "a.internal", ""), (404, None));
    // Who names no host is at none of the hosts.
    let nowhere = exchange(gateway.address, format!("GET {LOOKUP} HTTP/1.0\r\n\r\n"));
    assert_eq!(nowhere.problem(), (404, "no_route".to_owned()));
    assert!(
        nowhere
            .text()
            .contains("no route of this gateway takes the request")
    );
}

#[test]
fn an_operators_rows_say_what_is_permitted_and_which_payloads_need_a_type() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
operations:
  - { name: consents.search, method: POST, path: '/data/core/ups/consents/{id}/search', kind: read, payload: false }
  - { name: consents.read, method: GET, path: '/data/core/ups/consents/{id}', kind: write }
  - { name: systemJobs.create, method: POST, path: /data/core/ups/system/jobs, kind: read }
routes:
  - { name: all, match: { prefix: /data }, sandbox: prod }
",
    );
    let ask = |method: &str, path: &str, payload: &str| {
        let target = format!("/data/core/ups/{path}");
        let length = payload.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{payload}"
        );
        exchange(gateway.address, head).status
    };

    assert_eq!(ask("POST", "consents/7/search", "{}"), 200);
    assert_eq!(ask("POST", "CONSENTS/7/Search/", "{}"), 200);
    assert_eq!(ask("POST", "consents/7/other", ""), 403, "no row knows it");
    assert_eq!(
        ask("GET", "consents/7", ""),
        403,
        "the row says it is a write"
    );
    assert_eq!(ask("GET", "consents/7/x", ""), 200);
    assert_eq!(
        ask("POST", "system/jobs", ""),
        200,
        "the row takes the place of a delete"
    );
    assert_eq!(ask("POST", "SYSTEM/jobs", ""), 200);
    assert_eq!(
        ask("POST", "access/entities", "{}"),
        400,
        "a payload without its type"
    );
    assert_eq!(ask("POST", "system/jobs", "{}"), 400);
    assert_eq!(
        ask("GET", "access/entities", "{}"),
        200,
        "it takes no payload"
    );
}

#[test]
fn what_costs_more_takes_more_of_a_limit() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(
        &adobe.url(),
        "
operations:
  - { name: exports.create, method: POST, path: /data/core/ups/export/jobs, kind: job, cost: 4 }
routes:
  - { name: all, match: { prefix: /data }, sandbox: dev-2, limits: [{ rate: 6/h, burst: 6 }] }
",
    );
    let ask =
        |method: &str, path: &str| exchange(gateway.address, send(method, path, "", "{}")).status;

    assert_eq!(ask("POST", JOBS), 200);
    assert_eq!(ask("POST", JOBS), 429, "two are left");
    assert_eq!(ask("GET", JOBS), 200);
    assert_eq!(ask("GET", JOBS), 200);
    assert_eq!(ask("GET", JOBS), 429);
}

#[test]
fn operations_that_change_are_taken_by_a_reload() {
    let adobe = Adobe::willing();
    let url = adobe.url();
    let with = |kind: &str| {
        format!(
            "{CREDENTIAL}ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}
sandboxes: {{ prod: {{}} }}
operations:
  - {{ name: consents.search, method: POST, path: /data/core/ups/consents, kind: {kind} }}
  - {{ name: consents.search, method: PUT, path: /data/core/ups/consents, kind: read }}
"
        )
    };
    let running = Running::start(&with("read"), &[]);
    let ask = || {
        exchange(
            running.address,
            send("POST", "/data/core/ups/consents", "", "{}"),
        )
        .status
    };
    assert_eq!(ask(), 200);

    assert_eq!(running.reload(&with("write")), "applied");
    assert_eq!(ask(), 403);

    let printed = running.stop();
    assert!(
        printed.contains("operations[POST /data/core/ups/consents].kind"),
        "{printed}"
    );
    assert!(
        printed.contains("\"operation\":\"consents.search\",\"kind\":\"write\""),
        "{printed}"
    );
}
