//! What is kept of a request when it has ended: one line and a few counts.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{Method, StatusCode, Version};

use super::audit::{Decision, Event, Trail};
use super::line::{Labels, Line, Named, Stamp};
use super::metrics::Class;
use super::operations::Operations;
use super::shadow::Compared;
use super::{Counterpart, Lines, Metrics};
use crate::aep::{Kind, Operation};
use crate::clock;
use crate::context::{Exchange, Means, PerCaller, PerPlace, PerRoute};
use crate::error::Reason;

/// Writes down requests that have ended, for one worker.
#[derive(Debug)]
pub struct Recorder {
    lines: Option<Rc<Lines>>,
    json: bool,
    names: Names,
    operations: Operations,
    metrics: Metrics,
    stamp: Stamp,
    /// Where what has to be accounted for is written down, if anywhere.
    trail: Option<Trail>,
    /// One for all recorders of a worker.
    cut_off: Rc<Cell<bool>>,
}

/// What is known of a plan's callers and routes by their places.
#[derive(Clone, Debug)]
pub struct Names {
    /// What callers are called.
    pub callers: Rc<PerCaller<Named>>,
    /// What routes are called.
    pub routes: Rc<PerRoute<Named>>,
    /// What places are called.
    pub places: Rc<PerPlace<Labels>>,
    /// The places of the shadow's rules. Without a shadow there are none.
    pub shadow: Rc<PerPlace<Counterpart>>,
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

impl Recorder {
    /// Records into `metrics`, and into `lines` if there are to be any.
    pub fn new(lines: Option<Rc<Lines>>, json: bool, names: Names, metrics: Metrics) -> Self {
        Self {
            lines,
            json,
            names,
            operations: Operations::new(metrics.operations().clone()),
            metrics,
            stamp: Stamp::default(),
            trail: None,
            cut_off: Rc::default(),
        }
    }

    /// Makes the recorder of another plan's requests on the same worker: a route of one plan means nothing in another.
    #[must_use]
    pub fn renewed(&self, lines: Option<Rc<Lines>>, names: Names, metrics: Metrics) -> Self {
        Self {
            cut_off: Rc::clone(&self.cut_off),
            ..Self::new(lines, self.json, names, metrics)
        }
    }

    /// Writes what has to be accounted for to `trail` too, if there is one.
    #[must_use]
    pub fn audited(self, trail: Option<Trail>) -> Self {
        Self { trail, ..self }
    }

    /// Says that requests of any plan which end from now on are cut off by the gateway, at the end of its drain time.
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
        let class = Class::of(answered);
        self.metrics.count(route, class, reason, took);
        if let Some(operation) = exchange.operation.get() {
            self.operations.count(operation, class);
        }
        if let Some(reason) = exchange.would_refuse.get() {
            self.metrics.count_dry_run(reason);
        }
        let compared = Compared::of(exchange, &self.names.shadow);
        if let Some(compared) = &compared {
            self.metrics.count_shadow(compared);
        }
        if let Some(blame) = &outcome.blame {
            self.metrics.count_blame(blame.as_str(), outcome.status);
        }
        if let Some(trail) = &self.trail
            && let Some(decision) = decision(exchange)
        {
            trail.record(&self.event(exchange, outcome, decision));
        }
        if let Some(lines) = &self.lines {
            let mut line = self.line(exchange, outcome, took);
            line.shadow = compared.as_ref().and_then(Compared::difference);
            lines.add(|buffer| {
                if self.json {
                    line.write_json(buffer, &self.stamp);
                } else {
                    line.write_text(buffer, &self.stamp);
                }
            });
        }
    }

    fn event<'a>(
        &'a self,
        exchange: &'a Exchange,
        outcome: &Outcome,
        decision: Decision,
    ) -> Event<'a> {
        let (identity, operation) = (exchange.caller.get(), exchange.operation.get());
        let place = exchange.place.get();
        let place = place.and_then(|place| self.names.places.get(place).ok());
        let route = exchange.route.get();
        let reason = exchange.reason.get();
        let told = match decision {
            Decision::Allowed | Decision::Refused => reason,
            Decision::WouldRefuse => exchange.would_refuse.get(),
        };
        Event {
            timestamp: clock::since_epoch(),
            request_id: exchange.request_id.to_str().unwrap_or_default(),
            peer: exchange.connection.peer.ip(),
            caller: identity
                .and_then(|who| self.names.callers.get(who.caller).ok())
                .map(|caller| caller.name.as_str()),
            identified_by: identity
                .map(|who| who.by)
                .filter(|by| *by != Means::Nothing)
                .map(Means::as_str),
            route: route
                .and_then(|route| self.names.routes.get(route).ok())
                .map(|route| route.name.as_str()),
            operation: operation.map(|operation| operation.name),
            kind: operation.map(|operation| operation.kind.as_str()),
            sandbox: place.map(|place| place.sandbox.as_str()),
            organization: place.map(|place| place.organization.as_str()),
            decision,
            reason: told.map(|reason| reason.meaning().code),
            cause: exchange.cause.get(),
            status: outcome.status.map(|status| status.as_u16()),
            upstream_status: exchange.upstream_status.get().map(|status| status.as_u16()),
        }
    }

    fn line<'a>(
        &'a self,
        exchange: &'a Exchange,
        outcome: &'a Outcome,
        duration: Duration,
    ) -> Line<'a> {
        let (route, place) = (exchange.route.get(), exchange.place.get());
        let identity = exchange.caller.get();
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
            request_id: exchange.request_id.to_str().unwrap_or_default(),
            caller: identity.and_then(|who| self.names.callers.get(who.caller).ok()),
            identified_by: identity
                .map(|who| who.by)
                .filter(|by| *by != Means::Nothing)
                .map(Means::as_str),
            peer: exchange.connection.peer.ip(),
            protocol: protocol(exchange.version),
            method: method(&exchange.method),
            route: route.and_then(|route| self.names.routes.get(route).ok()),
            place: place.and_then(|place| self.names.places.get(place).ok()),
            operation: operation.map(|operation| (operation.name, operation.kind.as_str())),
            status: outcome.status.map(|status| status.as_u16()),
            end,
            reason: meaning.map(|meaning| meaning.code),
            cause: exchange.cause.get(),
            would_refuse: exchange
                .would_refuse
                .get()
                .map(|reason| reason.meaning().code),
            shadow: None,
            side: meaning
                .map(|meaning| meaning.side.as_str())
                .or_else(|| outcome.blame.as_ref().map(Blame::as_str)),
            adobe_code: match &outcome.blame {
                Some(Blame::AdobeGateway(code)) => Some(code),
                Some(Blame::AepService) | None => None,
            },
            request_bytes: exchange.upload.bytes.get(),
            response_bytes: outcome.response_bytes,
            duration,
            upstream: upstream.map(|at| at.saturating_duration_since(exchange.started)),
            attempts: exchange.attempts.get(),
        }
    }
}

/// Returns what was decided of a request, if somebody may have to account for it.
fn decision(exchange: &Exchange) -> Option<Decision> {
    if let Some(reason) = exchange.reason.get() {
        // What is wrong with a request is decided too, unless nobody knows who calls, or something was sent already.
        let decided = || exchange.caller.get().is_some() && exchange.attempts.get() == 0;
        if reason.is_decision() || reason.is_of_request() && decided() {
            return Some(Decision::Refused);
        }
    }
    if exchange.would_refuse.get().is_some() {
        return Some(Decision::WouldRefuse);
    }
    let changes = |operation: &Operation| operation.kind != Kind::Read;
    // Where it works is known last of what is decided.
    let passed = exchange.operation.get().is_some_and(changes) && exchange.place.get().is_some();
    passed.then_some(Decision::Allowed)
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::context::{Accepts, Connection, Endpoint, Identity, PlaceId};

    fn exchange(method: Method, path: &str) -> Exchange {
        let connection = Connection::new(Endpoint::Unix, Endpoint::Unix, Accepts::anybody(true));
        let id = HeaderValue::from_static("a");
        let operation = Operation::of(&method, path);
        let exchange = Exchange::new(method, Version::HTTP_11, id, Rc::new(connection));
        exchange.caller.set(Some(Identity::ANONYMOUS));
        exchange.operation.set(Some(operation));
        exchange.place.set(Some(PlaceId(0)));
        exchange
    }

    fn read() -> Exchange {
        exchange(Method::GET, "/data/core/ups/audiences")
    }

    fn delete() -> Exchange {
        exchange(Method::POST, "/data/core/ups/system/jobs")
    }

    #[test]
    fn reads_that_are_let_pass_are_not_accounted_for_and_what_changes_something_is() {
        assert_eq!(decision(&read()), None);
        assert_eq!(decision(&delete()), Some(Decision::Allowed));
        // It did not come to that.
        let early = delete();
        early.place.set(None);
        assert_eq!(decision(&early), None);
    }

    #[test]
    fn what_the_gateway_decided_against_is_told_from_what_failed() {
        for reason in Reason::ALL {
            let (read, delete) = (read(), delete());
            for exchange in [&read, &delete] {
                exchange.reason.set(Some(*reason));
            }
            let decided = reason.is_decision() || reason.is_of_request();
            let refused = decided.then_some(Decision::Refused);
            assert_eq!(decision(&read), refused, "{reason}");
            let of_delete = refused.or(Some(Decision::Allowed));
            assert_eq!(decision(&delete), of_delete, "{reason}");
        }
        let nobodys = read();
        nobodys.caller.set(None);
        nobodys.reason.set(Some(Reason::MalformedRequest));
        assert_eq!(decision(&nobodys), None);
        let cut_short = delete();
        cut_short.reason.set(Some(Reason::TooLarge));
        cut_short.attempts.set(1);
        assert_eq!(decision(&cut_short), Some(Decision::Allowed));
    }

    #[test]
    fn a_dry_run_is_told_unless_something_else_refused() {
        let tried = read();
        tried.would_refuse.set(Some(Reason::NotGranted));
        assert_eq!(decision(&tried), Some(Decision::WouldRefuse));
        tried.reason.set(Some(Reason::Quota));
        assert_eq!(decision(&tried), Some(Decision::Refused));
    }
}
