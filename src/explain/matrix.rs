//! Everything that is allowed: callers × operations × sandboxes.

use std::collections::{BTreeMap, HashSet};

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
    pub ways: Vec<Way>,
}

/// A route that lets something through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Which.
    pub route: RouteId,
    /// Whether it only lets it pass, in a dry run.
    pub dry_run: bool,
}

impl Decider {
    /// Returns everything that is allowed, to one caller or to all. It is told from the rules themselves, without any request,
    /// and none is missing: an entry stands there too if a more specific route always takes what it is about.
    ///
    /// # Errors
    /// When the rules do not fit together.
    pub fn matrix(&self, only: Option<CallerId>) -> Result<Matrix, Error> {
        let mut grants: BTreeMap<_, Grant> = BTreeMap::new();
        let policy = &self.engines.policy;
        let settings = policy.settings();
        let mut is_let_in = HashSet::new();
        for (caller, _) in settings.callers.iter() {
            if !self.doors(caller)?.is_empty() {
                is_let_in.insert(caller);
            }
        }
        for ((route, _), rule) in settings.routes.iter().zip(&self.rules) {
            let operations = reached(rule, &self.operations);
            let callers = settings.callers.iter().map(|(caller, _)| caller);
            for caller in callers.filter(|caller| only.is_none_or(|only| only == *caller)) {
                // Where no listener lets it in it may do nothing.
                if !is_let_in.contains(&caller) {
                    continue;
                }
                for place in policy.places(route, caller)? {
                    let sandbox = &settings.places.get(place)?.sandbox;
                    for kind in Kind::ALL {
                        let ruling = policy.rule_at(route, caller, kind, place)?;
                        if ruling.enforced().is_err() {
                            continue;
                        }
                        let dry_run = ruling.refusal().is_some();
                        for operation in operations.iter().filter(|it| it.kind == kind) {
                            // Rows of one name may differ in kind.
                            let key = (caller, operation.name, operation.kind, sandbox.clone());
                            let grant = grants.entry(key).or_insert_with(|| Grant {
                                caller,
                                operation: operation.name,
                                kind: operation.kind,
                                sandbox: sandbox.clone(),
                                ways: Vec::new(),
                            });
                            match grant.ways.last_mut() {
                                Some(way) if way.route == route => way.dry_run &= dry_run,
                                Some(_) | None => grant.ways.push(Way { route, dry_run }),
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
