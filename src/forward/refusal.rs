//! Which answers say that the upstream no longer takes the token.

use std::str::FromStr;

use http::StatusCode;

use super::beginning::Beginning;

/// One sign by which an answer with status 400, 401 or 403 is known to refuse the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Its body has this `error_code`.
    Code(String),
    /// It has this status, and its body has no `error_code`.
    Status(StatusCode),
}

impl Sign {
    /// The signs that are looked for unless configuration says otherwise.
    ///
    /// # Source
    /// Adobe's open-source gateway validator: 401013 "Oauth token is not valid" and 403024, where IMS refused to tell
    /// about the token; Audience ingestion's 100911-400 "invalid token"; read 2026-11-23.
    pub const DEFAULT: [&'static str; 4] = ["401", "401013", "403024", "100911-400"];
}

/// A text is neither a status nor a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of the statuses 400, 401 and 403, or an error code such as 401013 or 100911-400"
)]
pub struct InvalidSign;

impl FromStr for Sign {
    type Err = InvalidSign;

    fn from_str(text: &str) -> Result<Self, InvalidSign> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.len() {
            3 if is_number => StatusCode::from_bytes(text.as_bytes())
                .ok()
                .filter(|status| can_refuse(*status))
                .map(Self::Status)
                .ok_or(InvalidSign),
            1..=64 if text.bytes().all(legal) => Ok(Self::Code(text.to_owned())),
            _ => Err(InvalidSign),
        }
    }
}

impl std::fmt::Display for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code),
            Self::Status(status) => f.write_str(status.as_str()),
        }
    }
}

/// Tells whether an answer refuses the token, by any of the signs. One that is long, slow or broken does not; one in a
/// coding that cannot be read counts as one without a code.
pub(super) fn refuses(signs: &[Sign], status: StatusCode, beginning: &Beginning) -> bool {
    if !can_refuse(status) || !beginning.is_whole {
        return false;
    }
    match beginning.code() {
        Some(code) => signs
            .iter()
            .any(|sign| matches!(sign, Sign::Code(known) if *known == code)),
        None => signs.contains(&Sign::Status(status)),
    }
}

fn can_refuse(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(status: u16, body: &str) -> bool {
        let signs = Sign::DEFAULT.map(|sign| sign.parse().unwrap());
        let whole = Beginning::whole(body);
        super::refuses(&signs, StatusCode::from_u16(status).unwrap(), &whole)
    }

    #[test]
    fn only_what_a_new_token_may_cure_refuses_the_token() {
        for (status, body) in [
            (
                401,
                r#"{"error_code":"401013","message":"Oauth token is not valid"}"#,
            ),
            (401, r#"{"error_code":401013}"#),
            (
                403,
                r#"{"error_code":"403024","message":"Not allowed to read the profile"}"#,
            ),
            (400, r#"{"error_code":"100911-400"}"#),
            (401, r#"{"error":"revoked"}"#),
            (401, ""),
            (401, "<html>"),
        ] {
            assert!(refuses(status, body), "{status} {body}");
        }
        for (status, body) in [
            (401, r#"{"error_code":"401014"}"#),
            (401, r#"{"error_code":"401015","message":"Scope mismatch"}"#),
            (401, r#"{"error_code":"100920-401"}"#),
            (
                403,
                r#"{"error_code":"503020","message":"Could not read the profile"}"#,
            ),
            (
                503,
                r#"{"error_code":"503010","message":"Could not validate the oauth token"}"#,
            ),
            (403, r#"{"error_code":"403000"}"#),
            (
                403,
                r#"{"message":"UPS-ACC-1000004: …","statusCode":"403"}"#,
            ),
            (403, ""),
            (400, r#"{"message":"UPS-400"}"#),
        ] {
            assert!(!refuses(status, body), "{status} {body}");
        }
    }

    #[test]
    fn a_sign_is_a_status_or_a_code() {
        assert_eq!("401".parse(), Ok(Sign::Status(StatusCode::UNAUTHORIZED)));
        assert_eq!("401013".parse(), Ok(Sign::Code("401013".to_owned())));
        for wrong in ["", "404", "999", "a b", "é", &"1".repeat(65)] {
            assert_eq!(wrong.parse::<Sign>(), Err(InvalidSign), "{wrong}");
        }
        for sign in Sign::DEFAULT {
            assert_eq!(sign.parse::<Sign>().unwrap().to_string(), sign);
        }
    }
}
