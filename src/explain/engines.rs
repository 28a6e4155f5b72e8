//! The engines of the stages, asked one after the other.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};

use crate::aep::Operation;
use crate::authorize::{self, Policy, Ruling, Taken, Verdict};
use crate::context::{CallerId, RouteId};
use crate::error::Error;
use crate::route::{self, FindRoute, Tie, Watch};

/// What decides when the gateway runs.
#[derive(Debug)]
pub(super) struct Engines {
    routes: FindRoute,
    pub(super) policy: Policy,
}

/// A request, as far as it is decided by, without the proofs of who calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

/// A request on its way from route to permission.
pub(super) struct Found<'a> {
    pub(super) route: RouteId,
    pub(super) operation: &'static Operation,
    pub(super) path: Cow<'a, str>,
    segment: Option<Box<str>>,
}

impl Engines {
    /// Prepares rules.
    ///
    /// # Errors
    /// When two routes match the same requests.
    pub(super) fn new(
        route: &route::Settings,
        authorize: &authorize::Settings,
    ) -> Result<Self, Box<Tie>> {
        Ok(Self {
            routes: FindRoute::new(route.clone())?,
            policy: Policy::new(authorize.clone()),
        })
    }

    /// Finds the route, and tells `watch` why others are not taken.
    pub(super) fn find<'a>(
        &self,
        head: Head<'a>,
        watch: &mut impl Watch,
    ) -> Result<Found<'a>, Error> {
        let Head {
            method,
            uri,
            headers,
        } = head;
        let decided = self.routes.decide(method, uri, headers, watch)?;
        let (path, segment) = match decided.rewritten {
            Some(rewritten) => (Cow::Owned(rewritten.0.path), rewritten.0.segment),
            None => (Cow::Borrowed(uri.path()), None),
        };
        Ok(Found {
            route: decided.route,
            operation: decided.operation,
            path,
            segment,
        })
    }

    /// Decides what `caller` may do by it.
    pub(super) fn rule(
        &self,
        head: Head<'_>,
        found: &Found<'_>,
        caller: CallerId,
    ) -> Result<(Ruling, Verdict), Error> {
        self.policy.decide(&Taken {
            caller,
            route: found.route,
            kind: found.operation.kind,
            segment: found.segment.as_deref(),
            uri: head.uri,
            headers: head.headers,
        })
    }
}
