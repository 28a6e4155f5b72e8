//! Whether there is quota left for a request.

mod bucket;
mod layer;

pub use bucket::{Bucket, Spent};
pub use layer::{Limit, LimitLayer};

use std::num::NonZeroU32;
use std::time::Duration;

use crate::context::PerRoute;

/// The quotas and which of them each route draws on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All quotas.
    pub quotas: Vec<Quota>,
    /// For each route the places in `quotas` that every request draws on, all of them.
    pub routes: PerRoute<Vec<usize>>,
}

/// How many requests may pass in how much time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The name shown to callers: `route lookups` or `credential loyalty`.
    pub name: String,
    /// How many requests.
    pub requests: NonZeroU32,
    /// In how much time, spread evenly.
    pub period: Duration,
    /// How many may come at once. Default: `requests`.
    pub burst: NonZeroU32,
}
