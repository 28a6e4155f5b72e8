//! What is counted of repeated requests.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Cause;

/// The counts. Clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    repeated: Family<Labels, Counter>,
    withheld: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    cause: &'static str,
}

impl Counts {
    /// Makes counts that `registry` shows, each from the beginning.
    pub fn register(registry: &mut Registry) -> Self {
        let counts = Self::default();
        for cause in Cause::ALL {
            drop(counts.repeated.get_or_create(&Labels::from(cause)));
        }
        registry.register(
            "profile_gateway_upstream_retries",
            "Requests that were sent once more, by cause",
            counts.repeated.clone(),
        );
        registry.register(
            "profile_gateway_upstream_retries_withheld",
            "Requests that were not sent once more since the retry budget was spent",
            counts.withheld.clone(),
        );
        counts
    }

    pub(in crate::forward) fn repeated(&self, cause: Cause) {
        self.repeated.get_or_create(&Labels::from(cause)).inc();
    }

    pub(in crate::forward) fn withheld(&self) {
        self.withheld.inc();
    }
}

impl From<Cause> for Labels {
    fn from(cause: Cause) -> Self {
        Self {
            cause: cause.as_str(),
        }
    }
}
