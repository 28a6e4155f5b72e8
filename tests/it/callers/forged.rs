//! Tokens that are not to be believed: whatever is wrong with one, its caller is told the same, and Adobe hears nothing.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::tokens::{ISSUER, OTHER_KEY, TELLING_ALL, Trusting, bearing};
use crate::support::signer::{Signer, good_claims, unsigned};

/// Everything that has been tried elsewhere, by name, as it stands after `Bearer `.
fn attacks() -> Vec<(String, String)> {
    let (ours, theirs) = (Signer::new("k1"), Signer::other("k1"));
    let none = json!({});
    let good = ours.token(ISSUER);
    let claims = good_claims(ISSUER);
    let text = claims.to_string();
    let now = claims["iat"].as_u64().unwrap();
    let signature = good.rsplit('.').next().unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, token: String| all.push((name, token));

    for algorithm in ["none", "None", "nOnE", ""] {
        let bare = unsigned(&json!({ "alg": algorithm, "kid": "k1" }).to_string(), &text);
        for end in ["", ".", ".AA", &format!(".{signature}")] {
            add(format!("alg {algorithm} {end:.3}"), format!("{bare}{end}"));
        }
    }
    let public = include_str!("../../keys/rsa-public.pem");
    let der: String = public
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let modulus = ours.jwk()["n"].as_str().unwrap().to_owned();
    for (name, secret) in [
        ("PEM", public.as_bytes().to_vec()),
        ("DER", STANDARD.decode(der).unwrap()),
        ("modulus", URL_SAFE_NO_PAD.decode(&modulus).unwrap()),
        ("JWK", ours.jwk().to_string().into_bytes()),
        ("nothing", Vec::new()),
    ] {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let key = EncodingKey::from_secret(&secret);
            for said in [format!("{algorithm:?}"), "RS256".to_owned()] {
                let signed = unsigned(&json!({ "alg": said, "kid": "k1" }).to_string(), &text);
                let signature = crypto::sign(signed.as_bytes(), &key, algorithm).unwrap();
                add(
                    format!("{algorithm:?} with the {name}, called {said}"),
                    format!("{signed}.{signature}"),
                );
            }
        }
    }
    for (name, header) in [
        ("jwk", json!({ "jwk": theirs.jwk() })),
        ("jku", json!({ "jku": "http://127.0.0.1:1/keys" })),
        ("x5u", json!({ "x5u": "http://127.0.0.1:1/chain.pem" })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
        ("other key", none.clone()),
    ] {
        add(name.to_owned(), theirs.token_with(ISSUER, &header, &none));
    }
    for header in [
        json!({ "crit": ["exp"] }),
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "typ": "logout+jwt" }),
        json!({ "alg": null }),
        json!({ "alg": "RS512" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": 1 }),
        json!({ "kid": 1 }),
        json!({ "kid": ["k1"] }),
    ] {
        add(header.to_string(), ours.token_with(ISSUER, &header, &none));
    }
    for changes in wrong_claims(now) {
        add(
            changes.to_string(),
            ours.token_with(ISSUER, &none, &changes),
        );
    }
    for (name, header, claims) in [
        (
            "alg twice",
            r#"{"alg":"none","alg":"RS256","kid":"k1"}"#,
            text.clone(),
        ),
        (
            "sub twice",
            HEADER,
            text.replacen('{', r#"{"sub":"admin","#, 1),
        ),
        (
            "exp twice",
            HEADER,
            text.replacen('{', r#"{"exp":9999999999,"#, 1),
        ),
        (
            "sub twice, escaped",
            HEADER,
            text.replacen('{', r#"{"\u0073ub":"a","#, 1),
        ),
        ("claims are a list", HEADER, format!("[{text}]")),
        ("two texts", HEADER, format!("{text}{text}")),
    ] {
        add(name.to_owned(), ours.sign(header, &claims));
    }
    for end in [
        1,
        good.len() / 2,
        good.len() - signature.len(),
        good.len() - 1,
    ] {
        add(format!("cut at {end}"), good.split_at(end).0.to_owned());
    }
    for (name, token) in [
        ("a byte more", format!("{good}A")),
        ("padding", format!("{good}=")),
        ("a part more", format!("{good}.{signature}")),
        ("a dot more", format!("{good}.")),
        ("a blank before", format!(" {good}")),
        ("a tab before", format!("\t{good}")),
        ("a blank within", good.replacen('.', " .", 1)),
        ("quotes", format!("\"{good}\"")),
        ("twice, with a comma", format!("{good},{good}")),
        (
            "twice, with a comma and a scheme",
            format!("{good}, Bearer {good}"),
        ),
        ("twice, with a blank", format!("{good} {good}")),
        ("no base64", good.replacen('.', ".+/", 1)),
        ("bytes beyond ASCII", format!("{good}\u{e9}")),
        ("nine kilobytes", format!("{good}{}", "A".repeat(9 * 1024))),
    ] {
        add(name.to_owned(), token);
    }
    all
}

const HEADER: &str = r#"{"alg":"RS256","kid":"k1"}"#;

/// Members that are missing, of a wrong type, or say what must not be believed.
fn wrong_claims(now: u64) -> Vec<Value> {
    let mut all = Vec::new();
    for (name, values) in [
        (
            "iss",
            vec![
                json!(null),
                json!(1),
                json!([ISSUER]),
                json!(format!("{ISSUER}/")),
            ],
        ),
        (
            "aud",
            vec![
                json!(null),
                json!(1),
                json!({}),
                json!([]),
                json!(["profile-gateway", 1]),
                json!("other"),
                json!("Profile-Gateway"),
            ],
        ),
        (
            "sub",
            vec![
                json!(null),
                json!(""),
                json!(1),
                // Nobody is called that.
                json!("system:serviceaccount:shop:stranger"),
                json!("SYSTEM:serviceaccount:shop:checkout"),
                json!("system:serviceaccount:shop:checkout "),
            ],
        ),
        (
            "exp",
            vec![
                json!(null),
                json!((now + 600).to_string()),
                json!(-1),
                json!([now + 600]),
                json!(1e300),
                json!(now - 3600),
                json!(now - 31),
            ],
        ),
        (
            "nbf",
            vec![
                json!(null),
                json!("0"),
                json!(-1),
                json!(true),
                json!(now + 600),
            ],
        ),
        ("iat", vec![json!("0"), json!(now + 86_400)]),
    ] {
        all.extend(values.into_iter().map(|value| json!({ name: value })));
    }
    all
}

#[test]
fn whatever_is_wrong_with_a_token_its_caller_is_told_the_same_and_nothing_is_sent() {
    let signer = Signer::new("k1");
    let stack = Trusting::start(&[&signer], TELLING_ALL);
    let mut told = None;

    for (name, token) in attacks() {
        let answer = stack.ask(&bearing(&token));

        assert_eq!(
            answer.problem(),
            (401, "caller_unknown".to_owned()),
            "{name}"
        );
        let mut words = answer.json();
        words.as_object_mut().unwrap().remove("request_id");
        let all = (answer.values("www-authenticate").join("\n"), words);
        let expected = told.get_or_insert_with(|| all.clone());
        assert_eq!(all, *expected, "{name}");
    }

    let (challenge, words) = told.unwrap();
    assert_eq!(
        challenge,
        "Bearer realm=\"profile-gateway\", error=\"invalid_token\", ApiKey realm=\"profile-gateway\", header=\"x-caller-key\""
    );
    assert_eq!(
        words["detail"],
        "what the request shows of its caller is not accepted here; what can be is a workload token in authorization, \
         after Bearer, or an API key in x-caller-key; the gateway's operator finds why by the request id"
    );
    // The same gateway believes a good one.
    assert_eq!(stack.ask(&bearing(&signer.token(ISSUER))).status, 200);
    assert_eq!(stack.adobe.heads(), 1);
    let printed = stack.gateway.stop();
    assert!(!printed.contains("eyJ"), "{printed}");
    for why in [
        "the token has expired",
        "the token is good, and of nobody who is known here",
    ] {
        assert!(printed.contains(why), "{why}");
    }
}

#[test]
fn a_kid_is_neither_a_path_nor_a_query_and_names_that_nobody_has_cost_few_fetches() {
    let signer = Signer::new("k1");
    let stack = Trusting::fetching_every("10s", &[&signer], "");
    let fetched = "profile_gateway_issuer_fetches_total{issuer=\"cluster\",outcome=\"fetched\"}";
    let begun = tokio::time::Instant::now();

    for round in 0..4 {
        for kid in [
            "../../../../dev/null",
            "/dev/null",
            "file:///etc/passwd",
            "http://127.0.0.1:1/keys",
            "k1' OR '1'='1",
            "x' UNION SELECT 'secret'; --",
            "k1\u{0}",
            " k1",
            "K1",
            "",
        ] {
            let token = signer.token_with(ISSUER, &json!({ "kid": kid }), &json!({ "jti": round }));
            let answer = stack.ask(&bearing(&token));
            assert_eq!(
                answer.problem(),
                (401, "caller_unknown".to_owned()),
                "{kid}"
            );
        }
    }

    // One in ten seconds, however many come.
    let most = begun.elapsed().as_secs() / 10 + 2;
    let fetches = stack.gateway.count(fetched).unsigned_abs();
    assert!((1..=most).contains(&fetches), "{fetches} of {most}");
    assert_eq!(stack.adobe.heads(), 0);
}

#[test]
fn what_is_no_token_or_more_than_one_is_nobodys() {
    let signer = Signer::new("k1");
    let stack = Trusting::start(&[&signer], "");
    let good = signer.token(ISSUER);
    let other = signer.token_with(ISSUER, &json!({}), &json!({ "jti": "other" }));
    let once = "once, and no more";
    let wrong = "is not accepted here";

    for (fields, told) in [
        (format!("{0}{0}", bearing(&good)), once),
        (format!("{}{}", bearing(&good), bearing(&other)), once),
        (
            format!("{}authorization: Basic YTpi\r\n", bearing(&good)),
            once,
        ),
        (format!("{}Authorization:\r\n", bearing(&good)), once),
        ("Authorization: Basic YTpi\r\n".to_owned(), wrong),
        ("Authorization: Bearer\r\n".to_owned(), wrong),
        ("Authorization:\r\n".to_owned(), wrong),
        (format!("Authorization: {good}\r\n"), wrong),
        (format!("Authorization: Token {good}\r\n"), wrong),
        (format!("Authorization: Bearer: {good}\r\n"), wrong),
        (
            format!("Authorization: Basic {good}\r\nX-Caller-Key: {OTHER_KEY}\r\n"),
            wrong,
        ),
        (
            format!("X-Authorization: Bearer {good}\r\n"),
            "show who calls: ",
        ),
        (
            format!("Proxy-Authorization: Bearer {good}\r\n"),
            "show who calls: ",
        ),
        (
            format!("Cookie: authorization=Bearer {good}\r\n"),
            "show who calls: ",
        ),
        (format!("X-Caller-Token: {good}\r\n"), "show who calls: "),
        (String::new(), "show who calls: "),
    ] {
        let answer = stack.ask(&fields);

        assert_eq!(
            answer.problem(),
            (401, "caller_unknown".to_owned()),
            "{fields}"
        );
        assert!(answer.text().contains(told), "{fields}: {}", answer.text());
        assert_eq!(
            answer.values("www-authenticate"),
            [
                "Bearer realm=\"profile-gateway\", ApiKey realm=\"profile-gateway\", header=\"x-caller-key\""
            ],
            "{fields}"
        );
    }
    let answer = stack.ask(&bearing(&"A".repeat(1_000_000)));
    assert_eq!(answer.problem(), (431, "head_too_large".to_owned()));
    assert_eq!(stack.adobe.heads(), 0);
}
