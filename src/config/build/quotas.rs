//! The quotas of credentials and routes.

use std::collections::HashMap;

use super::Cross;
use crate::config::file::{File, Route};
use crate::config::format::Written;
use crate::config::path::top;
use crate::config::quantity::Rate;
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
    /// Makes the quotas of the credentials. Those of one client in one organisation have one API key, and one quota with it:
    /// the one that is written beside any of them.
    pub(super) fn new(
        file: &File,
        credentials: &[CredentialSettings],
        cross: &mut Cross<'_>,
    ) -> Self {
        let mut all = Vec::new();
        let mut of_keys: HashMap<String, OfKey<'_>> = HashMap::new();
        for credential in credentials {
            let written = file.credentials.get(&credential.name);
            let Some(Written(rate)) = written.and_then(|it| it.quota.as_ref()) else {
                continue;
            };
            let key = key(credential);
            if let Some(known) = of_keys.get(&key) {
                if known.rate != rate {
                    differ(known.credential, credential, cross);
                }
                continue;
            }
            let name = format!("credential {}", credential.name);
            all.push(Quota::ceiling(name, rate.requests, rate.period).of(key.clone()));
            let place = all.len() - 1;
            of_keys.insert(
                key,
                OfKey {
                    credential,
                    rate,
                    place,
                },
            );
        }
        let place =
            |credential: &CredentialSettings| of_keys.get(&key(credential)).map(|it| it.place);
        Self {
            of_credentials: credentials.iter().map(place).collect(),
            all,
        }
    }

    /// Returns which quotas are the route's own.
    pub(super) fn of(&mut self, route: &Route) -> Vec<usize> {
        let mut own = Vec::new();
        for (index, limit) in route.limits.iter().enumerate() {
            let name = match index {
                0 => format!("route {}", route.name.0.0),
                _ => format!("route {} {}", route.name.0.0, index + 1),
            };
            let rate = &limit.rate.0;
            let burst = limit.burst.unwrap_or(rate.requests);
            own.push(self.all.len());
            self.all
                .push(Quota::rate(name, rate.requests, rate.period, burst));
        }
        own
    }

    /// Returns which quota is that of a credential, if it has one.
    pub(super) fn of_credential(&self, credential: CredentialId) -> Option<usize> {
        self.of_credentials.get(credential.0).copied().flatten()
    }
}

/// The quota of an API key.
struct OfKey<'a> {
    credential: &'a CredentialSettings,
    rate: &'a Rate,
    place: usize,
}

/// Names the API key of a credential.
fn key(credential: &CredentialSettings) -> String {
    format!("key {} {}", credential.client_id, credential.organization)
}

/// Reports two quotas of one API key.
fn differ(first: &CredentialSettings, second: &CredentialSettings, cross: &mut Cross<'_>) {
    let at = |of: &CredentialSettings, key: &str| top("credentials").key(&of.name).key(key);
    let (path, other) = (at(second, "quota"), at(first, "quota"));
    let place = cross.root.place_of(&other);
    let [client, other_client] = [second, first].map(|it| at(it, "client_id"));
    let [organization, other_organization] = [second, first].map(|it| at(it, "organization"));
    let rests_on = [
        &other,
        &client,
        &other_client,
        &organization,
        &other_organization,
    ];
    let message = "is another quota for the same API key: `client_id` and `organization` are those of another credential";
    cross.fault(&path, &rests_on, message, |fault| {
        fault
            .also(place, "its quota is here")
            .help("the ceiling is the key's, whatever uses it; write it once, or the same")
    });
}
