//! Whether a request goes out once more, and when.
//!
//! What can prove that nothing was executed lets any request go out again: no connection, a refused stream, a code of
//! Adobe's gateway by which it says that it did not pass the request on. Everything else only lets those go that do no
//! harm when they are sent twice. All draw on one budget, so that an upstream in trouble does not get more of it.

mod counts;
mod verdict;

pub use counts::Counts;
pub(super) use verdict::{Answer, Cause, Outcome, Wait, pause_asked, verdict};

use std::time::Duration;

use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

/// How requests are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many more attempts a request gets at most. Default 2; 0 turns it off.
    pub attempts: u32,
    /// How many attempts more there may be for a hundred requests of the last ten seconds. Default 20.
    pub budget_percent: u16,
    /// How many attempts more there may be in a second at least, however few requests there are. Default 3.
    pub budget_floor: u32,
    /// The longest pause before the second attempt. Default 25 ms.
    pub pause: Duration,
    /// The longest pause before any attempt. Default 250 ms.
    pub longest_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 2,
            budget_percent: 20,
            budget_floor: 3,
            pause: Duration::from_millis(25),
            longest_pause: Duration::from_millis(250),
        }
    }
}

impl Settings {
    /// Returns the settings of one of `workers` that share the budget's floor, rounded up.
    #[must_use]
    pub fn divided(self, workers: std::num::NonZeroUsize) -> Self {
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        Self {
            budget_floor: self.budget_floor.div_ceil(workers),
            ..self
        }
    }

    /// Returns how long to wait before the attempt after `attempts`. `jitter` is from 0 to 1: full jitter, over a bound
    /// that grows by twice as much each time.
    fn backoff(&self, attempts: u32, jitter: f64) -> Duration {
        let grown = (1_u32 << attempts.clamp(1, 10)) - 1;
        let bound = self.pause.saturating_mul(grown).min(self.longest_pause);
        bound.mul_f64(jitter)
    }
}

/// One worker's budget: a part of the requests of the last ten seconds, and a floor.
#[derive(Debug)]
pub(super) struct Budget {
    settings: Settings,
    budget: TpsBudget,
}

impl Budget {
    pub(super) fn new(settings: Settings) -> Self {
        let part = f32::from(settings.budget_percent) / 100.0;
        Self {
            settings,
            budget: TpsBudget::new(WINDOW, settings.budget_floor, part),
        }
    }

    /// Notes a request.
    pub(super) fn deposit(&self) {
        self.budget.deposit();
    }

    /// Takes what one more attempt costs, if it is there.
    pub(super) fn withdraw(&self) -> bool {
        self.budget.withdraw()
    }

    /// Tells whether a request may have one more attempt after `attempts`.
    pub(super) fn allows(&self, attempts: u32) -> bool {
        attempts <= self.settings.attempts
    }

    /// Returns when to try again after `attempts`, or `None` when that would be after `deadline`.
    pub(super) fn moment(&self, wait: Wait, attempts: u32, deadline: Instant) -> Option<Instant> {
        let now = Instant::now();
        let wait = match wait {
            Wait::Asked(wait) => wait.saturating_add(self.settings.backoff(1, fastrand::f64())),
            Wait::Backoff => self.settings.backoff(attempts, fastrand::f64()),
            Wait::Nothing => Duration::ZERO,
        };
        now.checked_add(wait).filter(|moment| *moment < deadline)
    }
}

const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let settings = Settings::default();
        let bounds =
            [1, 2, 3, 4, 5, 99].map(|attempts| settings.backoff(attempts, 1.0).as_millis());

        assert_eq!(bounds, [25, 75, 175, 250, 250, 250]);
        assert_eq!(settings.backoff(1, 0.0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_a_fifth_of_the_requests_and_a_floor() {
        let budget = Budget::new(Settings::default());
        let taken = || std::iter::repeat_with(|| budget.withdraw()).take_while(|taken| *taken);

        assert_eq!(taken().count(), 30, "three a second for ten seconds");
        for _ in 0..1000 {
            budget.deposit();
        }
        assert_eq!(taken().count(), 200);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(taken().count(), 30, "what is old does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_past_the_deadline() {
        let budget = Budget::new(Settings::default());
        let deadline = Instant::now() + Duration::from_secs(1);

        let moment = |wait| budget.moment(wait, 1, deadline);
        assert!(moment(Wait::Backoff).is_some() && moment(Wait::Nothing).is_some());
        assert!(moment(Wait::Asked(Duration::from_secs(1))).is_none());
        assert!(moment(Wait::Asked(Duration::MAX)).is_none());
    }
}
