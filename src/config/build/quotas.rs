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
                all.push(Quota {
                    name: format!("credential {}", credential.name),
                    requests: rate.requests,
                    period: rate.period,
                    burst: rate.requests,
                });
                all.len() - 1
            }));
        }
        Self {
            all,
            of_credentials,
        }
    }

    /// Returns the places of the quotas that a route draws on: its credential's and its own.
    pub(super) fn of(&mut self, route: &Route, credential: CredentialId) -> Vec<usize> {
        let mut places: Vec<usize> = self
            .of_credentials
            .get(credential.0)
            .copied()
            .flatten()
            .into_iter()
            .collect();
        for (index, limit) in route.limits.iter().enumerate() {
            let name = &route.name.0.0;
            places.push(self.all.len());
            self.all.push(Quota {
                name: match index {
                    0 => format!("route {name}"),
                    _ => format!("route {name} {}", index + 1),
                },
                requests: limit.rate.0.requests,
                period: limit.rate.0.period,
                burst: limit.burst.unwrap_or(limit.rate.0.requests),
            });
        }
        places
    }
}
