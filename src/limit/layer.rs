//! The tower face of the stage.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Bucket, Settings, Spent};
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
    pub fn new(settings: &Settings, pauses: impl IntoIterator<Item = Arc<Gate>>) -> Self {
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
        let routes = settings.routes.iter().zip(pauses);
        let routes = routes
            .map(|((_, places), pauses)| {
                Arc::new(Checks {
                    pauses,
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
    Error::new(Reason::UpstreamPaused, detail).after(shut.wait)
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
