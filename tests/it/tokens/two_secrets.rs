//! The rotation of a client secret at Adobe, with the old one still valid and without.

use std::time::Duration;

use profile_gateway::simulator::{Client, Settings};

use crate::support::running::{Running, failed_calls, pass};
use crate::support::simulated::Simulated;
use crate::support::steady::Steady;

const OLD: &str = "p8e-old-never-to-be-seen";
const NEW: &str = "p8e-new-never-to-be-seen";

#[test]
fn a_secret_is_rotated_in_three_steps_that_no_caller_notices() {
    let adobe = adobe(&[OLD]);
    let gateway = start(&adobe, &format!("['{OLD}']"));
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(10));

    // Both are valid at Adobe, and the gateway is given both.
    set_secrets(&adobe, &[OLD, NEW]);
    configure(&gateway, &adobe, &format!("['{NEW}', '{OLD}']"));
    gateway.wait_for_generation("demo", 2);
    let both = gateway.credential("demo");
    // The old one is deleted, and the gateway has it for a while still.
    set_secrets(&adobe, &[NEW]);
    adobe.control.revoke_tokens();
    gateway.wait_for_generation("demo", 3);
    let deleted = gateway.credential("demo");
    configure(&gateway, &adobe, &format!("['{NEW}']"));
    gateway.wait_for_generation("demo", 4);
    let calls = callers.stop();
    let printed = gateway.stop();

    for facts in [both, deleted] {
        assert_eq!(facts["client_secret"], 1, "{facts}");
        assert_eq!(failed_calls(&facts), 0, "{facts}");
    }
    assert_eq!(adobe.control.counts().requests["ims.token"], 4);
    let unserved = calls.iter().filter(|call| call.answer.status != 200);
    assert_eq!(unserved.count(), 0, "of {} calls", calls.len());
    assert_discreet(&printed);
}

#[test]
fn a_secret_that_adobe_deletes_early_is_followed_by_the_other_one() {
    let adobe = adobe(&[OLD, NEW]);
    let gateway = start(&adobe, &format!("['{OLD}', '{NEW}']"));
    let first = gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(10));

    set_secrets(&adobe, &[NEW]);
    adobe.control.revoke_tokens();
    gateway.wait_for_generation("demo", 2);
    // For two seconds after a replacement refusals are passed on.
    pass(Duration::from_secs(3));
    adobe.control.revoke_tokens();
    gateway.wait_for_generation("demo", 3);
    let third = gateway.credential("demo");
    let calls = callers.stop();
    let token_calls = adobe.control.counts().requests["ims.token"];
    let printed = gateway.stop();

    assert_eq!(first["client_secret"], 1);
    assert_eq!(third["client_secret"], 2);
    assert_eq!(failed_calls(&third), 0, "{third}");
    // Two of them to find out, after which the one that works is the first to be tried.
    assert_eq!(token_calls, 1 + 2 + 1);
    assert!(calls.iter().all(|call| call.answer.status == 200));
    assert!(printed.contains("IMS refused a client secret"), "{printed}");
    assert_discreet(&printed);
}

#[test]
fn with_no_valid_secret_the_token_serves_to_its_end_and_a_new_secret_is_taken_at_once() {
    let adobe = Simulated::start(Settings {
        token_lifetime: Duration::from_secs(5),
        ..settings(&[OLD])
    });
    let gateway = start(&adobe, &format!("['{OLD}']"));
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(10));

    set_secrets(&adobe, &[NEW]);
    let failing = gateway.wait_for_state("demo", "failing");
    let ready = gateway.readiness();
    let served = gateway.ask().status;
    let missing = gateway.wait_for_state("demo", "missing");
    callers.wait_for_all();
    let unready = gateway.readiness();
    configure(&gateway, &adobe, &format!("['{NEW}']"));
    gateway.wait_for_state("demo", "valid");
    callers.wait_for_all();
    let calls = callers.stop();
    let printed = gateway.stop();

    assert_eq!(
        failing["last_error"]["class"], "invalid_client",
        "{failing}"
    );
    assert_eq!((ready.0, served), (200, 200));
    assert!(failed_calls(&missing) <= 2, "{missing}");
    assert!(
        unready.0 == 503 && unready.1.contains("invalid_client"),
        "{}",
        unready.1
    );
    // Nobody was sent to Adobe with a token that had run out: that would have been a 401.
    assert!(
        calls
            .iter()
            .all(|call| matches!(call.answer.status, 200 | 503))
    );
    assert_eq!(calls.last().unwrap().answer.status, 200);
    assert_discreet(&printed);
}

fn assert_discreet(printed: &str) {
    for secret in [OLD, NEW] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

fn settings(secrets: &[&str]) -> Settings {
    Settings {
        clients: vec![Client {
            secrets: owned(secrets),
            ..Client::demo()
        }],
        ..Settings::default()
    }
}

fn adobe(secrets: &[&str]) -> Simulated {
    Simulated::start(settings(secrets))
}

fn set_secrets(adobe: &Simulated, secrets: &[&str]) {
    adobe
        .control
        .set_secrets("demo-client", owned(secrets))
        .unwrap();
}

fn owned(secrets: &[&str]) -> Vec<String> {
    secrets.iter().map(|secret| (*secret).to_owned()).collect()
}

fn start(adobe: &Simulated, secrets: &str) -> Running {
    Running::start(&configuration(adobe, secrets), &[])
}

/// Writes the configuration anew, with other secrets.
fn configure(gateway: &Running, adobe: &Simulated, secrets: &str) {
    gateway.configure(&configuration(adobe, secrets));
}

fn configuration(adobe: &Simulated, secrets: &str) -> String {
    let url = &adobe.url;
    format!(
        "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: {secrets}
"
    )
}
