//! Where callers work: in what configuration says is theirs, and nowhere else.

use super::{ask, digest, running};
use crate::support::adobe::Adobe;
use crate::support::raw::exchange;
use crate::support::running::TWO_ORGANIZATIONS;

const CRM: &str = "k-crm-5d2f8a";
const REPORTS: &str = "k-reports-9b1c7e";

/// Two organisations, each with a production sandbox that Adobe calls the same.
fn more(routes: &str) -> String {
    format!(
        "{TWO_ORGANIZATIONS}callers:
  crm: {{ api_key: {{ sha256: {} }} }}
  reports: {{ api_key: {{ sha256: {} }}, sandboxes: [prod, eu-prod] }}
routes:
  - name: all
    match: {{ path: '/data/core/ups/{{*rest}}' }}
{routes}
",
        digest(CRM),
        digest(REPORTS)
    )
}

fn start(adobe: &Adobe, routes: &str) -> crate::support::running::Running {
    let url = adobe.url();
    let text = format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{}",
        more(routes)
    );
    crate::support::running::Running::start(&text, &[])
}

/// Where the last request went: its organisation, API key and sandbox.
fn went(adobe: &Adobe) -> [String; 3] {
    let seen = adobe.seen().pop().unwrap();
    ["x-gw-ims-org-id", "x-api-key", "x-sandbox-name"].map(|name| {
        let values = seen.values(name);
        assert_eq!(values.len(), 1, "{}", seen.head);
        values[0].to_owned()
    })
}

const US: &str = "0A1B2C3D4E5F60718293A4B5@AdobeOrg";
const EU: &str = "5B4A39281706F5E4D3C2B1A0@AdobeOrg";

#[test]
fn a_field_chooses_among_what_is_the_callers_and_organisation_and_key_follow() {
    let adobe = Adobe::willing();
    let gateway = start(
        &adobe,
        "    sandbox: { from: header, allow: [prod, dev-2, eu-prod] }
    callers: [{ name: crm, sandboxes: [dev-2] }, reports]",
    );
    let named = |key: &str, name: &str| {
        ask(
            &gateway,
            &format!("X-Caller-Key: {key}\r\nx-sandbox-name: {name}\r\n"),
        )
    };

    for (key, name, expected) in [
        (CRM, "dev-2", [US, "us-client", "dev-2"]),
        (REPORTS, "prod", [US, "us-client", "prod"]),
        (REPORTS, "eu-prod", [EU, "eu-client", "prod"]),
    ] {
        let answer = named(key, name);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(went(&adobe), expected);
    }
    let before = adobe.seen().len();
    for (key, name, told) in [
        (CRM, "prod", "the caller may work in dev-2"),
        (CRM, "eu-prod", "the caller may work in dev-2"),
        (CRM, "x", "the caller may work in dev-2"),
        (REPORTS, "dev-2", "the caller may work in eu-prod, prod"),
        (REPORTS, "Prod", "the caller may work in eu-prod, prod"),
    ] {
        let answer = named(key, name);
        assert_eq!(answer.problem(), (403, "sandbox_not_allowed".to_owned()));
        assert!(
            answer.text().contains(&format!("\"{told}\"")),
            "{name}: {}",
            answer.text()
        );
    }
    let nameless = ask(&gateway, &format!("X-Caller-Key: {CRM}\r\n"));
    assert!(
        nameless
            .text()
            .contains("name a sandbox in x-sandbox-name; the caller may work in dev-2")
    );
    assert_eq!(adobe.seen().len(), before);
}

#[test]
fn a_caller_who_names_another_sandbox_is_not_sent_to_the_routes_own() {
    let adobe = Adobe::willing();
    let gateway = running(&adobe, "sandboxes: { dev-2: {} }\n");
    let with = |fields: &str| ask(&gateway, fields);

    assert_eq!(with("x-sandbox-name: dev-2\r\n").status, 200);
    assert_eq!(with("").status, 200);
    for fields in [
        "x-sandbox-name: prod\r\n",
        "x-sandbox-name: dev-2\r\nX-Sandbox-Name: prod\r\n",
        "x-sandbox-name:\r\n",
    ] {
        let answer = with(fields);
        assert_eq!(
            answer.problem(),
            (403, "sandbox_not_allowed".to_owned()),
            "{fields}"
        );
        assert!(
            answer.text().contains("would work in sandbox dev-2"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(adobe.seen().len(), 2);
}

#[test]
fn a_host_or_the_caller_decides_where_that_is_said() {
    let adobe = Adobe::willing();
    let gateway = start(
        &adobe,
        "    sandbox: { from: host, by_host: { us.internal: prod, eu.internal: eu-prod } }
  - name: theirs
    match: { path: '/data/core/ca/{*rest}' }
    sandbox: { from: caller, by_caller: { crm: dev-2, reports: eu-prod } }",
    );
    let at = |host: &str, path: &str, key: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Caller-Key: {key}\r\n\r\n");
        loop {
            let answer = exchange(gateway.address, request.clone());
            if answer.status != 503 {
                break answer;
            }
        }
    };
    let (ups, ca) = ("/data/core/ups/audiences", "/data/core/ca/attributes");

    for (host, path, key, expected) in [
        ("us.internal", ups, CRM, [US, "us-client", "prod"]),
        ("EU.internal:8080", ups, CRM, [EU, "eu-client", "prod"]),
        ("eu.internal", ca, CRM, [US, "us-client", "dev-2"]),
        ("us.internal", ca, REPORTS, [EU, "eu-client", "prod"]),
    ] {
        let answer = at(host, path, key);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(went(&adobe), expected);
    }
    assert_eq!(
        at("other.internal", ups, CRM).problem().1,
        "sandbox_not_allowed"
    );
}

#[test]
fn a_dry_run_lets_pass_and_writes_down_what_it_would_refuse() {
    let adobe = Adobe::willing();
    let gateway = start(
        &adobe,
        "    sandbox: { from: header, allow: [dev-2, prod] }
    callers: [crm]
    dry_run: true",
    );
    let with = |key: &str, name: &str| {
        ask(
            &gateway,
            &format!("X-Caller-Key: {key}\r\nx-sandbox-name: {name}\r\n"),
        )
        .status
    };

    assert_eq!((with(CRM, "dev-2"), with(REPORTS, "prod")), (200, 200));
    assert_eq!(went(&adobe), [US, "us-client", "prod"]);
    // There is no place that this could go to, and nobody who could be let in.
    assert_eq!((with(CRM, "eu-prod"), with("k-nobody", "prod")), (403, 401));
    let count = "profile_gateway_dry_run_refusals_total{reason=\"not_granted\"}";
    assert_eq!(gateway.count(count), 1);
    let printed = gateway.stop();
    assert_eq!(
        printed.matches("\"would_refuse\":\"not_granted\"").count(),
        1,
        "{printed}"
    );
}

#[test]
fn a_segment_of_the_path_chooses_and_is_taken_off() {
    let adobe = Adobe::willing();
    let gateway = start(
        &adobe,
        "    sandbox: dev-2
  - name: by-path
    match: { path: '/crm/{sandbox}/data/core/{*rest}' }
    sandbox: { from: path, allow: [prod, eu-prod] }
    rewrite: { strip_prefix: /crm }",
    );
    let get = |path: &str, fields: &str| {
        let fields = format!("X-Caller-Key: {CRM}\r\n{fields}");
        loop {
            let answer = exchange(gateway.address, crate::support::raw::get(path, &fields));
            if answer.status != 503 {
                break answer;
            }
        }
    };

    let answer = get("/crm/eu-prod/data/core/ups/audiences?a=+b%40", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(went(&adobe), [EU, "eu-client", "prod"]);
    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.target(), "/data/core/ups/audiences?a=+b%40");
    for (path, fields, expected) in [
        (
            "/crm/dev-2/data/core/ups/audiences",
            "",
            (403, "sandbox_not_allowed"),
        ),
        (
            "/crm/pro%64/data/core/ups/audiences",
            "",
            (400, "malformed_request"),
        ),
        (
            "/crm/%2e%2e/data/core/ups/audiences",
            "",
            (400, "malformed_request"),
        ),
        (
            "/crm/prod/data/core/ups/audiences",
            "x-sandbox-name: eu-prod\r\n",
            (403, "sandbox_not_allowed"),
        ),
    ] {
        let (status, reason) = get(path, fields).problem();
        assert_eq!((status, reason.as_str()), expected, "{path}");
    }
    assert_eq!(adobe.seen().len(), 1);
}
