//! The tower face of the stage.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Bucket, Quota, Settings, Spent};
use crate::context::{Admitted, Allowance, Authorized, PerPlace, PerRoute, PlaceId, RouteId};
use crate::error::{Error, Reason};
use crate::gate::{Gate, Shut};
use crate::stage::{Stage, StageLayer};

/// The layer that holds requests to their quotas.
pub type LimitLayer = StageLayer<Limit>;

/// Holds requests to their quotas, and back while the upstream has asked for a pause. Clones draw on the same quotas.
#[derive(Clone, Debug)]
pub struct Limit {
    routes: Arc<PerRoute<Vec<Arc<Bucket>>>>,
    places: Arc<PerPlace<Shared>>,
    /// All, also those that nothing draws on; and of those that have left the configuration the ones that are not full
    /// again yet, in case they come back.
    buckets: Arc<[Arc<Bucket>]>,
}

/// What requests with one API key share.
#[derive(Debug)]
struct Shared {
    /// Shut while the upstream wants no requests with the key.
    pauses: Arc<Gate>,
    bucket: Option<Arc<Bucket>>,
}

impl Limit {
    /// Makes full buckets. `pauses` are the gates of the places' API keys.
    pub fn new(settings: &Settings, pauses: &PerPlace<Arc<Gate>>) -> Self {
        let full = |quota: &Quota| Arc::new(Bucket::new(quota.clone()));
        Self::with(settings, pauses, full, Vec::new())
    }

    /// Takes over the buckets of another configuration, by whose they are: one whose quota is the same goes on as it is, and
    /// of one whose quota has changed as much is spent as before, so that no reload hands out a burst twice.
    #[must_use]
    pub fn renewed(&self, settings: &Settings, pauses: &PerPlace<Arc<Gate>>) -> Self {
        let buckets = self.buckets.iter();
        let before: HashMap<&str, &Arc<Bucket>> = buckets
            .map(|bucket| (bucket.quota().owner.as_str(), bucket))
            .collect();
        let stay: HashSet<&str> = settings.quotas.iter().map(|it| it.owner.as_str()).collect();
        let left = |bucket: &&Arc<Bucket>| {
            !stay.contains(bucket.quota().owner.as_str()) && !bucket.is_full()
        };
        let left = self.buckets.iter().filter(left).cloned().collect();
        let taken_over = |quota: &Quota| match before.get(quota.owner.as_str()).copied() {
            Some(bucket) if bucket.quota() == quota => Arc::clone(bucket),
            Some(bucket) => Arc::new(bucket.renewed(quota.clone())),
            None => Arc::new(Bucket::new(quota.clone())),
        };
        Self::with(settings, pauses, taken_over, left)
    }

    fn with(
        settings: &Settings,
        pauses: &PerPlace<Arc<Gate>>,
        bucket: impl FnMut(&Quota) -> Arc<Bucket>,
        left: Vec<Arc<Bucket>>,
    ) -> Self {
        let mut buckets: Vec<_> = settings.quotas.iter().map(bucket).collect();
        let routes = settings.routes.iter().map(|(_, quotas)| {
            let own = quotas.iter().filter_map(|quota| buckets.get(*quota));
            own.cloned().collect()
        });
        let routes = routes.collect();
        let places = settings.places.iter().zip(pauses.iter());
        let places = places.map(|((_, quota), (_, pauses))| Shared {
            pauses: Arc::clone(pauses),
            bucket: quota.and_then(|quota| buckets.get(quota).cloned()),
        });
        let places = places.collect();
        buckets.extend(left);
        Self {
            routes: Arc::new(routes),
            places: Arc::new(places),
            buckets: buckets.into(),
        }
    }
}

impl Allowance for Limit {
    fn draw(&self, route: RouteId, place: PlaceId, cost: NonZeroU32) -> Result<bool, Error> {
        let shared = self.places.get(place)?.bucket.as_ref();
        let mut all = self.routes.get(route)?.iter().chain(shared);
        Ok(all.all(|bucket| bucket.draw_for(cost).is_ok()))
    }
}

impl<B> Stage<Authorized<B>> for Limit {
    type Out = Admitted<B>;

    fn pass(&self, authorized: Authorized<B>) -> Result<Admitted<B>, Error> {
        let route = self.routes.get(authorized.routed.route)?;
        let shared = self.places.get(authorized.place)?;
        // Before the quotas: what is not sent costs none.
        let now = authorized.routed.received.exchange.started;
        let trial = shared.pauses.enter(now).map_err(paused)?;
        let cost = authorized.routed.operation.cost;
        // The route's own first, so that a request they refuse takes nothing from what others share.
        for bucket in route.iter().chain(&shared.bucket) {
            bucket
                .draw_for(cost)
                .map_err(|spent| refusal(bucket, spent))?;
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

    fn settings(quotas: &[(&str, u32)]) -> Settings {
        let hour = Duration::from_hours(1);
        let quota = |(name, requests): &(&str, u32)| {
            let requests = (*requests).try_into().unwrap();
            Quota::rate((*name).to_owned(), requests, hour, requests)
        };
        Settings {
            quotas: quotas.iter().map(quota).collect(),
            routes: (0..quotas.len()).map(|quota| vec![quota]).collect(),
            places: PerPlace::from_iter([None]),
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
        let gates = PerPlace::from_iter([Arc::default()]);
        let old = settings(&[("route a", 5), ("route b", 5), ("route c", 5)]);
        let before = Limit::new(&old, &gates);
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
        let after = before.renewed(&new, &gates);

        assert_eq!(draw_all(&after, 0), 0);
        assert_eq!(draw_all(&after, 1), 5);
        assert_eq!(draw_all(&after, 2), 6);
        // The same bucket, so that requests of both plans draw on one.
        bucket(&before, 0).draw().unwrap();
        assert_eq!(draw_all(&after, 3), 1);
    }

    #[test]
    fn what_leaves_and_comes_back_is_as_spent_as_it_would_be() {
        let gates = PerPlace::from_iter([Arc::default()]);
        let all = settings(&[("route a", 5), ("route b", 5)]);
        let one = settings(&[("route a", 5)]);
        let first = Limit::new(&all, &gates);
        (0..3).for_each(|_| bucket(&first, 1).draw().unwrap());

        let without = first.renewed(&one, &gates).renewed(&one, &gates);
        // It is drawn on by requests that are under way, too.
        bucket(&first, 1).draw().unwrap();
        let back = without.renewed(&all, &gates);

        assert_eq!(without.buckets.len(), 2);
        assert_eq!(draw_all(&back, 1), 1);
        // What is full need not be kept.
        let full = Limit::new(&all, &gates).renewed(&one, &gates);
        assert_eq!(full.buckets.len(), 1);
    }

    #[test]
    fn a_bucket_goes_on_with_its_owner_whatever_it_is_called() {
        let gates = PerPlace::from_iter([Arc::default()]);
        let of = |name: &str, owner: &str| {
            let mut settings = settings(&[(name, 5)]);
            settings.quotas = vec![settings.quotas.remove(0).of(owner.to_owned())];
            settings
        };
        let before = Limit::new(&of("credential a", "key"), &gates);
        (0..3).for_each(|_| bucket(&before, 0).draw().unwrap());

        let renamed = before.renewed(&of("credential b", "key"), &gates);
        let other = before.renewed(&of("credential a", "other key"), &gates);

        assert_eq!(bucket(&renamed, 0).quota().name, "credential b");
        assert_eq!(draw_all(&renamed, 0), 2);
        assert_eq!(draw_all(&other, 0), 5);
    }
}
