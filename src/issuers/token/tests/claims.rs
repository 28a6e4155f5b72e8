//! What a token says, and when it counts.

use super::*;

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
