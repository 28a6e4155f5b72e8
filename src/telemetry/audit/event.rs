//! What the audit says of one request.

use std::net::IpAddr;
use std::time::Duration;

use super::ids::IdKey;
use crate::telemetry::json::{self, member};
use crate::telemetry::line::Stamp;

/// A request that was refused, or that may have changed something.
///
/// It holds no path, query, profile id or field value that a caller chose, but for the request id.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When it ended, since the Unix epoch.
    pub timestamp: Duration,
    /// The request's id, which the caller may have chosen.
    pub request_id: &'a str,
    /// The caller's address, or none when it came over a Unix socket.
    pub peer: Option<IpAddr>,
    /// What configuration calls who called, if that is known.
    pub caller: Option<&'a str>,
    /// By what that is known.
    pub identified_by: Option<&'static str>,
    /// The route, if one was found.
    pub route: Option<&'a str>,
    /// The operation's name.
    pub operation: Option<&'a str>,
    /// What it does: `read`, `write`, `job` or `delete`.
    pub kind: Option<&'static str>,
    /// The sandbox it works in.
    pub sandbox: Option<&'a str>,
    /// The organisation that owns the sandbox.
    pub organization: Option<&'a str>,
    /// What was decided.
    pub decision: Decision,
    /// Why it was refused, or would be; or why it was let pass and did not get the upstream's whole answer.
    pub reason: Option<&'static str>,
    /// Which of the reason's causes it was, if it has several.
    pub cause: Option<&'static str>,
    /// What its caller was answered with.
    pub status: Option<u16>,
    /// What the upstream answered with.
    pub upstream_status: Option<u16>,
}

/// What was decided of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was let pass.
    Allowed,
    /// It was not.
    Refused,
    /// It was let pass, and would not be if its route meant it.
    WouldRefuse,
}

impl Decision {
    /// Returns the word that the audit uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::WouldRefuse => "would_refuse",
        }
    }
}

impl Event<'_> {
    /// Adds it to `buffer` as one JSON object without a line's end, with ids hashed where there is a key for that.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, stamp: &Stamp, ids: Option<&IdKey>) {
        buffer.extend_from_slice(b"{\"timestamp\":\"");
        stamp.write(buffer, self.timestamp);
        buffer.extend_from_slice(b"\",\"message\":\"audit\"");
        id(buffer, member!("request_id"), Some(self.request_id), ids);
        match (self.peer, ids) {
            (Some(address), None) => json::address(buffer, member!("peer"), address),
            (Some(address), Some(ids)) => {
                json::word(buffer, member!("peer"), &ids.hash(&address.to_string()));
            }
            (None, _) => json::word(buffer, member!("peer"), "unix"),
        }
        id(buffer, member!("caller"), self.caller, ids);
        text(buffer, member!("identified_by"), self.identified_by);
        text(buffer, member!("route"), self.route);
        text(buffer, member!("operation"), self.operation);
        text(buffer, member!("kind"), self.kind);
        text(buffer, member!("sandbox"), self.sandbox);
        id(buffer, member!("organization"), self.organization, ids);
        json::word(buffer, member!("decision"), self.decision.as_str());
        text(buffer, member!("reason"), self.reason);
        text(buffer, member!("cause"), self.cause);
        number(buffer, member!("status"), self.status);
        number(buffer, member!("upstream_status"), self.upstream_status);
        buffer.push(b'}');
    }
}

fn id(buffer: &mut Vec<u8>, member: &'static str, value: Option<&str>, ids: Option<&IdKey>) {
    match (value, ids) {
        (Some(value), Some(ids)) => json::word(buffer, member, &ids.hash(value)),
        (value, None) => text(buffer, member, value),
        (None, Some(_)) => {}
    }
}

fn text(buffer: &mut Vec<u8>, member: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        json::text(buffer, member, value);
    }
}

fn number(buffer: &mut Vec<u8>, member: &'static str, value: Option<u16>) {
    if let Some(value) = value {
        json::number(buffer, member, value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::secret::Secret;

    fn refused() -> Event<'static> {
        Event {
            timestamp: Duration::from_millis(1_795_000_000_123),
            request_id: "a\"b",
            peer: Some([192, 0, 2, 7].into()),
            caller: Some("checkout"),
            identified_by: Some("api_key"),
            route: Some("lookups"),
            operation: Some("entities.delete"),
            kind: Some("delete"),
            sandbox: Some("prod"),
            organization: Some("o@AdobeOrg"),
            decision: Decision::Refused,
            reason: Some("production_read_only"),
            cause: Some("a_cause"),
            status: Some(403),
            upstream_status: None,
        }
    }

    fn read(event: &Event<'_>, ids: Option<&IdKey>) -> Value {
        let mut buffer = Vec::new();
        event.write(&mut buffer, &Stamp::default(), ids);
        assert!(!buffer.contains(&b'\n'));
        serde_json::from_slice(&buffer).unwrap()
    }

    #[test]
    fn an_event_says_all_that_is_known_and_nothing_else() {
        assert_eq!(
            read(&refused(), None),
            json!({
                "timestamp": "2026-11-18T11:06:40.123Z",
                "message": "audit",
                "request_id": "a\"b",
                "peer": "192.0.2.7",
                "caller": "checkout",
                "identified_by": "api_key",
                "route": "lookups",
                "operation": "entities.delete",
                "kind": "delete",
                "sandbox": "prod",
                "organization": "o@AdobeOrg",
                "decision": "refused",
                "reason": "production_read_only",
                "cause": "a_cause",
                "status": 403,
            })
        );
        let unknown = Event {
            peer: None,
            caller: None,
            identified_by: None,
            route: None,
            operation: None,
            kind: None,
            sandbox: None,
            organization: None,
            decision: Decision::WouldRefuse,
            reason: None,
            cause: None,
            status: None,
            upstream_status: Some(207),
            ..refused()
        };
        let read = read(&unknown, None);
        let names: Vec<_> = read.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            [
                "decision",
                "message",
                "peer",
                "request_id",
                "timestamp",
                "upstream_status"
            ]
        );
        assert_eq!(read["decision"], "would_refuse");
        assert_eq!(read["peer"], "unix");
    }

    #[test]
    fn with_a_key_no_id_is_shown_and_each_is_known_again() {
        let key = |text: &str| IdKey::new(Secret::new(text.to_owned())).unwrap();
        let (one, other) = (key("0123456789abcdef"), key("0123456789abcdeg"));

        let shown = read(&refused(), Some(&one));

        for (name, value) in [
            ("caller", "checkout"),
            ("organization", "o@AdobeOrg"),
            ("request_id", "a\"b"),
            ("peer", "192.0.2.7"),
        ] {
            let hash = shown[name].as_str().unwrap();
            assert!(hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()));
            assert_eq!(hash, one.hash(value));
            assert_ne!(hash, other.hash(value));
        }
        assert_eq!(shown["sandbox"], "prod");
        assert_eq!(read(&refused(), Some(&one)), shown);
    }
}
