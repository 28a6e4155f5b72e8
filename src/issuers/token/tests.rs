//! Tokens that are believed, and everything that has been tried elsewhere with those that must not be.

use std::num::NonZeroUsize;

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::clock::Moment;
use crate::connect;
use crate::issuers::signer::{Signer, set, signed};
use crate::issuers::{IssuerSettings, Issuers, Newer, Server, Settings, Source, Url, Verifier};

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
    let pem = include_str!("../../../tests/keys/rsa-public.pem");
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

#[test]
fn claims_that_are_missing_or_of_a_wrong_type_are_refused() {
    for (name, values) in [
        (
            "iss",
            vec![json!(null), json!(1), json!([ISSUER]), json!({})],
        ),
        (
            "aud",
            vec![
                json!(null),
                json!(1),
                json!({}),
                json!(["profile-gateway", 1]),
                json!(true),
            ],
        ),
        ("sub", vec![json!(null), json!(""), json!(1), json!(["a"])]),
        (
            "exp",
            vec![
                json!(null),
                json!((NOW + 600).to_string()),
                json!(-1),
                json!([NOW + 600]),
                json!(true),
                json!(1e300),
            ],
        ),
        (
            "nbf",
            vec![json!(null), json!("0"), json!(-1), json!(false), json!({})],
        ),
        ("iat", vec![json!("0"), json!(-5.5), json!([0])]),
    ] {
        for value in values {
            let refusal = refused(&with(&json!({ name: value })));
            assert_eq!(refusal, Refusal::Claim(name), "{value}");
        }
    }
    // Written out, not left away.
    for name in ["exp", "nbf", "iat", "aud", "sub", "iss"] {
        let text = claims(&json!({ name: 4242 })).replace("4242", "null");
        let token = Signer::rsa().token(HEADER, &text);
        assert_eq!(refused(&token), Refusal::Claim(name));
    }
}

#[test]
fn only_the_issuer_itself_is_the_issuer_and_only_our_audiences_are_ours() {
    for issuer in [
        "https://issuer.example/",
        "HTTPS://issuer.example",
        "",
        "https://other.example",
    ] {
        assert_eq!(
            refused(&with(&json!({ "iss": issuer }))),
            Refusal::Issuer,
            "{issuer}"
        );
    }
    for audience in [
        json!("profile-gateway2"),
        json!("Profile-Gateway"),
        json!(""),
        json!([]),
        json!(["x", "y"]),
    ] {
        assert_eq!(
            refused(&with(&json!({ "aud": audience }))),
            Refusal::Audience,
            "{audience}"
        );
    }
    for audience in [
        json!("second"),
        json!(["x", "second"]),
        json!(["profile-gateway", "second"]),
    ] {
        assert!(
            verify(&with(&json!({ "aud": audience }))).is_ok(),
            "{audience}"
        );
    }
}

#[test]
fn each_issuer_speaks_for_itself() {
    let (ours, theirs) = (Signer::rsa(), Signer::other_rsa());
    let verifier = trusting(vec![
        of_file("a", ISSUER, &[ours.jwk(&json!({ "kid": "k1" }))]),
        of_file(
            "b",
            "https://b.example",
            &[theirs.jwk(&json!({ "kid": "k1" }))],
        ),
    ]);
    let verify = |signer: &Signer, issuer: &str| {
        let token = signer.token(HEADER, &claims(&json!({ "iss": issuer })));
        verifier
            .verify(token.as_bytes(), at(NOW))
            .map(|claims| claims.issuer)
    };

    assert_eq!(verify(&ours, ISSUER), Ok(IssuerId(0)));
    assert_eq!(verify(&theirs, "https://b.example"), Ok(IssuerId(1)));
    assert_eq!(verify(&ours, "https://b.example"), Err(Refusal::Signature));
    assert_eq!(verify(&theirs, ISSUER), Err(Refusal::Signature));
}

#[test]
fn times_are_kept_with_the_leeway_and_no_more() {
    let verifier = verifier();
    let token = with(&json!({ "exp": NOW + 600, "nbf": NOW, "iat": NOW }));
    for (now, expected) in [
        (NOW - 11, Err(Refusal::NotYet)),
        (NOW - 10, Ok(())),
        (NOW + 609, Ok(())),
        (NOW + 610, Err(Refusal::Expired)),
        (NOW + 1_000_000, Err(Refusal::Expired)),
        // A clock that is set back lets it count again, and it is not remembered otherwise.
        (NOW, Ok(())),
        (NOW - 11, Err(Refusal::NotYet)),
    ] {
        let found = verifier.verify(token.as_bytes(), at(now)).map(|_| ());
        assert_eq!(found, expected, "{now}");
    }
    assert!(verify(&with(&json!({ "iat": null }))).is_ok());
    assert!(verify(&with(&json!({ "exp": 1_700_000_600.5, "nbf": 1.7e9 }))).is_ok());
    assert!(verify(&with(&json!({ "exp": u64::MAX }))).is_ok());
    assert_eq!(refused(&with(&json!({ "exp": 0 }))), Refusal::Expired);
    assert_eq!(refused(&with(&json!({ "nbf": NOW + 11 }))), Refusal::NotYet);
    assert_eq!(
        refused(&with(&json!({ "iat": NOW + 311 }))),
        Refusal::Future
    );
    assert!(verify(&with(&json!({ "iat": NOW + 310 }))).is_ok());
}

#[test]
fn an_issuer_may_leave_out_from_when_on_its_tokens_count_and_what_it_says_of_it_counts() {
    let mut issuer = of_file("a", ISSUER, &[Signer::rsa().jwk(&json!({ "kid": "k1" }))]);
    issuer.rules.require_nbf = false;
    let lenient = trusting(vec![issuer]);
    let verify = |changes: Value| {
        let token = with(&changes);
        lenient.verify(token.as_bytes(), at(NOW)).map(|_| ())
    };

    assert_eq!(verify(json!({ "nbf": null })), Ok(()));
    assert_eq!(verify(json!({ "nbf": NOW + 10 })), Ok(()));
    assert_eq!(verify(json!({ "nbf": NOW + 11 })), Err(Refusal::NotYet));
    assert_eq!(verify(json!({ "nbf": "0" })), Err(Refusal::Claim("nbf")));
    assert_eq!(verify(json!({ "exp": null })), Err(Refusal::Claim("exp")));
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    for (header, text) in [
        (
            r#"{"alg":"none","alg":"RS256","kid":"k1"}"#.to_owned(),
            claims(&json!({})),
        ),
        (
            r#"{"alg":"RS256","kid":"k1","kid":"k1"}"#.to_owned(),
            claims(&json!({})),
        ),
        (
            HEADER.to_owned(),
            claims(&json!({})).replacen('{', r#"{"sub":"admin","#, 1),
        ),
        (
            HEADER.to_owned(),
            claims(&json!({})).replacen('{', r#"{"exp":9999999999,"#, 1),
        ),
        (
            HEADER.to_owned(),
            claims(&json!({})).replacen('{', r#"{"\u0073ub":"admin","#, 1),
        ),
        (
            HEADER.to_owned(),
            claims(&json!({ "x": { "y": 1 } })).replace(r#""y":1"#, r#""y":1,"y":2"#),
        ),
    ] {
        assert_eq!(
            refused(&Signer::rsa().token(&header, &text)),
            Refusal::Malformed
        );
    }
}

#[test]
fn a_token_has_one_spelling() {
    let good = good();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    let last = signature.chars().last().unwrap();
    // 342 characters hold 2052 bits, four more than the signature has.
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    let other_end = format!("{}{next}", signature.split_at(signature.len() - 1).0);
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        good.replace('.', " "),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{claims}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("{header}.{claims} .{signature}"),
        format!("{header}.{claims}\r\n.{signature}"),
        format!("Bearer {good}"),
        format!("{good},{good}"),
        format!("{good} {good}"),
        format!("{header}.{claims}.{other_end}"),
        format!("{header}.{claims}.+/{}", signature.split_at(2).1),
        format!("{}.{claims}.{signature}", STANDARD.encode("not json")),
        format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
        format!(
            "{}.{claims}.{signature}",
            URL_SAFE_NO_PAD.encode("\u{feff}{}")
        ),
        format!("{}.{claims}.{signature}", URL_SAFE.encode("{\"a\":1}")),
        format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode("\"text\"")
        ),
    ] {
        assert_eq!(refused(&token), Refusal::Malformed, "{token:?}");
    }
    for end in 0..good.len() {
        assert!(verify(good.split_at(end).0).is_err(), "{end}");
    }
    assert!(verify(good.split_at(1).1).is_err());
    let bytes = [good.as_bytes(), b"\xff"].concat();
    assert_eq!(verifier().verify(&bytes, at(NOW)), Err(Refusal::Malformed));
}

#[test]
fn a_token_that_is_too_long_is_not_read() {
    let long = with(&json!({ "groups": vec!["a".repeat(100); 100] }));
    assert!(long.len() > MOST_BYTES);

    assert_eq!(refused(&long), Refusal::TooLong);
    assert_eq!(refused(&"a".repeat(1_000_000)), Refusal::TooLong);
    assert_eq!(
        refused(&format!("{}{}", good(), "A".repeat(1_000_000))),
        Refusal::TooLong
    );
    assert_eq!(refused(&"a".repeat(MOST_BYTES)), Refusal::Malformed);
    assert_eq!(refused(&".".repeat(1_000)), Refusal::Malformed);
    let room = MOST_BYTES - with(&json!({ "x": "" })).len();
    let longest = with(&json!({ "x": "a".repeat(room / 4 * 3 - 3) }));
    assert!(longest.len() > MOST_BYTES - 10 && verify(&longest).is_ok());
}

#[test]
fn a_refusal_says_nothing_of_what_was_in_the_token() {
    for token in [
        with(&json!({ "sub": "marker", "aud": "marker" })),
        with(&json!({ "iss": "marker" })),
        with(&json!({ "exp": "marker" })),
        Signer::rsa().token(r#"{"alg":"marker","kid":"k1"}"#, &claims(&json!({}))),
        Signer::rsa().token(r#"{"alg":"RS256","kid":"marker"}"#, &claims(&json!({}))),
        "marker.marker.marker".to_owned(),
    ] {
        let refusal = refused(&token);
        let said = format!("{refusal} {refusal:?}");
        assert!(!said.contains("marker"), "{said}");
        assert_eq!(refusal.reason(), Reason::CallerUnknown);
    }
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_changed_byte_of_a_token_is_believed(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut token = GOOD.clone().into_bytes();
        let place = place.index(token.len());
        prop_assume!(token[place] != byte);
        token[place] = byte;

        prop_assert!(VERIFIER.with(|verifier| verifier.verify(&token, at(NOW))).is_err());
    }

    #[test]
    fn no_token_is_believed_that_lacks_or_repeats_a_piece(
        from in any::<prop::sample::Index>(),
        length in 1_usize..40,
        twice in any::<bool>(),
    ) {
        let from = from.index(GOOD.len());
        let to = (from + length).min(GOOD.len());
        let token = if twice {
            format!("{}{}", GOOD.split_at(to).0, GOOD.split_at(from).1)
        } else {
            format!("{}{}", GOOD.split_at(from).0, GOOD.split_at(to).1)
        };

        prop_assert!(VERIFIER.with(|verifier| verifier.verify(token.as_bytes(), at(NOW))).is_err());
    }

    #[test]
    fn reading_a_token_is_total(token in any::<Vec<u8>>(), parts in prop::array::uniform3("\\PC{0,40}")) {
        let _ = Unproven::read(&token);
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let _ = Unproven::read(token.as_bytes()).map(|token| token.issuer().map(str::to_owned));
    }
}

static GOOD: std::sync::LazyLock<String> = std::sync::LazyLock::new(good);
thread_local! {
    static VERIFIER: Verifier = verifier();
}
