//! The task that keeps the keys of one issuer fresh.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::fetch::{Failure, Keyholder};
use super::keys::KeySet;
use super::supply::Supply;

/// Keeps the keys of one issuer fresh.
#[derive(Debug)]
pub(super) struct Keeper<K> {
    supply: Arc<Supply>,
    keyholder: K,
    pace: Pace,
}

/// How often keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) refresh: Duration,
    pub(super) min_refresh: Duration,
}

impl<K: Keyholder> Keeper<K> {
    /// Prepares to keep `supply` fresh with what `keyholder` gives.
    pub(super) fn new(supply: Arc<Supply>, keyholder: K, pace: Pace) -> Self {
        Self {
            supply,
            keyholder,
            pace,
        }
    }

    /// Fetches keys for ever: when they are due, and before that when a token names one that is not known, but never twice
    /// within `min_refresh`. Keys that were fetched before it began are used as if it had fetched them.
    pub(super) async fn run(mut self) {
        if self.supply.latest().is_some() && self.supply.progress.borrow().failing.is_none() {
            self.take_over();
            self.rest().await;
        }
        loop {
            self.supply.progress.send_modify(|progress| {
                progress.begun += 1;
                progress.is_fetching = true;
            });
            // Whoever asked before is served by this fetch, and while it is under way nobody asks.
            self.forget_who_asked();
            let fetched = self.keyholder.fetch().await;
            self.note(fetched);
            self.rest().await;
        }
    }

    /// Takes back what is left of having been asked more than once.
    fn forget_who_asked(&self) {
        pin!(self.supply.asked.notified()).enable();
    }

    /// Plans from keys that there are.
    fn take_over(&self) {
        let supply = &self.supply;
        let now = supply.clock.now();
        let age = supply
            .latest()
            .map_or(Duration::ZERO, |keys| keys.fetched.age(now));
        supply.progress.send_modify(|progress| {
            progress.is_fetching = false;
            progress.due = now.monotonic + self.pace.refresh.saturating_sub(age);
            progress.next = Some(now.monotonic + self.pace.min_refresh.saturating_sub(age));
        });
    }

    fn note(&self, fetched: Result<KeySet, Failure>) {
        let supply = &self.supply;
        let (issuer, now) = (supply.name(), Instant::now());
        match fetched {
            Ok(keys) => {
                supply.counts.fetched();
                // Before anybody is told that the fetch is over.
                supply.publish(keys);
                let due = self.pace.next(fastrand::f64());
                supply.progress.send_modify(|progress| {
                    if progress.failures > 0 {
                        tracing::info!(issuer, "the issuer's keys can be fetched again");
                    }
                    progress.is_fetching = false;
                    progress.failing = None;
                    progress.failures = 0;
                    progress.due = now + due;
                    progress.next = Some(now + self.pace.min_refresh.min(due));
                });
            }
            Err(failure) => {
                supply.counts.failed(failure.class);
                let at = supply.clock.now().wall;
                let has_keys = supply.latest().is_some();
                supply.progress.send_modify(|progress| {
                    progress.failures = progress.failures.saturating_add(1);
                    let wait =
                        self.pace
                            .after(&failure, progress.failures, has_keys, fastrand::f64());
                    tracing::warn!(
                        issuer,
                        class = failure.class.as_str(),
                        error = failure.message,
                        failures = progress.failures,
                        next_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        has_keys,
                        "the issuer's keys could not be fetched"
                    );
                    progress.is_fetching = false;
                    progress.due = now + wait;
                    progress.next = Some(progress.due);
                    progress.last_error = Some((failure.clone(), at));
                    progress.failing = Some(failure);
                });
            }
        }
    }

    /// Waits until a fetch is due, or until one may be made and somebody asks for it.
    async fn rest(&self) {
        let (due, next) = {
            let progress = self.supply.progress.borrow();
            (progress.due, progress.next.unwrap_or(progress.due))
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = self.supply.asked.notified() => sleep_until(next.min(due)).await,
        }
    }
}

impl Pace {
    /// Returns how long keys that were fetched are kept: up to a tenth less than `refresh`, so that replicas drift apart.
    /// `random` is in 0…1.
    fn next(self, random: f64) -> Duration {
        self.refresh.mul_f64(1.0 - 0.1 * random.clamp(0.0, 1.0))
    }

    /// Returns how long to wait after the `failures`-th failure in a row (from 1 on). `random` is in 0…1.
    ///
    /// Without any keys callers fail, so the first waits are short: 1 s, or `min_refresh` if that is shorter. With keys it
    /// begins with `min_refresh`. It doubles up to a minute, or to the first wait if that is longer, and up to a quarter
    /// comes on top, so that not all replicas come at once. A pause that was asked for is kept, up to 5 min.
    fn after(self, failure: &Failure, failures: u32, has_keys: bool, random: f64) -> Duration {
        let first = if has_keys {
            self.min_refresh
        } else {
            self.min_refresh.min(FIRST)
        };
        let doublings = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        let own = first.saturating_mul(doublings).min(LONGEST.max(first));
        let asked = failure.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        own.max(asked).mul_f64(1.0 + 0.25 * random.clamp(0.0, 1.0))
    }
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests;
