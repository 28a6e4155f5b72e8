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
    /// those of all listeners: a key that is shown at the wrong one, or in a field that is spelled with `_` for `-`, shows
    /// nothing and goes no further either. What the listener looks at was settled when the connection was accepted, and need
    /// not be among them.
    ///
    /// # Errors
    /// [`crate::error::Reason::CallerUnknown`] when there is more than one of a kind.
    pub fn take(
        headers: &mut HeaderMap,
        fields: &Fields,
        accepts: &Accepts,
    ) -> Result<Self, Error> {
        let mut proofs = Self::default();
        let looked_at = [accepts.api_key.as_ref(), accepts.workload_token.as_ref()];
        let lengths = looked_at
            .into_iter()
            .flatten()
            .fold(fields.lengths, |lengths, field| lengths | bit(field));
        let holds_proof = |name: &HeaderName| {
            let own = || looked_at.into_iter().flatten();
            lengths & bit(name) != 0 && own().chain(&fields.all).any(|field| is_like(field, name))
        };
        // Most requests show nothing, or one thing that is looked at.
        let mut left = headers.keys().filter(|name| holds_proof(name)).count();
        if left == 0 {
            return Ok(proofs);
        }
        if let Some(field) = &accepts.api_key {
            let only = take_only(headers, field);
            proofs.api_key = only.map_err(|repeated| repeated.told(accepts))?;
            left -= usize::from(proofs.api_key.is_some());
        }
        if let Some(field) = &accepts.workload_token {
            let only = take_only(headers, field);
            let only = only.map_err(|repeated| repeated.told(accepts))?;
            left -= usize::from(only.is_some());
            proofs.token = only.map(|value| Token {
                value,
                has_scheme: *field == AUTHORIZATION,
            });
        }
        for _ in 0..left {
            let Some(name) = headers.keys().find(|name| holds_proof(name)).cloned() else {
                break;
            };
            headers.remove(name);
        }
        Ok(proofs)
    }
}

/// The fields that may hold a proof, at any listener.
#[derive(Clone, Debug)]
pub struct Fields {
    all: Box<[HeaderName]>,
    /// A bit for each of their lengths, so that few names need a closer look.
    lengths: u64,
}

impl Fields {
    /// Prepares them.
    pub fn new(all: &[HeaderName]) -> Self {
        Self {
            lengths: all.iter().fold(0, |lengths, field| lengths | bit(field)),
            all: all.into(),
        }
    }

    /// Tells whether what is in a field of this name is taken out.
    pub fn hold(&self, name: &HeaderName) -> bool {
        self.all.iter().any(|field| is_like(field, name))
    }
}

/// Tells whether two names are the same, be there `_` in the place of `-`: servers that hand fields to programs as variables
/// take them for the same.
fn is_like(field: &HeaderName, name: &HeaderName) -> bool {
    if field == name {
        return true;
    }
    let (field, name) = (field.as_str(), name.as_str());
    let same = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let mut both = field.bytes().zip(name.bytes());
    field.len() == name.len()
        && (name.contains('_') || field.contains('_'))
        && both.all(|(one, other)| same(one) == same(other))
}

/// Returns the bit of a name's length; the last is for all that are longer.
fn bit(name: &HeaderName) -> u64 {
    1 << name.as_str().len().min(63)
}

/// Takes out the value of a field that may be there once. Nothing that is printed shows it.
fn take_only(headers: &mut HeaderMap, field: &HeaderName) -> Result<Option<HeaderValue>, Unknown> {
    if headers.get_all(field).iter().nth(1).is_some() {
        return Err(Unknown::Repeated);
    }
    let mut only = headers.remove(field);
    if let Some(only) = &mut only {
        only.set_sensitive(true);
    }
    Ok(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> HeaderName {
        HeaderName::from_bytes(name.as_bytes()).unwrap()
    }

    #[test]
    fn a_proof_goes_no_further_however_its_field_is_spelled() {
        let long = format!("x-{}", "a".repeat(80));
        let fields = Fields::new(&[
            AUTHORIZATION,
            named("x-caller-key"),
            named("x-api-key"),
            named(&long),
        ]);
        let underscored = long.replace('-', "_");
        let goes_on = |name: &str| {
            let mut headers = HeaderMap::new();
            headers.append(named(name), HeaderValue::from_static("a"));
            headers.append(named(name), HeaderValue::from_static("b"));
            Proofs::take(&mut headers, &fields, &Accepts::anybody(true)).unwrap();
            !headers.is_empty()
        };

        for name in [
            "authorization",
            "x-caller-key",
            "X_Caller-Key",
            "x-caller_key",
            "x_caller_key",
            "x_api_key",
            &long,
            &underscored,
        ] {
            assert!(!goes_on(name), "{name}");
        }
        for name in [
            "x-caller-kex",
            "xxcaller-key",
            "x-request-id",
            "x-caller-key2",
            "x.caller.key",
        ] {
            assert!(goes_on(name), "{name}");
        }
    }

    #[test]
    fn what_the_connection_was_accepted_with_is_taken_out_too_and_is_printed_nowhere() {
        let accepts = Accepts {
            api_key: Some(named("x-old-key")),
            workload_token: Some(named("x-old-token")),
            ..Accepts::clone(&Accepts::anybody(false))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-old-key", "k-1"),
            ("x_old_key", "k-2"),
            ("x-old-token", "t-1"),
            ("X-Old_Token", "t-2"),
            ("x-new-key", "k-3"),
            ("x-team", "crm"),
        ] {
            headers.append(named(name), HeaderValue::from_static(value));
        }

        let fields = Fields::new(&[named("x-new-key")]);
        let proofs = Proofs::take(&mut headers, &fields, &accepts).unwrap();

        assert_eq!(proofs.api_key.as_ref().unwrap(), "k-1");
        let token = proofs.token.as_ref().unwrap();
        assert_eq!(token.bytes(), Some(&b"t-1"[..]));
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-team"]);
        for printed in [format!("{proofs:?}"), format!("{token:?}")] {
            assert!(
                !printed.contains("k-1") && !printed.contains("t-1"),
                "{printed}"
            );
        }
    }
}
