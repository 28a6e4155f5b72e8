//! How many more attempts there may be.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::{Settings, Wait};

/// One worker's budget: a part of the requests of the last ten seconds, and a floor.
///
/// Every request pays in, so it reads no clock and locks nothing: tower's takes ten times as much for that.
#[derive(Debug)]
pub(in crate::forward) struct Budget {
    settings: Settings,
    beginning: Instant,
    /// What was paid in and taken out in each of the last seconds, in hundredths of an attempt.
    seconds: [Cell<i64>; SECONDS],
    /// The second that is under way, counted from the beginning.
    second: Cell<u64>,
}

impl Budget {
    pub(in crate::forward) fn new(settings: Settings) -> Self {
        Self {
            settings,
            beginning: Instant::now(),
            seconds: [const { Cell::new(0) }; SECONDS],
            second: Cell::new(0),
        }
    }

    /// Notes a request that began at `now`.
    pub(in crate::forward) fn deposit(&self, now: Instant) {
        self.add(self.settings.budget_percent.into(), now);
    }

    /// Tells whether there is what one more attempt costs at `now`.
    pub(in crate::forward) fn has_one(&self, now: Instant) -> bool {
        self.turn_to(now);
        let seconds = i64::try_from(SECONDS).unwrap_or(i64::MAX);
        let floor = i64::from(self.settings.budget_floor) * seconds * ATTEMPT;
        let balance: i64 = self.seconds.iter().map(Cell::get).sum();
        balance + floor >= ATTEMPT
    }

    /// Takes what one more attempt costs at `now`, if it is there.
    pub(in crate::forward) fn withdraw(&self, now: Instant) -> bool {
        let covered = self.has_one(now);
        if covered {
            self.add(-ATTEMPT, now);
        }
        covered
    }

    /// Tells whether a request may have one more attempt after `attempts`.
    pub(in crate::forward) fn allows(&self, attempts: u32) -> bool {
        attempts <= self.settings.attempts
    }

    /// Returns when to try again after `attempts`, or `None` when that would be after `deadline`.
    pub(in crate::forward) fn moment(
        &self,
        wait: Wait,
        attempts: u32,
        deadline: Instant,
    ) -> Option<Instant> {
        let backoff = |attempts| self.settings.backoff(attempts, fastrand::f64());
        let wait = match wait {
            Wait::Asked(wait) => wait.saturating_add(backoff(1)),
            Wait::Backoff => backoff(attempts),
            Wait::Nothing => Duration::ZERO,
        };
        let moment = Instant::now().checked_add(wait);
        moment.filter(|moment| *moment < deadline)
    }

    fn add(&self, amount: i64, now: Instant) {
        self.turn_to(now);
        if let Some(second) = self.slot(self.second.get()) {
            second.set(second.get() + amount);
        }
    }

    /// Forgets what is older than ten seconds. A request that began in an earlier second counts as one of the latest.
    fn turn_to(&self, now: Instant) {
        let second = now.saturating_duration_since(self.beginning).as_secs();
        let latest = self.second.get();
        if second <= latest {
            return;
        }
        let passed = (second - latest).min(SECONDS.try_into().unwrap_or(u64::MAX));
        for old in second - passed + 1..=second {
            if let Some(old) = self.slot(old) {
                old.set(0);
            }
        }
        self.second.set(second);
    }

    fn slot(&self, second: u64) -> Option<&Cell<i64>> {
        let slots = u64::try_from(SECONDS).unwrap_or(u64::MAX);
        self.seconds.get(usize::try_from(second % slots).ok()?)
    }
}

/// For how many seconds a request counts.
const SECONDS: usize = 10;

/// What one attempt costs, in hundredths.
const ATTEMPT: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_budget_is_a_fifth_of_the_requests_and_a_floor() {
        let budget = Budget::new(Settings::default());
        let now = Instant::now();
        let taken = |now| {
            std::iter::repeat_with(|| budget.withdraw(now))
                .take_while(|taken| *taken)
                .count()
        };

        assert_eq!(taken(now), 30, "three a second for ten seconds");
        for _ in 0..1000 {
            budget.deposit(now);
        }
        assert_eq!(taken(now), 200);
        assert_eq!(taken(now + 5 * SECOND), 0);
        assert_eq!(taken(now + 20 * SECOND), 30, "what is old does not count");
    }

    #[test]
    fn what_is_paid_in_counts_for_ten_seconds() {
        let settings = Settings {
            budget_floor: 0,
            ..Settings::default()
        };
        let budget = Budget::new(settings);
        let start = Instant::now();
        for second in 0..30 {
            for _ in 0..5 {
                budget.deposit(start + second * SECOND);
            }
        }
        let now = start + 29 * SECOND;

        // One for each of the last ten seconds, in which five were paid in.
        let taken = (0..20).filter(|_| budget.withdraw(now)).count();

        assert_eq!(taken, 10);
        assert!(!budget.withdraw(start), "time does not go back");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_past_the_deadline() {
        let budget = Budget::new(Settings::default());
        let deadline = Instant::now() + SECOND;

        let moment = |wait| budget.moment(wait, 1, deadline);
        assert!(moment(Wait::Backoff).is_some() && moment(Wait::Nothing).is_some());
        assert!(moment(Wait::Asked(SECOND)).is_none());
        assert!(moment(Wait::Asked(Duration::MAX)).is_none());
    }
}
