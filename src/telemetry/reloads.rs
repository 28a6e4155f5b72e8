//! Metrics of reloads: what came of them, and whether the latest one was taken.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::clock;

/// Metrics of reloads. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Reloads {
    outcomes: Family<Labels, Counter>,
    successful: Gauge,
    succeeded_at: Gauge,
    restart_needed: Gauge,
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The configuration is in use.
    Applied,
    /// It has faults, and the one before stays.
    Refused,
    /// It is the one in use.
    Unchanged,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Applied, Self::Refused, Self::Unchanged];

    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Reloads {
    /// Registers the metrics. The start counts as a success.
    pub fn register(registry: &mut Registry) -> Self {
        let reloads = Self {
            outcomes: Family::default(),
            successful: Gauge::default(),
            succeeded_at: Gauge::default(),
            restart_needed: Gauge::default(),
        };
        registry.register(
            "profile_gateway_config_reloads",
            "Reloads of the configuration, by what came of them",
            reloads.outcomes.clone(),
        );
        registry.register(
            "profile_gateway_config_last_reload_successful",
            "1 while what was read last is in use, 0 while it has faults and the one before is",
            reloads.successful.clone(),
        );
        registry.register(
            "profile_gateway_config_last_reload_success_timestamp_seconds",
            "When a configuration without faults was last read, since the Unix epoch",
            reloads.succeeded_at.clone(),
        );
        registry.register(
            "profile_gateway_config_restart_needed",
            "1 while something in the configuration takes effect only at the next start",
            reloads.restart_needed.clone(),
        );
        for outcome in Outcome::ALL {
            drop(reloads.outcomes.get_or_create(&Labels {
                outcome: outcome.as_str(),
            }));
        }
        reloads.succeeded();
        reloads
    }

    /// Counts a reload.
    pub fn count(&self, outcome: Outcome) {
        self.outcomes
            .get_or_create(&Labels {
                outcome: outcome.as_str(),
            })
            .inc();
        match outcome {
            Outcome::Applied | Outcome::Unchanged => self.succeeded(),
            Outcome::Refused => {
                self.successful.set(0);
            }
        }
    }

    /// Says whether something takes effect only at the next start.
    pub fn set_restart_needed(&self, needed: bool) {
        self.restart_needed.set(i64::from(needed));
    }

    fn succeeded(&self) {
        self.successful.set(1);
        let now = i64::try_from(clock::since_epoch().as_secs());
        self.succeeded_at.set(now.unwrap_or(i64::MAX));
    }
}
