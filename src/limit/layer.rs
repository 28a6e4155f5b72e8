//! The tower face of the stage.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Bucket, Quota, Settings, Spent};
use crate::context::{Admitted, Allowance, Authorized, PerRoute};
use crate::error::{Error, Reason};
use crate::gate::{Gate, Shut};
use crate::stage::{Stage, StageLayer};

/// The layer that holds requests to their quotas.
pub type LimitLayer = StageLayer<Limit>;

/// Holds requests to their quotas, and back while the upstream has asked for a pause. Clones draw on the same quotas.
#[derive(Clone, Debug)]
pub struct Limit {
    routes: Arc<PerRoute<Arc<Checks>>>,
}

/// What a request of one route has to pass.
#[derive(Debug)]
struct Checks {
    /// Shut while the upstream wants no requests with the route's API key.
    pauses: Arc<Gate>,
    buckets: Vec<Arc<Bucket>>,
}

impl Limit {
    /// Makes full buckets. `pauses` are the gates of the routes' API keys.
    pub fn new(settings: &Settings, pauses: &PerRoute<Arc<Gate>>) -> Self {
        let full = |quota: &Quota| Arc::new(Bucket::new(quota.clone()));
        Self::with(settings, pauses, full)
    }

    /// Takes over the buckets of another configuration, by their names: one whose quota is the same goes on as it is, and
    /// of one whose quota has changed as much is spent as before, so that no reload hands out a burst twice.
    #[must_use]
    pub fn renewed(&self, settings: &Settings, pauses: &PerRoute<Arc<Gate>>) -> Self {
        let before: HashMap<&str, &Arc<Bucket>> = self
            .routes
            .iter()
            .flat_map(|(_, checks)| &checks.buckets)
            .map(|bucket| (bucket.quota().name.as_str(), bucket))
            .collect();
        Self::with(settings, pauses, |quota| {
            match before.get(quota.name.as_str()).copied() {
                Some(bucket) if bucket.quota() == quota => Arc::clone(bucket),
                Some(bucket) => Arc::new(bucket.renewed(quota.clone())),
                None => Arc::new(Bucket::new(quota.clone())),
            }
        })
    }

    fn with(
        settings: &Settings,
        pauses: &PerRoute<Arc<Gate>>,
        bucket: impl FnMut(&Quota) -> Arc<Bucket>,
    ) -> Self {
        let buckets: Vec<_> = settings.quotas.iter().map(bucket).collect();
        let of_route = |places: &Vec<usize>| -> Vec<Arc<Bucket>> {
            places
                .iter()
                .filter_map(|place| buckets.get(*place).cloned())
                .collect()
        };
        let routes = settings.routes.iter().zip(pauses.iter());
        let routes = routes
            .map(|((_, places), (_, pauses))| {
                Arc::new(Checks {
                    pauses: Arc::clone(pauses),
                    buckets: of_route(places),
                })
            })
            .collect();
        Self {
            routes: Arc::new(routes),
        }
    }
}

impl Limit {
    /// Returns the quotas of each route, for what is sent once more.
    pub fn allowances(&self) -> PerRoute<Arc<dyn Allowance>> {
        let allowance =
            |checks: &Arc<Checks>| -> Arc<dyn Allowance> { Arc::<Checks>::clone(checks) };
        self.routes
            .iter()
            .map(|(_, checks)| allowance(checks))
            .collect()
    }
}

impl Allowance for Checks {
    fn draw(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.draw().is_ok())
    }
}

impl<B> Stage<Authorized<B>> for Limit {
    type Out = Admitted<B>;

    fn pass(&self, authorized: Authorized<B>) -> Result<Admitted<B>, Error> {
        let checks = self.routes.get(authorized.routed.route)?;
        // Before the quotas: what is not sent costs none.
        let now = authorized.routed.received.exchange.started;
        let trial = checks.pauses.enter(now).map_err(paused)?;
        for bucket in &checks.buckets {
            bucket.draw().map_err(|spent| refusal(bucket, spent))?;
        }
        Ok(Admitted { authorized, trial })
    }
}

fn paused(shut: Shut) -> Error {
    let detail = "the upstream asked all requests with this API key to wait";
    let error = Error::new(Reason::UpstreamPaused, detail).after(shut.wait);
    // Without a policy, since only Adobe knows it.
    let state = format!("\"upstream\";r=0;t={}", error.retry_after().unwrap_or(1));
    with_field(error, "ratelimit", &state)
}

/// Names the quota, and says when to come back in the fields of draft-ietf-httpapi-ratelimit-headers-10 too.
fn refusal(bucket: &Bucket, spent: Spent) -> Error {
    let quota = bucket.quota();
    let detail = format!(
        "the quota of {} is spent: {} requests in {:?}",
        quota.name, quota.requests, quota.period
    );
    let seconds = quota.period.as_secs().max(1);
    let policy = format!("\"{}\";q={};w={seconds}", quota.name, quota.requests);
    let error = Error::new(Reason::Quota, detail).after(spent.wait);
    let state = format!(
        "\"{}\";r=0;t={}",
        quota.name,
        error.retry_after().unwrap_or(1)
    );
    [("ratelimit-policy", policy), ("ratelimit", state)]
        .into_iter()
        .fold(error, |error, (name, text)| with_field(error, name, &text))
}

fn with_field(error: Error, name: &'static str, text: &str) -> Error {
    match HeaderValue::from_str(text) {
        Ok(value) => error.with_field(HeaderName::from_static(name), value),
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::RouteId;

    fn settings(quotas: &[(&str, u32)]) -> Settings {
        let hour = Duration::from_hours(1);
        let quota = |(name, requests): &(&str, u32)| {
            let requests = (*requests).try_into().unwrap();
            Quota::rate((*name).to_owned(), requests, hour, requests)
        };
        Settings {
            quotas: quotas.iter().map(quota).collect(),
            routes: (0..quotas.len()).map(|place| vec![place]).collect(),
        }
    }

    fn bucket(limit: &Limit, route: usize) -> &Bucket {
        &limit.routes.get(RouteId(route)).unwrap().buckets[0]
    }

    fn draw_all(limit: &Limit, route: usize) -> usize {
        let bucket = bucket(limit, route);
        std::iter::from_fn(|| bucket.draw().ok()).count()
    }

    #[test]
    fn what_is_spent_stays_spent_whatever_else_changes() {
        let gates = |count| (0..count).map(|_| Arc::default()).collect();
        let old = settings(&[("route a", 5), ("route b", 5), ("route c", 5)]);
        let before = Limit::new(&old, &gates(3));
        for route in [0, 1, 2] {
            (0..3).for_each(|_| bucket(&before, route).draw().unwrap());
        }

        // In another order, one of them larger, one smaller, and one that is new.
        let new = settings(&[
            ("route c", 2),
            ("route new", 5),
            ("route b", 9),
            ("route a", 5),
        ]);
        let after = before.renewed(&new, &gates(4));

        assert_eq!(draw_all(&after, 0), 0);
        assert_eq!(draw_all(&after, 1), 5);
        assert_eq!(draw_all(&after, 2), 6);
        // The same bucket, so that requests of both plans draw on one.
        bucket(&before, 0).draw().unwrap();
        assert_eq!(draw_all(&after, 3), 1);
    }
}
