//! A workload token: what it says, and whether that is so.
//!
//! # Source
//! RFC 7515 and 7519; what to be careful of, RFC 8725.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;
use super::keys::KeySet;
use super::{IssuerId, Rules, Wanted};
use crate::error::Reason;

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who signed it.
    pub issuer: IssuerId,
    /// Whom it speaks for, by the issuer's name for them.
    pub subject: Rc<str>,
    /// From when on it counts, since the Unix epoch, leeway included.
    pub(super) begins: Duration,
    /// When it counts no more, since the Unix epoch, leeway included.
    pub expires_at: Duration,
}

impl Claims {
    /// Tells whether the token counts at `now`, since the Unix epoch.
    pub(super) fn holds_at(&self, now: Duration) -> bool {
        self.begins <= now && now < self.expires_at
    }
}

/// Why a token is not believed. What the words say is for the log, and nothing in them is the token's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It names another algorithm than that of its key.
    Algorithm,
    /// It is for somebody else.
    Audience,
    /// A claim is missing, or of a wrong type.
    Claim(&'static str),
    /// It wants something of its reader that is not known here.
    Critical,
    /// It has expired.
    Expired,
    /// It says of itself that it was made in the future.
    Future,
    /// It is of none of the issuers.
    Issuer,
    /// It does not say which of several keys it is signed with.
    KeyUnnamed,
    /// It is no token in the compact form, or holds no JSON.
    Malformed,
    /// There are no keys of its issuer, or only keys that are too old.
    NoKeys(Wanted),
    /// It does not count yet.
    NotYet,
    /// Its signature is not that of its key.
    Signature,
    /// It is longer than 8 KiB.
    TooLong,
    /// It is of another kind than those that show who calls.
    Type,
    /// Its issuer has no such key, as far as is known.
    UnknownKey(Wanted),
}

impl Refusal {
    /// Returns what newer keys may bring.
    pub fn wanted(self) -> Option<Wanted> {
        if let Self::NoKeys(wanted) | Self::UnknownKey(wanted) = self {
            Some(wanted)
        } else {
            None
        }
    }

    /// Returns the word that access lines and the audit use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Algorithm => "token_algorithm",
            Self::Audience => "token_audience",
            Self::Claim(_) => "token_claim",
            Self::Critical => "token_critical",
            Self::Expired => "token_expired",
            Self::Future => "token_from_future",
            Self::Issuer => "token_issuer",
            Self::KeyUnnamed => "token_key_unnamed",
            Self::Malformed => "token_malformed",
            Self::NoKeys(_) => "issuer_keys_missing",
            Self::NotYet => "token_not_yet_valid",
            Self::Signature => "token_signature",
            Self::TooLong => "token_too_long",
            Self::Type => "token_type",
            Self::UnknownKey(_) => "token_key_unknown",
        }
    }

    /// Returns the public reason: the token is at fault, unless nothing could be found out about it.
    pub fn reason(self) -> Reason {
        if matches!(self, Self::NoKeys(_)) {
            Reason::KeysUnavailable
        } else {
            Reason::CallerUnknown
        }
    }
}

#[cfg(test)]
impl Refusal {
    /// One of each kind.
    pub(crate) fn samples() -> [Self; 15] {
        let wanted = Wanted {
            issuer: IssuerId(0),
            newer_than: super::Newer::Fetch(0),
        };
        [
            Self::Algorithm,
            Self::Audience,
            Self::Claim("exp"),
            Self::Critical,
            Self::Expired,
            Self::Future,
            Self::Issuer,
            Self::KeyUnnamed,
            Self::Malformed,
            Self::NoKeys(wanted),
            Self::NotYet,
            Self::Signature,
            Self::TooLong,
            Self::Type,
            Self::UnknownKey(wanted),
        ]
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "the token names another algorithm than that of its key",
            Self::Audience => "the token is for another audience",
            Self::Claim(name) => {
                return write!(f, "the token's claim {name} is missing or of a wrong type");
            }
            Self::Critical => "the token has a header crit",
            Self::Expired => "the token has expired",
            Self::Future => "the token was made in the future",
            Self::Issuer => "the token is of no issuer that is trusted",
            Self::KeyUnnamed => "the token has no kid, and its issuer has several keys",
            Self::Malformed => "the token is no JWT in the compact form",
            Self::NoKeys(_) => "there are no keys of the token's issuer that may be used",
            Self::NotYet => "the token does not count yet",
            Self::Signature => "the token's signature is not that of its key",
            Self::TooLong => "the token is longer than 8 KiB",
            Self::Type => "the token is of a kind that does not show who calls",
            Self::UnknownKey(_) => "the token's issuer has no key with its kid",
        })
    }
}

impl std::error::Error for Refusal {}

/// A token that has been read, of which nothing has been proven.
#[derive(Debug)]
pub(super) struct Unproven<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// What the signature is of.
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unproven<'a> {
    /// Reads a token.
    pub(super) fn read(token: &'a [u8]) -> Result<Self, Refusal> {
        if token.len() > MOST_BYTES {
            return Err(Refusal::TooLong);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        if signature.is_empty() {
            return Err(Refusal::Malformed);
        }
        // Without padding, and nothing but zeros in the bits that are left over: a token has one spelling.
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let object = |part| json::object(&decoded(part)?).ok_or(Refusal::Malformed);
        Ok(Self {
            header: object(header)?,
            claims: object(claims)?,
            signed: token
                .get(..header.len() + 1 + claims.len())
                .unwrap_or_default(),
            signature: decoded(signature)?,
        })
    }

    /// Returns who is said to have signed it.
    pub(super) fn issuer(&self) -> Result<&str, Refusal> {
        let issuer = self.claims.get("iss").and_then(Value::as_str);
        issuer.ok_or(Refusal::Claim("iss"))
    }

    /// Returns what the token proves at `now`, since the Unix epoch, if its issuer has these rules and keys.
    ///
    /// What it says is looked at before its signature, so that what is refused anyway costs little, and asks nobody for
    /// keys. `wanted` says what would be asked for.
    pub(super) fn prove(
        &self,
        issuer: IssuerId,
        rules: &Rules,
        keys: &KeySet,
        wanted: Wanted,
        now: Duration,
    ) -> Result<Claims, Refusal> {
        let claims = self.claims(issuer, rules, now)?;
        let (algorithm, id) = self.header()?;
        let Some(key) = keys.find(id) else {
            return Err(match id {
                Some(_) => Refusal::UnknownKey(wanted),
                None => Refusal::KeyUnnamed,
            });
        };
        if key.algorithm() != algorithm {
            return Err(Refusal::Algorithm);
        }
        if !key.verifies(self.signed, &self.signature) {
            // Without a kid another key may have come in the place of the only one.
            return Err(match id {
                Some(_) => Refusal::Signature,
                None => Refusal::UnknownKey(wanted),
            });
        }
        Ok(claims)
    }

    /// Returns the algorithm and the key's id. Keys that a token brings along or points to are not looked at.
    fn header(&self) -> Result<(&str, Option<&str>), Refusal> {
        let text = |name| match self.header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => Err(Refusal::Malformed),
        };
        if self.header.contains_key("crit") {
            return Err(Refusal::Critical);
        }
        let known = |kind: &str| TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known));
        if text("typ")?.is_some_and(|kind| !known(kind)) {
            return Err(Refusal::Type);
        }
        let algorithm = text("alg")?.ok_or(Refusal::Malformed)?;
        Ok((algorithm, text("kid")?))
    }

    fn claims(&self, issuer: IssuerId, rules: &Rules, now: Duration) -> Result<Claims, Refusal> {
        let time = |name| match self.claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value).map(Some).ok_or(Refusal::Claim(name)),
        };
        if self.issuer()? != rules.issuer {
            return Err(Refusal::Issuer);
        }
        let ours = |audience: &str| rules.audiences.iter().any(|ours| ours == audience);
        let is_for_us = match self.claims.get("aud") {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(all)) => {
                let all: Option<Vec<_>> = all.iter().map(Value::as_str).collect();
                let all = all.ok_or(Refusal::Claim("aud"))?;
                all.into_iter().any(ours)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                return Err(Refusal::Claim("aud"));
            }
        };
        if !is_for_us {
            return Err(Refusal::Audience);
        }
        let subject = self.claims.get("sub").and_then(Value::as_str);
        let subject = subject.filter(|subject| !subject.is_empty());
        let begins = time("nbf")?;
        if begins.is_none() && rules.require_nbf {
            return Err(Refusal::Claim("nbf"));
        }
        let claims = Claims {
            issuer,
            subject: subject.ok_or(Refusal::Claim("sub"))?.into(),
            begins: begins.unwrap_or_default().saturating_sub(rules.leeway),
            expires_at: time("exp")?
                .ok_or(Refusal::Claim("exp"))?
                .saturating_add(rules.leeway),
        };
        let made = time("iat")?.unwrap_or_default();
        if now >= claims.expires_at {
            return Err(Refusal::Expired);
        }
        if now < claims.begins {
            return Err(Refusal::NotYet);
        }
        if made > now + rules.leeway + FAR {
            return Err(Refusal::Future);
        }
        Ok(claims)
    }
}

/// Reads a time of RFC 7519 §2, a number of seconds since the Unix epoch that may have a fraction.
fn seconds(value: &Value) -> Option<Duration> {
    match value.as_u64() {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => Duration::try_from_secs_f64(value.as_f64()?).ok(),
    }
}

/// Bytes. Tokens of Kubernetes have 1 KiB, those with many groups in them 4 KiB.
pub(super) const MOST_BYTES: usize = 8 * 1024;

/// What a token may call itself that shows who calls: RFC 7519 §5.1, RFC 9068 §2.1, and SPIFFE's JWT-SVID §2.3. Others are
/// made for something else, such as a logout, by the same keys.
const TYPES: [&str; 4] = ["JWT", "at+jwt", "application/at+jwt", "JOSE"];

/// How far in the future a token may say it was made. Clocks that differ by more are wrong, and no reason to believe it.
const FAR: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests;
