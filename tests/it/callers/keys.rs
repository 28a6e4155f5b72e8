//! Callers who show an API key, or come from a network.

use serde_json::Value;

use super::{ask, configuration, digest, running};
use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::process::Process;
use crate::support::raw::{Raw, get};
use crate::support::running::{LOOKUP, Running};

const OLD: &str = "k-old-3a7f0c5d9e";
const NEW: &str = "k-new-81b2d4f6a0";
const OTHER: &str = "k-other-c3e5a7b9d1";

fn callers() -> String {
    format!(
        "
callers:
  reports: {{ api_key: [{{ sha256: {} }}, {{ sha256: {} }}] }}
  crm: {{ api_key: {{ sha256: {} }}, permit: [write] }}
",
        digest(OLD),
        digest(NEW),
        digest(OTHER)
    )
}

#[test]
fn a_key_makes_a_caller_and_goes_no_further_than_the_gateway() {
    let adobe = Adobe::willing();
    let gateway = running(&adobe, &callers());

    for key in [OLD, NEW] {
        let answer = ask(&gateway, &format!("X-Caller-Key: {key}\r\n"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    let seen = adobe.seen();
    assert_eq!(seen.len(), 2);
    for seen in &seen {
        seen.assert_owned("dev-2");
        assert!(seen.values("x-caller-key").is_empty(), "{}", seen.head);
    }
    let printed = gateway.stop();
    let access = printed.matches("\"caller\":\"reports\",\"identified_by\":\"api_key\"");
    assert_eq!(access.count(), 2, "{printed}");
    for secret in [OLD, NEW, &digest(OLD), &digest(NEW)] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn who_shows_nothing_or_what_is_wrong_is_told_what_counts_and_sent_nowhere() {
    let adobe = Adobe::willing();
    let gateway = running(&adobe, &callers());
    assert_eq!(
        ask(&gateway, &format!("X-Caller-Key: {OLD}\r\n")).status,
        200
    );

    let short = OLD.strip_suffix('e').unwrap();
    for (fields, detail) in [
        (String::new(), "show who calls: an API key in x-caller-key"),
        ("X-Caller-Key:\r\n".to_owned(), "is not accepted here"),
        (format!("X-Caller-Key: {short}\r\n"), "is not accepted here"),
        (format!("X-Caller-Key: {OLD}f\r\n"), "is not accepted here"),
        (
            format!("X-Caller-Key: {}\r\n", digest(OLD)),
            "is not accepted here",
        ),
        (
            format!("X-Caller-Key: {OLD}\r\nX-Caller-Key: {OTHER}\r\n"),
            "once, and no more",
        ),
        (
            format!("X-Caller-Key: {OLD}\r\nx-caller-key: {OLD}\r\n"),
            "once, and no more",
        ),
        (format!("x_caller_key: {OLD}\r\n"), "show who calls"),
        (
            format!("Authorization: Bearer {OLD}\r\nX-Api-Key: {OLD}\r\n"),
            "show who calls",
        ),
    ] {
        let answer = ask(&gateway, &fields);

        assert_eq!(
            answer.problem(),
            (401, "caller_unknown".to_owned()),
            "{fields}"
        );
        let challenge = "ApiKey realm=\"profile-gateway\", header=\"x-caller-key\"";
        assert_eq!(answer.values("www-authenticate"), [challenge], "{fields}");
        assert!(
            answer.text().contains(detail),
            "{fields}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("k-"), "{}", answer.text());
    }
    assert_eq!(adobe.seen().len(), 1);
}

#[tokio::test]
async fn a_key_is_asked_for_with_every_request_of_a_connection() {
    let adobe = Adobe::willing();
    let gateway = running(&adobe, &callers());
    ask(&gateway, &format!("X-Caller-Key: {OLD}\r\n"));

    for speaks in [Speaks::H1, Speaks::H2] {
        let mut client = Client::connect(gateway.address, speaks).await;
        let url = match speaks {
            Speaks::H1 => LOOKUP.to_owned(),
            Speaks::H2 => format!("http://{}{LOOKUP}", gateway.address),
        };
        for (fields, status) in [
            (&[("x-caller-key", OLD)][..], 200),
            (&[][..], 401),
            (&[("x-caller-key", NEW)][..], 200),
            (&[("x-caller-key", "k-wrong")][..], 401),
        ] {
            let host = (speaks == Speaks::H1).then_some(("host", "gateway"));
            let fields: Vec<_> = fields.iter().copied().chain(host).collect();
            let request = request(http::Method::GET, &url, &fields, "");
            let reply = client.send(request).await.unwrap();
            assert_eq!(reply.status, status, "{speaks:?} {fields:?}");
        }
    }
}

#[test]
fn a_reload_takes_a_key_away_and_gives_another() {
    let adobe = Adobe::willing();
    let one = |key: &str| {
        let callers = format!(
            "callers: {{ reports: {{ api_key: {{ sha256: {} }} }} }}\n",
            digest(key)
        );
        configuration(&adobe, &callers)
    };
    let gateway = Running::start(&one(OLD), &[]);
    let with = |key: &str| ask(&gateway, &format!("X-Caller-Key: {key}\r\n")).status;

    assert_eq!((with(OLD), with(NEW)), (200, 401));
    assert_eq!(gateway.reload(&one(NEW)), "applied");
    assert_eq!((with(OLD), with(NEW)), (401, 200));
}

#[test]
fn a_key_in_a_field_of_an_earlier_configuration_goes_no_further_either() {
    let adobe = Adobe::willing();
    let shown_in = |field: &str| {
        let listener =
            format!("listeners: [{{ address: '127.0.0.1:0', api_key_header: {field} }}]\n");
        configuration(&adobe, &format!("{listener}{}", callers()))
    };
    let gateway = Running::start(&shown_in("x-first-key"), &[]);
    let first = format!("X-First-Key: {OLD}\r\nX_first_key: {OLD}\r\n");
    assert_eq!(ask(&gateway, &first).status, 200);
    let mut open = Raw::connect(gateway.address);
    let mut over_open = |fields: &str| {
        open.write(get(LOOKUP, fields));
        open.answer(false).unwrap().status
    };
    assert_eq!(over_open(&first), 200);

    for (field, fields) in [
        ("x-second-key", format!("X-Second-Key: {OLD}\r\n{first}")),
        (
            "x-third-key",
            format!("X-Third-Key: {OLD}\r\nX-Second-Key: {OLD}\r\n{first}"),
        ),
    ] {
        assert_eq!(gateway.reload(&shown_in(field)), "applied");
        // It keeps what it was accepted with.
        assert_eq!(over_open(&first), 200, "{field}");
        assert_eq!(ask(&gateway, &fields).status, 200, "{field}");
        assert_eq!(ask(&gateway, &first).status, 401, "{field}");
    }

    let seen = adobe.seen();
    assert_eq!(seen.len(), 6);
    for seen in seen {
        seen.assert_owned("dev-2");
        assert!(!seen.head.contains(OLD), "{}", seen.head);
    }
}

#[test]
fn a_route_by_a_field_that_held_proofs_waits_for_the_next_start() {
    let adobe = Adobe::willing();
    let shown_in = |field: &str, condition: &str| {
        let listener =
            format!("listeners: [{{ address: '127.0.0.1:0', api_key_header: {field} }}]\n");
        let routes = format!(
            "routes: [{{ name: teams, match: {{ prefix: /data{condition} }}, sandbox: dev-2 }}]\n"
        );
        configuration(&adobe, &format!("{listener}{}{routes}", callers()))
    };
    let gateway = Running::start(&shown_in("x-first-key", ""), &[]);
    let needed = || gateway.count("profile_gateway_config_restart_needed");

    for (condition, waits) in [
        ("", 0),
        (", headers: [{ name: x_first_key, present: true }]", 1),
        (", headers: [{ name: x-team, present: true }]", 0),
    ] {
        assert_eq!(
            gateway.reload(&shown_in("x-next-key", condition)),
            "applied"
        );
        assert_eq!(needed(), waits, "{condition}");
    }
    let printed = gateway.stop();
    assert!(printed.contains("\"routes\":\"teams\""), "{printed}");
}

#[test]
fn who_is_taken_out_is_shut_out_although_the_listener_still_looks_for_such_proofs() {
    let adobe = Adobe::willing();
    let with = |caller: &str| {
        let listener = "listeners: [{ address: '127.0.0.1:0', identify: [api_key, network] }]\n";
        let callers = format!("callers:\n  far: {{ network: {{ cidr: [10.0.0.0/8] }} }}\n{caller}");
        configuration(&adobe, &format!("{listener}{callers}"))
    };
    let leaked = format!("  leaked: {{ api_key: {{ sha256: {} }} }}\n", digest(OLD));
    let gateway = Running::start(&with(&leaked), &[]);
    let shown = format!("X-Caller-Key: {OLD}\r\n");
    assert_eq!(ask(&gateway, &shown).status, 200);

    assert_eq!(gateway.reload(&with("")), "applied");

    assert_eq!(ask(&gateway, &shown).status, 401);
}

#[test]
fn what_comes_to_nothing_is_warned_of_by_check_and_in_the_log_and_taken() {
    let adobe = Adobe::willing();
    let more = format!("{}  far: {{ unix_peer: {{ uid: 1 }} }}\n", callers());
    let gateway = running(&adobe, &more);
    let shown = format!("X-Caller-Key: {OLD}\r\n");
    assert_eq!(ask(&gateway, &shown).status, 200);
    let path = gateway.configuration().to_str().unwrap().to_owned();
    let check = |more: &[&str]| {
        let arguments = [&["check", "--config", &path], more].concat();
        Process::start(&arguments, &[]).finish()
    };

    let (code, words) = check(&[]);
    let told = "warning: callers.far: no listener can know it: a user or group counts at a Unix socket, `unix:`\n --> ";
    assert_eq!(code, Some(0));
    assert!(
        words.contains(told) && words.contains("no faults"),
        "{words}"
    );
    let (code, printed) = check(&["--format", "json"]);
    let found: Value = serde_json::from_str(&printed).unwrap();
    // There may be others, of a file that everybody may read.
    let mut warnings = found["warnings"].as_array().unwrap().iter();
    let warning = warnings.find(|warning| warning["key"] == "callers.far");
    let warning = warning.unwrap();
    assert_eq!(code, Some(0));
    let at = warning["at"].as_str().unwrap().to_owned();
    assert!(at.starts_with(&path) && words.contains(&at), "{at}");
    let printed = gateway.stop();
    let told = "\"message\":\"a part of the configuration comes to nothing\"";
    assert!(
        printed.contains(told) && printed.contains("callers.far"),
        "{printed}"
    );
}

#[test]
fn a_listener_says_by_what_and_in_which_field_callers_are_known() {
    let adobe = Adobe::willing();
    let more = format!(
        "listeners:
  - {{ address: '127.0.0.1:0', api_key_header: x-api-key }}
callers:
  reports: {{ api_key: {{ sha256: {} }} }}
  here: {{ network: {{ cidr: [127.0.0.0/8] }} }}
",
        digest(OLD)
    );
    let gateway = running(&adobe, &more);
    let by_network = ask(&gateway, "X-Caller-Key: anything\r\n").status;
    let by_key = ask(&gateway, &format!("X-Api-Key: {OLD}\r\n")).status;
    // What is shown is wrong, so the network does not count.
    let wrong = ask(&gateway, "X-Api-Key: dummy\r\n").status;
    assert_eq!((by_network, by_key, wrong), (200, 200, 401));
    // Nothing was looked at in that field, and it does not go on all the same.
    let seen = adobe.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.values("x-caller-key").is_empty()
                || seen.values("x-caller-key") == ["anything"])
    );
    seen[0].assert_owned("dev-2");
    seen[1].assert_owned("dev-2");
    let printed = gateway.stop();
    let named = |name: &str, by: &str| {
        let members = format!("\"caller\":\"{name}\",\"identified_by\":\"{by}\"");
        printed.contains(&members)
    };
    assert!(
        named("here", "network") && named("reports", "api_key"),
        "{printed}"
    );

    // Keys count elsewhere.
    let more = more.replace(
        "api_key_header: x-api-key }",
        "identify: [network], anonymous: refuse }\n  - { address: 'unix:$FOLDER/s.sock' }",
    );
    let gateway = running(&adobe, &more);
    let ignored = ask(&gateway, "X-Caller-Key: dummy\r\n").status;
    assert_eq!(ignored, 200);
    assert!(
        adobe
            .seen()
            .pop()
            .unwrap()
            .values("x-caller-key")
            .is_empty()
    );
}

#[test]
fn a_caller_may_do_at_most_what_it_is_bound_to() {
    let adobe = Adobe::willing();
    let gateway = running(&adobe, &callers());

    let answer = ask(&gateway, &format!("X-Caller-Key: {OTHER}\r\n"));

    assert_eq!(answer.problem(), (403, "not_granted".to_owned()));
    assert!(
        answer
            .text()
            .contains("this is a read; the caller may write in sandbox dev-2"),
        "{}",
        answer.text()
    );
    assert!(adobe.seen().is_empty());
}
