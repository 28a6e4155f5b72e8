//! What a request shows of who sends it.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::unknown::Unknown;
use crate::context::Accepts;
use crate::error::Error;

/// What a request shows. It is taken out of the request, so that it goes no further.
#[derive(Debug, Default)]
pub struct Proofs {
    /// The value of the listener's field for API keys.
    pub api_key: Option<HeaderValue>,
    /// The value of its field for workload tokens.
    pub token: Option<Token>,
}

/// A workload token, as it is shown.
#[derive(Clone, Debug)]
pub struct Token {
    value: HeaderValue,
    /// Whether the value says `Bearer` before the token.
    has_scheme: bool,
}

impl Token {
    /// Returns the token itself. `None`: the value is of another scheme.
    pub fn bytes(&self) -> Option<&[u8]> {
        let value = self.value.as_bytes();
        if !self.has_scheme {
            return Some(value);
        }
        // RFC 9110 §11.1 and RFC 6750 §2.1: the scheme's case does not matter, and one space follows.
        let (scheme, token) = value.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
    }
}

const SCHEME: &[u8] = b"Bearer ";

impl Proofs {
    /// Takes all fields out of a request that may hold a proof, and returns those that the listener looks at. `fields` are
    /// those of all listeners: a key that is shown at the wrong one goes no further either.
    ///
    /// # Errors
    /// [`crate::error::Reason::CallerUnknown`] when there is more than one of a kind.
    pub fn take(
        headers: &mut HeaderMap,
        fields: &[HeaderName],
        accepts: &Accepts,
    ) -> Result<Self, Error> {
        let mut proofs = Self::default();
        if let Some(field) = &accepts.api_key {
            let only = only(headers, field);
            proofs.api_key = only.map_err(|repeated| repeated.told(accepts))?;
        }
        if let Some(field) = &accepts.workload_token {
            let only = only(headers, field).map_err(|repeated| repeated.told(accepts))?;
            proofs.token = only.map(|value| Token {
                value,
                has_scheme: *field == AUTHORIZATION,
            });
        }
        for field in fields {
            headers.remove(field);
        }
        Ok(proofs)
    }
}

/// Returns the value of a field that may be there once.
fn only(headers: &HeaderMap, field: &HeaderName) -> Result<Option<HeaderValue>, Unknown> {
    let mut values = headers.get_all(field).iter();
    let first = values.next().cloned();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Unknown::Repeated),
    }
}
