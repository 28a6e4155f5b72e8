//! What `explain` says is what the gateway does.

use std::fmt::Write;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use profile_gateway::authorize::Verdict;
use profile_gateway::config::{self, Supplied};
use profile_gateway::context::CallerId;
use profile_gateway::explain::{Decider, Request};
use profile_gateway::identify::KeyDigest;

use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::raw::{exchange, get};
use crate::support::running::TWO_ORGANIZATIONS;

const KEYS: [(&str, &str); 3] = [("crm", "k-crm"), ("reports", "k-reports"), ("web", "k-web")];

/// What all configurations have: two organisations, whose sandboxes Adobe calls alike, and three callers.
pub(crate) fn base() -> String {
    let of = |(name, key): (&str, &str), bounds: &str| {
        let digest = KeyDigest::of(key.as_bytes());
        format!("  {name}: {{ api_key: {{ sha256: {digest} }}{bounds} }}\n")
    };
    let [crm, reports, web] = KEYS;
    format!(
        "{TWO_ORGANIZATIONS}callers:
{}{}{}",
        of(crm, ""),
        of(reports, ", sandboxes: [prod, eu-prod]"),
        of(web, ", permit: [read]")
    )
}

/// Routes of which some may tie, or say what does not go together: such configurations are left out.
fn routes() -> impl Strategy<Value = String> {
    let matching = select(vec![
        "path: /data/core/ups/access/entities",
        "path: '/data/core/{*rest}'",
        "path: '/data/core/ups/{*rest}', methods: [GET, POST]",
        "prefix: /crm",
        "path: '/{sandbox}/data/core/{*rest}'",
        "operations: [entities.read, 'exports.*']",
        "kinds: [delete, job]",
    ]);
    let more = select(vec![
        "",
        ", host: '*.internal'",
        ", host: us.internal",
        ", headers: [{ name: x-team, exact: crm }]",
        ", headers: [{ name: x-team, present: false }]",
    ]);
    let sandbox = select(vec![
        "prod",
        "dev-2",
        "{ allow: [eu-prod], on_mismatch: ignore }",
        "{ from: header, allow: [prod, dev-2] }",
        "{ from: header, allow: [eu-prod, dev-2], default: dev-2 }",
        "{ from: host, by_host: { us.internal: prod, eu.internal: eu-prod } }",
        "{ from: caller, by_caller: { crm: dev-2, reports: eu-prod } }",
        "{ from: path, allow: [dev-2, prod] }",
    ]);
    let rest = select(vec![
        "",
        "    permit: [read, write, job, delete]\n",
        "    permit: [write]\n",
        "    callers: [crm, { name: reports, permit: [read, job] }]\n",
        "    callers: [anonymous, web]\n",
        "    callers: [reports]\n    dry_run: true\n",
    ]);
    let rewrite = select(vec!["", "    rewrite: { strip_prefix: /crm }\n"]);
    let route = (matching, more, sandbox, rest, rewrite).prop_map(
        |(matching, more, sandbox, rest, rewrite)| {
            let rewrite = if matching.contains("/crm") {
                rewrite
            } else {
                ""
            };
            format!("    match: {{ {matching}{more} }}\n    sandbox: {sandbox}\n{rest}{rewrite}")
        },
    );
    prop::collection::vec(route, 1..5).prop_map(|routes| {
        let named = routes.iter().enumerate();
        let routes = named.map(|(index, route)| format!("  - name: r{index}\n{route}"));
        format!("routes:\n{}", routes.collect::<String>())
    })
}

/// A request: method, path, and fields.
fn request() -> impl Strategy<
    Value = (
        &'static str,
        &'static str,
        Vec<(&'static str, &'static str)>,
    ),
> {
    let fields = subsequence(
        vec![
            ("x-sandbox-name", "dev-2"),
            ("x-sandbox-name", "prod"),
            ("x-sandbox-name", "eu-prod"),
            ("x-team", "crm"),
            ("host", "us.internal:8080"),
            ("host", "us.internal:"),
            ("host", "a b"),
            ("host", "a:99999"),
            ("host", ""),
            ("connection", "x-sandbox-name"),
            ("connection", "x-team"),
            ("expect", "foo"),
            ("via", LOOP),
            ("request-timeout", "0"),
            ("request-timeout", "2"),
            ("x-request-deadline", "tomorrow"),
            ("transfer-encoding", "gzip"),
            ("x-caller-key", "k-crm"),
            ("x-caller-key", "k-reports"),
            ("x-caller-key", "k-web"),
        ],
        0..4,
    );
    (
        select(vec!["GET", "POST", "PUT", "DELETE", "HEAD"]),
        select(vec![
            "/data/core/ups/access/entities",
            "/data/core/ups/export/jobs",
            "/data/core/ups/system/jobs/",
            "/data/core/ups/SYSTEM/jobs",
            "/data/core/ca/attributes",
            "/crm/data/core/ups/audiences/x",
            "/dev-2/data/core/ups/access/entities",
            "/eu-prod/data/core/ups/access/entities",
            "/data/core/../core/ups",
            "/other",
        ]),
        fields,
    )
}

/// What comes through gateways that are each other's upstream.
const LOOP: &str = "1.1 profile-gateway, 1.1 profile-gateway, 1.1 profile-gateway, 1.1 profile-gateway, 1.1 profile-gateway";

fn head(fields: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'_ str, &'_ str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(pair) {
        headers.append(name, value);
    }
    headers
        .entry(header::HOST)
        .or_insert(HeaderValue::from_static("a"));
    headers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 4096, ..ProptestConfig::default() })]

    #[test]
    fn what_is_explained_is_what_happens(
        routes in routes(),
        anonymous in select(vec!["allow", "allow", "refuse"]),
        requests in prop::collection::vec(request(), 20),
    ) {
        let adobe = Adobe::willing();
        let url = adobe.url();
        let listener = format!("listeners: [{{ address: '127.0.0.1:0', anonymous: {anonymous} }}]\nadmin: {{ address: '127.0.0.1:0' }}\n");
        let text = format!("{listener}ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{}{routes}", base());
        let parsed = config::parse("generated.yaml", &text, &Supplied::default());
        prop_assume!(parsed.is_ok());
        let settings = parsed.unwrap();
        let decider = Decider::new(&settings.explained()).unwrap();
        let gateway = Gateway::settled(&settings);
        // Who waits for a token has its deadline read first, and other faults of its head are told only then.
        while exchange(gateway.admin, get("/readyz", "")).status != 200 {}

        for (method, path, fields) in requests {
            let headers = head(&fields);
            let keys: Vec<_> = fields.iter().filter(|(name, _)| *name == "x-caller-key").collect();
            let caller = match keys[..] {
                [] => CallerId::ANONYMOUS,
                [(_, key)] => {
                    let place = KEYS.iter().position(|(_, known)| known == key).unwrap();
                    // In the order of their names, after whoever shows nothing.
                    CallerId(place + 1)
                }
                _ => continue,
            };
            let explained = decider
                .explain(
                    &Request { method: method.parse().unwrap(), uri: path.parse().unwrap(), headers: headers.clone() },
                    caller,
                )
                .unwrap();
            let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 0\r\n");
            for (name, value) in &headers {
                write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
            }
            let before = adobe.seen().len();
            let answer = loop {
                let answer = exchange(gateway.address, format!("{head}Connection: close\r\n\r\n"));
                if answer.status != 503 { break answer; }
            };

            let place = explained.routed.as_ref().ok().and_then(|routed| routed.verdict.place());
            let told = format!("{text}\n{method} {path} {fields:?}: {explained:?}");
            if let Some(reason) = explained.refused() {
                prop_assert_eq!(answer.status, reason.meaning().status.as_u16(), "{}", told);
                if method != "HEAD" {
                    prop_assert_eq!(answer.reason(), reason.meaning().code, "{}", told);
                }
                prop_assert_eq!(adobe.seen().len(), before, "{}", told);
                continue;
            }
            prop_assert_eq!(answer.status, 200, "{}", told);
            let seen = adobe.seen().pop().unwrap();
            let place = settings.authorize.places.get(place.unwrap()).unwrap();
            prop_assert_eq!(seen.values("x-sandbox-name"), [place.name.as_str()], "{}", told);
            let organization = place.organization.to_string();
            prop_assert_eq!(seen.values("x-gw-ims-org-id"), [organization.as_str()], "{}", told);
            let routed = explained.routed.unwrap();
            prop_assert!(!matches!(routed.verdict, Verdict::Refused(_)));
            prop_assert_eq!(seen.target(), routed.path, "{}", told);
        }
    }
}

/// Runs `explain` for a configuration, and returns what it printed and its exit code.
pub(crate) fn explain(text: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let all: Vec<_> = ["explain"]
        .iter()
        .chain(arguments)
        .chain(&config)
        .copied()
        .collect();
    let (code, printed) = Process::start(&all, &[]).finish();
    (code, printed.replace(folder.path().to_str().unwrap(), ""))
}

fn example() -> String {
    format!(
        "{}routes:
  - name: lookups
    match: {{ path: /data/core/ups/access/entities }}
    sandbox: {{ from: header, allow: [prod, eu-prod], default: prod }}
    limits: [{{ rate: 50/s }}]
  - name: trials
    match: {{ path: '/{{sandbox}}/data/core/{{*rest}}', host: '*.internal' }}
    sandbox: {{ from: path, allow: [dev-2] }}
    callers: [crm]
",
        base()
    )
}

#[test]
fn each_step_names_the_rule_behind_it_and_where_it_stands() {
    let url = "http://a.internal/dev-2/data/core/ups/system/jobs";

    let (code, words) = explain(&example(), &["POST", url, "--caller", "crm"]);
    assert_eq!(code, Some(0), "{words}");
    for line in [
        "route       trials [routes[1].match at /gateway.yaml:24]",
        "operation   systemJobs.create, a delete",
        "path        goes on as /data/core/ups/system/jobs [routes[1].sandbox at /gateway.yaml:25]",
        "caller      crm, known at 127.0.0.1:8080 by api_key [callers.crm at /gateway.yaml:15]",
        "granted     the route is for crm [routes[1].callers[0] at /gateway.yaml:26]",
        "sandbox     dev-2, by the path, in 0A1B2C3D4E5F60718293A4B5@AdobeOrg",
        "permitted   read, write, job, delete [routes[1].permit, by default]",
        "credential  us [credentials.us at /gateway.yaml:2]",
        "\nallowed",
    ] {
        assert!(words.contains(line), "{line} in\n{words}");
    }

    let entities = "/data/core/ups/access/entities";
    let (code, text) = explain(
        &example(),
        &[
            "DELETE",
            entities,
            "--caller",
            "reports",
            "-H",
            "x-sandbox-name: eu-prod",
            "--format",
            "json",
        ],
    );
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(
        (&told["outcome"], &told["status"], &told["reason"]),
        (
            &"refused".into(),
            &403.into(),
            &"production_read_only".into()
        )
    );
    let steps = told["steps"].as_array().unwrap();
    let sandbox = steps.iter().find(|step| step["step"] == "sandbox").unwrap();
    assert_eq!(sandbox["rules"][0]["key"], "routes[0].sandbox");
    assert_eq!(sandbox["rules"][0]["at"], "/gateway.yaml:21");
}

#[test]
fn programs_are_told_by_members_of_their_own() {
    let told = |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--format", "json", "--caller", "crm"]].concat();
        let (_, text) = explain(&example(), &arguments);
        serde_json::from_str(&text).unwrap()
    };

    let mut passed = told(&["POST", "http://a.internal/dev-2/data/core/ups/system/jobs"]);
    let steps = passed.as_object_mut().unwrap().remove("steps").unwrap();
    assert!(steps.as_array().unwrap().len() > 5);
    let common = |outcome: &str, status: Value, reason: Value, detail: Value| {
        json!({
            "outcome": outcome, "status": status, "reason": reason, "detail": detail,
            "caller": "crm",
            "listeners": [{ "address": "127.0.0.1:8080", "identified_by": ["api_key"] }],
            "dry_run": false,
        })
    };
    let all = |common: Value, more: Value| {
        let both = [common, more].map(|it| it.as_object().unwrap().clone());
        Value::Object(both.into_iter().flatten().collect())
    };
    assert_eq!(
        passed,
        all(
            common("allowed", Value::Null, Value::Null, Value::Null),
            json!({
                "method": "POST", "path": "/dev-2/data/core/ups/system/jobs",
                "route": "trials", "operation": "systemJobs.create", "kind": "delete",
                "sandbox": "dev-2", "organization": "0A1B2C3D4E5F60718293A4B5@AdobeOrg", "credential": "us",
                "upstream": { "method": "POST", "path": "/data/core/ups/system/jobs" },
            })
        )
    );
    let mut lost = told(&["GET", "/other"]);
    lost.as_object_mut().unwrap().remove("steps");
    let detail = lost["detail"].clone();
    assert_eq!(
        lost,
        all(
            common("refused", 404.into(), "no_route".into(), detail),
            json!({
                "method": "GET", "path": "/other", "route": null, "operation": null, "kind": null,
                "sandbox": null, "organization": null, "credential": null, "upstream": null,
            })
        )
    );
}

#[test]
fn the_rules_that_are_named_are_those_that_decided() {
    let text = format!(
        "{}operations:
  - {{ name: consents.change, method: PUT, path: '/data/core/ups/consents/{{id}}', kind: delete }}
routes:
  - name: one
    match: {{ path: '/data/{{*rest}}', headers: [{{ name: x-a, exact: b }}, {{ name: x-c, present: true }}] }}
    sandbox: {{ from: header, allow: [prod, dev-2], default: dev-2 }}
    permit: {{ prod: [read, write] }}
    callers: [web, {{ name: crm, permit: [read], sandboxes: [dev-2] }}, reports]
    dry_run: true
",
        base()
    );
    let told = |caller: &str, fields: &[&str]| {
        let fields = fields.iter().flat_map(|field| ["-H", field]);
        let request = [
            "PUT",
            "/data/core/ups/consents/7",
            "--caller",
            caller,
            "-H",
            "x-a: b",
        ];
        let arguments: Vec<_> = request.into_iter().chain(fields).collect();
        let (code, words) = explain(&text, &arguments);
        assert_eq!(code, Some(0), "{words}");
        let lines = words.lines().map(|line| line.split_whitespace());
        lines
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let prod = "x-sandbox-name: prod";

    for (caller, fields, line) in [
        (
            "crm",
            &["x-c: 1"][..],
            "operation consents.change, a delete [operations[0] at /gateway.yaml:19]",
        ),
        (
            "crm",
            &["x-c: 1"],
            "granted the route is for crm [routes[0].callers[1] at /gateway.yaml:25]",
        ),
        (
            "crm",
            &["x-c: 1"],
            "sandbox dev-2, by default, in 0A1B2C3D4E5F60718293A4B5@AdobeOrg [routes[0].sandbox.default at /gateway.yaml:23]",
        ),
        (
            "crm",
            &["x-c: 1"],
            "permitted read [routes[0].permit.dev-2, by default; routes[0].callers[1].permit at /gateway.yaml:25]",
        ),
        (
            "crm",
            &["x-c: 1"],
            "dry run lets pass what would be refused [routes[0].dry_run at /gateway.yaml:26]",
        ),
        (
            "crm",
            &["x-c: 1", prod],
            "sandbox prod, production, by x-sandbox-name, in 0A1B2C3D4E5F60718293A4B5@AdobeOrg [routes[0].sandbox at /gateway.yaml:23; sandboxes.prod.production, by default]",
        ),
        (
            "crm",
            &["x-c: 1", prod],
            "reach the caller may not work there [routes[0].callers[1].sandboxes at /gateway.yaml:25]",
        ),
        (
            "reports",
            &["x-c: 1"],
            "reach the caller may not work there [callers.reports.sandboxes at /gateway.yaml:16]",
        ),
        (
            "web",
            &["x-c: 1", prod],
            "permitted read [routes[0].permit.prod at /gateway.yaml:24; callers.web.permit at /gateway.yaml:17]",
        ),
        (
            "reports",
            &["x-c: 1", prod],
            "permitted read, write [routes[0].permit.prod at /gateway.yaml:24]",
        ),
        (
            "crm",
            &[],
            "not route one: its condition on x-c does not hold [routes[0].match.headers[1] at /gateway.yaml:22]",
        ),
        (
            "anonymous",
            &[],
            "caller anonymous, let in by no listener [listeners[0].anonymous, by default]",
        ),
    ] {
        let lines = told(caller, fields);
        assert!(lines.iter().any(|it| it == line), "{line} in\n{lines:#?}");
    }
}

#[test]
fn who_is_let_in_by_no_listener_is_told_so_and_is_refused() {
    let (crm, digest) = ("  crm: { api_key: { sha256: ", KeyDigest::of(b"k-crm"));
    let text = format!(
        "listeners:
  - {{ address: '127.0.0.1:8080', identify: [api_key] }}
  - {{ address: '127.0.0.1:8081', identify: [network] }}
{TWO_ORGANIZATIONS}callers:
{crm}{digest} }}, network: {{ cidr: [10.0.0.0/8] }} }}
  web: {{ network: {{ cidr: [11.0.0.0/8] }} }}
routes:
  - {{ name: r, match: {{ prefix: /data }}, sandbox: dev-2, callers: [crm, web, anonymous] }}
"
    );
    for (caller, first, last) in [
        (
            "crm",
            "crm, known at 127.0.0.1:8080 by api_key, known at 127.0.0.1:8081 by network [",
            "\nallowed",
        ),
        (
            "web",
            "web, known at 127.0.0.1:8081 by network; not at 127.0.0.1:8080 [",
            "\nallowed",
        ),
        (
            "anonymous",
            "anonymous, let in by no listener [",
            "refused: 401 caller_unknown: no listener serves anonymous callers",
        ),
    ] {
        let (_, words) = explain(&text, &["GET", "/data/x", "--caller", caller]);
        assert!(words.contains(first) && words.contains(last), "{words}");
    }
    let (_, words) = explain(&text, &["--all"]);
    let shut = "anonymous\n  let in by no listener: all is refused with 401 caller_unknown\n  may do nothing\n";
    assert!(words.starts_with(shut), "{words}");
    assert!(words.contains("\n\ncrm, web\n  operation"), "{words}");
}

#[test]
fn the_matrix_has_what_is_allowed_and_nothing_else() {
    let (code, text) = explain(&example(), &["--all", "--format", "json"]);
    assert_eq!(code, Some(0));
    let told: Value = serde_json::from_str(&text).unwrap();
    let allowed = told["allowed"].as_array().unwrap();
    let has = |caller: &str, operation: &str, sandbox: &str| {
        allowed.iter().any(|grant| {
            grant["caller"] == caller
                && grant["operation"] == operation
                && grant["sandbox"] == sandbox
        })
    };

    assert!(has("crm", "systemJobs.create", "dev-2") && has("crm", "entities.read", "eu-prod"));
    assert!(has("web", "entities.read", "prod"));
    assert!(!has("web", "systemJobs.create", "dev-2") && !has("reports", "entities.read", "dev-2"));
    assert!(!has("anonymous", "entities.read", "prod") && !has("crm", "entities.delete", "prod"));

    let (_, words) = explain(&example(), &["--all"]);
    let row = words
        .lines()
        .find(|line| line.contains("entities.read"))
        .unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        cells,
        ["entities.read", "read", "trials", "lookups", "lookups"],
        "{words}"
    );
    let first = "anonymous\n  let in by no listener: all is refused with 401 caller_unknown\n  may do nothing\n\ncrm\n";
    assert!(words.starts_with(first), "{words}");
    let (_, words) = explain(&example(), &["--all", "--caller", "web"]);
    assert!(
        words.starts_with("web\n  operation") && !words.contains("crm"),
        "{words}"
    );
}

#[test]
fn what_cannot_be_explained_is_told_with_its_side() {
    for (arguments, code, told) in [
        (
            &["GET", "/a", "--caller", "nobody"][..],
            2,
            "no caller is named nobody; there are anonymous, crm, reports, web",
        ),
        (
            &["GET", "/a", "-H", "no field"],
            2,
            "write it as in 'x-sandbox-name: dev-2'",
        ),
        (
            &["GET", "/a#b"],
            2,
            "has a fragment, which clients never send",
        ),
        (
            &["GET", "http://a/b", "-H", "Host: c"],
            2,
            "names another host than the field Host does",
        ),
        (&["GET"], 2, "required"),
        (&["GET", "/a", "--all"], 2, "cannot be used with"),
    ] {
        let (exit, text) = explain(&example(), arguments);
        assert_eq!(exit, Some(code), "{text}");
        assert!(text.contains(told), "{text}");
    }
    let (exit, text) = explain("routes: 1\n", &["GET", "/a"]);
    assert_eq!(exit, Some(78), "{text}");
}
