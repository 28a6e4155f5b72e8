//! Tokens that are believed, and everything that has been tried elsewhere with those that must not be.

mod claims;
mod keys;
mod remembered;
mod spelling;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::clock::Moment;
use crate::issuers::signer::{Signer, set};
use crate::issuers::{IssuerSettings, Issuers, Newer, Settings, Source, Verifier};

const HEADER: &str = r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;
const ISSUER: &str = "https://issuer.example";
/// 2023-11-14 22:13:20.
const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> Moment {
    Moment {
        monotonic: Instant::now(),
        wall: Duration::from_secs(seconds),
    }
}

fn of_file(name: &str, issuer: &str, keys: &[Value]) -> IssuerSettings {
    IssuerSettings {
        name: name.to_owned(),
        rules: Rules {
            issuer: issuer.to_owned(),
            audiences: vec!["profile-gateway".to_owned(), "second".to_owned()],
            leeway: Duration::from_secs(10),
            require_nbf: true,
        },
        source: Source::File(KeySet::read(&set(keys)).unwrap()),
        required: true,
    }
}

fn trusting(issuers: Vec<IssuerSettings>) -> Verifier {
    Verifier::new(Issuers::new(&Settings { issuers }).unwrap())
}

/// Trusts the RSA key of the tests, called `k1`, and another of a curve.
fn verifier() -> Verifier {
    let keys = [
        Signer::rsa().jwk(&json!({ "kid": "k1" })),
        Signer::p256().jwk(&json!({ "kid": "k2" })),
    ];
    trusting(vec![of_file("cluster", ISSUER, &keys)])
}

/// Returns good claims, with these in the place of theirs; `null` takes one away.
fn claims(changes: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": "profile-gateway",
        "sub": "system:serviceaccount:shop:checkout",
        "exp": NOW + 600,
        "nbf": NOW - 5,
        "iat": NOW - 5,
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims.to_string()
}

fn good() -> String {
    Signer::rsa().token(HEADER, &claims(&json!({})))
}

fn verify(token: &str) -> Result<Claims, Refusal> {
    verifier().verify(token.as_bytes(), at(NOW))
}

fn refused(token: &str) -> Refusal {
    verify(token).unwrap_err()
}

/// Signs claims that differ from good ones in this.
fn with(changes: &Value) -> String {
    Signer::rsa().token(HEADER, &claims(changes))
}

fn unknown_key() -> Refusal {
    Refusal::UnknownKey(Wanted {
        issuer: IssuerId(0),
        newer_than: Newer::Generation(1),
    })
}

#[test]
fn a_good_token_says_whom_it_speaks_for_and_until_when() {
    let claims = verify(&good()).unwrap();

    assert_eq!(claims.issuer, IssuerId(0));
    assert_eq!(&*claims.subject, "system:serviceaccount:shop:checkout");
    assert_eq!(claims.expires_at.as_secs(), NOW + 610);
}
