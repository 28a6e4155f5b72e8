//! What operators see of issuers, and what a reload makes of them.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Signer, discovery, set};
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, Running, eventually};

/// An issuer that plays Adobe too, which gives nothing while it is away.
fn issuer(away: &Arc<Mutex<bool>>, keys: &[&Signer]) -> Adobe {
    let (away, keys) = (Arc::clone(away), set(keys));
    Adobe::start(move |seen| {
        let address = seen.values("host")[0];
        match seen.target() {
            _ if *away.lock().unwrap() => Act::json("503 Service Unavailable", "{}"),
            "/.well-known/openid-configuration" => {
                let keys = format!("http://{address}/keys");
                Act::json("200 OK", &discovery("https://issuer.example", &keys))
            }
            "/keys" => Act::json("200 OK", &keys),
            _ => Act::ok(),
        }
    })
}

fn configuration(adobe: &Adobe, issuers: &str) -> String {
    let url = adobe.url();
    format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\nissuers: {issuers}\n{CREDENTIAL}"
    )
}

fn cluster(adobe: &Adobe, more: &str) -> String {
    let url = adobe.url();
    format!(
        "{{ issuer: 'https://issuer.example', audiences: [us], discovery: '{url}', min_refresh: 1s{more} }}"
    )
}

fn facts(gateway: &Running, name: &str) -> Value {
    let page = exchange(gateway.admin, get("/issuers", "")).json();
    let all = page["issuers"].as_array().unwrap();
    all.iter().find(|it| it["name"] == name).unwrap().clone()
}

fn wait_for_keys(gateway: &Running, name: &str, keys: u64) {
    eventually(&format!("{keys} keys of {name}"), || {
        (facts(gateway, name)["keys"] == keys).then_some(())
    });
}

#[test]
fn readiness_waits_for_the_keys_of_issuers_that_are_required() {
    let away = Arc::new(Mutex::new(true));
    let adobe = issuer(&away, &[&Signer::new("a"), &Signer::other("b")]);
    let gateway = Running::start(
        &configuration(
            &adobe,
            &format!(
                "{{ cluster: {}, other: {{ issuer: 'https://x', audiences: [us], required: false, jwks_url: 'http://127.0.0.1:1' }} }}",
                cluster(&adobe, "")
            ),
        ),
        &[],
    );
    gateway.wait_for_state("demo", "valid");
    let failing = eventually("failure", || {
        let facts = facts(&gateway, "cluster");
        (facts["state"] == "missing").then_some(facts)
    });
    assert_eq!(failing["last_error"]["class"], "refused");
    let (status, text) = gateway.readiness();
    assert!(
        status == 503
            && text.contains("not ready: there are no keys of issuer cluster: ")
            && text.contains("answered 503")
            && text.contains("not required: there are no keys of issuer other: "),
        "{text}"
    );

    *away.lock().unwrap() = false;
    wait_for_keys(&gateway, "cluster", 2);

    let (status, text) = gateway.readiness();
    assert!(status == 200 && text.starts_with("ready\n"), "{text}");
    let count = |of: &str| gateway.count(&format!("profile_gateway_issuer_{of}"));
    assert_eq!(count("keys{issuer=\"cluster\"}"), 2);
    assert_eq!(count("keys{issuer=\"other\"}"), 0);
    let age = gateway.metric("profile_gateway_issuer_keys_age_seconds{issuer=\"cluster\"}");
    assert!(age < 100.0, "{age}");
    let fetches = |outcome: &str| {
        gateway.count(&format!(
            "profile_gateway_issuer_fetches_total{{issuer=\"cluster\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(
        (
            fetches("fetched"),
            fetches("unreachable"),
            fetches("invalid")
        ),
        (1, 0, 0)
    );
    assert!(fetches("refused") >= 1);
    let printed = gateway.stop();
    assert!(
        printed.contains("the issuer's keys could not be fetched"),
        "{printed}"
    );
    assert!(
        printed.contains("the issuer's keys can be fetched again"),
        "{printed}"
    );
}

#[test]
fn keys_outlast_every_change_that_is_not_about_where_they_come_from() {
    let away = Arc::new(Mutex::new(false));
    let adobe = issuer(&away, &[&Signer::new("a")]);
    let write =
        |more: &str| configuration(&adobe, &format!("{{ cluster: {} }}", cluster(&adobe, more)));
    let gateway = Running::start(
        &write(", bearer: '${file:$FOLDER/token}'"),
        &[("token", "first")],
    );
    wait_for_keys(&gateway, "cluster", 1);
    let fetches = |adobe: &Adobe| {
        let seen = adobe.seen();
        seen.iter().filter(|seen| seen.target() == "/keys").count()
    };
    assert_eq!(fetches(&adobe), 1);

    // A bearer that is replaced, as those of service accounts are every hour, and rules that are others.
    assert_eq!(
        gateway.outcome_of(|| gateway.write("token", "second")),
        "applied"
    );
    assert_eq!(
        gateway.reload(&write(", leeway: 5s, bearer: '${file:$FOLDER/token}'")),
        "applied"
    );
    assert_eq!(
        (facts(&gateway, "cluster")["keys"].as_u64(), fetches(&adobe)),
        (Some(1), 1)
    );

    // What is read from then on is asked for with the new one.
    assert_eq!(
        gateway.reload(&write(", refresh: 1s, bearer: '${file:$FOLDER/token}'")),
        "applied"
    );
    eventually("second fetch", || (fetches(&adobe) > 1).then_some(()));
    let seen = adobe.seen();
    let last = seen.iter().rfind(|seen| seen.target() == "/keys").unwrap();
    assert_eq!(last.values("authorization"), ["Bearer second"]);

    // Another issuer comes, and the first goes.
    let other = issuer(&away, &[&Signer::new("a"), &Signer::other("b")]);
    let text = configuration(&adobe, &format!("{{ other: {} }}", cluster(&other, "")));
    assert_eq!(gateway.reload(&text), "applied");
    // A reload waits for the keys of those that come.
    assert_eq!(facts(&gateway, "other")["keys"], 2);
    let page = exchange(gateway.admin, get("/metrics", "")).text();
    assert!(page.contains("issuer=\"other\"") && !page.contains("issuer=\"cluster\""));
    let printed = gateway.stop();
    assert!(
        !printed.contains("first") || !printed.contains("Bearer"),
        "{printed}"
    );
}

#[test]
fn a_file_of_keys_is_followed_and_one_that_is_half_written_is_not_taken() {
    let away = Arc::new(Mutex::new(false));
    let adobe = issuer(&away, &[]);
    let issuers =
        "{ file: { issuer: 'https://x', audiences: [us], jwks_file: $FOLDER/keys.json } }";
    let (one, both) = (
        set(&[&Signer::new("a")]),
        set(&[&Signer::new("a"), &Signer::other("b")]),
    );
    let gateway = Running::start(&configuration(&adobe, issuers), &[("keys.json", &one)]);
    assert_eq!(facts(&gateway, "file")["keys"], 1);
    assert_eq!(
        facts(&gateway, "file")["next_fetch_in_seconds"],
        Value::Null
    );

    let half = both.split_at(both.len() / 2).0;
    assert_eq!(
        gateway.outcome_of(|| gateway.write("keys.json", half)),
        "refused"
    );
    assert_eq!(facts(&gateway, "file")["keys"], 1);
    assert_eq!(
        gateway.outcome_of(|| gateway.write("keys.json", &both)),
        "applied"
    );

    assert_eq!(facts(&gateway, "file")["keys"], 2);
    gateway.stop();
}
