//! The tower face of the stage.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, header};

use super::policy::{Asked, Named};
use super::{Place, Policy, Settings};
use crate::aep::fields::X_SANDBOX_NAME;
use crate::context::{Authorized, PerPlace, Routed};
use crate::error::Error;
use crate::stage::{Stage, StageLayer};

/// The layer that authorizes requests.
pub type AuthorizeLayer = StageLayer<Authorize>;

/// Authorizes requests, and says in which sandbox of which organisation they work.
#[derive(Debug)]
pub struct Authorize {
    policy: Policy,
    places: PerPlace<Prepared>,
}

/// A place as requests name it to Adobe.
#[derive(Debug)]
struct Prepared {
    sandbox: HeaderValue,
    organization: HeaderValue,
}

impl Authorize {
    /// Prepares the rules.
    pub fn new(settings: &Settings) -> Self {
        let prepare = |place: &Place| Prepared {
            sandbox: place.name.to_header_value(),
            organization: place.organization.to_header_value(),
        };
        Self {
            places: settings
                .places
                .iter()
                .map(|(_, place)| prepare(place))
                .collect(),
            policy: Policy::new(settings.clone()),
        }
    }
}

impl<B> Stage<Routed<B>> for Authorize {
    type Out = Authorized<B>;

    fn pass(&self, routed: Routed<B>) -> Result<Authorized<B>, Error> {
        let exchange = &routed.received.exchange;
        let request = &routed.received.request;
        let host = self
            .policy
            .asks_for_host(routed.route)
            .then(|| host(request));
        let asked = Asked {
            caller: routed.caller.caller,
            route: routed.route,
            kind: routed.operation.kind,
            segment: None,
            host: host.flatten(),
            named: named(request.headers()),
        };
        let ruling = self.policy.rule(&asked)?;
        if let Ok(place) = ruling.place {
            exchange.place.set(Some(place));
        }
        let place = ruling.enforced();
        let place = place.map_err(|refusal| refusal.told(&self.policy, &asked))?;
        if let Some(refusal) = ruling.refusal() {
            let would = refusal.told(&self.policy, &asked).reason();
            exchange.would_refuse.set(Some(would));
        }
        let Prepared {
            sandbox,
            organization,
        } = self.places.get(place)?;
        Ok(Authorized {
            sandbox: sandbox.clone(),
            organization: organization.clone(),
            place,
            routed,
        })
    }
}

/// Returns the host that a request addresses. The listener has seen to it that there is one, and only one.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let of_target = request.uri().authority().map(Authority::as_str);
    of_target.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

/// Returns what a request sends as `x-sandbox-name`.
fn named(headers: &HeaderMap) -> Named<'_> {
    let mut values = headers.get_all(&X_SANDBOX_NAME).iter();
    let Some(first) = values.next() else {
        return Named::Nothing;
    };
    if values.any(|other| other != first) {
        return Named::Unclear;
    }
    first.to_str().map_or(Named::Unclear, Named::One)
}
