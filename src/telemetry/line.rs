//! The access line, in JSON or for people.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::json::{self, member};
use crate::clock;

/// The access line. It holds no path, query, id or field value a caller chose, but for the request id.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) request_id: &'a str,
    pub(super) caller: Option<&'a Named>,
    /// By what the caller is known.
    pub(super) identified_by: Option<&'static str>,
    /// The caller's address, or none when it came over a Unix socket.
    pub(super) peer: Option<IpAddr>,
    pub(super) protocol: &'static str,
    pub(super) method: &'a str,
    pub(super) route: Option<&'a Named>,
    pub(super) place: Option<&'a Labels>,
    /// Its name and kind.
    pub(super) operation: Option<(&'static str, &'static str)>,
    pub(super) status: Option<u16>,
    pub(super) end: &'static str,
    pub(super) reason: Option<&'static str>,
    /// Which of the reason's causes it was, if it has several.
    pub(super) cause: Option<&'static str>,
    /// Why it would have been refused, if that were not only tried out.
    pub(super) would_refuse: Option<&'static str>,
    /// What a shadow's rules decided, if it is another thing.
    pub(super) shadow: Option<Cow<'a, str>>,
    pub(super) side: Option<&'static str>,
    pub(super) adobe_code: Option<&'a str>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) duration: Duration,
    pub(super) upstream: Option<Duration>,
    /// How often it was sent upstream.
    pub(super) attempts: u32,
}

/// What a place is called in logs, and in the audit.
#[derive(Clone, Debug)]
pub struct Labels {
    pub(super) sandbox: String,
    credential: String,
    pub(super) organization: String,
    /// The first two as members of a JSON object, made once.
    json: Vec<u8>,
}

impl Labels {
    /// Prepares the names of a sandbox, its credential, and the organisation that owns it.
    pub fn new(sandbox: String, credential: String, organization: String) -> Self {
        let mut json = Vec::new();
        json::text(&mut json, member!("sandbox"), &sandbox);
        json::text(&mut json, member!("credential"), &credential);
        Self {
            sandbox,
            credential,
            organization,
            json,
        }
    }
}

/// What a caller or a route is called in logs.
#[derive(Clone, Debug)]
pub struct Named {
    pub(super) name: String,
    /// The name as a member of a JSON object, made once.
    json: Vec<u8>,
}

impl Named {
    /// Prepares the name of a caller.
    pub fn caller(name: String) -> Self {
        let mut json = Vec::new();
        json::text(&mut json, member!("caller"), &name);
        Self { name, json }
    }

    /// Prepares the name of a route.
    pub fn route(name: String) -> Self {
        let mut json = Vec::new();
        json::text(&mut json, member!("route"), &name);
        Self { name, json }
    }
}

impl Line<'_> {
    pub(super) fn write_json(&self, buffer: &mut Vec<u8>, stamp: &Stamp) {
        buffer.extend_from_slice(b"{\"timestamp\":\"");
        stamp.write(buffer, clock::since_epoch());
        buffer.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"access\"");
        json::text(buffer, member!("request_id"), self.request_id);
        if let Some(caller) = self.caller {
            buffer.extend_from_slice(&caller.json);
        }
        if let Some(means) = self.identified_by {
            json::word(buffer, member!("identified_by"), means);
        }
        match self.peer {
            Some(address) => json::address(buffer, member!("peer"), address),
            None => json::word(buffer, member!("peer"), UNIX),
        }
        json::word(buffer, member!("protocol"), self.protocol);
        json::word(buffer, member!("method"), self.method);
        if let Some(route) = self.route {
            buffer.extend_from_slice(&route.json);
        }
        if let Some(place) = self.place {
            buffer.extend_from_slice(&place.json);
        }
        if let Some((operation, kind)) = self.operation {
            json::word(buffer, member!("operation"), operation);
            json::word(buffer, member!("kind"), kind);
        }
        if let Some(status) = self.status {
            json::number(buffer, member!("status"), status.into());
        }
        json::word(buffer, member!("end"), self.end);
        if let Some(reason) = self.reason {
            json::word(buffer, member!("reason"), reason);
        }
        if let Some(cause) = self.cause {
            json::word(buffer, member!("cause"), cause);
        }
        if let Some(reason) = self.would_refuse {
            json::word(buffer, member!("would_refuse"), reason);
        }
        if let Some(shadow) = &self.shadow {
            json::text(buffer, member!("shadow"), shadow);
        }
        if let Some(side) = self.side {
            json::word(buffer, member!("side"), side);
        }
        if let Some(code) = self.adobe_code {
            json::text(buffer, member!("adobe_code"), code);
        }
        json::number(buffer, member!("request_bytes"), self.request_bytes);
        json::number(buffer, member!("response_bytes"), self.response_bytes);
        json::millis(buffer, member!("duration_ms"), self.duration);
        if let Some(upstream) = self.upstream {
            json::millis(buffer, member!("upstream_ms"), upstream);
        }
        if self.attempts > 1 {
            json::number(buffer, member!("attempts"), self.attempts.into());
        }
        buffer.push(b'}');
    }

    pub(super) fn write_text(&self, buffer: &mut Vec<u8>, stamp: &Stamp) {
        let dash = "-";
        let route = self.route.map_or(dash, |route| &*route.name);
        let (sandbox, credential) = self
            .place
            .map_or((dash, dash), |place| (&*place.sandbox, &*place.credential));
        let (operation, _) = self.operation.unwrap_or((dash, dash));
        stamp.write(buffer, clock::since_epoch());
        // Writing to memory cannot fail.
        let _ = match self.peer {
            Some(address) => write!(buffer, "  INFO access {address}"),
            None => write!(buffer, "  INFO access {UNIX}"),
        };
        if let (Some(caller), Some(_)) = (self.caller, self.identified_by) {
            let _ = write!(buffer, " {}", caller.name);
        }
        let _ = write!(
            buffer,
            " {} {route} {operation} in {sandbox} of {credential}: ",
            self.method,
        );
        let _ = match self.status {
            Some(status) => write!(buffer, "{status} {}", self.end),
            None => write!(buffer, "{dash} {}", self.end),
        };
        let _ = match (self.reason, self.cause) {
            (Some(reason), Some(cause)) => write!(buffer, " ({reason}: {cause})"),
            (Some(reason), None) => write!(buffer, " ({reason})"),
            (None, _) => Ok(()),
        };
        if let Some(reason) = self.would_refuse {
            let _ = write!(buffer, " (would be refused: {reason})");
        }
        if let Some(shadow) = &self.shadow {
            let _ = write!(buffer, " (in the shadow: {shadow})");
        }
        let _ = write!(
            buffer,
            " {} B up {} B down {:.1} ms id {}",
            self.request_bytes,
            self.response_bytes,
            self.duration.as_secs_f64() * 1e3,
            self.request_id,
        );
    }
}

/// What a caller over a Unix socket is called.
const UNIX: &str = "unix";

/// Writes times as RFC 3339 has them, and remembers the second it wrote last.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Cell<u64>,
    text: Cell<[u8; SECONDS]>,
}

/// The length of `2026-11-24T08:15:30.`.
const SECONDS: usize = 20;

impl Stamp {
    /// Adds `since_epoch`, to the millisecond.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, since_epoch: Duration) {
        let second = since_epoch.as_secs();
        if self.second.get() != second || self.text.get() == [0; SECONDS] {
            self.remember(second);
        }
        buffer.extend_from_slice(&self.text.get());
        json::three_digits(buffer, since_epoch.subsec_millis().into());
        buffer.push(b'Z');
    }

    fn remember(&self, second: u64) {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
        let mut text = [0; SECONDS];
        // It ends in Z, where the point before the milliseconds goes.
        let _ = write!(
            text.as_mut_slice(),
            "{}",
            humantime::format_rfc3339_seconds(time)
        );
        if let Some(end) = text.last_mut() {
            *end = b'.';
        }
        self.second.set(second);
        self.text.set(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(names: &Names) -> Line<'_> {
        Line {
            request_id: "a\"b",
            caller: Some(&names.caller),
            identified_by: Some("api_key"),
            peer: Some([127, 0, 0, 1].into()),
            protocol: "http/1.1",
            method: "GET",
            route: Some(&names.route),
            place: Some(&names.place),
            operation: Some(("entities.read", "read")),
            status: Some(200),
            end: "complete",
            reason: None,
            cause: None,
            would_refuse: None,
            shadow: None,
            side: None,
            adobe_code: None,
            request_bytes: 0,
            response_bytes: 1024,
            duration: Duration::from_micros(12_034),
            upstream: Some(Duration::from_micros(11_005)),
            attempts: 1,
        }
    }

    struct Names {
        caller: Named,
        route: Named,
        place: Labels,
    }

    fn names() -> Names {
        Names {
            caller: Named::caller("reports".to_owned()),
            route: Named::route("look\"up".to_owned()),
            place: Labels::new("prod".to_owned(), "loyalty".to_owned(), String::new()),
        }
    }

    #[test]
    fn the_json_line_has_every_member_once() {
        let (names, stamp) = (names(), Stamp::default());
        let mut buffer = Vec::new();

        line(&names).write_json(&mut buffer, &stamp);

        let mut read: Value = serde_json::from_slice(&buffer).unwrap();
        let timestamp = read["timestamp"].take();
        assert!(humantime::parse_rfc3339(timestamp.as_str().unwrap()).is_ok());
        assert_eq!(
            read,
            json!({
                "timestamp": null, "level": "INFO", "message": "access", "request_id": "a\"b",
                "caller": "reports", "identified_by": "api_key", "peer": "127.0.0.1", "protocol": "http/1.1", "method": "GET",
                "route": "look\"up", "sandbox": "prod", "credential": "loyalty",
                "operation": "entities.read", "kind": "read", "status": 200, "end": "complete",
                "request_bytes": 0, "response_bytes": 1024, "duration_ms": 12.034, "upstream_ms": 11.005,
            })
        );
    }

    #[test]
    fn a_line_without_an_answer_leaves_out_what_there_is_not() {
        let names = names();
        let gone = Line {
            identified_by: None,
            route: None,
            place: None,
            operation: None,
            status: None,
            end: "caller_gone",
            reason: Some("no_route"),
            peer: None,
            ..line(&names)
        };
        let (mut json, mut text) = (Vec::new(), Vec::new());

        gone.write_json(&mut json, &Stamp::default());
        gone.write_text(&mut text, &Stamp::default());

        let read: Value = serde_json::from_slice(&json).unwrap();
        assert!(read.get("status").is_none() && read.get("route").is_none());
        assert_eq!(read["reason"], "no_route");
        assert_eq!(read["peer"], "unix");
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.ends_with(
                "  INFO access unix GET - - in - of -: - caller_gone (no_route) 0 B up 1024 B down 12.0 ms \
                 id a\"b"
            ),
            "{text}"
        );
    }

    #[test]
    fn times_are_written_to_the_millisecond_within_a_second_and_across_it() {
        let stamp = Stamp::default();
        let written = |millis| {
            let mut buffer = Vec::new();
            stamp.write(&mut buffer, Duration::from_millis(millis));
            String::from_utf8(buffer).unwrap()
        };

        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(1_795_480_654_007), "2026-11-24T00:37:34.007Z");
        assert_eq!(written(1_795_480_654_863), "2026-11-24T00:37:34.863Z");
        assert_eq!(written(1_795_480_655_000), "2026-11-24T00:37:35.000Z");
    }
}
