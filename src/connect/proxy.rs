//! The proxy that connections leave through, where a network has one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::Origin;
use crate::secret::Secret;

/// An HTTP proxy for egress, with the login it asks for. Neither `Debug` nor `Display` shows the login.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    at: Origin,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
}

/// Why a text names no proxy. It quotes nothing, since there may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// The user or the password is not percent-encoded text.
    #[error("has a user or password that is not percent-encoded")]
    Login,
    /// It is no URL of a proxy.
    #[error("is not a proxy's URL such as http://proxy.example.com:3128")]
    NotAUrl,
    /// It has more than a login, a host and a port.
    #[error("must end after the host and port: no path or query")]
    TooMuch,
}

impl Proxy {
    /// Returns the proxy's own scheme, host and port.
    pub(super) fn at(&self) -> &Origin {
        &self.at
    }

    /// Tells whether it asks for a login, which this proxy has then.
    pub fn has_login(&self) -> bool {
        self.authorization.is_some()
    }

    /// Returns the value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&Secret> {
        self.authorization.as_ref()
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidProxy::NotAUrl)?;
        // The last one, since a password may hold one that should have been encoded.
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        if login.is_some_and(|login| login.contains(['/', '?', '#'])) {
            return Err(InvalidProxy::NotAUrl);
        }
        let at = format!("{scheme}://{place}");
        let at = at.parse::<Origin>().map_err(|_| {
            if place.trim_end_matches('/').contains(['/', '?', '#']) {
                InvalidProxy::TooMuch
            } else {
                InvalidProxy::NotAUrl
            }
        })?;
        Ok(Self {
            at,
            authorization: login.map(authorization).transpose()?,
        })
    }
}

/// Returns the value of `Proxy-Authorization` (RFC 7617) for what stands before the `@` of a URL.
fn authorization(login: &str) -> Result<Secret, InvalidProxy> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map_err(|_| InvalidProxy::Login)
    };
    let (user, password) = (decoded(user)?, decoded(password)?);
    // The user ends at the first colon.
    if user.is_empty() || user.contains(':') {
        return Err(InvalidProxy::Login);
    }
    let both = Secret::new(format!("{user}:{password}"));
    let encoded = STANDARD.encode(both.expose());
    Ok(Secret::new(format!("Basic {encoded}")))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.has_login() {
            ", with a login"
        } else {
            ""
        };
        write!(f, "Proxy({}{login})", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> Proxy {
        text.parse().unwrap()
    }

    #[test]
    fn a_login_is_decoded_and_not_shown() {
        for (text, shown, login) in [
            ("http://proxy:3128", "http://proxy:3128", None),
            ("https://proxy/", "https://proxy", None),
            ("http://a:b@[::1]:3128", "http://[::1]:3128", Some("a:b")),
            ("http://a@proxy", "http://proxy", Some("a:")),
            ("http://a:b:c@proxy", "http://proxy", Some("a:b:c")),
            ("http://a:p%40s%3As@proxy", "http://proxy", Some("a:p@s:s")),
            ("http://a:p@ss@proxy", "http://proxy", Some("a:p@ss")),
        ] {
            let proxy = proxy(text);
            let expected = login.map(|login| format!("Basic {}", STANDARD.encode(login)));
            let authorization = proxy.authorization().map(Secret::expose);

            assert_eq!(authorization, expected.as_deref(), "{text}");
            assert_eq!(proxy.to_string(), shown);
            let debug = format!("{proxy:?}");
            let suffix = if login.is_some() {
                ", with a login"
            } else {
                ""
            };
            assert_eq!(debug, format!("Proxy({shown}{suffix})"));
        }
        assert_eq!(proxy("http://a:b@proxy"), proxy("http://a:b@proxy:80"));
        assert_ne!(proxy("http://a:b@proxy"), proxy("http://a:c@proxy"));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_a_quote() {
        for (text, expected) in [
            ("proxy:3128", InvalidProxy::NotAUrl),
            ("socks5://proxy:1080", InvalidProxy::NotAUrl),
            ("http://", InvalidProxy::NotAUrl),
            ("http://a:s3cret@", InvalidProxy::NotAUrl),
            ("http://a:s3cret@proxy:x", InvalidProxy::NotAUrl),
            ("http://a:s3cret@proxy/path", InvalidProxy::TooMuch),
            ("http://proxy/?q", InvalidProxy::TooMuch),
            ("http://proxy/@other", InvalidProxy::NotAUrl),
            ("http://:s3cret@proxy", InvalidProxy::Login),
            ("http://a%3ab:s3cret@proxy", InvalidProxy::Login),
            ("http://a:s3cret%ff@proxy", InvalidProxy::Login),
        ] {
            let error = text.parse::<Proxy>().unwrap_err();

            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }
}
