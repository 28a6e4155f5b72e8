//! No token is believed but the one that was signed, of which there is one spelling.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use profile_gateway::clock::Clock;
use profile_gateway::issuers::{
    IssuerSettings, Issuers, KeySet, Rules, Settings, Source, Verifier,
};

/// Signed with a key that is known to everybody who can read the tests, and good for a thousand years.
const GOOD: &[u8] = include_bytes!("../seeds/workload_token/good");
const KEYS: &[u8] = include_bytes!("../seeds/jwks/all");

thread_local! {
    static VERIFIER: Verifier = {
        let issuer = IssuerSettings {
            name: "cluster".to_owned(),
            rules: Rules {
                issuer: "https://issuer.example".to_owned(),
                audiences: vec!["profile-gateway".to_owned()],
                leeway: Duration::from_secs(10),
                require_nbf: true,
            },
            source: Source::File(KeySet::read(KEYS).expect("the seed is a set of keys")),
            required: true,
        };
        let issuers = Issuers::new(&Settings { issuers: vec![issuer] });
        Verifier::new(issuers.expect("a file needs no TLS"))
    };
}

fuzz_target!(|token: &[u8]| {
    let believed = VERIFIER.with(|verifier| verifier.verify(token, Clock::default().now()));
    match believed {
        Ok(_) => assert_eq!(token, GOOD),
        Err(refusal) => {
            assert_ne!(token, GOOD, "{refusal}");
            assert!(!refusal.to_string().is_empty());
        }
    }
});
