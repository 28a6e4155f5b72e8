//! The tower face of the stage.

use http::HeaderValue;

use super::{Rule, Settings};
use crate::context::{Authorized, PerRoute, Routed};
use crate::error::Error;
use crate::stage::{Stage, StageLayer};

/// The layer that authorizes requests.
pub type AuthorizeLayer = StageLayer<Authorize>;

/// Authorizes requests, and says in which sandbox of which organisation they work.
#[derive(Debug)]
pub struct Authorize {
    routes: PerRoute<Prepared>,
}

/// A rule with its field values made.
#[derive(Debug)]
struct Prepared {
    rule: Rule,
    sandbox: HeaderValue,
    organization: HeaderValue,
}

impl Authorize {
    /// Prepares the rules.
    pub fn new(settings: &Settings) -> Self {
        let prepare = |rule: &Rule| Prepared {
            sandbox: rule.sandbox.to_header_value(),
            organization: rule.organization.to_header_value(),
            rule: rule.clone(),
        };
        Self {
            routes: settings
                .routes
                .iter()
                .map(|(_, rule)| prepare(rule))
                .collect(),
        }
    }
}

impl<B> Stage<Routed<B>> for Authorize {
    type Out = Authorized<B>;

    fn pass(&self, routed: Routed<B>) -> Result<Authorized<B>, Error> {
        let prepared = self.routes.get(routed.route)?;
        super::authorize(&prepared.rule, routed.operation.kind)?;
        let (sandbox, organization) = (prepared.sandbox.clone(), prepared.organization.clone());
        Ok(Authorized {
            routed,
            sandbox,
            organization,
        })
    }
}
