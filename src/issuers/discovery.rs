//! What an OIDC discovery document says of an issuer's keys.
//!
//! # Source
//! `OpenID` Connect Discovery 1.0 §3 and §4.3.

use serde_json::Value;

use super::{Url, json};

/// Why a discovery document leads to no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidDiscovery {
    /// It is of somebody else.
    #[error("is of another issuer than `issuer` in the configuration says")]
    Issuer,
    /// It is no JSON object, or a member stands twice.
    #[error("is no discovery document: a JSON object, each member once")]
    NotADocument,
    /// The keys would come over plain http.
    #[error("leads to keys over plain http at another place than its own")]
    Plain,
    /// It has no `jwks_uri`, or one that is no URL.
    #[error("has no `jwks_uri` that is a URL")]
    Uri,
}

/// Returns where the keys of `issuer` are, as its discovery document says that was fetched from `from`.
///
/// They may be at any host that is reached over https, as they are with large issuers: the document comes from whom is
/// trusted to name the keys. Over plain http they may be only where the document itself is, which was permitted.
///
/// # Errors
/// [`InvalidDiscovery`].
pub(super) fn keys_at(document: &[u8], issuer: &str, from: &Url) -> Result<Url, InvalidDiscovery> {
    let document = json::object(document).ok_or(InvalidDiscovery::NotADocument)?;
    let text = |name| document.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(InvalidDiscovery::Issuer);
    }
    let url = text("jwks_uri").and_then(|url| url.parse::<Url>().ok());
    let url = url.ok_or(InvalidDiscovery::Uri)?;
    if url.origin().is_tls() || url.origin() == from.origin() {
        Ok(url)
    } else {
        Err(InvalidDiscovery::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_the_document_of_the_same_issuer_says() {
        let at = |document: &str, from: &str| {
            let from = from.parse().unwrap();
            let found = keys_at(document.as_bytes(), "https://a.example", &from);
            found.map(|url| url.to_string())
        };
        let document = |issuer: &str, uri: &str| {
            format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}","x":[1]}}"#)
        };
        let https = "https://a.example/.well-known/openid-configuration";
        let http = "http://127.0.0.1:1/.well-known/openid-configuration";

        for (uri, from) in [
            ("https://a.example/keys", https),
            ("https://keys.example/v3?x=y", https),
            ("https://keys.example/", http),
            ("http://127.0.0.1:1/keys", http),
        ] {
            assert_eq!(
                at(&document("https://a.example", uri), from).as_deref(),
                Ok(uri)
            );
        }
        for (uri, from, expected) in [
            ("http://a.example/keys", https, InvalidDiscovery::Plain),
            ("http://169.254.169.254/", https, InvalidDiscovery::Plain),
            ("http://127.0.0.1:2/keys", http, InvalidDiscovery::Plain),
            ("file:///etc/passwd", https, InvalidDiscovery::Uri),
            ("/keys", https, InvalidDiscovery::Uri),
            ("", https, InvalidDiscovery::Uri),
        ] {
            assert_eq!(
                at(&document("https://a.example", uri), from),
                Err(expected),
                "{uri}"
            );
        }
        for issuer in ["https://a.example/", "https://b.example", ""] {
            let document = document(issuer, "https://a.example/keys");
            assert_eq!(
                at(&document, https),
                Err(InvalidDiscovery::Issuer),
                "{issuer}"
            );
        }
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"issuer":"https://a.example","issuer":"x"}"#,
        ] {
            assert_eq!(
                at(text, https),
                Err(InvalidDiscovery::NotADocument),
                "{text}"
            );
        }
        let missing = r#"{"issuer":"https://a.example","jwks_uri":null}"#;
        assert_eq!(at(missing, https), Err(InvalidDiscovery::Uri));
    }
}
