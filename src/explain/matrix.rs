//! Everything that is allowed: callers × operations × sandboxes.

use std::collections::BTreeMap;

use super::Decider;
use super::reach::reached;
use crate::aep::Kind;
use crate::context::{CallerId, RouteId};
use crate::error::Error;

/// Everything that callers may do, and where.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// One entry for each caller, operation with its kind, and sandbox, and none for what is not allowed.
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
    /// Returns everything that is allowed. It is told from the rules themselves, without any request, and none is missing: an
    /// entry stands there too if a more specific route always takes what it is about.
    ///
    /// # Errors
    /// When the rules do not fit together.
    pub fn matrix(&self) -> Result<Matrix, Error> {
        let mut grants: BTreeMap<_, Grant> = BTreeMap::new();
        let policy = &self.engines.policy;
        let settings = policy.settings();
        for ((route, _), rule) in settings.routes.iter().zip(&self.rules) {
            let operations = reached(rule, &self.operations);
            for (caller, _) in settings.callers.iter() {
                for place in policy.places(route, caller)? {
                    let sandbox = &settings.places.get(place)?.sandbox;
                    for operation in &operations {
                        let ruling = policy.rule_at(route, caller, operation.kind, place)?;
                        if ruling.enforced().is_err() {
                            continue;
                        }
                        let dry_run = ruling.refusal().is_some();
                        // Rows of one name may differ in kind.
                        let key = (caller, operation.name, operation.kind, sandbox.clone());
                        let grant = grants.entry(key).or_insert_with(|| Grant {
                            caller,
                            operation: operation.name,
                            kind: operation.kind,
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
        Ok(Matrix {
            grants: grants.into_values().collect(),
        })
    }
}
