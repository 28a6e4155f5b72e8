//! Whether the caller may do this, in which sandbox of which organisation.

mod layer;

pub use layer::{Authorize, AuthorizeLayer};

use crate::aep::{Kind, OrgId, SandboxName};
use crate::context::PerRoute;
use crate::error::{Error, Reason};

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

/// Decides whether `rule` permits operations of `kind`.
///
/// # Errors
/// [`Reason::ProductionReadOnly`] in a production sandbox, else [`Reason::NotGranted`].
pub fn authorize(rule: &Rule, kind: Kind) -> Result<(), Error> {
    if rule.permit.contains(&kind) {
        return Ok(());
    }
    let reason = if rule.production {
        Reason::ProductionReadOnly
    } else {
        Reason::NotGranted
    };
    let permitted: Vec<_> = rule.permit.iter().map(|kind| kind.as_str()).collect();
    let detail = format!(
        "this is a {kind}; the route permits {} in sandbox {}",
        permitted.join(", "),
        rule.sandbox
    );
    Err(Error::new(reason, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(production: bool, permit: &[Kind]) -> Rule {
        Rule {
            sandbox: "prod".parse().unwrap(),
            production,
            organization: "o@AdobeOrg".parse().unwrap(),
            permit: permit.to_vec(),
        }
    }

    #[test]
    fn only_permitted_kinds_pass() {
        for kind in Kind::ALL {
            assert!(authorize(&rule(true, &[kind]), kind).is_ok());
            for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
                let refused = |production| {
                    authorize(&rule(production, &[kind]), other)
                        .unwrap_err()
                        .reason()
                };
                assert_eq!(refused(true), Reason::ProductionReadOnly);
                assert_eq!(refused(false), Reason::NotGranted);
            }
        }
    }
}
