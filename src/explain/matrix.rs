//! Everything that is allowed: callers × operations × sandboxes.

use std::collections::BTreeMap;

use super::{Decider, Verdict, sample};
use crate::aep::Kind;
use crate::context::{CallerId, RouteId};
use crate::error::Error;
use crate::route::Unwatched;

/// Everything that callers may do, and where.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// One entry for each caller, operation and sandbox, and none for what is not allowed.
    pub grants: Vec<Grant>,
}

/// That a caller may do something in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub caller: CallerId,
    /// What, such as `entities.read`.
    pub operation: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Where, as configuration calls it.
    pub sandbox: String,
    /// By way of which routes.
    pub routes: Vec<RouteId>,
    /// Whether it is only let pass, in a dry run.
    pub dry_run: bool,
}

impl Decider {
    /// Returns everything that is allowed. Each entry was decided for a request that was made up for it, which meets what its
    /// route asks of hosts and fields.
    ///
    /// # Errors
    /// When the rules do not fit together.
    pub fn matrix(&self) -> Result<Matrix, Error> {
        let mut grants: BTreeMap<_, Grant> = BTreeMap::new();
        let settings = self.engines.policy.settings();
        for ((route, authorize), rule) in settings.routes.iter().zip(&self.rules) {
            for allowed in &authorize.allow {
                let sandbox = &settings.places.get(allowed.place)?.sandbox;
                for operation in &self.operations {
                    let samples = sample::requests(rule, &authorize.source, operation, sandbox);
                    let taking = samples.iter().filter_map(|request| {
                        let found = self.engines.find(request.head(), &mut Unwatched).ok()?;
                        (found.route == route).then_some((request, found))
                    });
                    for (request, found) in taking {
                        for (caller, _) in settings.callers.iter() {
                            let (_, verdict) = self.engines.rule(request.head(), &found, caller)?;
                            if verdict.place() != Some(allowed.place) {
                                continue;
                            }
                            let key = (caller, found.operation.name, sandbox.clone());
                            let dry_run = matches!(verdict, Verdict::WouldRefuse(..));
                            let grant = grants.entry(key).or_insert_with(|| Grant {
                                caller,
                                operation: found.operation.name,
                                kind: found.operation.kind,
                                sandbox: sandbox.clone(),
                                routes: Vec::new(),
                                dry_run,
                            });
                            grant.dry_run &= dry_run;
                            if !grant.routes.contains(&route) {
                                grant.routes.push(route);
                            }
                        }
                    }
                }
            }
        }
        Ok(Matrix {
            grants: grants.into_values().collect(),
        })
    }
}
