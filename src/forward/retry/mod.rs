//! Whether a request goes out once more, and when.
//!
//! What can prove that nothing was executed lets any request go out again: no connection, a refused stream, a code of
//! Adobe's gateway by which it says that it did not pass the request on. Everything else only lets those go that do no
//! harm when they are sent twice. All draw on one budget, so that an upstream in trouble does not get more of it.

mod budget;
mod counts;
mod verdict;

pub(super) use budget::Budget;
pub use counts::Counts;
pub(super) use verdict::{Answer, Cause, Outcome, Wait, pause_asked, verdict};

use std::time::Duration;

/// How requests are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many more attempts a request gets at most. Default 2; 0 turns it off.
    pub attempts: u32,
    /// How many attempts more there may be for a hundred requests of the last ten seconds. Default 20.
    pub budget_percent: u32,
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
}
