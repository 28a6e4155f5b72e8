//! One quota, drawn on by every worker at once.

use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};

use super::Quota;

/// A quota that is drawn on: a generic cell rate algorithm over one atomic word.
#[derive(Debug)]
pub struct Bucket<C: Clock = DefaultClock> {
    limiter:
        RateLimiter<NotKeyed, InMemoryState, C, governor::middleware::NoOpMiddleware<C::Instant>>,
    clock: C,
    quota: Quota,
}

/// A quota is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// How long until the next request may pass.
    pub wait: Duration,
}

impl Bucket {
    /// Makes a full bucket.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Bucket<C> {
    /// Makes a full bucket that reads `clock`.
    pub fn with_clock(quota: Quota, clock: C) -> Self {
        // A refill too short to measure is as good as no limit.
        let refill = quota.refill.max(Duration::from_nanos(1));
        let rate = Rate::with_period(refill)
            .expect("a refill takes at least a nanosecond")
            .allow_burst(quota.burst);
        Self {
            limiter: RateLimiter::direct_with_clock(rate, clock.clone()),
            clock,
            quota,
        }
    }

    /// Draws one request.
    ///
    /// # Errors
    /// [`Spent`] when none is left; nothing is drawn then.
    pub fn draw(&self) -> Result<(), Spent> {
        self.limiter.check().map_err(|not_until| Spent {
            wait: not_until.wait_time_from(self.clock.now()),
        })
    }

    /// Returns what the bucket was made from.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_then_requests_pass_at_the_rate() {
        let clock = FakeRelativeClock::default();
        let (requests, burst) = (10.try_into().unwrap(), 3.try_into().unwrap());
        let quota = Quota::rate(
            "route lookups".to_owned(),
            requests,
            Duration::from_secs(1),
            burst,
        );
        let bucket = Bucket::with_clock(quota, clock.clone());

        let burst: Vec<_> = (0..4).map(|_| bucket.draw()).collect();
        clock.advance(Duration::from_millis(100));

        assert_eq!(burst.iter().filter(|drawn| drawn.is_ok()).count(), 3);
        assert_eq!(
            burst.last(),
            Some(&Err(Spent {
                wait: Duration::from_millis(100)
            }))
        );
        assert_eq!(bucket.draw(), Ok(()));
        assert!(bucket.draw().is_err());
    }

    proptest! {
        #[test]
        fn a_ceiling_holds_in_every_window(requests in 1_u32..40, steps in prop::collection::vec(0_u64..40, 400)) {
            let clock = FakeRelativeClock::default();
            let period = Duration::from_secs(1);
            let quota = Quota::ceiling(String::new(), requests.try_into().unwrap(), period);
            let bucket = Bucket::with_clock(quota, clock.clone());
            let mut now = Duration::ZERO;
            let mut passed = Vec::new();

            for step in steps {
                while bucket.draw().is_ok() {
                    passed.push(now);
                }
                clock.advance(Duration::from_millis(step));
                now += Duration::from_millis(step);
            }

            for begin in &passed {
                let window = passed.iter().filter(|at| **at >= *begin && **at < *begin + period);
                prop_assert!(window.count() <= requests.try_into().unwrap());
            }
        }
    }
}
