//! What a token call's answer means.
//!
//! # Source
//! Adobe's guides to OAuth server-to-server authentication and the errors its SDKs handle, read 2026-11-23.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::secret::Secret;

/// A token just minted.
#[derive(Debug)]
pub struct Minted {
    /// `Bearer` and the token, proven to be a legal field value and marked sensitive.
    pub bearer: http::HeaderValue,
    /// How long it lives.
    pub lifetime: Duration,
}

/// Why a token call gave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// What IMS said, or what was wrong with it. Never holds a secret or a token.
    pub message: String,
    /// How long IMS asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// Kinds of failed token calls, by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The answer was not a token answer.
    Answer,
    /// IMS refused the client id or secret.
    Client,
    /// IMS refused what was asked for; only a changed configuration helps.
    Configuration,
    /// IMS asked for a pause.
    Throttled,
    /// IMS could not be reached, or not in time.
    Unreachable,
    /// IMS failed.
    Unwell,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 6] = [
        Self::Answer,
        Self::Client,
        Self::Configuration,
        Self::Throttled,
        Self::Unreachable,
        Self::Unwell,
    ];

    /// Returns the word that logs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "bad_answer",
            Self::Client => "invalid_client",
            Self::Configuration => "refused",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Unwell => "server_error",
        }
    }

    /// Tells whether trying again soon is pointless.
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Client | Self::Configuration)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// Makes a failure without a hint how long to wait.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// Reads the answer of `/ims/token/*`, where `expires_in` is in seconds.
///
/// Lenient as the field is: a missing `token_type` is a bearer, a lifetime may be a numeric string, unknown
/// members are ignored.
///
/// # Errors
/// [`Failure`] unless the status is 200 and the body holds a token that is a legal field value.
pub fn read(
    status: StatusCode,
    body: &[u8],
    retry_after: Option<Duration>,
) -> Result<Minted, Failure> {
    if status != StatusCode::OK {
        return Err(refusal(status, body, retry_after));
    }
    let answer: Value = serde_json::from_slice(body)
        .map_err(|_| Failure::new(Class::Answer, "the answer is not JSON"))?;
    if answer.get("error").is_some() {
        return Err(refusal(StatusCode::BAD_REQUEST, body, retry_after));
    }
    let token = answer
        .get("access_token")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new(Class::Answer, "the answer has no access_token"))?;
    if let Some(kind) = answer.get("token_type").and_then(Value::as_str)
        && !kind.eq_ignore_ascii_case("bearer")
    {
        return Err(Failure::new(
            Class::Answer,
            "the answer's token_type is not bearer",
        ));
    }
    let token = Secret::new(token.to_owned());
    let bearer = token.to_bearer().ok_or_else(|| {
        Failure::new(
            Class::Answer,
            "the access_token is empty or not a legal field value",
        )
    })?;
    Ok(Minted {
        bearer,
        lifetime: lifetime(answer.get("expires_in")),
    })
}

/// Returns how long to trust a token, from `expires_in` in seconds.
///
/// A lifetime that is missing or unreadable counts as 300 s. One that is zero, negative or over 48 h is taken to
/// be a mistake and moved into 60 s…48 h; a short one is believed, since a token used too long is refused.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite()) else {
        tracing::warn!(
            assumed_s = UNKNOWN.as_secs(),
            "IMS named no lifetime for a token"
        );
        return UNKNOWN;
    };
    if seconds <= 0.0 {
        tracing::warn!(
            expires_in = seconds,
            assumed_s = SHORTEST.as_secs(),
            "IMS named no possible lifetime"
        );
        return SHORTEST;
    }
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
    if lifetime > LONGEST {
        tracing::warn!(
            expires_in = seconds,
            assumed_s = LONGEST.as_secs(),
            "IMS named an unlikely lifetime"
        );
        return LONGEST;
    }
    if lifetime < SHORTEST {
        tracing::warn!(expires_in = seconds, "IMS named a very short lifetime");
    }
    lifetime
}

const UNKNOWN: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(48);

fn refusal(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Failure {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| answer.get(member).and_then(Value::as_str);
    let error = text("error")
        .or_else(|| text("error_code"))
        .unwrap_or_default();
    let class = match (status.as_u16(), error) {
        (429 | 503, _) => Class::Throttled,
        (500.., _) => Class::Unwell,
        (_, "invalid_client") => Class::Client,
        (300..=399, _) => Class::Answer,
        _ => Class::Configuration,
    };
    let said = text("error_description")
        .or_else(|| text("message"))
        .unwrap_or_default();
    let mut message = format!("IMS answered {}", status.as_u16());
    for part in [error, said] {
        if !part.is_empty() {
            message.push(' ');
            message.push_str(part);
        }
    }
    Failure {
        class,
        message,
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(body: &str) -> Result<Minted, Failure> {
        read(StatusCode::OK, body.as_bytes(), None)
    }

    #[test]
    fn a_token_answer_is_read_leniently() {
        let full =
            ok(r#"{"access_token":"abc","token_type":"bearer","expires_in":86399}"#).unwrap();
        let bare = ok(r#"{"access_token":"abc","expires_in":"3599","new":[1]}"#).unwrap();

        assert_eq!(full.bearer, "Bearer abc");
        assert!(full.bearer.is_sensitive());
        assert_eq!(full.lifetime, Duration::from_secs(86399));
        assert_eq!(bare.lifetime, Duration::from_secs(3599));
    }

    #[test]
    fn strange_lifetimes_become_possible_ones() {
        let lifetime = |json: &str| {
            ok(&format!(r#"{{"access_token":"abc"{json}}}"#))
                .unwrap()
                .lifetime
                .as_secs_f64()
        };

        for (json, seconds) in [
            ("", 300.0),
            (r#","expires_in":null"#, 300.0),
            (r#","expires_in":"soon""#, 300.0),
            (r#","expires_in":0"#, 60.0),
            (r#","expires_in":-5"#, 60.0),
            (r#","expires_in":2"#, 2.0),
            (r#","expires_in":3599.5"#, 3599.5),
            (r#","expires_in":86399992"#, 172_800.0),
            (r#","expires_in":1e300"#, 172_800.0),
        ] {
            assert!((lifetime(json) - seconds).abs() < 0.001, "{json}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for body in [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"access_token":"abc""#,
            r#"{"access_token":""}"#,
            r#"{"access_token":null}"#,
            r#"{"access_token":17}"#,
            r#"{"access_token":"a\r\nx-sandbox-name: prod"}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"abc","token_type":"mac"}"#,
            r#"{"expires_in":86399}"#,
        ] {
            assert_eq!(ok(body).unwrap_err().class, Class::Answer, "{body}");
        }
    }

    #[test]
    fn failures_are_told_apart() {
        let class = |status: u16, body: &str| {
            read(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
                .unwrap_err()
                .class
        };

        assert_eq!(class(400, r#"{"error":"invalid_client"}"#), Class::Client);
        assert_eq!(class(401, r#"{"error":"invalid_client"}"#), Class::Client);
        assert_eq!(class(200, r#"{"error":"invalid_client"}"#), Class::Client);
        assert_eq!(
            class(400, r#"{"error":"invalid_scope"}"#),
            Class::Configuration
        );
        assert_eq!(class(404, ""), Class::Configuration);
        assert_eq!(class(302, ""), Class::Answer);
        assert_eq!(class(429, ""), Class::Throttled);
        assert_eq!(class(503, "<html>"), Class::Throttled);
        assert_eq!(class(500, r#"{"error":"internal_error"}"#), Class::Unwell);
    }
}
