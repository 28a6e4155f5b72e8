//! Which keys of a set are used, and for what.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::issuers::signer::{Signer, set};

/// Returns the algorithms of the keys that are used, and why the others are not.
fn read(keys: &[Value]) -> Result<(Vec<&'static str>, Vec<&'static str>), InvalidKeys> {
    let set = KeySet::read(&set(keys))?;
    let used = set.keys.iter().map(Key::algorithm).collect();
    Ok((used, set.left_out.iter().map(|one| one.why).collect()))
}

/// Reads a set of a good key and this one, and returns why this one is not used.
fn why(jwk: Value) -> &'static str {
    let good = Signer::p256().jwk(&json!({ "kid": "good" }));
    let (used, left_out) = read(&[good, jwk]).unwrap();
    assert_eq!((used.as_slice(), left_out.len()), (&["ES256"][..], 1));
    left_out[0]
}

#[test]
fn a_key_has_the_algorithm_it_names_or_the_usual_one_of_its_kind() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let (p384, ed25519) = (Signer::p384(), Signer::ed25519());
    for (signer, written, algorithm) in [
        (&rsa, None, "RS256"),
        (&rsa, Some("RS256"), "RS256"),
        (&rsa, Some("RS384"), "RS384"),
        (&rsa, Some("RS512"), "RS512"),
        (&rsa, Some("PS256"), "PS256"),
        (&rsa, Some("PS384"), "PS384"),
        (&rsa, Some("PS512"), "PS512"),
        (&p256, None, "ES256"),
        (&p256, Some("ES256"), "ES256"),
        (&p384, None, "ES384"),
        (&p384, Some("ES384"), "ES384"),
        (&ed25519, None, "EdDSA"),
        (&ed25519, Some("EdDSA"), "EdDSA"),
        (&ed25519, Some("Ed25519"), "Ed25519"),
    ] {
        let jwk = match written {
            None => signer.jwk(&json!({})),
            Some(written) => signer.jwk(&json!({ "alg": written })),
        };
        assert_eq!(read(&[jwk]), Ok((vec![algorithm], vec![])));
    }
    for (signer, written) in [
        (&rsa, "HS256"),
        (&rsa, "none"),
        (&rsa, "ES256"),
        (&rsa, "RSA-OAEP"),
        (&rsa, "rs256"),
        (&rsa, ""),
        (&p256, "RS256"),
        (&p256, "ES384"),
        (&p384, "ES256"),
        (&ed25519, "ES256"),
        (&ed25519, "HS256"),
    ] {
        assert_eq!(
            why(signer.jwk(&json!({ "alg": written }))),
            UNFIT,
            "{written}"
        );
    }
}

#[test]
fn keys_that_no_token_may_be_signed_with_are_left_out() {
    let rsa = |more| Signer::rsa().jwk(&more);
    for (jwk, expected) in [
        (
            json!({ "kty": "oct", "k": "AAAA", "kid": "a" }),
            "it is a secret",
        ),
        (
            json!({ "kty": "oct", "k": "AAAA", "alg": "RS256" }),
            "it is a secret",
        ),
        (rsa(json!({ "use": "enc" })), "not for signatures"),
        (rsa(json!({ "use": 7 })), "not for signatures"),
        (rsa(json!({ "key_ops": ["encrypt"] })), "not for verifying"),
        (rsa(json!({ "key_ops": "verify" })), "not for verifying"),
        (rsa(json!({ "alg": null })), "alg is no text"),
        (rsa(json!({ "kid": 7 })), "kid is no text"),
        (rsa(json!({ "kid": "a".repeat(257) })), "longer than 256"),
        (rsa(json!({ "n": null })), "missing"),
        (rsa(json!({ "n": "AQ==" })), "base64url"),
        (rsa(json!({ "n": "AQ+/" })), "base64url"),
        (rsa(json!({ "n": "" })), "2048 bits"),
        (rsa(json!({ "e": "AQ" })), "exponent"),
        (rsa(json!({ "e": "AAAB" })), "exponent"),
        (rsa(json!({ "e": "Ag" })), "exponent"),
        (rsa(json!({ "e": "" })), "exponent"),
        (
            rsa(json!({ "n": URL_SAFE_NO_PAD.encode([0xff; 1025]) })),
            "8192 bits",
        ),
        (Signer::p256().jwk(&json!({ "crv": "P-384" })), "length"),
        (
            Signer::p256().jwk(&json!({ "crv": "secp256k1" })),
            "curve is not known",
        ),
        (
            Signer::p256().jwk(&json!({ "x": URL_SAFE_NO_PAD.encode([1; 32]) })),
            "no public key",
        ),
        (Signer::p256().jwk(&json!({ "y": null })), "missing"),
        (
            Signer::ed25519().jwk(&json!({ "crv": "Ed448" })),
            "not known",
        ),
        (
            Signer::ed25519().jwk(&json!({ "crv": "X25519" })),
            "not known",
        ),
        (
            Signer::ed25519().jwk(&json!({ "x": "AAAA" })),
            "no public key",
        ),
        (json!({ "kty": "AKP" }), "not known"),
        (json!({ "kty": 7 }), "not known"),
        (json!({}), "not known"),
    ] {
        let why = why(jwk.clone());
        assert!(why.contains(expected), "{jwk}: {why}");
    }
}

#[test]
fn an_rsa_key_of_less_than_2048_bits_is_left_out_however_it_is_written() {
    let mut almost = vec![0xff; 256];
    almost[0] = 0x7f;
    for modulus in [
        vec![0xff; 128],
        [vec![0; 128], vec![0xff; 128]].concat(),
        almost,
    ] {
        let short = json!({ "n": URL_SAFE_NO_PAD.encode(modulus) });
        assert!(why(Signer::rsa().jwk(&short)).contains("2048 bits"));
    }
}

#[test]
fn a_modulus_may_have_a_zero_before_it() {
    let rsa = Signer::rsa();
    let modulus = rsa.jwk(&json!({}))["n"].as_str().unwrap().to_owned();
    let padded = [vec![0], URL_SAFE_NO_PAD.decode(modulus).unwrap()].concat();
    let padded = rsa.jwk(&json!({ "n": URL_SAFE_NO_PAD.encode(padded) }));

    assert_eq!(
        KeySet::read(&set(&[padded])).unwrap(),
        KeySet::read(&set(&[rsa.jwk(&json!({}))])).unwrap()
    );
}

#[test]
fn different_keys_with_one_kid_are_left_out_and_the_same_key_twice_is_one() {
    let (rsa, other, ec) = (Signer::rsa(), Signer::other_rsa(), Signer::p256());
    let a = json!({ "kid": "a" });

    let twice = read(&[rsa.jwk(&a), rsa.jwk(&a)]);
    assert_eq!(twice, Ok((vec!["RS256"], vec![])));
    let (used, left_out) =
        read(&[rsa.jwk(&a), ec.jwk(&json!({ "kid": "b" })), other.jwk(&a)]).unwrap();
    assert_eq!((used, left_out.len()), (vec!["ES256"], 2));
    let of_two_algorithms = [rsa.jwk(&a), rsa.jwk(&json!({ "kid": "a", "alg": "PS256" }))];
    assert_eq!(read(&of_two_algorithms), Err(InvalidKeys::NoneUsable));
}

#[test]
fn a_document_that_is_no_set_or_too_large_gives_no_keys() {
    let key = Signer::p256().jwk(&json!({}));
    let read = |text: &str| KeySet::read(text.as_bytes()).map(|_| ());
    for text in [
        "",
        "null",
        "[]",
        "<html>",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[1]}"#,
        &format!(r#"{{"keys":[{key}],"keys":[{key}]}}"#),
        &format!(r#"{{"keys":[{key}]}}x"#),
        &format!(r#"{{"keys":[{key},{{"kid":"a","kid":"b"}}]}}"#),
    ] {
        assert_eq!(read(text), Err(InvalidKeys::NotASet), "{text}");
    }
    assert_eq!(read(r#"{"keys":[]}"#), Err(InvalidKeys::NoneUsable));
    let of = |count| format!(r#"{{"keys":[{}]}}"#, vec![key.to_string(); count].join(","));
    assert_eq!(
        (read(&of(100)), read(&of(101))),
        (Ok(()), Err(InvalidKeys::TooMany))
    );
    let filled = |bytes: usize| {
        let text = of(1);
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    assert_eq!(read(&filled(MOST_BYTES)), Ok(()));
    assert_eq!(read(&filled(MOST_BYTES + 1)), Err(InvalidKeys::TooLarge));
}

#[test]
fn private_members_are_noticed_and_not_kept() {
    let key = Signer::rsa().jwk(&json!({ "d": "c2VjcmV0", "kid": "a" }));
    let with = KeySet::read(&set(&[key])).unwrap();

    assert!(with.has_private());
    assert!(!format!("{with:?}").contains("c2VjcmV0"));
}

#[test]
fn a_key_without_a_name_is_named_by_its_place_and_names_cannot_break_lines() {
    let set = KeySet::read(&set(&[
        Signer::p256().jwk(&json!({ "kid": "good" })),
        json!({ "kty": "oct" }),
        json!({ "kty": "oct", "kid": format!("a\n\u{1b}{}", "b".repeat(200)) }),
    ]));

    let set = set.unwrap();
    let names: Vec<_> = set.left_out.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(names[0], "the one at place 2");
    assert!(
        names[1].starts_with("a\\n\\u{1b}bbb") && names[1].len() < 80,
        "{}",
        names[1]
    );
}

proptest! {
    #[test]
    fn reading_keys_is_total(document in any::<Vec<u8>>()) {
        let _ = KeySet::read(&document);
    }

    #[test]
    fn a_set_is_the_same_in_any_order(swap in any::<bool>()) {
        let mut keys = [
            Signer::rsa().jwk(&json!({ "kid": "a" })),
            Signer::other_rsa().jwk(&json!({ "kid": "b" })),
        ];
        let straight = KeySet::read(&set(&keys)).unwrap();
        if swap {
            keys.reverse();
        }

        prop_assert_eq!(KeySet::read(&set(&keys)).unwrap(), straight);
    }
}
