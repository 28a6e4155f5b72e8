//! The tower face of the stage.

use http::HeaderValue;

use super::policy::{Taken, Verdict};
use super::{Place, Policy, Settings};
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
        let (ruling, verdict) = self.policy.decide(&Taken {
            caller: routed.caller.caller,
            route: routed.route,
            kind: routed.operation.kind,
            segment: routed.segment.as_deref(),
            uri: request.uri(),
            headers: request.headers(),
        })?;
        // Also of what is refused, since the audit says where it would have worked.
        if let Ok(place) = ruling.place {
            exchange.place.set(Some(place));
        }
        let place = match verdict {
            Verdict::Allowed(place) => place,
            Verdict::WouldRefuse(place, would) => {
                exchange.would_refuse.set(Some(would.reason()));
                place
            }
            Verdict::Refused(refusal) => return Err(refusal),
        };
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
