//! One quota, drawn on by every worker at once.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota as Rate, RateLimiter};

use super::Quota;

/// A quota that is drawn on: a generic cell rate algorithm over one atomic word.
#[derive(Debug)]
pub struct Bucket<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, Word, C, governor::middleware::NoOpMiddleware<C::Instant>>,
    /// The limiter's own, for a bucket that takes over from this one.
    word: Word,
    /// What the word counts from.
    start: C::Instant,
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
        let refill = refill(&quota);
        let rate = Rate::with_period(refill)
            .expect("a refill takes at least a nanosecond")
            .allow_burst(quota.burst);
        let word = Word::default();
        Self {
            start: clock.now(),
            limiter: RateLimiter::new(rate, word.clone(), clock.clone()),
            word,
            clock,
            quota,
        }
    }

    /// Makes a bucket with another quota of which as many requests are spent as of this one, or all it has.
    ///
    /// So where a ceiling changes no window sees more than the larger of the two. What is drawn from this bucket from now
    /// on the other one does not know.
    #[must_use]
    pub fn renewed(&self, quota: Quota) -> Self {
        let spent = self.owed().div_ceil(nanoseconds(refill(&self.quota)));
        let renewed = Self::with_clock(quota, self.clock.clone());
        let spent = spent.min(u64::from(renewed.quota.burst.get()));
        let owed = spent.saturating_mul(nanoseconds(refill(&renewed.quota)));
        renewed.word.0.store(owed, Ordering::Release);
        renewed
    }

    /// Tells whether nothing is spent, so that a new bucket would be the same.
    pub fn is_full(&self) -> bool {
        self.owed() == 0
    }

    /// Returns in how many nanoseconds it is full again.
    fn owed(&self) -> u64 {
        let since_start = self.clock.now().duration_since(self.start).as_u64();
        self.word
            .0
            .load(Ordering::Acquire)
            .saturating_sub(since_start)
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

    /// Draws a request that counts as `cost`, or as all that may be drawn at once if that is less.
    ///
    /// # Errors
    /// [`Spent`] when not as much is left; nothing is drawn then.
    pub fn draw_for(&self, cost: NonZeroU32) -> Result<(), Spent> {
        if cost == NonZeroU32::MIN {
            return self.draw();
        }
        let drawn = self.limiter.check_n(cost.min(self.quota.burst));
        let drawn = drawn.expect("no more is drawn than may be at once");
        drawn.map_err(|not_until| Spent {
            wait: not_until.wait_time_from(self.clock.now()),
        })
    }

    /// Returns what the bucket was made from.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }
}

/// A refill too short to measure is as good as no limit.
fn refill(quota: &Quota) -> Duration {
    quota.refill.max(Duration::from_nanos(1))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The state of a bucket: when it is full again, in nanoseconds since its start; 0 while nothing has been drawn.
///
/// It is governor's own state, which nobody else can read.
#[derive(Clone, Debug, Default)]
struct Word(Arc<AtomicU64>);

impl StateStore for Word {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let state = NonZeroU64::new(before).map(|state| state.get().into());
            let (result, after) = decide(state)?;
            let replaced = self.0.compare_exchange_weak(
                before,
                after.into(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match replaced {
                Ok(_) => return Ok(result),
                Err(present) => before = present,
            }
        }
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

    #[test]
    fn what_costs_more_draws_more_and_at_most_a_whole_burst() {
        let clock = FakeRelativeClock::default();
        let (requests, burst) = (10.try_into().unwrap(), 6.try_into().unwrap());
        let quota = Quota::rate(String::new(), requests, Duration::from_secs(1), burst);
        let bucket = Bucket::with_clock(quota, clock.clone());
        let draw = |cost: u32| bucket.draw_for(cost.try_into().unwrap());

        assert_eq!(draw(4), Ok(()));
        let wait = Duration::from_millis(200);
        assert_eq!(draw(4), Err(Spent { wait }), "two are left");
        assert_eq!(draw(2), Ok(()));
        assert!(draw(1).is_err());
        clock.advance(Duration::from_millis(500));
        assert!(draw(1000).is_err());
        clock.advance(Duration::from_millis(100));
        assert_eq!(draw(1000), Ok(()));
    }

    #[test]
    fn a_bucket_that_takes_over_has_as_much_spent_and_refills_at_its_own_rate() {
        let quota = |requests: u32, burst: u32| {
            let (requests, burst) = (requests.try_into().unwrap(), burst.try_into().unwrap());
            Quota::rate(String::new(), requests, Duration::from_secs(1), burst)
        };
        let clock = FakeRelativeClock::default();
        clock.advance(Duration::from_secs(100));
        let drawn = |bucket: &Bucket<_>| std::iter::from_fn(|| bucket.draw().ok()).count();
        let bucket = Bucket::with_clock(quota(10, 8), clock.clone());
        clock.advance(Duration::from_secs(7));
        (0..5).for_each(|_| bucket.draw().unwrap());

        // Two of the five are given back by then.
        clock.advance(Duration::from_millis(200));
        let larger = bucket.renewed(quota(100, 10));
        let smaller = bucket.renewed(quota(1, 2));
        assert_eq!(drawn(&larger), 10 - 3);
        assert_eq!(drawn(&smaller), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(drawn(&larger), 10);
        assert_eq!(drawn(&smaller), 1);

        let unused = Bucket::with_clock(quota(10, 8), clock);
        assert_eq!(drawn(&unused.renewed(quota(10, 3))), 3);
    }

    proptest! {
        #[test]
        fn a_ceiling_that_changes_holds_in_every_window(
            ceilings in (1_u32..40, 1_u32..40),
            change in 0_usize..200,
            steps in prop::collection::vec(0_u64..40, 200),
        ) {
            let clock = FakeRelativeClock::default();
            let period = Duration::from_secs(1);
            let ceiling = |requests: u32| Quota::ceiling(String::new(), requests.try_into().unwrap(), period);
            let mut bucket = Bucket::with_clock(ceiling(ceilings.0), clock.clone());
            let mut now = Duration::ZERO;
            let mut passed = Vec::new();

            for (index, step) in steps.into_iter().enumerate() {
                if index == change {
                    bucket = bucket.renewed(ceiling(ceilings.1));
                }
                while bucket.draw().is_ok() {
                    passed.push(now);
                }
                clock.advance(Duration::from_millis(step));
                now += Duration::from_millis(step);
            }

            let most = ceilings.0.max(ceilings.1);
            for begin in &passed {
                let window = passed.iter().filter(|at| **at >= *begin && **at < *begin + period);
                prop_assert!(window.count() <= most.try_into().unwrap());
            }
        }

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
