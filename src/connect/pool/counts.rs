//! What a pool counts, and how the counts of all pools become metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The counts of one pool. Its worker alone writes them; whoever likes may read.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) idle: Count,
    pub(super) opening: Count,
    pub(super) waiting: Count,
    pub(super) opened: Count,
    pub(super) not_opened: Count,
    pub(super) reused: Count,
    pub(super) waited: Count,
    pub(super) refused: Count,
    closed: [Count; CAUSES.len()],
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its exchange was given up, and what was under way could not be told from the next answer.
    Abandoned,
    /// The upstream closed it, or it broke.
    Dead,
    /// It was unused for too long.
    Idle,
    /// It was open for too long.
    Lifetime,
}

/// In the order of [`Cause`].
const CAUSES: [&str; 4] = ["abandoned", "dead", "idle", "lifetime"];

impl Counts {
    pub(super) fn closed(&self, cause: Cause) -> &Count {
        let [abandoned, dead, idle, lifetime] = &self.closed;
        match cause {
            Cause::Abandoned => abandoned,
            Cause::Dead => dead,
            Cause::Idle => idle,
            Cause::Lifetime => lifetime,
        }
    }

    /// Returns how many connections are open, used or not.
    pub(super) fn open(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(Count::get).sum();
        // Read one after the other, so for a moment they may disagree.
        self.opened.get().saturating_sub(closed)
    }
}

/// A number with one writer, who therefore needs no read-modify-write instruction.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn increment(&self) {
        let next = self.get().wrapping_add(1);
        self.0.store(next, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The pools' metrics, summed when they are scraped.
#[derive(Debug)]
pub struct PoolMetrics(Vec<Arc<Counts>>);

impl PoolMetrics {
    /// Sums the counts of these pools.
    pub fn new(pools: Vec<Arc<Counts>>) -> Self {
        Self(pools)
    }

    fn sum(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        self.0.iter().map(|counts| of(counts)).sum()
    }
}

impl Collector for PoolMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let states = [
            ("idle", self.sum(|counts| counts.idle.get())),
            (
                "in_use",
                self.sum(|counts| counts.open().saturating_sub(counts.idle.get())),
            ),
            ("opening", self.sum(|counts| counts.opening.get())),
        ];
        let mut family = encoder.encode_descriptor(
            "profile_gateway_upstream_connections",
            "Connections to the upstream, by what they are doing",
            None,
            MetricType::Gauge,
        )?;
        for (state, count) in states {
            gauge(count).encode(family.encode_family(&[("state", state)])?)?;
        }

        let mut family = encoder.encode_descriptor(
            "profile_gateway_upstream_connections_closed",
            "Connections to the upstream that were closed, by cause",
            None,
            MetricType::Counter,
        )?;
        for (index, cause) in CAUSES.into_iter().enumerate() {
            let count = self.sum(|counts| counts.closed.get(index).map_or(0, Count::get));
            ConstCounter::new(count).encode(family.encode_family(&[("cause", cause)])?)?;
        }

        for (name, help, count) in [
            (
                "profile_gateway_upstream_connections_opened",
                "Connections to the upstream that were opened",
                self.sum(|counts| counts.opened.get()),
            ),
            (
                "profile_gateway_upstream_connections_failed",
                "Connections to the upstream that could not be opened",
                self.sum(|counts| counts.not_opened.get()),
            ),
            (
                "profile_gateway_upstream_connections_reused",
                "Requests that went over a connection that was open already",
                self.sum(|counts| counts.reused.get()),
            ),
            (
                "profile_gateway_upstream_requests_waited",
                "Requests that had to wait since all connections to the upstream were in use",
                self.sum(|counts| counts.waited.get()),
            ),
            (
                "profile_gateway_upstream_requests_refused",
                "Requests refused since too many waited for a connection to the upstream",
                self.sum(|counts| counts.refused.get()),
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }

        let metric = encoder.encode_descriptor(
            "profile_gateway_upstream_requests_waiting",
            "Requests that wait since all connections to the upstream are in use",
            None,
            MetricType::Gauge,
        )?;
        gauge(self.sum(|counts| counts.waiting.get())).encode(metric)
    }
}

fn gauge(count: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}
