//! What `explain --all` lists is everything that is allowed.

use std::fmt::Write;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use profile_gateway::config::{self, Settings, Supplied};
use profile_gateway::context::CallerId;
use profile_gateway::explain::{Decider, Matrix, Request};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use crate::explain::{base, explain};

/// Routes told apart by everything that tells routes apart.
fn routes() -> impl Strategy<Value = String> {
    let matching = select(vec![
        "path: /data/core/ups/export/jobs/77",
        "prefix: /data/core/ups/export/jobs/77",
        "path: '/data/core/ups/{kind}/jobs/77'",
        "path: '/data/core/ups/{kind}/{*rest}'",
        "path: '/data/core/ups/{name}'",
        "prefix: /data",
        "prefix: /crm/jobs",
        "path: '/crm/{sandbox}/{*rest}'",
        "kinds: [delete]",
        "operations: ['exports.*', unknown.write]",
    ]);
    let methods = select(vec![
        "",
        ", methods: [GET, POST]",
        ", methods: [HEAD, DELETE]",
    ]);
    let condition = select(vec![
        "",
        ", host: '*.internal'",
        ", headers: [{ name: x-team, exact: crm }]",
        ", headers: [{ name: x-team, prefix: c }]",
        ", headers: [{ name: x-team, present: false }]",
        ", headers: [{ name: x-sandbox-name, present: false }]",
    ]);
    let sandbox = select(vec![
        "prod",
        "dev-2",
        "{ from: header, allow: [eu-prod, dev-2], default: dev-2 }",
        "{ from: host, by_host: { us.internal: prod, eu.internal: eu-prod } }",
        "{ from: caller, by_caller: { crm: dev-2, reports: eu-prod } }",
        "{ from: path, allow: [dev-2, prod] }",
    ]);
    let rest = select(vec![
        "",
        "    permit: [read, write, job, delete]\n",
        "    callers: [crm, { name: reports, permit: [read, delete] }]\n",
        "    callers: [web, anonymous]\n    dry_run: true\n",
    ]);
    let slashes = select(vec!["", "    encoded_slashes: pass\n"]);
    let rewrite = select(vec!["/data/core/ups/export", "/data/core/ups", "/data"]);
    let route = (
        matching, methods, condition, sandbox, rest, slashes, rewrite,
    )
        .prop_map(
            |(matching, methods, condition, sandbox, rest, slashes, rewrite)| {
                let matching = format!("{matching}{methods}{condition}");
                let rewrite = if matching.contains("/crm") {
                    format!("    rewrite: {{ replace_prefix: {{ from: /crm, to: {rewrite} }} }}\n")
                } else {
                    String::new()
                };
                format!(
                    "    match: {{ {matching} }}\n    sandbox: {sandbox}\n{rest}{slashes}{rewrite}"
                )
            },
        );
    prop::collection::vec(route, 1..5).prop_map(|routes| {
        let mut text = "routes:\n".to_owned();
        for (index, route) in routes.iter().enumerate() {
            write!(text, "  - name: r{index}\n{route}").unwrap();
        }
        text
    })
}

fn request() -> impl Strategy<Value = Request> {
    let fields = subsequence(
        vec![
            ("x-sandbox-name", "dev-2"),
            ("x-sandbox-name", "eu-prod"),
            ("x-team", "crm"),
            ("x-team", "c2"),
            ("host", "us.internal"),
        ],
        0..4,
    );
    let paths = vec![
        "/data/core/ups/export/jobs/77",
        "/data/core/ups/export/jobs/",
        "/data/core/ups/segment/jobs/77",
        "/data/core/ups/audiences",
        "/data/core/ups/system%2Fjobs",
        "/data/core/ups/export%2Fjobs%2F77",
        "/data/core/ups/SYSTEM/jobs",
        "/data/other",
        "/crm/jobs",
        "/crm/jobs/77",
        "/crm/dev-2/jobs/77",
        "/crm/prod/system%2Fjobs",
    ];
    let methods = vec!["GET", "HEAD", "POST", "PUT", "DELETE"];
    (select(methods), select(paths), fields).prop_map(|(method, path, fields)| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        Request {
            method: method.parse().unwrap(),
            uri: path.parse().unwrap(),
            headers,
        }
    })
}

fn decider(settings: &Settings) -> Decider {
    Decider::new(&settings.explained()).unwrap()
}

/// Tells whether the matrix has what a request of `caller` may do, if it may.
fn is_listed(
    decider: &Decider,
    matrix: &Matrix,
    settings: &Settings,
    request: &Request,
    caller: CallerId,
) -> Option<bool> {
    let routed = decider.explain(request, caller).unwrap().routed.ok()?;
    let place = routed.verdict.place()?;
    let sandbox = &settings.authorize.places.get(place).unwrap().sandbox;
    let dry_run = routed.verdict.error().is_some();
    let grant = matrix.grants.iter().find(|grant| {
        (grant.caller, grant.operation, &grant.sandbox) == (caller, routed.operation.name, sandbox)
            && grant.kind == routed.operation.kind
    });
    let mut ways = grant.into_iter().flat_map(|grant| &grant.ways);
    let way = ways.find(|way| way.route == routed.route);
    Some(way.is_some_and(|way| dry_run || !way.dry_run))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_global_rejects: 16384, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_allowed_is_listed(
        routes in routes(),
        requests in prop::collection::vec(request(), 60),
    ) {
        let text = format!("listeners: [{{ address: '127.0.0.1:0', anonymous: allow }}]\n{}{routes}", base());
        let parsed = config::parse("generated.yaml", &text, &Supplied::default());
        prop_assume!(parsed.is_ok());
        let settings = parsed.unwrap();
        let decider = decider(&settings);
        let matrix = decider.matrix(None).unwrap();

        for request in requests {
            for (caller, _) in settings.identify.callers.iter() {
                let listed = is_listed(&decider, &matrix, &settings, &request, caller);
                prop_assert_ne!(listed, Some(false), "{}\n{:?} {:?}\n{:?}", text, request, caller, matrix);
            }
        }
    }
}

/// Returns the grants of a configuration, each as caller, operation, kind and sandbox.
fn listed(routes: &str) -> Vec<(String, String, String, String)> {
    let (code, text) = explain(
        &format!("{}routes:\n{routes}", base()),
        &["--all", "--format", "json"],
    );
    assert_eq!(code, Some(0), "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    let word = |grant: &Value, key: &str| grant[key].as_str().unwrap().to_owned();
    let all = told["allowed"].as_array().unwrap().iter();
    all.map(|grant| {
        (
            word(grant, "caller"),
            word(grant, "operation"),
            word(grant, "kind"),
            word(grant, "sandbox"),
        )
    })
    .collect()
}

fn has(all: &[(String, String, String, String)], wanted: [&str; 3]) -> bool {
    let [caller, operation, sandbox] = wanted;
    all.iter()
        .any(|it| (it.0.as_str(), it.1.as_str(), it.3.as_str()) == (caller, operation, sandbox))
}

#[test]
fn what_another_route_takes_for_some_requests_is_listed_for_the_others() {
    let all = listed(
        "
  - { name: narrow, match: { prefix: /data, headers: [{ name: x-team, exact: crm }] }, sandbox: dev-2, callers: [web] }
  - { name: wide, match: { prefix: /data, headers: [{ name: x-team, prefix: crm }] }, sandbox: prod, callers: [crm], permit: [read, delete] }
  - { name: unnamed, match: { path: /data/core/ups/audiences, headers: [{ name: x-sandbox-name, present: false }] }, sandbox: { from: header, allow: [dev-2], default: dev-2 }, callers: [web, crm] }
",
    );

    assert!(has(&all, ["crm", "entities.delete", "prod"]));
    assert!(has(&all, ["crm", "audiences.create", "dev-2"]));
    assert!(!has(&all, ["web", "audiences.create", "dev-2"]));
    assert!(!has(&all, ["reports", "entities.read", "dev-2"]));
}

#[test]
fn literals_of_routes_stand_in_parameters_of_operations_and_encoded_slashes_in_both() {
    let all = listed(
        "
  - { name: one, match: { prefix: /data/core/ups/export/jobs/77 }, sandbox: dev-2, callers: [crm] }
  - { name: mixed, match: { path: '/data/core/ups/{kind}/jobs/88' }, sandbox: dev-2, callers: [crm] }
  - { name: passing, match: { path: '/data/core/ups/{name}' }, encoded_slashes: pass, sandbox: prod, permit: [delete], callers: [crm] }
",
    );

    assert!(has(&all, ["crm", "exports.delete", "dev-2"]));
    assert!(has(&all, ["crm", "segmentJobs.delete", "dev-2"]));
    assert!(has(&all, ["crm", "systemJobs.create", "prod"]));
    assert!(!has(&all, ["crm", "systemJobs.create", "dev-2"]));
}

#[test]
fn operations_of_one_name_and_several_kinds_are_listed_with_each() {
    let rows = "operations:
  - { name: consents.change, method: PUT, path: '/data/core/ups/consents/{id}', kind: delete }
  - { name: consents.change, method: DELETE, path: '/data/core/ups/consents/{id}', kind: write }
";
    let routes = |permit: &str| {
        let matching = "match: { path: '/data/core/ups/consents/{id}' }";
        format!(
            "  - {{ name: r, {matching}, sandbox: dev-2, callers: [crm], permit: [{permit}] }}\n{rows}"
        )
    };
    let kinds = |permit: &str| {
        let all = listed(&routes(permit)).into_iter();
        let all = all.filter(|it| it.1 == "consents.change");
        all.map(|it| it.2).collect::<Vec<_>>()
    };

    assert_eq!(kinds("write, delete"), ["delete", "write"]);
    assert_eq!(kinds("delete"), ["delete"]);
    let both = format!("{}routes:\n{}", base(), routes("write, delete"));
    let (_, words) = explain(&both, &["--all"]);
    for kind in ["delete", "write"] {
        let row = format!("consents.change  {kind}");
        let rows = words.lines().map(str::split_whitespace);
        let mut rows = rows.map(|words| words.collect::<Vec<_>>().join("  "));
        assert!(rows.any(|it| it.starts_with(&row)), "{row} in\n{words}");
    }
}

#[test]
fn callers_who_may_do_the_same_share_a_table_and_each_dry_run_is_marked() {
    let text = format!(
        "{}routes:
  - {{ name: tried, match: {{ prefix: /data/core/ups/export }}, sandbox: dev-2, callers: [web], dry_run: true }}
  - {{ name: kept, match: {{ path: '/data/core/{{*rest}}' }}, sandbox: dev-2, callers: [crm] }}
",
        base()
    );
    let row = |caller: &str| {
        let (_, words) = explain(&text, &["--all", "--caller", caller]);
        let mut rows = words.lines().map(str::split_whitespace);
        let row = rows.find_map(|row| {
            let row: Vec<_> = row.collect();
            (row.first() == Some(&"exports.delete")).then(|| row.join(" "))
        });
        row.unwrap()
    };

    assert_eq!(row("crm"), "exports.delete delete tried (dry run) kept");
    assert_eq!(row("web"), "exports.delete delete tried (dry run)");
    let same = format!(
        "{}routes:\n  - {{ name: r, match: {{ prefix: /data }}, sandbox: dev-2, permit: [read], callers: [crm, web] }}\n",
        base()
    );
    let (_, words) = explain(&same, &["--all"]);
    assert!(words.contains("\n\ncrm, web\n  operation"), "{words}");
    assert!(words.contains("\n\nreports\n  may do nothing\n"), "{words}");
}
