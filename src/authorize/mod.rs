//! Whether the caller may do this, in which sandbox of which organisation.

use crate::aep::{Kind, OrgId, SandboxName};
use crate::context::PerRoute;

/// What each route permits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One rule a route.
    pub routes: PerRoute<Rule>,
}

/// What a route permits, and where.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The sandbox every request of the route works in.
    pub sandbox: SandboxName,
    /// Whether that sandbox holds production data.
    pub production: bool,
    /// The organisation of the route's credential.
    pub organization: OrgId,
    /// The kinds permitted. Default: all of them, in a production sandbox only reads.
    pub permit: Vec<Kind>,
}
