//! Why a request is refused, and what its caller is told.

use super::Policy;
use super::policy::Asked;
use crate::aep::{Kind, Kinds};
use crate::context::PlaceId;
use crate::error::{Error, Reason};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The route is not for the caller.
    Caller,
    /// The route's places do not permit it, or not to the caller.
    Kind {
        /// What was to be done.
        kind: Kind,
        /// Where.
        place: PlaceId,
        /// What the caller may do there.
        permit: Kinds,
        /// Whether nobody may do it there.
        by_place: bool,
    },
    /// The request names another sandbox than the one it would work in.
    Mismatch(PlaceId),
    /// The route has no sandbox of the name that the request gives.
    NotAllowed,
    /// The request has to name a sandbox, and does not.
    NoSandbox,
    /// The route has the sandbox, and not for the caller.
    OutOfReach(PlaceId),
}

impl Refusal {
    /// Says it to the caller, who learns of no sandbox but those that are allowed to it.
    pub fn told(&self, policy: &Policy, asked: &Asked<'_>) -> Error {
        let sandbox = |place: PlaceId| {
            let place = policy.settings().places.get(place);
            place.map_or("", |place| place.sandbox.as_str())
        };
        match self {
            Self::Caller => Error::new(
                Reason::NotGranted,
                "this route is not for the caller; whoever runs the gateway can add it to the route's `callers`",
            ),
            Self::Kind {
                kind,
                place,
                permit,
                by_place,
            } => {
                let production = policy
                    .settings()
                    .places
                    .get(*place)
                    .is_ok_and(|place| place.production);
                let reason = if production && *by_place {
                    Reason::ProductionReadOnly
                } else {
                    Reason::NotGranted
                };
                let sandbox = sandbox(*place);
                let detail = if *by_place {
                    format!("this is a {kind}; the route permits {permit} in sandbox {sandbox}")
                } else if *permit == Kinds::NONE {
                    format!("this is a {kind}; the caller may do nothing in sandbox {sandbox}")
                } else {
                    format!("this is a {kind}; the caller may {permit} in sandbox {sandbox}")
                };
                Error::new(reason, detail)
            }
            Self::Mismatch(place) => {
                let reach = policy.within_reach(asked.route, asked.caller);
                let detail = if reach.is_ok_and(|reach| reach.contains(place)) {
                    format!(
                        "the request would work in sandbox {}, and x-sandbox-name says otherwise; send that name, or leave the field out",
                        sandbox(*place)
                    )
                } else {
                    allowed(policy, asked, &sandbox)
                };
                Error::new(Reason::SandboxNotAllowed, detail)
            }
            Self::NotAllowed | Self::OutOfReach(_) => {
                Error::new(Reason::SandboxNotAllowed, allowed(policy, asked, &sandbox))
            }
            Self::NoSandbox => {
                let allowed = allowed(policy, asked, &sandbox);
                let reach = policy.within_reach(asked.route, asked.caller);
                let detail = if reach.is_ok_and(|reach| reach.is_empty()) {
                    allowed
                } else {
                    format!("name a sandbox in x-sandbox-name; {allowed}")
                };
                Error::new(Reason::SandboxNotAllowed, detail)
            }
        }
    }
}

/// Says which sandboxes the caller may work in.
fn allowed<'p>(
    policy: &'p Policy,
    asked: &Asked<'_>,
    sandbox: &impl Fn(PlaceId) -> &'p str,
) -> String {
    let reach = policy.within_reach(asked.route, asked.caller);
    let mut names: Vec<_> = reach.into_iter().flatten().map(sandbox).collect();
    names.sort_unstable();
    if names.is_empty() {
        "no sandbox is allowed to the caller on this route".to_owned()
    } else {
        format!("the caller may work in {}", names.join(", "))
    }
}
