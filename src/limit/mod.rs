//! Whether there is quota left for a request.

mod bucket;
mod layer;

pub use bucket::{Bucket, Spent};
pub use layer::{Limit, LimitLayer};

use std::num::NonZeroU32;
use std::time::Duration;

use crate::context::{PerPlace, PerRoute};

/// The quotas and which of them each route draws on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All quotas.
    pub quotas: Vec<Quota>,
    /// For each route which of `quotas` every request draws on, all of them.
    pub routes: PerRoute<Vec<usize>>,
    /// For each place the one of `quotas` that its credential has, if it has any.
    pub places: PerPlace<Option<usize>>,
}

/// How many requests may pass in how much time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The name shown to callers: `route lookups` or `credential loyalty`.
    pub name: String,
    /// What it belongs to, by which it is known in another configuration. Default: its name.
    pub owner: String,
    /// How many requests.
    pub requests: NonZeroU32,
    /// In how much time.
    pub period: Duration,
    /// How many may come at once.
    pub burst: NonZeroU32,
    /// How long until a request that was drawn is given back.
    pub refill: Duration,
}

impl Quota {
    /// A long-term rate: over a long time `requests` in a `period`, and up to `burst` at once on top.
    pub fn rate(name: String, requests: NonZeroU32, period: Duration, burst: NonZeroU32) -> Self {
        Self {
            owner: name.clone(),
            name,
            requests,
            period,
            burst,
            refill: period / requests.get(),
        }
    }

    /// A ceiling: never more than `requests` in any `period`, wherever it begins.
    ///
    /// A tenth of them may come at once; the others are spread over the period.
    pub fn ceiling(name: String, requests: NonZeroU32, period: Duration) -> Self {
        let burst = NonZeroU32::new(requests.get() / 10).unwrap_or(NonZeroU32::MIN);
        let spread = (requests.get() - burst.get()).max(1);
        Self {
            owner: name.clone(),
            name,
            requests,
            period,
            burst,
            refill: period / spread,
        }
    }

    /// Says what it belongs to, where that has another name than the quota.
    #[must_use]
    pub fn of(self, owner: String) -> Self {
        Self { owner, ..self }
    }
}
