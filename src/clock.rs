//! The clocks: the wall clock, read in one place, and moments that are known on both clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Returns the wall-clock time as a duration since the Unix epoch.
///
/// For time stamps and dates from outside: deadlines are measured with `tokio::time::Instant`, which a set clock does
/// not move, and what has to survive a machine that sleeps with a [`Moment`]. A clock before 1970 counts as 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A moment on both clocks, of which either may be wrong: the monotonic one stands still while a machine sleeps or is
/// restored from a snapshot, and the wall clock is set by people and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub monotonic: Instant,
    /// On the wall clock, since the Unix epoch.
    pub wall: Duration,
}

impl Moment {
    /// Returns the moment `later` than this one.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self {
            monotonic: self.monotonic + later,
            wall: self.wall.saturating_add(later),
        }
    }

    /// Returns the moment `earlier` than this one, or `None` when the monotonic clock cannot tell it.
    pub fn minus(self, earlier: Duration) -> Option<Self> {
        Some(Self {
            monotonic: self.monotonic.checked_sub(earlier)?,
            wall: self.wall.saturating_sub(earlier),
        })
    }

    /// Returns how long it is from `now` until this moment, by the clock that leaves less: zero once either has
    /// reached it.
    pub fn left(self, now: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(now.monotonic);
        monotonic.min(self.wall.saturating_sub(now.wall))
    }

    /// Returns how long ago this moment was at `now`, by the clock that says more.
    pub fn age(self, now: Self) -> Duration {
        let monotonic = now.monotonic.saturating_duration_since(self.monotonic);
        monotonic.max(now.wall.saturating_sub(self.wall))
    }
}

/// Reads both clocks. In tests the wall clock may be steered.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    #[cfg(test)]
    steered: Option<steered::Wall>,
}

impl Clock {
    /// Returns this moment.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// Returns this moment, of which the monotonic clock has been read already.
    pub fn at(&self, monotonic: Instant) -> Moment {
        #[cfg(test)]
        if let Some(wall) = &self.steered {
            return Moment {
                monotonic,
                wall: wall.at(monotonic),
            };
        }
        Moment {
            monotonic,
            wall: since_epoch(),
        }
    }
}

#[cfg(test)]
pub(crate) mod steered {
    //! A wall clock that follows tokio's, which a test may pause, and can be set.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Clone, Debug)]
    pub(crate) struct Wall {
        start: Instant,
        seconds: Arc<AtomicU64>,
    }

    impl Wall {
        /// Makes a clock that shows 2023-11-14 at first.
        pub(crate) fn new() -> Self {
            Self {
                start: Instant::now(),
                seconds: Arc::new(AtomicU64::new(1_700_000_000)),
            }
        }

        pub(crate) fn clock(&self) -> Clock {
            Clock {
                steered: Some(self.clone()),
            }
        }

        pub(crate) fn set_ahead(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::SeqCst);
        }

        pub(crate) fn set_back(&self, seconds: u64) {
            self.seconds.fetch_sub(seconds, Ordering::SeqCst);
        }

        pub(super) fn at(&self, monotonic: Instant) -> Duration {
            let passed = monotonic.saturating_duration_since(self.start);
            Duration::from_secs(self.seconds.load(Ordering::SeqCst)) + passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_be_longer_ago_than_the_machine_is_up() {
        let now = Clock::default().now();
        let before = now.minus(Duration::from_hours(24 * 365 * 10)).unwrap();

        assert_eq!(before.plus(Duration::from_hours(24 * 365 * 10)), now);
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_leaves_less_counts() {
        let wall = steered::Wall::new();
        let clock = wall.clock();
        let begun = clock.now();
        let end = begun.plus(Duration::from_secs(100));

        tokio::time::advance(Duration::from_secs(10)).await;
        let both = (end.left(clock.now()), begun.age(clock.now()));
        wall.set_ahead(50);
        let slept = (end.left(clock.now()), begun.age(clock.now()));
        wall.set_back(1000);
        let set_back = (end.left(clock.now()), begun.age(clock.now()));
        wall.set_ahead(100_000);

        let seconds = |(left, age): (Duration, Duration)| (left.as_secs(), age.as_secs());
        assert_eq!(seconds(both), (90, 10));
        assert_eq!(seconds(slept), (40, 60));
        assert_eq!(seconds(set_back), (90, 10));
        assert_eq!(end.left(clock.now()), Duration::ZERO);
    }
}
