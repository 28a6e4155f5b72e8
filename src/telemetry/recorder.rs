//! What is kept of a request when it has ended: one line and a few counts.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use serde::Serialize;

use super::{Lines, Metrics};
use crate::clock;
use crate::context::{Caller, Exchange, PerRoute};
use crate::error::Reason;

/// Writes down requests that have ended, for one worker.
#[derive(Debug)]
pub struct Recorder {
    lines: Option<Rc<Lines>>,
    json: bool,
    labels: Rc<PerRoute<Labels>>,
    metrics: Metrics,
    cut_off: Cell<bool>,
}

/// What a route is called in logs.
#[derive(Clone, Debug)]
pub struct Labels {
    /// The route's name.
    pub route: String,
    /// The credential's name.
    pub credential: String,
    /// The sandbox's name.
    pub sandbox: String,
}

/// How a request ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The status sent, or `None` when the caller went away before there was one.
    pub status: Option<StatusCode>,
    /// Bytes of the response body handed to the caller's connection.
    pub response_bytes: u64,
    /// Whether the whole answer was handed over.
    pub complete: bool,
    /// Whose error Adobe's answer tells of, if it is one.
    pub blame: Option<Blame>,
}

/// Which part of Adobe an error answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Adobe's API gateway, with its `error_code`: the request was not executed.
    AdobeGateway(String),
    /// A service behind it.
    AepService,
}

impl Blame {
    /// Returns the word that logs and metrics use, beside those of [`crate::error::Side`].
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AdobeGateway(_) => "adobe_gateway",
            Self::AepService => "aep_service",
        }
    }
}

/// The access line. It holds no path, query, id or field value a caller chose, but for the request id.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    peer: std::net::IpAddr,
    protocol: &'static str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adobe_code: Option<&'a str>,
    request_bytes: u64,
    response_bytes: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
}

impl Recorder {
    /// Records into `metrics`, and into `lines` if there are to be any.
    pub fn new(
        lines: Option<Rc<Lines>>,
        json: bool,
        labels: Rc<PerRoute<Labels>>,
        metrics: Metrics,
    ) -> Self {
        Self {
            lines,
            json,
            labels,
            metrics,
            cut_off: Cell::new(false),
        }
    }

    /// Says that requests which end from now on are cut off by the gateway, at the end of its drain time.
    pub fn cut_off(&self) {
        self.cut_off.set(true);
    }

    /// Writes down how `exchange` ended.
    pub fn record(&self, exchange: &Exchange, outcome: &Outcome) {
        let took = exchange.started.elapsed();
        let route = exchange.route.get();
        let reason = exchange.reason.get();
        let answered = outcome
            .status
            .filter(|_| outcome.complete || reason.is_some());
        self.metrics.count(route, answered, reason, took);
        if let Some(blame) = &outcome.blame {
            self.metrics.count_blame(blame.as_str(), outcome.status);
        }
        if let Some(lines) = &self.lines {
            let line = self.line(exchange, outcome, took);
            lines.add(|buffer| {
                if self.json {
                    line.write_json(buffer);
                } else {
                    line.write_text(buffer);
                }
            });
        }
    }

    fn line<'a>(
        &'a self,
        exchange: &'a Exchange,
        outcome: &'a Outcome,
        took: Duration,
    ) -> Line<'a> {
        let labels = exchange
            .route
            .get()
            .and_then(|route| self.labels.get(route).ok());
        let operation = exchange.operation.get();
        let meaning = exchange.reason.get().map(Reason::meaning);
        let end = match (outcome.complete, meaning) {
            (true, _) => "complete",
            (false, Some(_)) => "broken_off",
            (false, None) if exchange.connection.stalled.get() => "caller_stalled",
            (false, None) if self.cut_off.get() => "cut_off",
            (false, None) => "caller_gone",
        };
        let upstream = exchange.upstream_head.get();
        Line {
            timestamp: timestamp(),
            level: "INFO",
            message: "access",
            request_id: exchange.request_id.to_str().unwrap_or_default(),
            caller: exchange.caller.get().map(Caller::name),
            peer: exchange.connection.peer.ip(),
            protocol: protocol(exchange.version),
            method: method(&exchange.method),
            route: labels.map(|labels| labels.route.as_str()),
            operation: operation.map(|operation| operation.name),
            kind: operation.map(|operation| operation.kind.as_str()),
            sandbox: labels.map(|labels| labels.sandbox.as_str()),
            credential: labels.map(|labels| labels.credential.as_str()),
            status: outcome.status.map(|status| status.as_u16()),
            end,
            reason: meaning.map(|meaning| meaning.code),
            side: meaning
                .map(|meaning| meaning.side.as_str())
                .or_else(|| outcome.blame.as_ref().map(Blame::as_str)),
            adobe_code: match &outcome.blame {
                Some(Blame::AdobeGateway(code)) => Some(code),
                Some(Blame::AepService) | None => None,
            },
            request_bytes: exchange.upload.bytes.get(),
            response_bytes: outcome.response_bytes,
            duration_ms: millis(took),
            upstream_ms: upstream.map(|at| millis(at.saturating_duration_since(exchange.started))),
        }
    }
}

impl Line<'_> {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        // Writing to memory cannot fail, and no member of the line has a form JSON lacks.
        let _ = serde_json::to_writer(buffer, self);
    }

    fn write_text(&self, buffer: &mut Vec<u8>) {
        use std::io::Write;
        let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let status = self
            .status
            .map_or_else(|| "-".to_owned(), |status| status.to_string());
        let _ = write!(
            buffer,
            "{} {:>5} access {} {} {} {} in {} of {}: {} {}{} {} B up {} B down {:.1} ms id {}",
            self.timestamp,
            self.level,
            self.peer,
            self.method,
            dash(self.route),
            dash(self.operation),
            dash(self.sandbox),
            dash(self.credential),
            status,
            self.end,
            self.reason
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default(),
            self.request_bytes,
            self.response_bytes,
            self.duration_ms,
            self.request_id,
        );
    }
}

fn timestamp() -> String {
    let now = std::time::UNIX_EPOCH + clock::since_epoch();
    humantime::format_rfc3339_millis(now).to_string()
}

/// Milliseconds with microsecond precision.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "http/1.0",
        Version::HTTP_2 => "http/2",
        _ => "http/1.1",
    }
}

/// Methods the gateway can route; anything else is a word of the caller's.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE => method.as_str(),
        _ => "_OTHER",
    }
}
