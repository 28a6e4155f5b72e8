//! Keys that change while tokens come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use profile_gateway::config::Supplied;
use profile_gateway::issuers::Refusal;

use super::{Signer, kept, set, settings, verify, within};
use crate::support::adobe::{Act, Adobe};

const ISSUER: &str = "https://issuer.example";

#[test]
fn keys_that_are_replaced_cost_no_caller_an_error_and_unknown_ones_few_fetches() {
    let (old, new) = (Signer::new("old"), Signer::other("new"));
    let published = Arc::new(Mutex::new(set(&[&old])));
    let server = {
        let published = Arc::clone(&published);
        Adobe::start(move |_| Act::json("200 OK", &published.lock().unwrap()))
    };
    let settings = settings(
        &format!(
            "a: {{ issuer: '{ISSUER}', audiences: [profile-gateway], min_refresh: 1s, jwks_url: '{}/keys' }}",
            server.url()
        ),
        &Supplied::default(),
    );

    kept(&settings, async |verifier| {
        let first_keys = within(Duration::from_secs(20));
        assert!(verifier.issuers().first_keys(first_keys).await.is_empty());
        assert!(verify(&verifier, &old.token(ISSUER)).is_ok());

        *published.lock().unwrap() = set(&[&new]);
        let token = new.token(ISSUER);
        let Err(refusal @ Refusal::UnknownKey(wanted)) = verify(&verifier, &token) else {
            panic!("the key is not known yet");
        };
        assert_eq!(refusal.wanted(), Some(wanted));
        assert!(
            verifier
                .newer_keys(wanted, within(Duration::from_secs(20)))
                .await
        );
        assert!(verify(&verifier, &token).is_ok());
        assert_eq!(server.heads(), 2);

        // The old key is withdrawn, and what was remembered of it counts no more.
        let gone = verify(&verifier, &old.token(ISSUER)).unwrap_err();
        let wanted = gone.wanted().unwrap();
        for _ in 0..1000 {
            assert!(!verifier.newer_keys(wanted, within(Duration::ZERO)).await);
        }
        assert_eq!(server.heads(), 2);
        assert!(
            !verifier
                .newer_keys(wanted, within(Duration::from_secs(20)))
                .await
        );
        assert_eq!(server.heads(), 3);
    });
}
