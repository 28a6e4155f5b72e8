//! What the gateway would do with a request, and why: decided by what decides when it runs, with nothing sent.
//!
//! Heads are looked at, and no payloads: neither is what becomes of those told, nor what quotas, tokens and Adobe say.

mod doors;
mod engines;
mod head;
mod matrix;
mod reach;
pub mod shadow;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};

use self::engines::{Engines, Found, Head};
use crate::aep::{Operation, Operations};
use crate::authorize::{self, Policy, Ruling, Verdict};
use crate::context::{CallerId, PerCaller, RouteId};
use crate::error::{Error, Reason};
use crate::route::{self, Miss, Tie};
use crate::{forward, identify, listener};

pub use doors::Door;
pub use matrix::{Grant, Matrix, Way};

/// What a configuration says of who may do what.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What each route permits.
    pub authorize: &'a authorize::Settings,
    /// What of a request's head is passed on.
    pub forward: &'a forward::Settings,
    /// The callers.
    pub identify: &'a identify::Settings,
    /// Where they connect.
    pub listeners: &'a [listener::Settings],
    /// The routes.
    pub route: &'a route::Settings,
}

/// Decides as the stages of a running gateway do.
#[derive(Debug)]
pub struct Decider {
    engines: Engines,
    callers: PerCaller<identify::Caller>,
    forward: forward::Settings,
    listeners: Vec<listener::Settings>,
    /// What the routes were made from, for who looks for what can take them.
    rules: Vec<route::Rule>,
    operations: Arc<Operations>,
    /// The fields that are taken out before anything is decided.
    proofs: Vec<HeaderName>,
}

/// A request, as far as it is decided by.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The fields.
    pub headers: HeaderMap,
}

impl Request {
    fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

/// What would become of a request.
#[derive(Debug)]
pub struct Explanation {
    /// The listeners that let the caller in.
    pub doors: Vec<Door>,
    /// The routes that were looked at before, and why they were not taken.
    pub missed: Vec<(RouteId, Miss)>,
    /// The route and what follows, or why there is none.
    pub routed: Result<Routed, Error>,
}

/// A request that has a route.
#[derive(Debug)]
pub struct Routed {
    /// The route.
    pub route: RouteId,
    /// What it means at Adobe.
    pub operation: &'static Operation,
    /// The path as it goes there.
    pub path: String,
    /// How each step of the permission came out.
    pub ruling: Ruling,
    /// What it comes to.
    pub verdict: Verdict,
}

impl Explanation {
    /// Returns why the request is refused. `None`: it is passed on.
    pub fn refused(&self) -> Option<Reason> {
        match &self.routed {
            Err(error) => Some(error.reason()),
            Ok(routed) => match &routed.verdict {
                Verdict::Allowed(_) | Verdict::WouldRefuse(..) => None,
                Verdict::Refused(error) => Some(error.reason()),
            },
        }
    }
}

impl Decider {
    /// Prepares the rules of a configuration.
    ///
    /// # Errors
    /// When two routes match the same requests.
    pub fn new(settings: &Settings<'_>) -> Result<Self, Box<Tie>> {
        let Settings {
            authorize,
            forward,
            identify,
            listeners,
            route,
        } = settings;
        Ok(Self {
            engines: Engines::new(route, authorize)?,
            callers: identify.callers.clone(),
            forward: (*forward).clone(),
            listeners: listeners.to_vec(),
            rules: route.routes.clone(),
            operations: Arc::clone(&route.operations),
            proofs: identify.fields.clone(),
        })
    }

    /// Returns the rules of permission.
    pub fn policy(&self) -> &Policy {
        &self.engines.policy
    }

    /// Returns what routes match.
    pub fn rules(&self) -> &[route::Rule] {
        &self.rules
    }

    /// Returns the listeners that let `caller` in.
    ///
    /// # Errors
    /// When there is no such caller.
    pub fn doors(&self, caller: CallerId) -> Result<Vec<Door>, Error> {
        let known = self.callers.get(caller)?;
        Ok(doors::doors(&self.listeners, caller, known))
    }

    /// Says what would become of `request` from `caller`, where that is known.
    ///
    /// # Errors
    /// When the rules do not fit together.
    pub fn explain(&self, request: &Request, caller: CallerId) -> Result<Explanation, Error> {
        let doors = self.doors(caller)?;
        let mut missed = Vec::new();
        let routed = match self.admit(request, caller, &doors) {
            Ok(()) => self.route(request, caller, &mut missed)?,
            Err(refused) => Err(refused),
        };
        Ok(Explanation {
            doors,
            missed,
            routed,
        })
    }

    /// Says whether a listener lets the request in: the first that would know its caller.
    fn admit(&self, request: &Request, caller: CallerId, doors: &[Door]) -> Result<(), Error> {
        let first = doors.first().map_or(0, |door| door.listener);
        if let Some(listener) = self.listeners.get(first) {
            head::check(request, listener)?;
        }
        if doors.is_empty() {
            let detail = if caller == CallerId::ANONYMOUS {
                "no listener serves anonymous callers"
            } else {
                "no listener can know the caller"
            };
            return Err(Error::new(Reason::CallerUnknown, detail));
        }
        Ok(())
    }

    fn route(
        &self,
        request: &Request,
        caller: CallerId,
        missed: &mut Vec<(RouteId, Miss)>,
    ) -> Result<Result<Routed, Error>, Error> {
        let mut request = request.clone();
        for field in &self.proofs {
            request.headers.remove(field);
        }
        let head = request.head();
        let found = self
            .engines
            .find(head, &mut |route, miss| missed.push((route, miss)));
        let found = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let (ruling, mut verdict) = self.engines.rule(head, &found, caller)?;
        if verdict.place().is_some()
            && let Err(refused) = forward::check(&self.forward, found.route, &request.headers)
        {
            verdict = Verdict::Refused(refused);
        }
        let Found {
            route,
            operation,
            path,
            ..
        } = found;
        Ok(Ok(Routed {
            route,
            operation,
            path: path.into_owned(),
            ruling,
            verdict,
        }))
    }
}
