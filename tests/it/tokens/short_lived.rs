//! Tokens that live for two seconds, under load: no request fails, and none waits for a renewal.
//!
//! By hand for a minute, with a gateway as it is shipped:
//! `LOAD_SECONDS=60 cargo nextest run --release --no-capture two_second_tokens`.

use std::time::Duration;

use profile_gateway::simulator::{Fault, Place, Settings};

use crate::support::running::{Running, failed_calls, pass, report};
use crate::support::simulated::Simulated;
use crate::support::steady::Steady;

#[test]
fn two_second_tokens_are_renewed_under_load_and_nobody_notices() {
    let seconds = std::env::var_os("LOAD_SECONDS")
        .and_then(|seconds| seconds.to_str()?.parse().ok())
        .unwrap_or(8_u32);
    let adobe = Simulated::start(Settings::default());
    // Token calls are made slow, so that a request that waited for one stands out, on a slow machine too.
    let short = Fault::at(Place::Ims)
        .expires_in(2)
        .token_lifetime(Duration::from_secs(2))
        .delay(RENEWAL);
    adobe.control.inject(short.until_cleared()).unwrap();
    let url = &adobe.url;
    let gateway = Running::start(
        &format!(
            "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
"
        ),
        &[],
    );
    gateway.wait_for_service();

    let callers = Steady::start(gateway.address, 8, Duration::from_millis(1));
    pass(Duration::from_secs(seconds.into()));
    let calls = callers.stop();
    let facts = gateway.credential("demo");

    let mut times: Vec<_> = calls.iter().map(|call| call.took).collect();
    times.sort();
    let all_but = |one_in: usize| times[times.len() - 1 - times.len() / one_in];
    report(&format!(
        "{} requests in {seconds} s; latency median {:?}, 99 % {:?}, 99.9 % {:?}, worst {:?}; {} tokens",
        calls.len(),
        all_but(2),
        all_but(100),
        all_but(1000),
        times.last().unwrap(),
        facts["generation"],
    ));
    // This says nothing of speed: who waits for a renewal waits for what is left of it, and of those who ask all the time
    // some would come upon the beginning of each.
    let waited: Vec<_> = times.iter().filter(|took| **took >= WAITED).collect();
    assert!(waited.is_empty(), "of {} requests {waited:?}", calls.len());
    let unserved = calls.iter().filter(|call| call.answer.status != 200);
    assert_eq!(unserved.count(), 0, "of {} requests", calls.len());
    assert_eq!(failed_calls(&facts), 0, "{facts}");
    // Each is renewed when half of its life is left, give or take a tenth, counted from before it was asked for: every
    // 0.9 s to 1.1 s.
    let renewals = f64::from(seconds) / 0.9 + 2.0;
    let generation = facts["generation"].as_f64().unwrap();
    assert!(generation <= renewals, "{facts}");
    assert!(generation >= f64::from(seconds) / 1.4, "{facts}");
    // Nobody was refused by Adobe either, which would have been made good in silence.
    assert_eq!(facts["refusals"], 0, "{facts}");
}

/// How long each token call takes, and what a request takes that waited for most of one.
const RENEWAL: Duration = Duration::from_millis(400);
const WAITED: Duration = Duration::from_millis(300);
