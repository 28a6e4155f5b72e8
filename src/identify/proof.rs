//! What a request shows of who sends it.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::unknown::Unknown;
use crate::context::Accepts;
use crate::error::Error;

/// What a request shows. It is taken out of the request, so that it goes no further.
#[derive(Debug, Default)]
pub struct Proofs {
    /// The value of the listener's field for API keys.
    pub api_key: Option<HeaderValue>,
}

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
