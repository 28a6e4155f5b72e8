//! What a token says of its signature, and which key verifies it.

use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey};

use super::*;
use crate::issuers::signer::signed;

#[test]
fn every_kind_of_key_verifies_what_it_has_signed() {
    for (signer, name) in [
        (Signer::rsa(), "RS256"),
        (Signer::p256(), "ES256"),
        (Signer::p384(), "ES384"),
        (Signer::ed25519(), "EdDSA"),
    ] {
        let keys = [
            signer.jwk(&json!({ "kid": "k" })),
            Signer::other_rsa().jwk(&json!({})),
        ];
        let verifier = trusting(vec![of_file("a", ISSUER, &keys)]);
        let header = json!({ "alg": name, "kid": "k" }).to_string();
        let token = signer.token(&header, &claims(&json!({})));
        assert!(verifier.verify(token.as_bytes(), at(NOW)).is_ok(), "{name}");
    }
    for name in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let mut signer = Signer::rsa();
        signer.algorithm = name.parse().unwrap();
        let keys = [signer.jwk(&json!({ "kid": "k", "alg": name }))];
        let verifier = trusting(vec![of_file("a", ISSUER, &keys)]);
        let header = json!({ "alg": name, "kid": "k" }).to_string();
        let token = signer.token(&header, &claims(&json!({})));
        assert!(verifier.verify(token.as_bytes(), at(NOW)).is_ok(), "{name}");
    }
}

#[test]
fn a_token_without_signature_is_refused_however_none_is_spelled() {
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for kid in [json!("k1"), json!(null)] {
            let mut header = json!({ "alg": algorithm, "kid": kid });
            if kid.is_null() {
                header.as_object_mut().unwrap().remove("kid");
            }
            let unsigned = signed(&header.to_string(), &claims(&json!({})));
            let signature = good().rsplit('.').next().unwrap().to_owned();

            for token in [unsigned.clone(), format!("{unsigned}.")] {
                assert_eq!(refused(&token), Refusal::Malformed);
            }
            for token in [format!("{unsigned}.AA"), format!("{unsigned}.{signature}")] {
                let expected = if kid.is_null() {
                    Refusal::KeyUnnamed
                } else {
                    Refusal::Algorithm
                };
                assert_eq!(refused(&token), expected, "{header}");
            }
        }
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let jwk = Signer::rsa().jwk(&json!({ "kid": "k1" }));
    let pem = include_str!("../../../../tests/keys/rsa-public.pem");
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(der).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let (written, whole) = (jwk.to_string(), set(std::slice::from_ref(&jwk)));
    let secrets: [&[u8]; 8] = [
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        &der,
        &modulus,
        jwk["n"].as_str().unwrap().as_bytes(),
        written.as_bytes(),
        &whole,
        b"",
    ];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut signer = Signer::rsa();
            signer.key = EncodingKey::from_secret(secret);
            signer.algorithm = algorithm;
            let text = claims(&json!({}));
            let named = format!(r#"{{"alg":"{algorithm:?}","kid":"k1"}}"#);

            assert_eq!(refused(&signer.token(&named, &text)), Refusal::Algorithm);
            // Even when it says it was signed as it should.
            assert_eq!(refused(&signer.token(HEADER, &text)), Refusal::Signature);
        }
    }
}

#[test]
fn a_token_names_the_algorithm_of_its_key_and_no_other() {
    let mut signer = Signer::rsa();
    for name in ["RS384", "RS512", "PS256", "PS512"] {
        signer.algorithm = name.parse().unwrap();
        let header = json!({ "alg": name, "kid": "k1" }).to_string();
        assert_eq!(
            refused(&signer.token(&header, &claims(&json!({})))),
            Refusal::Algorithm
        );
        // Signed in another way than it says.
        assert_eq!(
            refused(&signer.token(HEADER, &claims(&json!({})))),
            Refusal::Signature
        );
    }
    for name in ["ES256", "EdDSA", "rs256", "RS256 ", "HS256"] {
        let header = json!({ "alg": name, "kid": "k1" }).to_string();
        let token = Signer::rsa().token(&header, &claims(&json!({})));
        assert_eq!(refused(&token), Refusal::Algorithm, "{name}");
    }
    let of_the_curve = r#"{"alg":"RS256","kid":"k2"}"#;
    let token = Signer::rsa().token(of_the_curve, &claims(&json!({})));
    assert_eq!(refused(&token), Refusal::Algorithm);
}

#[test]
fn keys_that_a_token_brings_along_or_points_to_are_not_used() {
    let mallory = Signer::other_rsa();
    let own = mallory.jwk(&json!({ "kid": "k1" }));
    for more in [
        json!({ "jwk": own }),
        json!({ "jku": "https://mallory.example/keys" }),
        json!({ "jku": "http://127.0.0.1:1/keys" }),
        json!({ "x5u": "https://mallory.example/chain.pem" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "keys": [own] }),
    ] {
        for (kid, expected) in [
            (json!("k1"), Refusal::Signature),
            (json!("mallory"), unknown_key()),
        ] {
            let mut header = json!({ "alg": "RS256", "kid": kid });
            header
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let token = mallory.token(&header.to_string(), &claims(&json!({})));
            assert_eq!(refused(&token), expected, "{header}");
        }
        let mut header = json!({ "alg": "RS256", "kid": "k1" });
        header
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let honest = Signer::rsa().token(&header.to_string(), &claims(&json!({})));
        assert!(verify(&honest).is_ok(), "{header}");
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "https://mallory.example/keys",
        "k1' OR '1'='1",
        "x' UNION SELECT 'secret'; --",
        "k1\u{0}",
        "K1",
        " k1",
        "k1 ",
        "",
        "*",
        "$(id)",
        "${env:HOME}",
    ] {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        for signer in [Signer::rsa(), Signer::other_rsa()] {
            let token = signer.token(&header, &claims(&json!({})));
            assert_eq!(refused(&token), unknown_key(), "{kid}");
        }
    }
    for kid in [
        json!(1),
        json!(null),
        json!(["k1"]),
        json!({ "k1": 1 }),
        json!(true),
    ] {
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        let token = Signer::rsa().token(&header, &claims(&json!({})));
        assert_eq!(refused(&token), Refusal::Malformed, "{kid}");
    }
}

#[test]
fn a_kid_may_be_missing_where_there_is_one_key() {
    let header = r#"{"alg":"RS256"}"#;
    let token = Signer::rsa().token(header, &claims(&json!({})));
    assert_eq!(refused(&token), Refusal::KeyUnnamed);

    for jwk in [
        Signer::rsa().jwk(&json!({})),
        Signer::rsa().jwk(&json!({ "kid": "k1" })),
    ] {
        let one = trusting(vec![of_file("a", ISSUER, &[jwk])]);
        assert!(one.verify(token.as_bytes(), at(NOW)).is_ok());
        // Another may have come in its place meanwhile.
        let other = Signer::other_rsa().token(header, &claims(&json!({})));
        assert_eq!(one.verify(other.as_bytes(), at(NOW)), Err(unknown_key()));
    }
}

#[test]
fn what_a_header_wants_of_its_reader_is_refused() {
    for (more, expected) in [
        (json!({ "crit": ["exp"] }), Refusal::Critical),
        (json!({ "crit": [] }), Refusal::Critical),
        (json!({ "crit": null }), Refusal::Critical),
        (json!({ "crit": ["b64"], "b64": false }), Refusal::Critical),
        (json!({ "typ": "logout+jwt" }), Refusal::Type),
        (json!({ "typ": "dpop+jwt" }), Refusal::Type),
        (json!({ "typ": "" }), Refusal::Type),
        (json!({ "typ": 1 }), Refusal::Malformed),
        (json!({ "alg": 1 }), Refusal::Malformed),
        (json!({ "alg": null }), Refusal::Malformed),
        (json!({ "alg": ["RS256"] }), Refusal::Malformed),
    ] {
        let mut header = json!({ "alg": "RS256", "kid": "k1" });
        header
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let token = Signer::rsa().token(&header.to_string(), &claims(&json!({})));
        assert_eq!(refused(&token), expected, "{header}");
    }
    for kind in ["jwt", "at+JWT", "JOSE", "application/at+jwt"] {
        let header = json!({ "alg": "RS256", "kid": "k1", "typ": kind }).to_string();
        assert!(verify(&Signer::rsa().token(&header, &claims(&json!({})))).is_ok());
    }
    let without = Signer::rsa().token(r#"{"kid":"k1"}"#, &claims(&json!({})));
    assert_eq!(refused(&without), Refusal::Malformed);
}
