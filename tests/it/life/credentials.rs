//! Credentials that stay, change, come and go.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{ALL, PATH, configuration};
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{CREDENTIAL, Running, eventually};
use crate::support::signal::{signal, wait};
use crate::support::steady::Steady;

/// Returns a value of a token call's form.
fn of_form(seen: &Seen, name: &str) -> String {
    let form = String::from_utf8(seen.body.clone()).unwrap();
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name).unwrap();
    value.to_owned()
}

/// An Adobe whose tokens say which client they are for, and how many there were before.
fn naming() -> Adobe {
    Adobe::minting(
        |calls, seen| Act::token(&format!("{}-{calls}", of_form(seen, "client_id")), 86_399),
        |_| Act::ok(),
    )
}

fn bearer(seen: &Seen) -> &str {
    seen.values("authorization")[0]
        .strip_prefix("Bearer ")
        .unwrap()
}

/// The tokens that its callers came with.
fn of(adobe: &Adobe) -> Vec<String> {
    let seen = adobe.seen();
    seen.iter().map(|seen| bearer(seen).to_owned()).collect()
}

#[test]
fn a_token_outlasts_every_change_that_is_not_about_it() {
    let adobe = naming();
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    let before = gateway.wait_for_state("demo", "valid");

    for (from, to) in [
        (
            "routes:",
            "in_flight: 7\nlog: { format: json, level: debug }\nroutes:",
        ),
        ("name: all", "name: every"),
        ("credentials:", "sandboxes: { dev-3: {} }\ncredentials:"),
        (
            "  demo:\n",
            "  demo:\n    required: false\n    quota: 500/min\n",
        ),
        ("ims: {", "ims: { timeout: 4s,"),
        ("upstream: {", "upstream: { connect_timeout: 1s,"),
    ] {
        let changed = text.replace(from, to);
        assert_eq!(gateway.reload(&changed), "applied", "{changed}");
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }

    let after = gateway.credential("demo");
    assert_eq!(after["fingerprint"], before["fingerprint"]);
    assert_eq!(after["generation"], 1);
    assert_eq!(after["state"], "valid");
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn another_client_has_another_token_and_no_key_ever_goes_with_the_others_token() {
    let adobe = naming();
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 4, Duration::ZERO);

    for client in ["second", "third", "demo-client", "fourth"] {
        callers.wait_for_all();
        let other = text.replace("client_id: demo-client", &format!("client_id: {client}"));
        assert_eq!(gateway.reload(&other), "applied");
    }
    callers.wait_for_all();
    let calls = callers.stop();

    assert!(calls.iter().all(|call| call.answer.status == 200));
    let seen = adobe.seen();
    for seen in &seen {
        let (key, bearer) = (seen.values("x-api-key")[0], bearer(seen));
        assert_eq!(bearer.rsplit_once('-').unwrap().0, key);
    }
    assert_eq!(seen.last().unwrap().values("x-api-key"), ["fourth"]);
    // One that comes back is begun anew: its old token may have been revoked meanwhile.
    assert_eq!(adobe.token_calls().len(), 5);
    assert_eq!(gateway.credential("demo")["generation"], 1);
}

#[test]
fn requests_go_on_with_the_old_client_until_the_new_one_has_a_token() {
    let (asked, was_asked) = signal();
    let (allow, allowed) = signal();
    let adobe = Adobe::minting(
        move |_, seen| {
            let client = of_form(seen, "client_id");
            if client == "second" {
                asked.send(()).unwrap();
                wait(&allowed);
            }
            Act::token(&client, 86_399)
        },
        |_| Act::ok(),
    );
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");
    let ask = || exchange(gateway.address, get(PATH, "")).status;

    gateway.configure(&text.replace("client_id: demo-client", "client_id: second"));
    let outcome = gateway.outcome_of(|| {
        gateway.process.signal("HUP");
        wait(&was_asked);
        assert_eq!(ask(), 200);
        let seen = adobe.seen();
        assert_eq!(seen.last().unwrap().values("x-api-key"), ["demo-client"]);
        allow.send(()).unwrap();
    });

    assert_eq!((outcome, ask()), ("applied", 200));
    let seen = adobe.seen();
    assert_eq!(seen.last().unwrap().values("x-api-key"), ["second"]);
}

#[test]
fn credentials_that_come_and_go_show_in_readiness_pages_and_metrics() {
    let adobe = Adobe::minting(
        |_, seen| match of_form(seen, "client_id").as_str() {
            "unknown" => Act::json("400 Bad Request", r#"{"error":"invalid_client"}"#),
            client => Act::token(client, 86_399),
        },
        |_| Act::ok(),
    );
    let with = |client: &str, required: bool| {
        let other = CREDENTIAL
            .replace("credentials:\n", "")
            .replace("demo:", "other:")
            .replace("demo-client", client);
        let routes = ALL.replace("name: all", "name: all\n    credential: demo");
        let text = configuration(&adobe.url(), &routes);
        text.replace(
            CREDENTIAL,
            &format!("{CREDENTIAL}{other}    required: {required}\n"),
        )
    };
    let alone = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&alone, &[]);
    gateway.wait_for_state("demo", "valid");
    let minted = |credential: &str| {
        gateway.count(&format!(
            "profile_gateway_token_calls_total{{credential=\"{credential}\",outcome=\"minted\"}}"
        ))
    };

    assert_eq!(gateway.reload(&with("known", true)), "applied");
    gateway.wait_for_state("other", "valid");
    assert_eq!(minted("other"), 1);
    assert_eq!(gateway.reload(&with("unknown", true)), "applied");
    gateway.wait_for_state("other", "missing");
    assert_eq!(gateway.readiness().0, 503);
    assert_eq!(gateway.reload(&with("unknown", false)), "applied");
    let (status, text) = gateway.readiness();
    assert!(
        status == 200 && text.contains("not required: credential other"),
        "{text}"
    );
    assert_eq!(gateway.reload(&alone), "applied");
    assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));

    let page = exchange(gateway.admin, get("/credentials", "")).json();
    assert_eq!(page["credentials"].as_array().unwrap().len(), 1);
    let metrics = exchange(gateway.admin, get("/metrics", "")).text();
    assert!(!metrics.contains("credential=\"other\""), "{metrics}");
    assert_eq!(minted("demo"), 1);
}

#[test]
fn a_credential_that_leaves_gets_tokens_for_as_long_as_requests_use_it() {
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let adobe = Adobe::minting(
        |calls, seen| Act::token(&format!("{}-{calls}", of_form(seen, "client_id")), 86_399),
        move |seen| {
            if !seen.target().ends_with("/slow") {
                return Act::ok();
            }
            if bearer(seen) == "demo-client-1" {
                arrived.send(()).unwrap();
                wait(&may_go);
                return Act::token_refused();
            }
            Act::echo(seen)
        },
    );
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");
    let mut slow = Raw::connect(gateway.address);
    slow.write(get("/data/core/ups/slow", ""));
    wait(&has_arrived);

    let other = text
        .replace("demo:", "other:")
        .replace("demo-client", "other-client");
    assert_eq!(gateway.reload(&other), "applied");
    gateway.wait_for_state("other", "valid");
    go.send(()).unwrap();
    let answer = slow.answer(false).unwrap();

    assert_eq!(answer.text(), "/data/core/ups/slow");
    let last = adobe.seen().pop().unwrap();
    assert_eq!(last.values("x-api-key"), ["demo-client"]);
    assert_eq!(bearer(&last), "demo-client-3");
    let clients: Vec<_> = adobe
        .token_calls()
        .iter()
        .map(|call| of_form(call, "client_id"))
        .collect();
    assert_eq!(clients, ["demo-client", "other-client", "demo-client"]);
}

#[test]
fn another_token_service_is_asked_at_once_while_the_old_token_serves() {
    let (old, new) = (
        naming(),
        Adobe::minting(|_, _| Act::token("new", 86_399), |_| Act::ok()),
    );
    let text = configuration(&old.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 2, Duration::ZERO);
    callers.wait_for_all();

    let (from, to) = (
        format!("ims: {{ url: '{}'", old.url()),
        format!("ims: {{ url: '{}'", new.url()),
    );
    assert_eq!(gateway.reload(&text.replace(&from, &to)), "applied");
    gateway.wait_for_generation("demo", 2);
    callers.wait_for_all();
    let calls = callers.stop();

    assert!(calls.iter().all(|call| call.answer.status == 200));
    assert_eq!((old.token_calls().len(), new.token_calls().len()), (1, 1));
    assert_eq!(bearer(old.seen().last().unwrap()), "new");
}

#[test]
fn no_token_goes_to_an_upstream_but_the_one_it_was_got_for() {
    let (asked, was_asked) = signal();
    let (allow, allowed) = signal();
    let (arrived, has_arrived) = signal();
    let (go, may_go) = signal::<()>();
    let old = Adobe::minting(
        |calls, _| Act::token(&format!("old-{calls}"), 86_399),
        move |seen| {
            if seen.target().ends_with("/slow") && bearer(seen) == "old-1" {
                arrived.send(()).unwrap();
                wait(&may_go);
                return Act::token_refused();
            }
            Act::json("200 OK", "\"old\"")
        },
    );
    let new = Adobe::minting(
        move |calls, _| {
            asked.send(()).unwrap();
            wait(&allowed);
            Act::token(&format!("new-{calls}"), 86_399)
        },
        |_| Act::json("200 OK", "\"new\""),
    );
    let gateway = Running::start(&configuration(&old.url(), ALL), &[]);
    gateway.wait_for_state("demo", "valid");
    let ask = || exchange(gateway.address, get(PATH, "")).text();
    let mut slow = Raw::connect(gateway.address);
    slow.write(get("/data/core/ups/slow", ""));
    wait(&has_arrived);

    // Token service and upstream change together, and the new one lets its first token wait.
    gateway.configure(&configuration(&new.url(), ALL));
    let outcome = gateway.outcome_of(|| {
        gateway.process.signal("HUP");
        wait(&was_asked);
        assert_eq!(ask(), "\"old\"");
        allow.send(()).unwrap();
    });
    assert_eq!((outcome, ask().as_str()), ("applied", "\"new\""));
    // What the old upstream refuses now gets a token that is meant for it.
    go.send(()).unwrap();
    assert_eq!(slow.answer(false).unwrap().text(), "\"old\"");

    assert_eq!(of(&old), ["old-1", "old-1", "old-2"]);
    assert_eq!(of(&new), ["new-1"]);
}

/// Two Adobes, each with a token service and an upstream. The new one says when it is asked for a token, and gives it when it
/// is allowed to.
struct Worlds {
    old: Adobe,
    new: Adobe,
    was_asked: Arc<Mutex<Receiver<()>>>,
    allow: Sender<()>,
}

impl Worlds {
    fn start() -> Self {
        let (asked, was_asked) = signal();
        let (allow, allowed) = signal();
        let old = Adobe::minting(
            |calls, _| Act::token(&format!("old-{calls}"), 86_399),
            |_| Act::ok(),
        );
        let new = Adobe::minting(
            move |calls, _| {
                asked.send(()).unwrap();
                wait(&allowed);
                Act::token(&format!("new-{calls}"), 86_399)
            },
            |_| Act::ok(),
        );
        Self {
            old,
            new,
            was_asked,
            allow,
        }
    }
}

#[test]
fn a_token_service_and_an_upstream_that_change_one_after_the_other_mix_no_tokens() {
    let Worlds {
        old,
        new,
        was_asked,
        allow,
    } = Worlds::start();
    let failing = Adobe::minting(|_, _| Act::Reset, |_| Act::ok());
    let with = |ims: &Adobe, upstream: &Adobe| {
        let text = configuration(&ims.url(), ALL);
        text.replace(
            &format!("upstream: {{ url: '{}'", ims.url()),
            &format!("upstream: {{ url: '{}'", upstream.url()),
        )
    };
    let gateway = Running::start(&with(&old, &old), &[]);
    gateway.wait_for_state("demo", "valid");
    let ask = || exchange(gateway.address, get(PATH, "")).status;

    // The token of the first service serves on while another gives none, until the upstream changes too.
    assert_eq!(gateway.reload(&with(&failing, &old)), "applied");
    gateway.wait_for_state("demo", "failing");
    assert_eq!(ask(), 200);
    gateway.configure(&with(&new, &new));
    let outcome = gateway.outcome_of(|| {
        gateway.process.signal("HUP");
        wait(&was_asked);
        assert_eq!(ask(), 200);
        allow.send(()).unwrap();
    });
    assert_eq!((outcome, ask()), ("applied", 200));
    // The upstream alone, and then the service too.
    assert_eq!(gateway.reload(&with(&new, &old)), "applied");
    assert_eq!(ask(), 200);
    assert_eq!(new.token_calls().len(), 1);
    assert_eq!(gateway.reload(&with(&old, &old)), "applied");
    assert_eq!(ask(), 200);

    assert_eq!(of(&old), ["old-1", "old-1", "new-1", "old-2"]);
    assert_eq!(of(&new), ["new-1"]);
}

#[test]
fn a_token_service_and_an_upstream_that_move_behind_the_same_plain_urls_mix_no_tokens() {
    let Worlds {
        old,
        new,
        was_asked,
        allow,
    } = Worlds::start();
    let at = |ims: &Adobe, upstream: &Adobe| {
        let url = "url: 'http://platform.example.com'";
        let (ims, upstream) = (ims.address(), upstream.address());
        format!(
            "ims: {{ {url}, address: '{ims}' }}\nupstream: {{ {url}, address: '{upstream}' }}\n{CREDENTIAL}{ALL}"
        )
    };
    let gateway = Running::start(&at(&old, &old), &[]);
    gateway.wait_for_state("demo", "valid");
    let ask = || exchange(gateway.address, get(PATH, "")).status;
    assert_eq!(ask(), 200);

    gateway.configure(&at(&new, &new));
    let outcome = gateway.outcome_of(|| {
        gateway.process.signal("HUP");
        wait(&was_asked);
        assert_eq!(ask(), 200);
        allow.send(()).unwrap();
    });
    assert_eq!((outcome, ask()), ("applied", 200));
    // The upstream alone, and then the service too.
    assert_eq!(gateway.reload(&at(&new, &old)), "applied");
    assert_eq!(ask(), 200);
    assert_eq!(gateway.reload(&at(&old, &old)), "applied");
    assert_eq!(ask(), 200);

    assert_eq!(of(&old), ["old-1", "old-1", "new-1", "old-2"]);
    assert_eq!(of(&new), ["new-1"]);
}

#[test]
fn a_new_secret_is_tried_at_once_also_where_calls_are_made_in_another_way_from_then_on() {
    let adobe = Adobe::minting(
        |_, seen| Act::token(&of_form(seen, "client_secret"), 86_399),
        |_| Act::ok(),
    );
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");

    let changed = text
        .replace("ims: {", "ims: { timeout: 4s,")
        .replace("p8e-never-to-be-seen", "p8e-new");
    assert_eq!(gateway.reload(&changed), "applied");
    gateway.wait_for_generation("demo", 2);

    assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    assert_eq!(bearer(adobe.seen().last().unwrap()), "p8e-new");
    assert_eq!(adobe.token_calls().len(), 2);
}

#[test]
fn a_token_service_that_is_mended_in_the_configuration_is_asked_without_a_pause() {
    let adobe = naming();
    let right = configuration(&adobe.url(), ALL);
    let wrong = right.replacen(&adobe.url(), "http://127.0.0.1:1", 1);
    let gateway = Running::start(&wrong, &[]);
    gateway.wait_for_state("demo", "missing");

    assert_eq!(gateway.reload(&right), "applied");

    eventually("token", || (gateway.ask().status == 200).then_some(()));
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn a_pause_that_the_token_service_asked_for_outlasts_settings_that_cannot_end_it() {
    let adobe = Adobe::minting(
        |_, _| {
            let answer =
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n";
            Act::Answer(answer.into())
        },
        |_| Act::ok(),
    );
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "missing");

    for seconds in [1, 2, 3, 4] {
        let changed = text.replace("ims: {", &format!("ims: {{ timeout: {seconds}s,"));
        assert_eq!(gateway.reload(&changed), "applied");
    }
    // A configuration is in place, and so is its keeper, when another one is asked of it.
    let facts = gateway.credential("demo");
    assert!(
        facts["next_call_in_seconds"].as_f64().unwrap() > 60.0,
        "{facts}"
    );
    assert_eq!(adobe.token_calls().len(), 1);

    // Another way to it may lead to somebody else.
    let address = adobe.address();
    let changed = text.replace("ims: {", &format!("ims: {{ address: '{address}',"));
    assert_eq!(gateway.reload(&changed), "applied");
    eventually("a call", || (adobe.token_calls().len() == 2).then_some(()));
}
