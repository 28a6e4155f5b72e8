//! One request, taken apart far enough for the engines to work on.

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::Answer;
use super::errors;

/// A request with its whole body.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// `HEAD` is `GET` here: the HTTP layer leaves the body out.
    pub(super) method: Method,
    /// As received, still percent-encoded.
    pub(super) path: String,
    pub(super) query: Parameters,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn new(method: &Method, target: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: if method == Method::HEAD {
                Method::GET
            } else {
                method.clone()
            },
            path: path.to_owned(),
            query: Parameters::parse(query),
            headers,
            body,
        }
    }

    /// Returns the segments of the path after `prefix`, each decoded, without a trailing slash.
    ///
    /// The path is split before it is decoded, so an encoded slash stays inside its segment.
    pub(super) fn segments(&self, prefix: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(prefix)?.strip_prefix('/')?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        Some(rest.split('/').map(decode).collect())
    }

    /// Returns the first copy of a header field, when it is text and not empty.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then_some(value)
    }

    /// Parses the body.
    ///
    /// # Errors
    /// The answer to send when the body is not JSON.
    pub(super) fn json(&self) -> Result<Value, Answer> {
        serde_json::from_slice(&self.body).map_err(|error| errors::unreadable_body(&error))
    }
}

/// Decoded name and value pairs, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `a=b&c=d`, the form of queries and of urlencoded bodies.
    pub(super) fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode_form(name), decode_form(value))
        };
        Self(
            text.split('&')
                .filter(|part| !part.is_empty())
                .map(pair)
                .collect(),
        )
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Adds the pairs of `other` behind these.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the first value of `name` that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a whole number, or `None` when it is missing or something else.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_as_forms() {
        let cases = [
            ("entityId=janedoe@example.com", "janedoe@example.com"),
            ("entityId=a+b%40x.com", "a b@x.com"),
            ("entityId=a%2Bb", "a+b"),
            ("x=1&entityId=&entityId=2", "2"),
            ("entityId=a=b", "a=b"),
        ];
        for (query, expected) in cases {
            assert_eq!(Parameters::parse(query).get("entityId"), Some(expected));
        }
    }

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        let call = Call::new(
            &Method::GET,
            "/data/core/ups/audiences/s%201%2F2/?a",
            HeaderMap::new(),
            Bytes::new(),
        );

        assert_eq!(
            call.segments("/data/core/ups"),
            Some(vec!["audiences".to_owned(), "s 1/2".to_owned()])
        );
        assert_eq!(call.segments("/data/core/ca"), None);
    }
}
