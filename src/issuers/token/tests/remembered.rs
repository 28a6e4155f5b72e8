//! Tokens that have been verified before.

use std::num::NonZeroUsize;

use super::*;
use crate::connect;
use crate::issuers::{Server, Url};

#[test]
fn a_remembered_token_is_believed_only_while_its_keys_are_the_same() {
    let issuers = |keys: &[Value]| Settings {
        issuers: vec![of_file("a", ISSUER, keys)],
    };
    let (old, new) = (
        Signer::rsa().jwk(&json!({ "kid": "k1" })),
        Signer::other_rsa().jwk(&json!({ "kid": "k2" })),
    );
    let made = Issuers::new(&issuers(std::slice::from_ref(&old))).unwrap();
    let verifier = Verifier::new(made.clone());
    let supply = &made.get(IssuerId(0)).unwrap().supply;
    let read = |keys: &[Value]| KeySet::read(&set(keys)).unwrap();
    let verify = || verifier.verify(good().as_bytes(), at(NOW)).map(|_| ());

    assert_eq!(verify(), Ok(()));
    supply.publish(read(&[new.clone(), old]));
    assert_eq!(verify(), Ok(()));
    supply.publish(read(&[new]));

    assert_eq!(
        verify().unwrap_err().wanted(),
        Some(Wanted {
            issuer: IssuerId(0),
            newer_than: Newer::Generation(3)
        })
    );
}

#[test]
fn a_remembered_token_is_believed_no_longer_than_its_keys_may_be_used() {
    let url: Url = "http://127.0.0.1:9/keys".parse().unwrap();
    let hour = Duration::from_hours(1);
    let server = Server {
        is_discovery: false,
        connect: connect::Settings {
            called: "the issuer",
            origin: url.origin().clone(),
            address: None,
            http2: false,
            connect_timeout: hour,
            tls_timeout: hour,
            idle_timeout: hour,
            lifetime: hour,
            connections: NonZeroUsize::MIN,
            waiting: 1,
            breaker: None,
            extra_roots: Vec::new(),
            min_tls: connect::MinTls::Tls12,
            client_certificate: None,
            proxy: None,
        },
        url,
        bearer: None,
        timeout: hour,
        refresh: hour,
        min_refresh: hour,
        stale: hour,
    };
    let key = Signer::rsa().jwk(&json!({ "kid": "k1" }));
    let issuer = IssuerSettings {
        source: Source::Server(Box::new(server)),
        ..of_file("a", ISSUER, std::slice::from_ref(&key))
    };
    let settings = Settings {
        issuers: vec![issuer],
    };
    let issuers = Issuers::new(&settings).unwrap();
    let verifier = Verifier::new(issuers.clone());
    let supply = &issuers.get(IssuerId(0)).unwrap().supply;
    supply.publish(KeySet::read(&set(&[key])).unwrap());
    let after = |time: Duration| {
        let now = at(NOW);
        let later = Moment {
            monotonic: now.monotonic + time,
            ..now
        };
        verifier.verify(good().as_bytes(), later).map(|_| ())
    };

    assert_eq!(after(Duration::ZERO), Ok(()));
    assert_eq!(after(Duration::from_mins(59)), Ok(()));
    let refusal = after(Duration::from_mins(61)).unwrap_err();
    assert_eq!(refusal.reason(), Reason::KeysUnavailable);
}
