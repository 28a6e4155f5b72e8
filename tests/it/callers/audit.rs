//! What is written down of who was refused what, and of who may have changed something.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ask, digest};
use crate::support::adobe::{Act, Adobe, Seen, TOKEN};
use crate::support::process::Process;
use crate::support::raw::{Raw, exchange, get, send};
use crate::support::running::{LOOKUP, Running, eventually};

const CRM: &str = "k-crm-5d2f8a";
const REPORTS: &str = "k-reports-9b1c7e";
const HASH_KEY: &str = "hash-key-3f9a60d2";
const CLIENT_SECRET: &str = "p8e-never-to-be-seen";

/// Answers by what is asked for.
fn adobe() -> Adobe {
    Adobe::start(|seen: &Seen| match seen.target() {
        "/data/core/ups/config/mergePolicies" => Act::json("201 Created", "{}"),
        "/data/core/ups/export/jobs/gone" => Act::json("404 Not Found", "{}"),
        "/data/core/ups/export/jobs" => Act::AnswerAndClose(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\nhalf of it".to_vec(),
        ),
        "/data/core/ups/segment/jobs" => Act::Reset,
        _ => Act::ok(),
    })
}

fn configuration(adobe: &Adobe, audit: &str) -> String {
    let url = adobe.url();
    let (crm, reports) = (digest(CRM), digest(REPORTS));
    format!(
        "ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  us:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: us-client
    client_secrets: [{CLIENT_SECRET}]
sandboxes: {{ prod: {{}}, dev-2: {{}} }}
callers:
  crm: {{ api_key: {{ sha256: {crm} }} }}
  reports: {{ api_key: {{ sha256: {reports} }}, permit: [read] }}
routes:
  - name: profiles
    match: {{ prefix: /data/core/ups }}
    sandbox: {{ from: header, allow: [prod, dev-2], default: dev-2 }}
  - name: few
    match: {{ prefix: /data/core/ca, methods: [GET] }}
    sandbox: dev-2
    limits: [{{ rate: 1/24h, burst: 1 }}]
  - name: trial
    match: {{ prefix: /data/core/ais }}
    sandbox: prod
    dry_run: true
{audit}"
    )
}

fn to_file(path: &str) -> String {
    format!("audit: {{ target: {{ file: {path} }} }}\n")
}

/// Where the file outlasts the gateway.
fn outside() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("audit.log");
    (folder, file)
}

fn start(adobe: &Adobe, audit: &str) -> Running {
    let gateway = Running::start(&configuration(adobe, audit), &[("key", HASH_KEY)]);
    let known = ask(&gateway, &format!("X-Caller-Key: {CRM}\r\n"));
    assert_eq!(known.status, 200, "{}", known.text());
    gateway
}

fn folder(gateway: &Running) -> PathBuf {
    gateway.configuration().parent().unwrap().to_owned()
}

/// Sends a request of a caller's, known again by its id, and returns the status of its answer.
fn call(gateway: &Running, id: &str, key: &str, method: &str, path: &str, fields: &str) -> u16 {
    let fields =
        format!("x-request-id: {id}\r\nX-Caller-Key: {key}\r\nConnection: close\r\n{fields}");
    let request = match method {
        "GET" => get(path, &fields),
        _ => send(method, path, &fields, "{}"),
    };
    let mut caller = Raw::connect(gateway.address);
    caller.write(request);
    let status = caller.answer(true).unwrap().status;
    // Its answer may break off, but not since nobody waits for it.
    assert!(!caller.read_until(b"\0"));
    status
}

/// Has the caller `key` do something that is written down.
fn change(gateway: &Running, id: &str, key: &str) {
    call(gateway, id, key, "POST", MERGE_POLICIES, "");
}

const MERGE_POLICIES: &str = "/data/core/ups/config/mergePolicies";

/// Tells whether the process has the file in its folder open.
fn is_open(gateway: &Running, file: &str) -> bool {
    let process = gateway.process.pid().as_raw_nonzero();
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let path = folder(gateway).join(file);
    let mut open = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    open.any(|open| open == path)
}

fn events_in(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.contains("\"audit\""));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until the request of this id is written down in `file`, and returns all that is.
fn events(file: &Path, last: &str) -> Vec<Value> {
    eventually("event", || {
        let events = events_in(&fs::read_to_string(file).unwrap_or_default());
        let found = events.iter().any(|event| event["request_id"] == last);
        found.then_some(events)
    })
}

#[test]
fn what_was_refused_and_what_may_have_changed_something_is_written_down_and_nothing_else() {
    let adobe = adobe();
    let (_folder, file) = outside();
    let gateway = start(&adobe, &to_file(file.to_str().unwrap()));
    let (ups, jobs) = ("/data/core/ups/audiences", "/data/core/ups/export/jobs");
    let prod = "x-sandbox-name: prod\r\n";

    for (id, key, method, path, fields, status) in [
        ("reads", CRM, "GET", LOOKUP, "", 200),
        (
            "reads-by-post",
            CRM,
            "POST",
            "/data/core/ups/access/entities",
            "",
            200,
        ),
        ("nobody", "k-nobody", "GET", ups, "", 401),
        ("nowhere", CRM, "GET", "/data/core/dule", "", 404),
        (
            "no-method",
            CRM,
            "POST",
            "/data/core/ca/attributes",
            "",
            405,
        ),
        ("doubtful", CRM, "GET", "/data/core/ups/%2e%2e/ca", "", 400),
        ("not-granted", REPORTS, "POST", MERGE_POLICIES, "", 403),
        ("in-production", CRM, "DELETE", jobs, prod, 403),
        ("elsewhere", CRM, "GET", ups, "x-sandbox-name: x\r\n", 403),
        ("first", CRM, "GET", "/data/core/ca/attributes", "", 200),
        ("second", CRM, "GET", "/data/core/ca/attributes", "", 429),
        (
            "tried",
            CRM,
            "POST",
            "/data/core/ais/external-audience",
            "",
            200,
        ),
        (
            "tried-to-read",
            CRM,
            "GET",
            "/data/core/ais/external-audience",
            "",
            200,
        ),
        ("writes", CRM, "POST", MERGE_POLICIES, "", 201),
        ("unfit", CRM, "POST", MERGE_POLICIES, "Expect: it\r\n", 417),
        (
            "deletes",
            CRM,
            "DELETE",
            "/data/core/ups/export/jobs/gone",
            "",
            404,
        ),
        ("half", CRM, "POST", jobs, "", 502),
        ("lost", CRM, "POST", "/data/core/ups/segment/jobs", "", 502),
    ] {
        let found = call(&gateway, id, key, method, path, fields);
        assert_eq!(found, status, "{id}");
    }
    // Nobody knows who that was, nor what was meant.
    let garbage = exchange(
        gateway.address,
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    );
    assert_eq!(garbage.status, 400);
    let printed = gateway.stop();
    let written = fs::read_to_string(&file).unwrap();
    let mut found = events_in(&written);

    for event in &mut found {
        let timestamp = event.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(humantime::parse_rfc3339(timestamp.as_str().unwrap()).is_ok());
        assert_eq!(
            event.as_object_mut().unwrap().remove("message").unwrap(),
            "audit"
        );
        let peer = event.as_object_mut().unwrap().remove("peer").unwrap();
        assert_eq!(peer, "127.0.0.1");
    }
    let by_crm = |id: &str, more: Value| {
        let mut event = json!({ "request_id": id, "caller": "crm", "identified_by": "api_key" });
        let members = event.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        event
    };
    let org = "0A1B2C3D4E5F60718293A4B5@AdobeOrg";
    let expected = [
        json!({ "request_id": "nobody", "decision": "refused", "reason": "caller_unknown", "cause": "api_key_unknown", "status": 401 }),
        by_crm(
            "nowhere",
            json!({ "decision": "refused", "reason": "no_route", "status": 404 }),
        ),
        by_crm(
            "no-method",
            json!({ "decision": "refused", "reason": "method_not_routed", "status": 405 }),
        ),
        by_crm(
            "doubtful",
            json!({ "decision": "refused", "reason": "malformed_request", "status": 400 }),
        ),
        json!({ "request_id": "not-granted", "caller": "reports", "identified_by": "api_key", "route": "profiles",
            "operation": "mergePolicies.create", "kind": "write", "sandbox": "dev-2", "organization": org,
            "decision": "refused", "reason": "not_granted", "status": 403 }),
        by_crm(
            "in-production",
            json!({ "route": "profiles", "operation": "unknown.delete", "kind": "delete",
            "sandbox": "prod", "organization": org,
            "decision": "refused", "reason": "production_read_only", "status": 403 }),
        ),
        by_crm(
            "elsewhere",
            json!({ "route": "profiles", "operation": "audiences.list", "kind": "read",
            "decision": "refused", "reason": "sandbox_not_allowed", "status": 403 }),
        ),
        by_crm(
            "second",
            json!({ "route": "few", "operation": "computedAttributes.list", "kind": "read",
            "sandbox": "dev-2", "organization": org, "decision": "refused", "reason": "quota", "status": 429 }),
        ),
        by_crm(
            "tried",
            json!({ "route": "trial", "operation": "externalAudiences.create", "kind": "job",
            "sandbox": "prod", "organization": org, "decision": "would_refuse",
            "reason": "production_read_only", "status": 200, "upstream_status": 200 }),
        ),
        by_crm(
            "writes",
            json!({ "route": "profiles", "operation": "mergePolicies.create", "kind": "write",
            "sandbox": "dev-2", "organization": org, "decision": "allowed", "status": 201, "upstream_status": 201 }),
        ),
        by_crm(
            "unfit",
            json!({ "route": "profiles", "operation": "mergePolicies.create", "kind": "write",
            "sandbox": "dev-2", "organization": org, "decision": "refused", "reason": "expectation_failed", "status": 417 }),
        ),
        by_crm(
            "deletes",
            json!({ "route": "profiles", "operation": "exports.delete", "kind": "delete",
            "sandbox": "dev-2", "organization": org, "decision": "allowed", "status": 404, "upstream_status": 404 }),
        ),
        by_crm(
            "half",
            json!({ "route": "profiles", "operation": "exports.create", "kind": "job",
            "sandbox": "dev-2", "organization": org, "decision": "allowed", "reason": "upstream_reset",
            "status": 502, "upstream_status": 502 }),
        ),
        by_crm(
            "lost",
            json!({ "route": "profiles", "operation": "segmentJobs.create", "kind": "job",
            "sandbox": "dev-2", "organization": org, "decision": "allowed", "reason": "upstream_reset",
            "status": 502 }),
        ),
    ];
    // Workers write their own, each in its order.
    let sorted = |mut all: Vec<Value>| {
        all.sort_by_key(|event| event["request_id"].as_str().unwrap().to_owned());
        all
    };
    assert_eq!(sorted(found), sorted(expected.to_vec()));
    for secret in [
        CRM,
        REPORTS,
        TOKEN,
        CLIENT_SECRET,
        &digest(CRM),
        "k-nobody",
        "janedoe",
        "/data",
        "%2e",
    ] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert!(events_in(&printed).is_empty(), "{printed}");
}

#[test]
fn without_a_word_of_it_nothing_is_audited_and_standard_output_takes_it_too() {
    let adobe = adobe();
    let gateway = start(&adobe, "");
    change(&gateway, "a", CRM);
    assert!(events_in(&gateway.stop()).is_empty());

    let gateway = start(&adobe, "audit: {}\n");
    change(&gateway, "b", CRM);
    let printed = gateway.stop();
    let events = events_in(&printed);
    assert_eq!((events.len(), &events[0]["request_id"]), (1, &json!("b")));
    assert!(printed.contains("\"message\":\"access\""), "{printed}");
}

#[test]
fn hashed_ids_tell_callers_apart_and_show_none_of_them() {
    let adobe = adobe();
    let (_folder, file) = outside();
    let hashed = |key: &str| {
        let key = format!("'${{file:$FOLDER/{key}}}'");
        let file = file.display();
        format!("audit: {{ target: {{ file: {file} }}, hash_ids: {key} }}\n")
    };
    let gateway = start(&adobe, &hashed("key"));
    gateway.write("other", "another-key-81b2d4");

    change(&gateway, "same", CRM);
    change(&gateway, "same", CRM);
    change(&gateway, "other", REPORTS);
    eventually("three lines", || {
        let written = fs::read_to_string(&file).unwrap();
        (written.lines().count() == 3).then_some(())
    });
    assert_eq!(
        gateway.reload(&configuration(&adobe, &hashed("other"))),
        "applied"
    );
    change(&gateway, "same", CRM);
    let printed = gateway.stop();

    let written = fs::read_to_string(&file).unwrap();
    let mut events = events_in(&written);
    assert_eq!(events.len(), 4, "{written}");
    // Workers write their own; the last is that of another configuration.
    events[..3].sort_by_key(|event| event["decision"].as_str().unwrap().to_owned());
    let [one, two, other, later] = &events[..] else {
        panic!("{events:?}");
    };
    for id in ["caller", "organization", "peer", "request_id"] {
        let text = one[id].as_str().unwrap();
        assert!(
            text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{text}"
        );
        assert_eq!(one[id], two[id]);
        assert_ne!(one[id], later[id]);
    }
    assert_ne!(one["caller"], other["caller"]);
    assert_eq!(one["organization"], other["organization"]);
    for shown in ["crm", "reports", "AdobeOrg", "127.0.0.1", "same", HASH_KEY] {
        assert!(!written.contains(shown), "{shown} in {written}");
    }
    assert!(
        !printed.contains(HASH_KEY) && !printed.contains("another-key"),
        "{printed}"
    );
}

#[test]
fn a_file_that_has_grown_is_begun_anew_and_no_line_is_lost() {
    let adobe = adobe();
    let small = "audit: { target: { file: $FOLDER/audit.log, max_size: 4KiB, keep: 2 } }\n";
    let gateway = start(&adobe, small);
    let file = folder(&gateway).join("audit.log");
    let numbered = |number: usize| folder(&gateway).join(format!("audit.log.{number}"));

    let mut written = Vec::new();
    while !numbered(2).exists() {
        let id = format!("{:08}", written.len());
        change(&gateway, &id, CRM);
        written.push(id.clone());
        // One at a time: what comes together is not taken apart.
        events(&file, &id);
        assert!(written.len() < 100, "nothing is renamed");
    }

    let mut found = Vec::new();
    for file in [numbered(2), numbered(1), file] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 4096 && text.ends_with('\n'));
        found.extend(events_in(&text));
    }
    let ids: Vec<_> = found
        .iter()
        .map(|event| event["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, written);
}

#[test]
fn a_reload_goes_on_in_another_file_and_leaves_what_it_cannot_open() {
    let adobe = adobe();
    let gateway = start(&adobe, "");
    let at = |file: &str| {
        let audit = to_file(&format!("$FOLDER/{file}"));
        gateway.reload(&configuration(&adobe, &audit))
    };
    let written = |file: &str| folder(&gateway).join(file);

    change(&gateway, "before", CRM);
    assert_eq!(at("one.log"), "applied");
    change(&gateway, "one", CRM);
    events(&written("one.log"), "one");
    assert_eq!(at("other.log"), "applied");
    // At once, also where nothing is written.
    eventually("close", || (!is_open(&gateway, "one.log")).then_some(()));
    change(&gateway, "other", CRM);
    events(&written("other.log"), "other");
    assert!(is_open(&gateway, "other.log"));
    assert_eq!(at("missing/audit.log"), "refused");
    gateway.process.wait_for("missing/audit.log");
    change(&gateway, "still", CRM);
    assert_eq!(events(&written("other.log"), "still").len(), 2);
    assert_eq!(gateway.reload(&configuration(&adobe, "")), "applied");
    change(&gateway, "after", CRM);
    assert_eq!(at("other.log"), "applied");
    change(&gateway, "again", CRM);
    let ids = events(&written("other.log"), "again");

    let ids: Vec<_> = ids
        .iter()
        .map(|event| event["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["other", "still", "again"]);
    assert_eq!(events(&written("one.log"), "one").len(), 1);
}

#[test]
fn a_gateway_whose_audit_cannot_be_opened_does_not_start() {
    let adobe = adobe();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.yaml");
    let more = "listeners: [{ address: '127.0.0.1:0' }]\nadmin: { address: '127.0.0.1:0' }\n";
    let audit = to_file("/proc/nowhere/audit.log");
    fs::write(&path, configuration(&adobe, &format!("{more}{audit}"))).unwrap();

    let process = Process::start(&["run", "--config", path.to_str().unwrap()], &[]);
    let (code, printed) = process.finish();

    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("cannot open the audit: /proc/nowhere/audit.log: "),
        "{printed}"
    );
    assert!(!printed.contains("serving"), "{printed}");
}

#[test]
fn what_cannot_be_written_is_counted_and_everybody_is_served() {
    let adobe = adobe();
    let gateway = start(&adobe, &to_file("$FOLDER/audit.log"));
    let file = folder(&gateway).join("audit.log");
    let dropped = || gateway.count("profile_gateway_audit_dropped_total");
    assert_eq!(dropped(), 0);

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    change(&gateway, "lost", CRM);
    eventually("dropped line", || (dropped() == 1).then_some(()));
    gateway
        .process
        .wait_for("the audit cannot be written; its lines are dropped and counted");
    fs::remove_dir(&file).unwrap();
    change(&gateway, "back", CRM);

    assert_eq!(events(&file, "back").len(), 1);
    assert_eq!(dropped(), 1);
}
