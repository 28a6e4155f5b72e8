//! What an access token says about itself. It is shown to operators, and decides nothing.
//!
//! # Source
//! Tokens as Adobe's guides and SDKs show them, read 2026-11-26: JWTs without `exp`, their times in milliseconds.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::Value;

use super::printable;

/// What a token says about itself, as far as it could be read. No text holds a control character; each may be long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The client it was minted for.
    pub client_id: Option<String>,
    /// The account it speaks for.
    pub user_id: Option<String>,
    /// The environment of the token service (`as`), such as `ims-na1`.
    pub environment: Option<String>,
    /// What it is for, comma-separated.
    pub scope: Option<String>,
    /// When it was made, since the Unix epoch.
    pub created_at: Option<Duration>,
    /// How long it counts from then on.
    pub lifetime: Option<Duration>,
}

/// Reads the claims of the token in `bearer`, or returns `None` when it is opaque.
///
/// The signature is not checked: who relies on a token is the platform.
pub fn claims(bearer: &HeaderValue) -> Option<Claims> {
    let token = bearer.to_str().ok()?.strip_prefix("Bearer ")?;
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let claims = claims.as_object()?;
    let text = |name: &str| {
        let text = claims.get(name)?.as_str()?;
        Some(printable(text)).filter(|text| !text.is_empty())
    };
    // Milliseconds, as texts; a number is taken too.
    let time = |name: &str| {
        let value = claims.get(name)?;
        let ms = match value.as_str() {
            Some(text) => text.trim().parse().ok()?,
            None => value.as_u64()?,
        };
        Some(Duration::from_millis(ms))
    };
    Some(Claims {
        client_id: text("client_id"),
        user_id: text("user_id"),
        environment: text("as"),
        scope: text("scope"),
        created_at: time("created_at"),
        lifetime: time("expires_in"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    fn of(claims: &Value) -> Option<Claims> {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        super::claims(&Secret::new(token).to_bearer().unwrap())
    }

    #[test]
    fn times_are_texts_in_milliseconds() {
        let claims = of(&json!({
            "client_id": "CID", "user_id": "a@techacct.adobe.com", "as": "ims-na1", "scope": "openid,session",
            "created_at": "1645197489007", "expires_in": "86400000", "state": "",
        }))
        .unwrap();

        assert_eq!(
            claims.created_at,
            Some(Duration::from_millis(1_645_197_489_007))
        );
        assert_eq!(claims.lifetime, Some(Duration::from_hours(24)));
        assert_eq!(claims.environment.as_deref(), Some("ims-na1"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        let claims = of(&json!({
            "client_id": "a\u{1b}[2Jb\r\n", "scope": "\u{202e}x", "as": 7, "user_id": "",
            "created_at": -1, "expires_in": 1000,
        }))
        .unwrap();

        assert_eq!(claims.client_id.as_deref(), Some("a[2Jb"));
        assert_eq!(claims.scope.as_deref(), Some("x"));
        assert_eq!(
            (claims.environment, claims.user_id, claims.created_at),
            (None, None, None)
        );
        assert_eq!(claims.lifetime, Some(Duration::from_secs(1)));
    }

    #[test]
    fn other_tokens_are_opaque() {
        for token in [
            "abc",
            "a.b",
            "a.b.c.d",
            "e30.bm90IGpzb24.x",
            "e30.W10.x",
            "e30.!.x",
        ] {
            let bearer = Secret::new(token.to_owned()).to_bearer().unwrap();
            assert_eq!(claims(&bearer), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn reading_claims_is_total(value in any::<Vec<u8>>()) {
            let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(value));
            claims(&Secret::new(token).to_bearer().unwrap());
        }
    }
}
