//! The tower face of the stage.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Bucket, Settings, Spent};
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
        let buckets: Vec<_> = settings
            .quotas
            .iter()
            .cloned()
            .map(|quota| Arc::new(Bucket::new(quota)))
            .collect();
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
