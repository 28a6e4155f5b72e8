//! The one place a client may send to: scheme, host and port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderValue, Uri};

/// A scheme, host and port, from a URL without path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// It is no URL with scheme and host.
    #[error("is not a URL such as https://platform.adobe.io")]
    NotAUrl,
    /// It has a scheme other than http and https.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It has more than scheme, host and port.
    #[error("must end after the host and port: no user, path or query")]
    TooMuch,
}

impl Origin {
    /// Tells whether the origin is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, the scheme's own when the URL named none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of the `Host` field: the port only where it is not the scheme's own.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Tells whether the host is this machine, by address or by the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidOrigin::NotAUrl);
        };
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidOrigin::Scheme),
        };
        let bare = uri
            .path_and_query()
            .is_none_or(|target| target.as_str() == "/");
        if !bare || authority.as_str().contains('@') || text.ends_with('?') || text.contains('#') {
            return Err(InvalidOrigin::TooMuch);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err(InvalidOrigin::NotAUrl);
        }
        let default_port = if tls { 443 } else { 80 };
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => default_port,
            Some(rest) => rest
                .strip_prefix(':')
                .and_then(|digits| digits.parse().ok())
                .ok_or(InvalidOrigin::NotAUrl)?,
            None => return Err(InvalidOrigin::NotAUrl),
        };
        let shown = if port == default_port {
            authority.host().to_owned()
        } else {
            format!("{}:{port}", authority.host())
        };
        Ok(Self {
            tls,
            host: host.to_ascii_lowercase(),
            port,
            authority: HeaderValue::from_str(&shown).map_err(|_| InvalidOrigin::NotAUrl)?,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(
            f,
            "{scheme}://{}",
            self.authority.to_str().unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_names_the_port_only_where_it_is_unusual() {
        let shown = |url: &str| url.parse::<Origin>().unwrap().authority().clone();

        assert_eq!(shown("https://platform.adobe.io"), "platform.adobe.io");
        assert_eq!(shown("https://platform.adobe.io:443/"), "platform.adobe.io");
        assert_eq!(shown("http://127.0.0.1:8081"), "127.0.0.1:8081");
        assert_eq!(shown("http://[::1]:8081"), "[::1]:8081");
    }

    #[test]
    fn only_scheme_host_and_port_make_an_origin() {
        for wrong in [
            "platform.adobe.io",
            "/x",
            "ftp://platform.adobe.io",
            "https://user@platform.adobe.io",
            "https://platform.adobe.io/data",
            "https://platform.adobe.io/?",
            "https://platform.adobe.io:",
            "https://platform.adobe.io:99999",
            "",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn loopback_is_told_by_address_or_name() {
        let loopback = |url: &str| url.parse::<Origin>().unwrap().is_loopback();

        assert!(
            loopback("http://127.0.0.2:1")
                && loopback("http://[::1]:1")
                && loopback("http://localhost")
        );
        assert!(!loopback("http://10.0.0.1") && !loopback("http://localhost.example.com"));
    }
}
