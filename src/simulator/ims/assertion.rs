//! Looks over the JWT a service account presents: its form, its claims, and its signature if the client has a key.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use serde_json::Value;

use crate::simulator::answer::Answer;
use crate::simulator::errors;
use crate::simulator::{Client, PublicKey};

/// How far clocks may differ, in seconds. IMS tolerates about as much.
const SKEW_SECONDS: u64 = 30;
/// IMS accepts assertions that live for a day; longer ones are a mistake of units.
const LONGEST_SECONDS: u64 = 24 * 60 * 60;

/// Accepts an assertion whose form and claims are right for `client`.
///
/// The signature is verified when the client has a public key; without one, any that is not empty will do.
///
/// # Errors
/// The answer IMS gives.
pub(super) fn check(assertion: &str, client: &Client, now_ms: u64) -> Result<(), Answer> {
    let unreadable = || {
        refuse(
            "invalid_token",
            "JWT token is incorrectly formatted, and can not be decoded.",
        )
    };
    let (header, claims) = parse(assertion).ok_or_else(unreadable)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(unreadable());
    }
    if let Some(PublicKey(key)) = &client.public_key
        && !is_signed(assertion, key)
    {
        return Err(refuse(
            "invalid_signature",
            "JWT signature does not match any certificate of the binding.",
        ));
    }
    let expires_at = claims
        .get("exp")
        .and_then(Value::as_u64)
        .ok_or_else(|| refuse("bad_request", "exp must be an integer, in seconds"))?;
    let now = now_ms / 1000;
    if expires_at + SKEW_SECONDS < now {
        return Err(refuse("invalid_token", "JWT token has expired."));
    }
    if expires_at > now + LONGEST_SECONDS + SKEW_SECONDS {
        return Err(refuse("bad_request", "exp lies too far ahead"));
    }
    if claims.get("jti").is_some_and(|jti| !jti.is_u64()) {
        return Err(refuse("bad_request", "jti must be an integer"));
    }
    let claim = |name| claims.get(name).and_then(Value::as_str);
    if claim("iss") != Some(client.organization.as_str()) {
        return Err(refuse(
            "bad_request",
            "iss is not the organization of the client",
        ));
    }
    if claim("sub") != Some(client.technical_account.as_str()) {
        return Err(refuse(
            "bad_request",
            "sub is not the technical account of the client",
        ));
    }
    let audience = format!("/c/{}", client.id);
    if !claim("aud").is_some_and(|aud| aud.ends_with(&audience)) {
        return Err(refuse("bad_request", "aud does not name the client"));
    }
    let has_metascope = claims.as_object().is_some_and(|claims| {
        claims
            .iter()
            .any(|(name, value)| name.contains("/s/") && value.as_bool() == Some(true))
    });
    if has_metascope {
        Ok(())
    } else {
        Err(refuse(
            "invalid_scope",
            "The metascopes in the JWT are not a subset of the metascopes in the binding.",
        ))
    }
}

fn is_signed(assertion: &str, key: &SubjectPublicKeyInfoDer<'_>) -> bool {
    let Some((message, signature)) = assertion.rsplit_once('.') else {
        return false;
    };
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    URL_SAFE_NO_PAD
        .decode(signature)
        .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
}

fn parse(assertion: &str) -> Option<(Value, Value)> {
    let mut parts = assertion
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part));
    let header = serde_json::from_slice(&parts.next()?.ok()?).ok()?;
    let claims = serde_json::from_slice(&parts.next()?.ok()?).ok()?;
    let signature = parts.next()?.ok()?;
    (parts.next().is_none() && !signature.is_empty()).then_some((header, claims))
}

fn refuse(error: &str, description: &str) -> Answer {
    errors::ims(StatusCode::BAD_REQUEST, error, description)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::answer::Content;

    const NOW_MS: u64 = 1_700_000_000_000;

    pub(in crate::simulator::ims) fn claims(now_ms: u64) -> Value {
        let client = Client::demo();
        json!({
            "exp": now_ms / 1000 + 300,
            "iss": client.organization.as_str(),
            "sub": client.technical_account,
            "aud": format!("https://ims-na1.adobelogin.com/c/{}", client.id),
            "https://ims-na1.adobelogin.com/s/ent_dataservices_sdk": true,
        })
    }

    pub(in crate::simulator::ims) fn assertion(claims: &Value) -> String {
        let header = json!({"alg": "RS256"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", encode(&header), encode(claims))
    }

    #[test]
    fn each_claim_is_looked_at() {
        let check = |claims: &Value| check(&assertion(claims), &Client::demo(), NOW_MS);
        assert!(check(&claims(NOW_MS)).is_ok());

        let cases = [
            ("exp", json!(NOW_MS / 1000 - 31), "invalid_token"),
            ("exp", json!(NOW_MS), "bad_request"),
            ("exp", json!("1700000300"), "bad_request"),
            ("jti", json!("x"), "bad_request"),
            ("iss", json!("FFFF@AdobeOrg"), "bad_request"),
            ("sub", json!("someone@techacct.adobe.com"), "bad_request"),
            (
                "aud",
                json!("https://ims-na1.adobelogin.com/c/other"),
                "bad_request",
            ),
            (
                "https://ims-na1.adobelogin.com/s/ent_dataservices_sdk",
                json!(false),
                "invalid_scope",
            ),
        ];
        for (claim, value, expected) in cases {
            let mut claims = claims(NOW_MS);
            claims[claim] = value;

            let refusal = check(&claims).unwrap_err();

            let Content::Bytes(body) = refusal.content else {
                panic!("an error is not streamed")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"], expected, "{claim}");
        }
    }

    #[test]
    fn with_a_key_the_signature_has_to_be_its_own() {
        let pem = include_str!("../../../tests/keys/rsa-public.pem");
        let client = Client {
            public_key: Some(PublicKey::from_pem(pem).unwrap()),
            ..Client::demo()
        };

        let refusal = check(&assertion(&claims(NOW_MS)), &client, NOW_MS).unwrap_err();

        let Content::Bytes(body) = refusal.content else {
            panic!("an error is not streamed")
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"], "invalid_signature");
    }

    #[test]
    fn what_is_not_a_jwt_is_unreadable() {
        for text in ["", "a.b", "e30.e30.", "e30.e30.c2ln.x", "!!.e30.c2ln"] {
            assert!(check(text, &Client::demo(), NOW_MS).is_err(), "{text}");
        }
    }
}
