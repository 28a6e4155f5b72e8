//! What a token call's answer means.
//!
//! # Source
//! Adobe's guides to OAuth server-to-server authentication and the errors its SDKs handle, read 2026-11-23.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::error::Reason;
use crate::secret::Secret;

/// A token just minted.
#[derive(Clone, Debug)]
pub struct Minted {
    /// `Bearer` and the token, proven to be a legal field value and marked sensitive.
    pub bearer: http::HeaderValue,
    /// How long it lives.
    pub lifetime: Duration,
    /// How long it lives by the words of IMS, in seconds, whatever was made of it.
    pub stated_s: Option<f64>,
    /// The number IMS gave its answer (`x-debug-id`).
    pub debug_id: Option<String>,
    /// By how many seconds this machine's clock is ahead of IMS's, if IMS said what time it is.
    pub clock_ahead_s: Option<i64>,
}

/// Why a token call gave no token. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", Numbered(.debug_id.as_deref()))]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// IMS's own word for it, if it is a known one.
    pub refusal: Option<Refusal>,
    /// The status of IMS's answer, if there was one.
    pub status: Option<StatusCode>,
    /// Where the way to IMS broke, if it could not be reached.
    pub broke_at: Option<Reason>,
    /// What IMS said, or what was wrong with it. Never holds a secret or a token.
    pub message: String,
    /// How long IMS asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The number IMS gave its answer (`x-debug-id`), which Adobe's support asks for.
    pub debug_id: Option<String>,
    /// By how many seconds this machine's clock is ahead of IMS's, if IMS said what time it is.
    pub clock_ahead_s: Option<i64>,
}

/// What the head of a token answer says.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// How long IMS asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The number IMS gave its answer.
    pub debug_id: Option<String>,
    /// By how many seconds this machine's clock is ahead of IMS's.
    pub clock_ahead_s: Option<i64>,
}

/// What `expires_in` counts at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `/ims/exchange/*`.
    Milliseconds,
    /// `/ims/token/*`.
    Seconds,
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

/// Declares the errors that IMS is known to name.
macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// What IMS calls a refusal. Other words are in the message only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)+
        }

        impl Refusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Returns IMS's word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

refusals! {
    /// A claim of the assertion has the wrong form.
    BadRequest = "bad_request",
    /// IMS failed.
    InternalError = "internal_error",
    /// The client id or secret is wrong.
    InvalidClient = "invalid_client",
    /// A parameter is missing or wrong.
    InvalidRequest = "invalid_request",
    /// A scope or metascope was not granted.
    InvalidScope = "invalid_scope",
    /// The assertion was signed with a key whose certificate IMS does not know.
    InvalidSignature = "invalid_signature",
    /// The assertion has expired, or cannot be read.
    InvalidToken = "invalid_token",
    /// The grant is not enabled for the client.
    UnauthorizedClient = "unauthorized_client",
}

impl Refusal {
    fn of(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == word)
    }
}

impl Failure {
    /// Makes a failure of which nothing more is known.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            refusal: None,
            status: None,
            broke_at: None,
            message: message.into(),
            retry_after: None,
            debug_id: None,
            clock_ahead_s: None,
        }
    }
}

/// Shows IMS's number behind a message.
struct Numbered<'a>(Option<&'a str>);

impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " (x-debug-id {id})"),
            None => Ok(()),
        }
    }
}

impl Minted {
    /// Describes a token of which nothing more is known.
    pub fn new(bearer: http::HeaderValue, lifetime: Duration) -> Self {
        Self {
            bearer,
            lifetime,
            stated_s: None,
            debug_id: None,
            clock_ahead_s: None,
        }
    }
}

impl From<StatusCode> for Head {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            retry_after: None,
            debug_id: None,
            clock_ahead_s: None,
        }
    }
}

/// Reads the answer to a token call, where `expires_in` counts `unit`s.
///
/// Lenient as the field is: a missing `token_type` is a bearer, a lifetime may be a numeric string, unknown
/// members are ignored.
///
/// # Errors
/// [`Failure`] unless the status is 200 and the body holds a token that is a legal field value.
pub fn read(head: &Head, body: &[u8], unit: Unit) -> Result<Minted, Failure> {
    let result = if head.status == StatusCode::OK {
        token(head, body, unit)
    } else {
        Err(refused(head.status, body))
    };
    result.map_err(|failure| with_head(head, failure))
}

/// Returns what an answer means whose body did not come, or not as a whole, because of `broken`.
///
/// The status says enough when it is that of an error, and a pause that IMS asks for counts without its reasons.
pub fn without_body(head: &Head, broken: Failure) -> Failure {
    if head.status == StatusCode::OK {
        return with_head(head, broken);
    }
    let refused = refused(head.status, b"");
    let message = format!("{}; {}", refused.message, broken.message);
    with_head(head, Failure { message, ..refused })
}

fn with_head(head: &Head, failure: Failure) -> Failure {
    Failure {
        status: Some(head.status),
        retry_after: head.retry_after,
        debug_id: head.debug_id.clone(),
        clock_ahead_s: head.clock_ahead_s,
        ..failure
    }
}

fn token(head: &Head, body: &[u8], unit: Unit) -> Result<Minted, Failure> {
    let broken = |message: &str| Failure::new(Class::Answer, message);
    let answer: Value =
        serde_json::from_slice(body).map_err(|_| broken("the answer is not JSON"))?;
    // Serializers write members that are not set as null or empty.
    let is_refusal = match answer.get("error") {
        Some(Value::String(word)) => !word.is_empty(),
        Some(Value::Object(_)) => true,
        _ => false,
    };
    if is_refusal {
        return Err(refused(head.status, body));
    }
    let Some(token) = answer.get("access_token").and_then(Value::as_str) else {
        let said = said(&answer);
        let colon = if said.is_empty() { "" } else { ": " };
        let message = format!("the answer has no access_token{colon}{said}");
        return Err(broken(&message));
    };
    if let Some(kind) = answer.get("token_type").and_then(Value::as_str)
        && !kind.eq_ignore_ascii_case("bearer")
    {
        return Err(broken("the answer's token_type is not bearer"));
    }
    let bearer = Secret::new(token.to_owned())
        .to_bearer()
        .ok_or_else(|| broken("the access_token is empty or not a legal field value"))?;
    let stated_s = stated(answer.get("expires_in"), unit);
    Ok(Minted {
        bearer,
        lifetime: lifetime(stated_s),
        stated_s,
        debug_id: head.debug_id.clone(),
        clock_ahead_s: head.clock_ahead_s,
    })
}

/// Returns `expires_in` in seconds, if it is a number, also one in quotes.
fn stated(expires_in: Option<&Value>, unit: Unit) -> Option<f64> {
    let number = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    let seconds = match unit {
        Unit::Milliseconds => number? / 1000.0,
        Unit::Seconds => number?,
    };
    seconds.is_finite().then_some(seconds)
}

/// Returns how long to trust a token that is said to live for so many seconds.
///
/// A lifetime that is missing or unreadable counts as 300 s. One that is zero, negative or over 48 h is taken to
/// be a mistake and moved into 60 s…48 h; a short one is believed, since a token used too long is refused.
fn lifetime(stated_s: Option<f64>) -> Duration {
    let Some(seconds) = stated_s else {
        tracing::warn!(
            assumed_s = UNKNOWN.as_secs(),
            "IMS named no lifetime for a token"
        );
        return UNKNOWN;
    };
    if seconds <= 0.0 {
        tracing::warn!(
            lifetime_s = seconds,
            assumed_s = SHORTEST.as_secs(),
            "IMS named no possible lifetime"
        );
        return SHORTEST;
    }
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
    if lifetime > LONGEST {
        tracing::warn!(
            lifetime_s = seconds,
            assumed_s = LONGEST.as_secs(),
            "IMS named an unlikely lifetime"
        );
        return LONGEST;
    }
    if lifetime < SHORTEST {
        tracing::warn!(lifetime_s = seconds, "IMS named a very short lifetime");
    }
    lifetime.max(Duration::from_millis(1))
}

const UNKNOWN: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(48);

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let text = |member: &str| answer.as_ref()?.get(member)?.as_str();
    let error = text("error")
        .or_else(|| text("error_code"))
        .unwrap_or_default();
    let class = match (status.as_u16(), error) {
        (429, _) => Class::Throttled,
        // 408: a proxy that was kept waiting, not a call that is wrong.
        (408 | 500.., _) | (_, "internal_error") => Class::Unwell,
        (_, "invalid_client") => Class::Client,
        (300..=399, _) => Class::Answer,
        _ => Class::Configuration,
    };
    let said = answer.as_ref().map(said).unwrap_or_default();
    let mut message = format!("IMS answered {}", status.as_u16());
    for part in [error, said] {
        if !part.is_empty() {
            message.push(' ');
            message.push_str(part);
        }
    }
    if answer.is_none() && !body.is_empty() {
        message.push_str(" and something that is not JSON");
    }
    Failure {
        refusal: Refusal::of(error),
        ..Failure::new(class, message)
    }
}

/// Returns what an answer without a token says for people.
fn said(answer: &Value) -> &str {
    ["error_description", "message"]
        .iter()
        .find_map(|member| answer.get(member)?.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
