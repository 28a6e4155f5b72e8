//! The quotas of credentials and routes.

use crate::config::file::{File, Route};
use crate::config::format::Written;
use crate::ims::{CredentialId, CredentialSettings};
use crate::limit::Quota;

/// The quotas made so far.
pub(super) struct Quotas {
    /// All of them.
    pub(super) all: Vec<Quota>,
    /// The place of each credential's quota in `all`.
    of_credentials: Vec<Option<usize>>,
}

impl Quotas {
    /// Makes the quotas of the credentials.
    pub(super) fn new(file: &File, credentials: &[CredentialSettings]) -> Self {
        let mut all = Vec::new();
        let mut of_credentials = Vec::new();
        for credential in credentials {
            let quota = file
                .credentials
                .get(&credential.name)
                .and_then(|it| it.quota.as_ref());
            of_credentials.push(quota.map(|Written(rate)| {
                let name = format!("credential {}", credential.name);
                all.push(Quota::ceiling(name, rate.requests, rate.period));
                all.len() - 1
            }));
        }
        Self {
            all,
            of_credentials,
        }
    }

    /// Returns the places of the quotas that a route draws on: its own, then its credential's, so that a request its
    /// own limit refuses takes nothing from what others share.
    pub(super) fn of(&mut self, route: &Route, credential: CredentialId) -> Vec<usize> {
        let mut places = Vec::new();
        for (index, limit) in route.limits.iter().enumerate() {
            let name = match index {
                0 => format!("route {}", route.name.0.0),
                _ => format!("route {} {}", route.name.0.0, index + 1),
            };
            let rate = &limit.rate.0;
            let burst = limit.burst.unwrap_or(rate.requests);
            places.push(self.all.len());
            self.all
                .push(Quota::rate(name, rate.requests, rate.period, burst));
        }
        places.extend(self.of_credentials.get(credential.0).copied().flatten());
        places
    }
}
