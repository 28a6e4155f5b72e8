//! Where a document is fetched: an origin, and a path there.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::PathAndQuery;

use crate::connect::Origin;

/// The URL of a document, by http or https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    origin: Origin,
    target: PathAndQuery,
}

/// Why a text is no URL of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is no URL with scheme and host.
    #[error("must be a URL such as https://login.example.com/keys")]
    NotAUrl,
    /// It has a user or a fragment.
    #[error("must have no user in it, and no #")]
    TooMuch,
}

impl Url {
    /// Returns scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns path and query.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// Returns what is shown of it to operators: without its query, which may hold what is not for them, and not longer than a
    /// line can bear, since a document may have chosen it.
    pub fn shown(&self) -> String {
        let mut shown = format!("{}{}", self.origin, self.target.path());
        if let Some((end, _)) = shown.char_indices().nth(MOST_SHOWN) {
            shown.truncate(end);
            shown.push('…');
        }
        shown
    }

    /// Returns the URL of the OIDC discovery document that belongs to this one.
    ///
    /// # Source
    /// `OpenID` Connect Discovery 1.0 §4: a slash at the end is taken off before the well-known path is put behind it.
    #[must_use]
    pub fn discovery(&self) -> Option<Self> {
        if self.target.query().is_some() {
            return None;
        }
        let path = self.target.path().trim_end_matches('/');
        let target = format!("{path}/.well-known/openid-configuration");
        Some(Self {
            origin: self.origin.clone(),
            target: target.parse().ok()?,
        })
    }
}

/// Characters.
const MOST_SHOWN: usize = 200;

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidUrl::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidUrl::NotAUrl);
        };
        if authority.as_str().contains('@') || text.contains('#') {
            return Err(InvalidUrl::TooMuch);
        }
        let origin = format!("{scheme}://{authority}");
        let target = uri.path_and_query().cloned();
        Ok(Self {
            origin: origin.parse().map_err(|_| InvalidUrl::NotAUrl)?,
            target: target.unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_an_origin_and_a_target() {
        let url: Url = "https://login.example.com:8443/t/keys?p=a".parse().unwrap();

        assert_eq!(url.origin().to_string(), "https://login.example.com:8443");
        assert_eq!(url.target(), "/t/keys?p=a");
        assert_eq!(
            "https://a.example".parse::<Url>().unwrap().to_string(),
            "https://a.example/"
        );
        for wrong in [
            "",
            "/keys",
            "a.example",
            "ftp://a.example/",
            "https://u@a.example/",
            "https://a.example/#x",
            "https:///keys",
            "https://a.example:x/",
            "https://a.example/a b",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_a_url_no_query_is_shown_and_no_more_than_a_line_can_bear() {
        let shown = |url: &str| url.parse::<Url>().unwrap().shown();

        assert_eq!(
            shown("https://a.example/keys?token=s3ntinel"),
            "https://a.example/keys"
        );
        for long in [
            format!("https://a.example/{}?s3ntinel", "k".repeat(60_000)),
            format!("https://{}.example/", "k".repeat(60_000)),
        ] {
            let shown = shown(&long);
            assert!(
                shown.chars().count() == 201 && shown.ends_with("k…"),
                "{shown}"
            );
        }
    }

    #[test]
    fn discovery_lies_below_the_issuer() {
        let discovery = |url: &str| {
            let url: Url = url.parse().unwrap();
            url.discovery().map(|url| url.to_string())
        };

        for (issuer, expected) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example/t/v2.0",
                "https://a.example/t/v2.0/.well-known/openid-configuration",
            ),
            (
                "https://a.example/t/",
                "https://a.example/t/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(discovery(issuer).as_deref(), Some(expected));
        }
        assert_eq!(discovery("https://a.example/?x=y"), None);
    }
}
