//! The tower face of the stage.

use http::HeaderValue;

use super::policy::{Asked, Named};
use super::{Place, Policy, Settings};
use crate::context::{Authorized, PerPlace, Routed, host_of};
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
            .then(|| host_of(request.uri(), request.headers()))
            .flatten();
        let asked = Asked {
            caller: routed.caller.caller,
            route: routed.route,
            kind: routed.operation.kind,
            segment: routed.segment.as_deref(),
            host: host.as_deref(),
            named: Named::by(request.headers()),
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
        exchange.permitted.set(true);
        Ok(Authorized {
            sandbox: sandbox.clone(),
            organization: organization.clone(),
            place,
            routed,
        })
    }
}
