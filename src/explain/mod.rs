//! What the gateway would do with a request, and why: decided by what decides when it runs, with nothing sent.

mod engines;
mod matrix;
mod reach;
pub mod shadow;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Uri};

use self::engines::{Engines, Found, Head};
use crate::aep::{Operation, Operations};
use crate::authorize::{self, Policy, Ruling};
use crate::context::{CallerId, PlaceId, RouteId};
use crate::error::{Error, Reason};
use crate::identify;
use crate::route::{self, Miss, Tie};

pub use matrix::{Grant, Matrix};

/// Decides as the stages of a running gateway do.
#[derive(Debug)]
pub struct Decider {
    engines: Engines,
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

/// What a decision comes to.
#[derive(Debug)]
pub enum Verdict {
    /// It is passed on.
    Allowed(PlaceId),
    /// It is refused.
    Refused(Error),
    /// It is passed on in a dry run, and would be refused otherwise.
    WouldRefuse(PlaceId, Error),
}

impl Verdict {
    /// Returns where the request goes.
    pub fn place(&self) -> Option<PlaceId> {
        match self {
            Self::Allowed(place) | Self::WouldRefuse(place, _) => Some(*place),
            Self::Refused(_) => None,
        }
    }

    /// Returns why it is refused, or would be.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Allowed(_) => None,
            Self::Refused(error) | Self::WouldRefuse(_, error) => Some(error),
        }
    }
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
    pub fn new(
        identify: &identify::Settings,
        route: &route::Settings,
        authorize: &authorize::Settings,
    ) -> Result<Self, Box<Tie>> {
        Ok(Self {
            engines: Engines::new(route, authorize)?,
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

    /// Says what would become of `request` from `caller`.
    ///
    /// # Errors
    /// When the rules do not fit together.
    pub fn explain(&self, request: &Request, caller: CallerId) -> Result<Explanation, Error> {
        let mut request = request.clone();
        for field in &self.proofs {
            request.headers.remove(field);
        }
        let mut missed = Vec::new();
        let head = request.head();
        let found = self
            .engines
            .find(head, &mut |route, miss| missed.push((route, miss)));
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let routed = Err(error);
                return Ok(Explanation { missed, routed });
            }
        };
        let (ruling, verdict) = self.engines.rule(head, &found, caller)?;
        let Found {
            route,
            operation,
            path,
            ..
        } = found;
        Ok(Explanation {
            missed,
            routed: Ok(Routed {
                route,
                operation,
                path: path.into_owned(),
                ruling,
                verdict,
            }),
        })
    }
}
