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
    /// nothing and goes no further either.
    ///
    /// # Errors
    /// [`crate::error::Reason::CallerUnknown`] when there is more than one of a kind.
    pub fn take(
        headers: &mut HeaderMap,
        fields: &Fields,
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
        fields.remove_from(headers);
        Ok(proofs)
    }
}

/// The fields that may hold a proof, at any listener.
#[derive(Clone, Debug)]
pub struct Fields {
    all: Box<[HeaderName]>,
    /// A bit for each length of those that can be spelled otherwise, so that few names need a closer look.
    lengths: u64,
}

impl Fields {
    /// Prepares them.
    pub fn new(all: &[HeaderName]) -> Self {
        let with_hyphen = all.iter().filter(|field| field.as_str().contains('-'));
        Self {
            lengths: with_hyphen.fold(0, |lengths, field| lengths | bit(field)),
            all: all.into(),
        }
    }

    fn remove_from(&self, headers: &mut HeaderMap) {
        for field in &self.all {
            headers.remove(field);
        }
        if headers.keys().any(|name| self.is_misspelt(name)) {
            let names = headers.keys().filter(|name| self.is_misspelt(name));
            let names: Vec<HeaderName> = names.cloned().collect();
            for name in names {
                headers.remove(name);
            }
        }
    }

    /// Tells whether a name is one of the fields' but for `_` in the place of `-`, which servers that hand fields to
    /// programs as variables take for the same.
    fn is_misspelt(&self, name: &HeaderName) -> bool {
        if self.lengths & bit(name) == 0 {
            return false;
        }
        let name = name.as_str();
        let spells = |field: &HeaderName| {
            let both = field.as_str().bytes().zip(name.bytes());
            let mut alike = both.map(|both| both.0 == both.1 || both == (b'-', b'_'));
            field.as_str().len() == name.len() && alike.all(|alike| alike)
        };
        self.all.iter().any(spells)
    }
}

/// Returns the bit of a name's length; the last is for all that are longer.
fn bit(name: &HeaderName) -> u64 {
    1 << name.as_str().len().min(63)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_goes_no_further_however_its_field_is_spelled() {
        let long = format!("x-{}", "a".repeat(80));
        let named = |name: &str| HeaderName::from_bytes(name.as_bytes()).unwrap();
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
}
