//! The tower face of the stage.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Bucket, Quota, Settings, Spent};
use crate::context::{Admitted, Authorized, PerRoute};
use crate::error::{Error, Reason};
use crate::stage::{Stage, StageLayer};

/// The layer that holds requests to their quotas.
pub type LimitLayer = StageLayer<Limit>;

/// Holds requests to their quotas. Clones draw on the same ones.
#[derive(Clone, Debug)]
pub struct Limit {
    routes: Arc<PerRoute<Vec<Arc<Bucket>>>>,
}

impl Limit {
    /// Makes full buckets.
    pub fn new(settings: &Settings) -> Self {
        Self::with(settings, |quota| Arc::new(Bucket::new(quota.clone())))
    }

    /// Takes over the buckets of another configuration, by their names: one whose quota is the same goes on as it is, and
    /// of one whose quota has changed as much is spent as before, so that no reload hands out a burst twice.
    #[must_use]
    pub fn renewed(&self, settings: &Settings) -> Self {
        let before: HashMap<&str, &Arc<Bucket>> = self
            .routes
            .iter()
            .flat_map(|(_, buckets)| buckets)
            .map(|bucket| (bucket.quota().name.as_str(), bucket))
            .collect();
        Self::with(settings, |quota| {
            match before.get(quota.name.as_str()).copied() {
                Some(bucket) if bucket.quota() == quota => Arc::clone(bucket),
                Some(bucket) => Arc::new(bucket.renewed(quota.clone())),
                None => Arc::new(Bucket::new(quota.clone())),
            }
        })
    }

    fn with(settings: &Settings, bucket: impl FnMut(&Quota) -> Arc<Bucket>) -> Self {
        let buckets: Vec<_> = settings.quotas.iter().map(bucket).collect();
        let of_route = |places: &Vec<usize>| -> Vec<Arc<Bucket>> {
            places
                .iter()
                .filter_map(|place| buckets.get(*place).cloned())
                .collect()
        };
        let routes = settings
            .routes
            .iter()
            .map(|(_, places)| of_route(places))
            .collect();
        Self {
            routes: Arc::new(routes),
        }
    }
}

impl<B> Stage<Authorized<B>> for Limit {
    type Out = Admitted<B>;

    fn pass(&self, authorized: Authorized<B>) -> Result<Admitted<B>, Error> {
        for bucket in self.routes.get(authorized.routed.route)? {
            bucket.draw().map_err(|spent| refusal(bucket, spent))?;
        }
        Ok(Admitted { authorized })
    }
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
        .fold(error, |error, (name, text)| {
            match HeaderValue::from_str(&text) {
                Ok(value) => error.with_field(HeaderName::from_static(name), value),
                Err(_) => error,
            }
        })
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
        &limit.routes.get(RouteId(route)).unwrap()[0]
    }

    fn draw_all(limit: &Limit, route: usize) -> usize {
        let bucket = bucket(limit, route);
        std::iter::from_fn(|| bucket.draw().ok()).count()
    }

    #[test]
    fn what_is_spent_stays_spent_whatever_else_changes() {
        let before = Limit::new(&settings(&[("route a", 5), ("route b", 5), ("route c", 5)]));
        for route in [0, 1, 2] {
            (0..3).for_each(|_| bucket(&before, route).draw().unwrap());
        }

        // In another order, one of them larger, one smaller, and one that is new.
        let after = before.renewed(&settings(&[
            ("route c", 2),
            ("route new", 5),
            ("route b", 9),
            ("route a", 5),
        ]));

        assert_eq!(draw_all(&after, 0), 0);
        assert_eq!(draw_all(&after, 1), 5);
        assert_eq!(draw_all(&after, 2), 6);
        // The same bucket, so that requests of both plans draw on one.
        bucket(&before, 0).draw().unwrap();
        assert_eq!(draw_all(&after, 3), 1);
    }
}
