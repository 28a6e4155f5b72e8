//! Rules that are only looked at: what they would do is counted and logged, and nothing is done by them.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{configuration, digest};
use crate::support::adobe::Adobe;
use crate::support::raw::{exchange, get};
use crate::support::running::{LOOKUP, Running};

const CRM: &str = "k-crm-5d2f8a";
const REPORTS: &str = "k-reports-9b1c7e";

/// Rules of two callers, of whom the routes say more.
fn rules(routes: &str) -> String {
    format!(
        "
sandboxes: {{ dev-2: {{}}, dev-3: {{}} }}
callers:
  crm: {{ api_key: {{ sha256: {} }} }}
  reports: {{ api_key: {{ sha256: {} }} }}
routes:
{routes}",
        digest(CRM),
        digest(REPORTS)
    )
}

/// What counts in these tests: both may look up, and only one of them elsewhere than here.
const LIVE: &str = "
  - name: lookups
    match: { path: /data/core/ups/access/entities }
    callers: [crm]
    sandbox: dev-2
";

fn live(adobe: &Adobe) -> String {
    let rules = configuration(adobe, &rules(LIVE));
    format!("shadow: $FOLDER/shadow.yaml\n{rules}")
}

/// A whole configuration of its own. Its listeners and its upstream are nobody's.
fn shadow(routes: &str) -> String {
    let url = "http://127.0.0.1:9";
    let rules = rules(routes);
    let credential = crate::support::running::CREDENTIAL;
    format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{credential}{rules}")
}

fn start(adobe: &Adobe, shadow: &str) -> Running {
    Running::start(&live(adobe), &[("shadow.yaml", shadow)])
}

fn ask(gateway: &Running, key: &str, path: &str) -> u16 {
    loop {
        let fields = format!("x-caller-key: {key}\r\n");
        let status = exchange(gateway.address, get(path, &fields)).status;
        if status != 503 {
            return status;
        }
    }
}

fn counted(gateway: &Running, live: &str, shadow: &str) -> i64 {
    let labels = format!("{{live=\"{live}\",shadow=\"{shadow}\"}}");
    gateway.count(&format!("profile_gateway_shadow_decisions_total{labels}"))
}

/// What the access lines say of the shadow, those that say something, in their order.
fn said(printed: &str) -> Vec<String> {
    let lines = printed.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "access").then_some(line)
    });
    lines
        .filter_map(|line| line["shadow"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn rules_that_decide_the_same_are_counted_and_not_logged() {
    let adobe = Adobe::willing();
    let gateway = start(&adobe, &shadow(LIVE));

    // Else what finds no token would be asked, and counted, again and again.
    gateway.wait_for_state("demo", "valid");
    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert_eq!(ask(&gateway, REPORTS, LOOKUP), 403);
    assert_eq!(ask(&gateway, CRM, "/data/core/ups/jobs"), 404);
    // Nobody is known whom anything could be decided for.
    assert_eq!(ask(&gateway, "k-nobody", LOOKUP), 401);

    assert_eq!(counted(&gateway, "allowed", "allowed"), 1);
    assert_eq!(counted(&gateway, "refused", "refused"), 2);
    let all = gateway.count("profile_gateway_shadow_decisions_total");
    assert_eq!(all, 3);
    assert_eq!(said(&gateway.stop()), Vec::<String>::new());
}

#[test]
fn what_is_stricter_looser_or_elsewhere_is_told_and_requests_fare_as_without_it() {
    let adobe = Adobe::willing();
    let routes = "
  - name: lookups
    match: { path: /data/core/ups/access/entities, methods: [GET] }
    callers: [reports]
    sandbox: dev-3
  - name: by-path
    match: { path: '/crm/{sandbox}/data/core/{*rest}' }
    sandbox: { from: path, allow: [dev-2, dev-3] }
";
    let gateway = start(&adobe, &shadow(routes));
    gateway.wait_for_state("demo", "valid");

    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert_eq!(
        adobe.seen().pop().unwrap().values("x-sandbox-name"),
        ["dev-2"]
    );
    assert_eq!(ask(&gateway, REPORTS, LOOKUP), 403);
    let by_path = "/crm/dev-2/data/core/ups/access/entities";
    assert_eq!(ask(&gateway, CRM, by_path), 404);

    assert_eq!(counted(&gateway, "allowed", "refused"), 1);
    assert_eq!(counted(&gateway, "refused", "allowed"), 2);
    // A file that alone has changed is read anew, and then everybody is elsewhere.
    let everybody = shadow(&routes.replace("[reports]", "[reports, crm]"));
    let outcome = gateway.outcome_of(|| gateway.write("shadow.yaml", &everybody));
    assert_eq!(outcome, "applied");
    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert_eq!(
        adobe.seen().pop().unwrap().values("x-sandbox-name"),
        ["dev-2"]
    );
    assert_eq!(counted(&gateway, "allowed", "elsewhere"), 1);

    let printed = gateway.stop();
    assert_eq!(
        said(&printed),
        [
            "refused:not_granted",
            "allowed:dev-3",
            "allowed:dev-2",
            "allowed:dev-3"
        ],
        "{printed}"
    );
    assert!(
        printed.contains("shadow.routes.lookups.callers"),
        "{printed}"
    );
}

#[test]
fn a_caller_that_the_shadow_does_not_know_has_what_is_for_everybody_and_no_more() {
    let adobe = Adobe::willing();
    let known = format!(
        "callers: {{ other: {{ api_key: {{ sha256: {} }} }} }}\n",
        digest("k-other")
    );
    let without_callers = |routes: &str| {
        let text = shadow(routes);
        let (before, rest) = text.split_once("callers:\n").unwrap();
        let (_, after) = rest.split_once("routes:\n").unwrap();
        (before.to_owned(), format!("routes:\n{after}"))
    };
    let of_everybody = LIVE.replace("    callers: [crm]\n", "");
    let (before, after) = without_callers(&of_everybody);
    let gateway = start(&adobe, &format!("{before}{known}{after}"));
    gateway.wait_for_state("demo", "valid");

    // By default a route is for those who are known.
    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert_eq!(counted(&gateway, "allowed", "refused"), 1);
    let nobody_known = format!("{before}{after}");
    let outcome = gateway.outcome_of(|| gateway.write("shadow.yaml", &nobody_known));
    assert_eq!(outcome, "applied");
    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);

    assert_eq!(counted(&gateway, "allowed", "allowed"), 1);
    assert_eq!(said(&gateway.stop()), ["refused:not_granted"]);
}

#[test]
fn the_same_sandbox_of_another_organisation_is_elsewhere() {
    let adobe = Adobe::willing();
    let other = "5B4A39281706F5E4D3C2B1A0@AdobeOrg";
    let there = shadow(LIVE).replace("0A1B2C3D4E5F60718293A4B5@AdobeOrg", other);
    let gateway = start(&adobe, &there);
    gateway.wait_for_state("demo", "valid");

    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);

    assert_eq!(counted(&gateway, "allowed", "elsewhere"), 1);
    let expected = format!("allowed:dev-2 (dev-2 of {other})");
    assert_eq!(said(&gateway.stop()), [expected]);
}

#[test]
fn a_limit_or_an_upstream_that_refuses_is_no_difference() {
    let adobe = Adobe::willing();
    let limited = LIVE.replace("    sandbox", "    limits: [{ rate: 1/h }]\n    sandbox");
    let text = live(&adobe).replace(LIVE, &limited);
    let gateway = Running::start(&text, &[("shadow.yaml", &shadow(LIVE))]);
    gateway.wait_for_state("demo", "valid");

    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert_eq!(ask(&gateway, CRM, LOOKUP), 429);

    assert_eq!(counted(&gateway, "allowed", "allowed"), 2);
    assert_eq!(said(&gateway.stop()), Vec::<String>::new());
}

#[test]
fn what_a_dry_run_lets_pass_counts_as_allowed() {
    let adobe = Adobe::willing();
    let tried = LIVE.replace("    sandbox", "    dry_run: true\n    sandbox");
    let text = live(&adobe).replace(LIVE, &tried);
    let gateway = Running::start(&text, &[("shadow.yaml", &shadow(LIVE))]);
    gateway.wait_for_state("demo", "valid");

    assert_eq!(ask(&gateway, REPORTS, LOOKUP), 200);

    assert_eq!(counted(&gateway, "allowed", "refused"), 1);
    assert_eq!(said(&gateway.stop()), ["refused:not_granted"]);
}

#[test]
fn faults_of_the_shadow_are_faults_of_the_configuration_with_its_file_and_line() {
    let adobe = Adobe::willing();
    let gateway = start(&adobe, &shadow(LIVE));
    gateway.wait_for_state("demo", "valid");
    let faulty = shadow(&LIVE.replace("[crm]", "[cmr]"));
    let line = faulty
        .lines()
        .position(|line| line.contains("[cmr]"))
        .unwrap()
        + 1;

    let outcome = gateway.outcome_of(|| gateway.write("shadow.yaml", &faulty));
    assert_eq!(outcome, "refused");
    // One of its own it has not.
    let file = gateway.configuration().with_file_name("shadow.yaml");
    let twice = format!("{}shadow: {}\n", shadow(LIVE), file.display());
    let outcome = gateway.outcome_of(|| gateway.write("shadow.yaml", &twice));
    assert_eq!(outcome, "refused");
    let checked = Command::new(env!("CARGO_BIN_EXE_profile-gateway"))
        .args(["check", "--config"])
        .arg(gateway.configuration())
        .output()
        .unwrap();
    assert!(!checked.status.success());
    fs::remove_file(&file).unwrap();
    assert_eq!(gateway.reload_by_signal(), "refused");
    // The rules that were looked at before still are.
    assert_eq!(ask(&gateway, CRM, LOOKUP), 200);
    assert!(counted(&gateway, "allowed", "allowed") > 0);

    let printed = gateway.stop();
    let said = |text: &str| assert!(printed.contains(text), "no {text} in {printed}");
    said(&format!("{}:{line}:", file.display()));
    said("no caller is named `cmr`");
    said("shadow: stands in a configuration that is a shadow itself");
    said("the file does not exist");
    said("it is named here");
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(told.contains("that is a shadow itself"), "{told}");
}

#[test]
fn a_folder_can_be_a_shadow_and_a_file_that_comes_into_it_counts() {
    let adobe = Adobe::willing();
    let gateway = start(&adobe, &shadow(LIVE));
    let folder = gateway.configuration().with_file_name("shadow");
    fs::create_dir(&folder).unwrap();
    let text = shadow(LIVE);
    let (all, routes) = text.split_once("routes:\n").unwrap();
    fs::write(folder.join("all.yaml"), all).unwrap();
    fs::write(folder.join("routes.yaml"), format!("routes:\n{routes}")).unwrap();
    gateway.wait_for_state("demo", "valid");

    let of_folder = live(&adobe).replace("shadow.yaml", "shadow");
    let named = gateway.reload(&of_folder);
    assert_eq!(named, "unchanged", "it says what the file said");
    let more = "routes: [{ name: more, match: { path: /data/core/ups/jobs }, sandbox: dev-2 }]";
    let outcome = gateway.outcome_of(|| fs::write(folder.join("more.yaml"), more).unwrap());
    assert_eq!(outcome, "applied");
    assert_eq!(ask(&gateway, CRM, "/data/core/ups/jobs"), 404);

    assert_eq!(counted(&gateway, "refused", "allowed"), 1);
}
