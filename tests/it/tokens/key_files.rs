//! The private key of a service account, changed while the gateway runs by somebody who writes it in place.

use std::time::Duration;

use profile_gateway::simulator::{Client, PublicKey, Settings};

use crate::support::running::Running;
use crate::support::simulated::Simulated;
use crate::support::steady::Steady;

const RIGHT: &str = include_str!("../../keys/rsa-pkcs8.pem");
const WRONG: &str = include_str!("../../keys/rsa-other.pem");

#[test]
fn half_a_key_is_not_taken_and_the_whole_one_is() {
    let adobe = adobe();
    let gateway = start(&adobe.url, RIGHT);
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(20));

    gateway.write("key.pem", half(WRONG));
    gateway.process.wait_for("they have faults");
    let generation = generation(&gateway);
    // The key that is half overwritten still signs.
    adobe.control.revoke_tokens();
    gateway.wait_for_generation("demo", generation + 1);
    gateway.write("key.pem", WRONG);
    let failing = gateway.wait_for_state("demo", "failing");
    gateway.write("key.pem", RIGHT);
    gateway.wait_for_state("demo", "valid");
    let calls = callers.stop();
    let printed = gateway.stop();

    // That the other key came into effect is seen by what IMS says of it.
    assert_eq!(failing["last_error"]["class"], "refused", "{failing}");
    assert!(
        failing["last_error"]["message"]
            .as_str()
            .unwrap()
            .contains("invalid_signature"),
        "{failing}"
    );
    let refused = calls.iter().filter(|call| call.answer.status != 200);
    assert_eq!(refused.count(), 0, "of {} calls", calls.len());
    for line in RIGHT.lines().chain(WRONG.lines()) {
        assert!(
            line.starts_with("-----") || !printed.contains(line),
            "{line}"
        );
    }
}

#[test]
fn half_of_the_right_key_leaves_a_gateway_without_tokens_until_it_is_whole() {
    let adobe = adobe();
    let gateway = start(&adobe.url, WRONG);
    gateway.process.wait_for("invalid_signature");
    let refused = gateway.ask();

    gateway.write("key.pem", half(RIGHT));
    gateway.process.wait_for("they have faults");
    let half = gateway.readiness();
    gateway.write("key.pem", RIGHT);
    gateway.wait_for_state("demo", "valid");

    assert_eq!(refused.reason(), "token_unavailable");
    assert!(
        half.0 == 503 && half.1.contains("invalid_signature"),
        "{}",
        half.1
    );
    assert_eq!(gateway.ask().status, 200);
    assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));
}

/// An Adobe that knows the public half of [`RIGHT`].
fn adobe() -> Simulated {
    let key = PublicKey::from_pem(include_str!("../../keys/rsa-public.pem"));
    Simulated::start(Settings {
        clients: vec![Client {
            public_key: Some(key.unwrap()),
            ..Client::demo()
        }],
        ..Settings::default()
    })
}

fn start(url: &str, key: &str) -> Running {
    let more = format!(
        "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
    grant:
      jwt_exchange:
        technical_account: 1122334455667788990011AA@techacct.adobe.com
        private_key: ${{file:$FOLDER/key.pem}}
        metascopes: [ent_dataservices_sdk]
"
    );
    Running::start(&more, &[("key.pem", key)])
}

fn half(key: &str) -> &str {
    key.get(..key.len() / 2).unwrap()
}

fn generation(gateway: &Running) -> u64 {
    gateway.credential("demo")["generation"].as_u64().unwrap()
}
