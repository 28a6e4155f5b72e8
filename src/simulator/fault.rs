//! A fault: where it hits, how often, and what goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Answer, Content};
use super::body::Ending;
use super::time::millis;

/// Something that goes wrong, at a place, a number of times.
///
/// A fault that sets a status, a body, `body_bytes` or `html` answers in place of the simulator, which then does nothing
/// else. A fault with only a delay, header fields or a broken ending acts on the genuine answer: the request
/// has been carried out, which is what makes a retry dangerous.
///
/// ```
/// use profile_gateway::simulator::{Fault, Place};
///
/// let busy = Fault::at(Place::Platform).status(429).retry_after(38).times(2);
/// assert_eq!(busy.status, Some(429));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests it hits.
    #[serde(rename = "where")]
    pub place: Place,
    /// How many requests it hits. Default 1; `None` (JSON `null`) means until cleared.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// How likely it hits a request at its place, 0 to 1. Default 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// How long to wait before anything else, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// The status to answer with.
    #[serde(default)]
    pub status: Option<u16>,
    /// Header fields to set on the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body to answer with: a string as it is, anything else as JSON.
    #[serde(default)]
    pub body: Option<Value>,
    /// Answers with a body of this many bytes that means nothing, made while it is sent.
    #[serde(default)]
    pub body_bytes: Option<u64>,
    /// Answers with an HTML page, as a load balancer in front would.
    #[serde(default)]
    pub html: bool,
    /// Sets `Retry-After`, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// What a token answer says in `expires_in`, whatever the token's real lifetime.
    #[serde(default)]
    pub expires_in: Option<Value>,
    /// What a token answer says in `access_token`; it may be empty.
    #[serde(default)]
    pub access_token: Option<String>,
    /// Fields that a token answer leaves out.
    #[serde(default)]
    pub omit: Vec<String>,
    /// How long a token minted under this fault really lives, in milliseconds.
    #[serde(default)]
    pub token_lifetime_ms: Option<u64>,
    /// How the connection misbehaves.
    #[serde(default)]
    pub wire: Option<Wire>,
}

/// Where a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// Requests to IMS, which are those below `/ims/`.
    Ims,
    /// Requests whose path begins with this text.
    Path(String),
    /// Every other request.
    Platform,
}

/// What a connection does instead of delivering an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Ends in a TCP reset before the request is looked at. On HTTP/2 this takes all streams with it.
    Reset,
    /// Sends the head and half of the body, then nothing more.
    Stall,
    /// Sends the head and half of the body, then closes.
    Truncate,
}

/// Why a fault cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// A header field that HTTP does not allow.
    #[error("header field {0:?} is not one that HTTP allows")]
    Header(String),
    /// A probability outside 0 to 1.
    #[error("probability must lie between 0 and 1")]
    Probability,
    /// A status outside 200 to 999; HTTP libraries do not send others as final answers.
    #[error("status must lie between 200 and 999")]
    Status,
    /// A place that is neither a known word nor a path.
    #[error("where must be ims, platform or a path prefix that begins with a slash")]
    Place,
}

impl Fault {
    /// Returns a fault that hits once and does nothing yet.
    pub fn at(place: Place) -> Self {
        Self {
            place,
            times: once(),
            probability: always(),
            delay_ms: 0,
            status: None,
            headers: BTreeMap::new(),
            body: None,
            body_bytes: None,
            html: false,
            retry_after: None,
            expires_in: None,
            access_token: None,
            omit: Vec::new(),
            token_lifetime_ms: None,
            wire: None,
        }
    }

    /// Hits `times` requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Hits every request until faults are cleared.
    #[must_use]
    pub fn until_cleared(mut self) -> Self {
        self.times = None;
        self
    }

    /// Waits before anything else.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = millis(delay);
        self
    }

    /// Answers with `status` instead of the genuine answer.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets a header field on the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Answers with `body`: a string as it is, anything else as JSON.
    #[must_use]
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Answers with `bytes` that mean nothing.
    #[must_use]
    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = Some(bytes);
        self
    }

    /// Answers with an HTML page.
    #[must_use]
    pub fn html(mut self) -> Self {
        self.html = true;
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Has a token answer say `value` in `expires_in`.
    #[must_use]
    pub fn expires_in(mut self, value: impl Into<Value>) -> Self {
        self.expires_in = Some(value.into());
        self
    }

    /// Has a token answer say `token` in `access_token`.
    #[must_use]
    pub fn access_token(mut self, token: &str) -> Self {
        self.access_token = Some(token.to_owned());
        self
    }

    /// Has a token answer leave out `field`.
    #[must_use]
    pub fn omit(mut self, field: &str) -> Self {
        self.omit.push(field.to_owned());
        self
    }

    /// Has minted tokens really live for `lifetime`.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime_ms = Some(millis(lifetime));
        self
    }

    /// Breaks the connection.
    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = Some(wire);
        self
    }

    pub(super) fn ending(&self) -> Ending {
        match self.wire {
            Some(Wire::Stall) => Ending::Stalled,
            Some(Wire::Truncate) => Ending::Truncated,
            Some(Wire::Reset) | None => Ending::Whole,
        }
    }

    /// Returns the answer that stands in for the genuine one, if the fault brings one.
    pub(super) fn replacement(&self) -> Option<Answer> {
        let has_body = self.body.is_some() || self.body_bytes.is_some() || self.html;
        if self.status.is_none() && !has_body {
            return None;
        }
        let default = if self.html { 502 } else { 200 };
        let status = StatusCode::from_u16(self.status.unwrap_or(default)).ok()?;
        if let Some(total) = self.body_bytes {
            return Some(Answer {
                content: Content::Filled {
                    before: Bytes::new(),
                    after: Bytes::new(),
                    total,
                },
                ..Answer::raw(status, JSON, Bytes::new())
            });
        }
        let answer = match &self.body {
            None if self.html => html(status),
            None => Answer::empty(status),
            Some(Value::String(text)) => Answer::raw(
                status,
                if self.html { HTML } else { JSON },
                Bytes::from(text.clone()),
            ),
            Some(body) => Answer::json(status, body),
        };
        Some(answer)
    }

    /// Changes a genuine or replaced answer as the fault wants it.
    pub(super) fn adorn(&self, mut answer: Answer) -> Answer {
        if let Some(seconds) = self.retry_after {
            answer
                .headers
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in &self.headers {
            if let Some((name, value)) = field(name, value) {
                answer.headers.insert(name, value);
            }
        }
        answer
    }

    /// Changes the fields of a token answer as the fault wants them.
    pub(super) fn alter_token_answer(&self, mut answer: Answer) -> Answer {
        let Content::Bytes(bytes) = &answer.content else {
            return answer;
        };
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else {
            return answer;
        };
        if !fields.contains_key("access_token") {
            return answer;
        }
        if let Some(value) = &self.expires_in {
            fields.insert("expires_in".to_owned(), value.clone());
        }
        if let Some(token) = &self.access_token {
            fields.insert("access_token".to_owned(), Value::String(token.clone()));
        }
        for field in &self.omit {
            fields.remove(field);
        }
        answer.content = Content::Bytes(Bytes::from(Value::Object(fields).to_string()));
        answer
    }

    pub(super) fn check(&self) -> Result<(), InvalidFault> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(InvalidFault::Probability);
        }
        if self
            .status
            .is_some_and(|status| !(200..=999).contains(&status))
        {
            return Err(InvalidFault::Status);
        }
        match self
            .headers
            .iter()
            .find(|(name, value)| field(name, value).is_none())
        {
            Some((name, _)) => Err(InvalidFault::Header(name.clone())),
            None => Ok(()),
        }
    }
}

impl Place {
    pub(super) fn holds(&self, path: &str) -> bool {
        match self {
            Self::Ims => path.starts_with("/ims/"),
            Self::Path(prefix) => path.starts_with(prefix),
            Self::Platform => !path.starts_with("/ims/"),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = InvalidFault;

    fn try_from(text: String) -> Result<Self, InvalidFault> {
        match text.as_str() {
            "ims" => Ok(Self::Ims),
            "platform" => Ok(Self::Platform),
            path if path.starts_with('/') => Ok(Self::Path(text)),
            _ => Err(InvalidFault::Place),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Ims => "ims".to_owned(),
            Place::Path(prefix) => prefix,
            Place::Platform => "platform".to_owned(),
        }
    }
}

fn html(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<html>\r\n<head><title>{0} {reason}</title></head>\r\n<body>\r\n<center><h1>{0} {reason}</h1></center>\r\n</body>\r\n</html>\r\n",
        status.as_u16()
    );
    Answer::raw(status, HTML, Bytes::from(page))
}

fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde wants the default in the field's own type"
)]
fn once() -> Option<u32> {
    Some(1)
}

fn always() -> f64 {
    1.0
}

const HTML: &str = "text/html";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_form_has_defaults_and_no_unknown_fields() {
        let fault: Fault = serde_json::from_value(json!({"where": "ims", "status": 500})).unwrap();
        assert_eq!(fault, Fault::at(Place::Ims).status(500));

        let forever = json!({"where": "/data/core/ups", "times": null, "wire": "reset"});
        let forever: Fault = serde_json::from_value(forever).unwrap();
        assert_eq!(forever.times, None);
        assert_eq!(forever.wire, Some(Wire::Reset));

        for wrong in [
            json!({"where": "elsewhere"}),
            json!({"where": "ims", "stats": 1}),
            json!({}),
        ] {
            assert!(serde_json::from_value::<Fault>(wrong).is_err());
        }
    }

    #[test]
    fn only_a_status_body_or_page_stands_in_for_the_answer() {
        let slow = Fault::at(Place::Ims)
            .delay(Duration::from_secs(1))
            .retry_after(3);
        assert!(slow.replacement().is_none());

        let page = Fault::at(Place::Ims).html().replacement().unwrap();
        assert_eq!(page.status, 502);
        assert_eq!(page.headers[CONTENT_TYPE], "text/html");
    }
}
