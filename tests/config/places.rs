//! What routes say of callers and sandboxes, and what of it can come to nothing.

use super::{faults, messages, sources, told};

/// Two callers, three sandboxes, and one route.
fn with(route: &str) -> String {
    format!(
        "\
credentials:
  us:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: us-client
    client_secrets: [us-secret]
sandboxes:
  prod: {{}}
  dev-2: {{}}
  qa: {{ production: true }}
callers:
  crm: {{ network: {{ cidr: [10.1.0.0/16] }} }}
  reports: {{ network: {{ cidr: [10.2.0.0/16] }}, permit: [read, job], sandboxes: [prod, dev-2] }}
routes:
  - name: a
    match: {{ prefix: /data }}
{route}
"
    )
}

#[test]
fn what_can_come_to_nothing_is_named() {
    for (route, expected) in [
        (
            "    sandbox: { from: caller, by_caller: { crm: dev-2 } }
    callers: [crm, { name: reports, permit: [read] }]",
            "warning: callers[1].name: reports has no sandbox in `by_caller`, so that all it asks is refused",
        ),
        (
            "    sandbox: { from: caller, by_caller: { crm: dev-2, reports: prod } }
    callers: [crm]",
            "warning: sandbox.by_caller.reports: the route is not for reports",
        ),
        (
            "    sandbox: { from: caller, by_caller: { crm: dev-2, anonymous: prod } }",
            "warning: sandbox.by_caller.anonymous: the route is not for anonymous",
        ),
        (
            "    sandbox: { from: caller, by_caller: { crm: dev-2, reports: qa } }
    callers: [crm, reports]",
            "warning: callers[1]: reports can do nothing by this route: none of the route's sandboxes is one that it may work in, here and by its own `sandboxes`",
        ),
        (
            "    sandbox: { from: header, allow: [dev-2, qa] }
    callers: [crm, { name: reports, sandboxes: [qa] }]",
            "warning: callers[1].name: reports can do nothing by this route: none of the route's sandboxes is one that it may work in, here and by its own `sandboxes`",
        ),
        (
            "    sandbox: prod
    callers: [{ name: crm, permit: [write] }]",
            "warning: callers[0].name: crm can do nothing by this route: nothing that the route permits is permitted to it, here and by its own `permit`",
        ),
        (
            "    sandbox: dev-2
    permit: [write]
    callers: [reports]",
            "warning: callers[0]: reports can do nothing by this route: nothing that the route permits is permitted to it, here and by its own `permit`",
        ),
        (
            "    sandbox: { from: host, by_host: { a.internal: dev-2, b.internal.: prod } }",
            "sandbox.by_host.b.internal.: ends with a dot, and hosts are compared without one",
        ),
        (
            "    sandbox: { from: header, allow: [dev-2], on_mismatch: ignore }",
            "sandbox.on_mismatch: means nothing here: with `from: header` the field says where a request works",
        ),
    ] {
        let expected = match expected.strip_prefix("warning: ") {
            Some(warning) => format!("warning: routes[0].{warning}"),
            None => format!("routes[0].{expected}"),
        };
        assert_eq!(told(&with(route), &sources()), [expected], "{route}");
    }
    let route = "    sandbox: { from: host, by_host: { a.internal: dev-2, b.example: prod } }";
    let text = with(route).replace(
        "prefix: /data",
        "prefix: /data, host: [a.internal, '*.b.example']",
    );
    assert_eq!(
        messages(&text),
        ["routes[0].sandbox.by_host.b.example: is none of the hosts that the route is for"]
    );
}

#[test]
fn what_comes_to_something_is_accepted() {
    for route in [
        "    sandbox: { from: caller, by_caller: { crm: dev-2 } }",
        "    sandbox: { from: caller, by_caller: { crm: dev-2, reports: prod } }
    callers: [crm, { name: reports, permit: [read] }]",
        "    sandbox: { from: header, allow: [dev-2, prod] }
    callers: [{ name: crm, permit: [write] }, reports]",
        "    sandbox: { from: host, by_host: { a.internal: dev-2 }, on_mismatch: ignore }",
        // A dry run lets pass what its callers are not granted.
        "    sandbox: qa
    permit: [write]
    callers: [reports]
    dry_run: true",
        "    sandbox: { from: caller, by_caller: { crm: dev-2, reports: prod } }
    callers: [crm]
    dry_run: true",
        "    sandbox: prod
    callers: [anonymous]
    dry_run: true",
    ] {
        assert_eq!(told(&with(route), &sources()), [""; 0], "{route}");
    }
}

#[test]
fn a_key_that_names_nobody_is_shown_itself() {
    let text = with("    sandbox: { from: caller, by_caller: { crm: prod, reportz: dev-2 } }");
    let expected = "\
error: routes[0].sandbox.by_caller.reportz: no caller is named `reportz`
  --> gateway.yaml:16:54
   |
16 |     sandbox: { from: caller, by_caller: { crm: prod, reportz: dev-2 } }
   |                                                      ^^^^^^^
   = help: did you mean `reports`?
";
    assert_eq!(faults(&text), expected);
}

#[test]
fn what_a_list_would_have_to_hold_is_not_to_be_left_out_where_it_is_needed() {
    for (sandbox, help) in [
        (
            "{ from: header, allow: [prod], default: dev-2 }",
            "   = help: add it there\n",
        ),
        (
            "{ from: host, allow: [prod], by_host: { a: dev-2 } }",
            "   = help: add it there, or leave `allow` out\n",
        ),
    ] {
        let text = faults(&with(&format!("    sandbox: {sandbox}")));
        assert!(text.contains("sandbox dev-2 is not in `allow`"), "{text}");
        assert!(text.contains(help), "{text}");
    }
}

#[test]
fn one_sandbox_at_adobe_is_production_by_all_of_its_names_or_by_none() {
    let two = |production: &str| {
        with("    sandbox: { from: header, allow: [prod, live] }").replace(
            "  dev-2: {}",
            &format!("  dev-2: {{}}\n  live: {{ name: prod{production} }}"),
        )
    };
    let expected = "\
error: sandboxes.live.production: differs from that of prod, which is the same sandbox at Adobe: what is refused in one is permitted in the other
 --> gateway.yaml:9:35
  |
9 |   live: { name: prod, production: false }
  |                                   ^^^^^
  = that one is here
 --> gateway.yaml:7:3
  |
7 |   prod: {}
  |   ^^^^
  = help: write `production` alike for both
";
    assert_eq!(faults(&two(", production: false")), expected);
    for alike in ["", ", production: true"] {
        assert_eq!(told(&two(alike), &sources()), [""; 0]);
    }
}

/// Two organisations.
const TWO: &str = "\
credentials:
  us: { organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg, client_id: c, client_secrets: [s] }
  eu: { organization: 5B4A39281706F5E4D3C2B1A0@AdobeOrg, client_id: c, client_secrets: [s] }
sandboxes: { prod: { credential: us }, dev: { credential: us } }
";

#[test]
fn what_is_wrong_with_where_a_route_leads_is_named() {
    for (route, expected) in [
        (
            "sandbox: { from: host, allow: [dev], by_host: { h: prod } }",
            "sandbox.by_host.h: sandbox prod is not in `allow`",
        ),
        (
            "sandbox: { from: caller, allow: [dev], by_caller: { a: prod } }",
            "sandbox.by_caller.a: sandbox prod is not in `allow`",
        ),
        (
            "sandbox: { from: caller, by_caller: { nobody: dev } }",
            "sandbox.by_caller.nobody: no caller is named `nobody`",
        ),
        (
            "sandbox: { from: header, allow: [dev], default: prod }",
            "sandbox.default: sandbox prod is not in `allow`",
        ),
        (
            "sandbox: { from: header, allow: [dev], by_host: { h: dev } }",
            "sandbox.by_host: means nothing here: it belongs to `from: host`",
        ),
        (
            "sandbox: { allow: [prod, dev] }",
            "sandbox.allow: has more than one sandbox, and nothing says which of them is meant",
        ),
        (
            "sandbox: dev, credential: eu",
            "credential: is not the credential of sandbox dev",
        ),
        (
            "sandbox: dev, permit: { prod: [read] }",
            "permit.prod: the route does not lead to a sandbox prod",
        ),
        (
            "sandbox: dev, callers: [a, { name: a, permit: [read] }]",
            "callers[1].name: a stands in the list twice",
        ),
        (
            "sandbox: { from: header, allow: [dev] }, callers: [{ name: a, sandboxes: [dev, prod] }]",
            "callers[0].sandboxes[1]: the route does not lead to a sandbox prod",
        ),
    ] {
        let text = format!(
            "{TWO}callers: {{ a: {{ network: {{ cidr: [10.0.0.0/8] }} }} }}\n\
             routes: [{{ name: r, match: {{ prefix: / }}, {route} }}]\n"
        );
        assert_eq!(
            messages(&text),
            [format!("routes[0].{expected}")],
            "{route}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_caller_is_named() {
    let listener =
        "listeners: [{ address: '127.0.0.1:0', api_key_header: x-key, token_header: x-key }]\n";
    let text = format!(
        "{TWO}{listener}callers:
  a: {{ client_certificate: {{ dns: a.corp }}, network: {{ cidr: [10.1.0.0/16] }}, sandboxes: [nowhere] }}
  anonymous: {{ network: {{ cidr: [10.0.0.0/8] }} }}
  b: {{ client_certificate: {{ dns: a.corp }}, network: {{ cidr: [10.0.0.0/8] }} }}
routes: [{{ name: r, match: {{ prefix: / }}, sandbox: dev }}]
"
    );
    assert_eq!(
        messages(&text),
        [
            "listeners[0].api_key_header: is the field for tokens, too",
            "callers.a.sandboxes[0]: no sandbox is named `nowhere`",
            "callers.anonymous: is the name of whoever shows nothing, who is known by nothing",
            "callers.b.client_certificate.dns: the name stands at callers.a.client_certificate.dns already",
            "callers.b.network.cidr[0]: the network stands at callers.anonymous.network.cidr[0] already",
        ]
    );
}
