//! How a token is spelled.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

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
