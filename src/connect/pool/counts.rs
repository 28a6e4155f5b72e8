//! What a pool counts, and how the counts of all pools become metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::connect::Breaker;

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
    /// Another pool is in the place of its own, with other settings.
    Replaced,
}

/// In the order of [`Cause`].
const CAUSES: [&str; 5] = ["abandoned", "dead", "idle", "lifetime", "replaced"];

impl Counts {
    pub(super) fn closed(&self, cause: Cause) -> &Count {
        let [abandoned, dead, idle, lifetime, replaced] = &self.closed;
        match cause {
            Cause::Abandoned => abandoned,
            Cause::Dead => dead,
            Cause::Idle => idle,
            Cause::Lifetime => lifetime,
            Cause::Replaced => replaced,
        }
    }

    /// Returns how many connections are open, used or not.
    pub(super) fn open(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(Count::get).sum();
        // Read one after the other, so for a moment they may disagree.
        self.opened.get().saturating_sub(closed)
    }

    /// Adds what a pool that is no more has counted.
    fn add(&self, other: &Self) {
        let Self {
            idle: _,
            opening: _,
            waiting: _,
            opened,
            not_opened,
            reused,
            waited,
            refused,
            closed,
        } = other;
        self.opened.add(opened);
        self.not_opened.add(not_opened);
        self.reused.add(reused);
        self.waited.add(waited);
        self.refused.add(refused);
        for (ours, theirs) in self.closed.iter().zip(closed) {
            ours.add(theirs);
        }
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

    fn add(&self, other: &Self) {
        let sum = self.get().wrapping_add(other.get());
        self.0.store(sum, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The pools' metrics, summed when they are scraped. Clones are of the same pools.
#[derive(Clone, Debug, Default)]
pub struct PoolMetrics(Arc<Mutex<Pools>>);

#[derive(Debug, Default)]
struct Pools {
    counted: Vec<Arc<Counts>>,
    /// What those have counted that are no more.
    gone: Counts,
    /// The breaker of the latest, if it has one.
    breaker: Option<Arc<Breaker>>,
}

impl PoolMetrics {
    /// Returns the counts of one more pool, whose calls `breaker` may stop. When the pool is no more, what it has counted
    /// is kept.
    pub fn add(&self, breaker: Option<&Arc<Breaker>>) -> Arc<Counts> {
        let mut pools = lock(&self.0);
        pools.breaker = breaker.cloned();
        let Pools { counted, gone, .. } = &mut *pools;
        counted.retain(|counts| {
            let used = Arc::strong_count(counts) > 1;
            if !used {
                gone.add(counts);
            }
            used
        });
        let counts = Arc::default();
        counted.push(Arc::clone(&counts));
        counts
    }

    fn sum(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        let pools = lock(&self.0);
        let counted = pools.counted.iter().map(|counts| of(counts));
        counted.sum::<u64>() + of(&pools.gone)
    }
}

fn lock(pools: &Mutex<Pools>) -> MutexGuard<'_, Pools> {
    pools.lock().unwrap_or_else(PoisonError::into_inner)
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
            "profile_gateway_upstream_breaker_open",
            "1 while the upstream fails and is called once in a while",
            None,
            MetricType::Gauge,
        )?;
        let breaker = lock(&self.0).breaker.clone();
        let open = breaker.is_some_and(|breaker| breaker.is_open());
        gauge(u64::from(open)).encode(metric)?;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pool_has_counted_outlasts_it_and_is_counted_once() {
        let metrics = PoolMetrics::default();
        let opened = || metrics.sum(|counts| counts.opened.get());
        for pools in 1..=10 {
            let counts = metrics.add(None);
            counts.opened.increment();
            counts.closed(Cause::Replaced).increment();
            assert_eq!(opened(), pools);
            drop(counts);
            assert_eq!(opened(), pools);
        }

        assert_eq!(
            metrics.sum(|counts| counts.closed(Cause::Replaced).get()),
            10
        );
        assert_eq!(metrics.sum(Counts::open), 0);
        assert_eq!(lock(&metrics.0).counted.len(), 1);
    }
}
