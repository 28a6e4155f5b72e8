//! Whether the caller may do this, and in which sandbox of which organisation it is done.
//!
//! [`Policy::rule`] is the one place that decides. It says of every step how it came out, so that what explains a decision
//! is what made it.

mod layer;
mod policy;
mod refusal;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use layer::{Authorize, AuthorizeLayer};
pub use policy::{Asked, Named, Policy, Ruling, Taken, Verdict};
pub use refusal::Refusal;

use crate::aep::{Kinds, OrgId, SandboxName};
use crate::context::{CallerId, PerCaller, PerPlace, PerRoute, PlaceId};

/// Who may do what, where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What each caller may do at most.
    pub callers: PerCaller<Bounds>,
    /// Where requests may work.
    pub places: PerPlace<Place>,
    /// One rule a route.
    pub routes: PerRoute<Rule>,
}

/// A sandbox, with the organisation that owns it.
#[derive(Clone, Debug)]
pub struct Place {
    /// What callers and configuration call the sandbox.
    pub sandbox: String,
    /// What Adobe calls it.
    pub name: SandboxName,
    /// Whether it holds production data.
    pub production: bool,
    /// The organisation of its credential.
    pub organization: OrgId,
}

/// What a caller may do at most, whatever routes permit.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The caller's name.
    pub name: String,
    /// The kinds. Default: all.
    pub permit: Kinds,
    /// The places. Default: all that its routes lead to.
    pub places: Places,
}

/// Some places, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// All that there are.
    All,
    /// These.
    These(Vec<PlaceId>),
}

impl Places {
    /// Tells whether `place` is one of them.
    pub fn contain(&self, place: PlaceId) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.contains(&place),
        }
    }
}

/// What a route permits whom, and where.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whom.
    pub callers: Callers,
    /// What decides the place.
    pub source: Source,
    /// The places, and what is permitted in each. At least one.
    pub allow: Vec<Allowed>,
    /// What becomes of a request that names another sandbox than the one it would work in. Default: it is refused.
    pub on_mismatch: OnMismatch,
    /// Whether what would be refused is let pass and written down, as far as there is a place for it. Default: no.
    pub dry_run: bool,
}

/// A place of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Which place.
    pub place: PlaceId,
    /// The kinds permitted in it. Default: all of them, in a production sandbox only reads.
    pub permit: Kinds,
}

/// Whom a route is for.
#[derive(Clone, Debug)]
pub enum Callers {
    /// Everybody, also whoever shows nothing.
    All,
    /// Everybody who is known.
    Known,
    /// These, each with what it may do at most.
    These(HashMap<CallerId, Grant>),
}

/// What a route grants one caller at most.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The kinds. Default: all that the route permits.
    pub permit: Kinds,
    /// The places. Default: all that the route allows.
    pub places: Places,
}

/// What decides the place that a request of a route works in.
#[derive(Clone, Debug)]
pub enum Source {
    /// Who calls.
    Caller(HashMap<CallerId, PlaceId>),
    /// The route, which has only one.
    Fixed,
    /// The field `x-sandbox-name`; without it a default, if there is one.
    Header(Option<PlaceId>),
    /// The host that was addressed, in lower case.
    Host(HashMap<String, PlaceId>),
    /// A segment of the path.
    Path,
}

/// What becomes of a request whose `x-sandbox-name` is not the sandbox that it would work in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMismatch {
    /// The field is taken off, and the request works where it would without it.
    Ignore,
    /// The request is refused.
    Refuse,
}
