//! What the simulator has received: the last thousand requests, each as it came.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Version};
use serde_json::{Value, json};

use crate::aep::OwnedField;

/// How many requests are kept; the oldest goes first.
pub const KEPT_REQUESTS: usize = 1_000;
/// How much of each request body is kept, in bytes.
pub const KEPT_BODY_BYTES: usize = 64 * 1024;

/// One request as the simulator received it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts requests from 1, in the order their heads arrived.
    pub number: u64,
    /// Counts connections from 1: two requests with the same number shared one.
    pub connection: u64,
    /// Milliseconds since the epoch, by the simulator's clock.
    pub received_at_ms: u64,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: Version,
    /// The method as sent.
    pub method: String,
    /// The request target as sent: path and query, percent-encoding untouched.
    pub target: String,
    /// All header fields, names in lower case in the order of their first copy, copies in their order.
    pub headers: Vec<(String, String)>,
    /// The first [`KEPT_BODY_BYTES`] of the body.
    pub body: Bytes,
    /// How long the body was, in bytes, as far as it arrived.
    pub body_bytes: u64,
    /// Whether the body arrived to its end.
    pub body_complete: bool,
    /// The operation, such as `entities.read` or `ims.token`.
    pub operation: &'static str,
    /// What was odd about the request, such as a header field that came twice.
    pub remarks: Vec<String>,
    /// The status of the answer; `None` while there is none, or when it never came to one.
    pub status: Option<u16>,
}

impl Seen {
    /// Returns every value of one header field, in order. `name` is in lower case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns the request as the control endpoint shows it.
    pub fn to_json(&self) -> Value {
        let mut shown = json!({
            "number": self.number,
            "connection": self.connection,
            "received_at_ms": self.received_at_ms,
            "version": format!("{:?}", self.version),
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body_bytes": self.body_bytes,
            "body_complete": self.body_complete,
            "operation": self.operation,
            "remarks": self.remarks,
            "status": self.status,
        });
        let (key, body) = match std::str::from_utf8(&self.body) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => ("body_base64", STANDARD.encode(&self.body)),
        };
        if let Some(fields) = shown.as_object_mut() {
            fields.insert(key.to_owned(), Value::String(body));
        }
        shown
    }
}

/// The requests, and how many there were of each operation.
#[derive(Debug, Default)]
pub(super) struct Journal {
    seen: VecDeque<Seen>,
    last_number: u64,
    by_operation: BTreeMap<&'static str, u64>,
}

impl Journal {
    /// Adds a request and returns its number.
    pub(super) fn open(&mut self, mut seen: Seen) -> u64 {
        self.last_number += 1;
        seen.number = self.last_number;
        *self.by_operation.entry(seen.operation).or_default() += 1;
        if self.seen.len() == KEPT_REQUESTS {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
        self.last_number
    }

    /// Fills in what arrived of the body.
    pub(super) fn body(&mut self, number: u64, body: &Bytes, length: u64, complete: bool) {
        if let Some(seen) = self.entry(number) {
            // A copy, so that the journal does not keep the rest of a large body alive.
            let kept = body.len().min(KEPT_BODY_BYTES);
            seen.body = Bytes::copy_from_slice(body.get(..kept).unwrap_or_default());
            seen.body_bytes = length;
            seen.body_complete = complete;
        }
    }

    /// Fills in the status of the answer.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        if let Some(seen) = self.entry(number) {
            seen.status = Some(status);
        }
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.seen.iter().cloned().collect()
    }

    pub(super) fn by_operation(&self) -> &BTreeMap<&'static str, u64> {
        &self.by_operation
    }

    /// Forgets the requests and the counts; numbers go on.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.by_operation.clear();
    }

    fn entry(&mut self, number: u64) -> Option<&mut Seen> {
        // Usually the newest or nearly so.
        self.seen
            .iter_mut()
            .rev()
            .find(|seen| seen.number == number)
    }
}

/// Copies header fields as text; bytes that are not UTF-8 become U+FFFD.
pub(super) fn copy_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

/// Names the fields that should have come exactly once and came more often.
pub(super) fn remarks(headers: &HeaderMap) -> Vec<String> {
    OwnedField::ALL
        .into_iter()
        .map(OwnedField::name)
        .filter_map(|name| match headers.get_all(name).iter().count() {
            0 | 1 => None,
            copies => Some(format!("{name} came {copies} times; the first was taken")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(operation: &'static str) -> Seen {
        Seen {
            number: 0,
            connection: 1,
            received_at_ms: 0,
            version: Version::HTTP_11,
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: vec![
                ("a".to_owned(), "1".to_owned()),
                ("a".to_owned(), "2".to_owned()),
            ],
            body: Bytes::new(),
            body_bytes: 0,
            body_complete: true,
            operation,
            remarks: Vec::new(),
            status: None,
        }
    }

    #[test]
    fn the_oldest_request_goes_first_and_counts_stay() {
        let mut journal = Journal::default();
        for _ in 0..=KEPT_REQUESTS {
            journal.open(seen("entities.read"));
        }

        let kept = journal.requests();

        assert_eq!(kept.len(), KEPT_REQUESTS);
        assert_eq!(kept[0].number, 2);
        assert_eq!(journal.by_operation()["entities.read"], 1_001);
    }

    #[test]
    fn a_long_body_is_cut_and_its_length_kept() {
        let mut journal = Journal::default();
        let number = journal.open(seen("entities.read"));

        journal.body(number, &Bytes::from(vec![0xff; 100_000]), 100_000, true);

        let kept = &journal.requests()[0];
        assert_eq!(kept.body.len(), KEPT_BODY_BYTES);
        assert_eq!(kept.body_bytes, 100_000);
        assert!(kept.to_json()["body_base64"].is_string());
        assert_eq!(kept.values("a"), ["1", "2"]);
    }
}
