//! Stops calling an upstream that fails fast, and finds out when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::gate::{Gate, Shut, Trial};

/// When calls stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many failures it takes at least. Default 10.
    pub failures: u32,
    /// In how much time. Default 10 s.
    pub window: Duration,
    /// How large a part of what was called must have failed, in percent. Default 50.
    pub percent: u32,
    /// The longest pause before a trial; the first is a tenth of it. Default 5 s.
    pub longest_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(10),
            percent: 50,
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// A circuit breaker: what all workers know of an upstream's health.
///
/// A failure is a connection that could not be opened, or one that ended before the answer began. Answers are none,
/// whatever their status, and neither are deadlines that pass: an upstream that answers is there, and a caller's short
/// deadline says nothing about it.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    gate: Arc<Gate>,
    /// Whether anything is counted: only from a failure on, so that who is well costs one load.
    counting: AtomicBool,
    window: Mutex<Option<Window>>,
}

/// What has happened since the first failure.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    failed: u32,
    answered: u32,
    /// How often calls have stopped since an answer came last.
    stops: u32,
}

impl Window {
    fn new(since: Instant) -> Self {
        Self {
            since,
            failed: 0,
            answered: 0,
            stops: 0,
        }
    }
}

impl Breaker {
    /// Makes a breaker that lets calls pass.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            gate: Arc::default(),
            counting: AtomicBool::new(false),
            window: Mutex::new(None),
        }
    }

    /// Lets a call pass, or one at a time as a trial.
    ///
    /// # Errors
    /// [`Shut`] while calls have stopped.
    pub fn enter(&self, now: Instant) -> Result<Option<Trial>, Shut> {
        self.gate.enter(now)
    }

    /// Tells whether calls have stopped.
    pub fn is_open(&self) -> bool {
        self.gate.is_shut()
    }

    /// Notes an answer.
    pub fn answered(&self, trial: Option<Trial>) {
        if trial.is_none() && !self.counting.load(Ordering::Relaxed) {
            return;
        }
        let mut window = self.window();
        if trial.is_some_and(Trial::succeeded) {
            tracing::info!("the upstream answers; it is called as usual again");
            *window = None;
        }
        let open = window.filter(|open| open.stops > 0 || self.covers(open, Instant::now()));
        *window = open.map(|open| Window {
            answered: open.answered.saturating_add(1),
            ..open
        });
        self.counting.store(window.is_some(), Ordering::Relaxed);
    }

    /// Notes a failure. `jitter` is from 0 to 1.
    pub fn failed(&self, now: Instant, jitter: f64) {
        let mut window = self.window();
        if self.gate.is_shut() {
            // A call from before they stopped: it says nothing new. What becomes of a trial is told apart.
            return;
        }
        let mut open = window
            .filter(|open| self.covers(open, now))
            .unwrap_or_else(|| Window::new(now));
        open.failed = open.failed.saturating_add(1);
        let all = u64::from(open.failed) + u64::from(open.answered);
        let share = u64::from(open.failed) * 100;
        if open.failed >= self.settings.failures && share >= all * u64::from(self.settings.percent)
        {
            tracing::warn!(
                failed = open.failed,
                answered = open.answered,
                "the upstream fails; it is called once in a while until it answers"
            );
            self.stop(&mut open, now, jitter);
        }
        *window = Some(open);
        self.counting.store(true, Ordering::Relaxed);
    }

    /// Notes that a trial failed, as [`Breaker::failed`] means it.
    pub fn trial_failed(&self, trial: Trial, now: Instant, jitter: f64) {
        let mut window = self.window();
        // Another trial was answered meanwhile: one failure is no reason to stop anew.
        if !self.gate.is_shut() {
            return;
        }
        self.stop(window.get_or_insert(Window::new(now)), now, jitter);
        self.counting.store(true, Ordering::Relaxed);
        // The gate is shut anew, so this one has no say any more.
        drop(trial);
    }

    fn covers(&self, open: &Window, now: Instant) -> bool {
        now < open.since + self.settings.window
    }

    /// Stops calls, each time in a row for twice as long. At least half of it, so that jitter spreads replicas but none
    /// hammers.
    fn stop(&self, open: &mut Window, now: Instant, jitter: f64) {
        let longest = self.settings.longest_pause;
        let doubled = (longest / 10).saturating_mul(1 << open.stops.min(10));
        open.stops = open.stops.saturating_add(1);
        let pause = doubled.min(longest).mul_f64(0.5 + jitter / 2.0);
        self.gate.shut_for(pause, now);
    }

    /// A window is written whole, so one that a panic left behind is as good as any.
    fn window(&self) -> MutexGuard<'_, Option<Window>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(Settings::default())
    }

    #[tokio::test(start_paused = true)]
    async fn calls_stop_after_ten_failures_and_a_trial_finds_out_when_they_may_go_on() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..9 {
            breaker.failed(now, 1.0);
        }
        assert!(breaker.enter(now).unwrap().is_none());
        breaker.failed(now, 1.0);

        // Half a second at first, then twice as long each time, up to five.
        let mut now = now;
        for wait_ms in [500, 1000, 2000, 4000, 5000, 5000] {
            let wait = Duration::from_millis(wait_ms);
            assert_eq!(breaker.enter(now).unwrap_err().wait, wait);
            now += wait;
            let trial = breaker.enter(now).unwrap().unwrap();
            breaker.failed(now, 1.0);
            breaker.trial_failed(trial, now, 1.0);
        }
        let trial = breaker.enter(now + 5 * SECOND).unwrap();
        assert!(trial.is_some());
        breaker.answered(trial);

        assert!(!breaker.is_open());
        assert!(breaker.enter(now).unwrap().is_none());
        breaker.failed(now, 1.0);
        assert!(
            breaker.enter(now).unwrap().is_none(),
            "counting begins anew"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_among_as_many_answers_stop_nothing() {
        let breaker = breaker();
        let now = Instant::now();
        breaker.failed(now, 0.0);
        for _ in 0..100 {
            breaker.answered(None);
            breaker.answered(None);
            breaker.failed(now, 0.0);
        }

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_stop_nothing() {
        let breaker = breaker();
        for _ in 0..100 {
            breaker.failed(Instant::now(), 0.0);
            tokio::time::advance(2 * SECOND).await;
        }

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn two_trials_that_overlap_leave_calls_to_pass() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..10 {
            breaker.failed(now, 0.0);
        }
        let slow = breaker.enter(now + SECOND).unwrap();
        let next = breaker.enter(now + 10 * SECOND).unwrap();
        assert!(slow.is_some() && next.is_some());

        breaker.answered(slow);
        breaker.answered(next);

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_failure_of_one_trial_does_not_keep_the_next_from_opening() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..10 {
            breaker.failed(now, 0.0);
        }
        let slow = breaker.enter(now + SECOND).unwrap().unwrap();
        let next = breaker.enter(now + 10 * SECOND).unwrap();
        breaker.trial_failed(slow, now + 10 * SECOND, 0.0);
        breaker.answered(next);
        assert!(breaker.is_open(), "it was shut since that one began");

        let later = now + 20 * SECOND;
        breaker.answered(breaker.enter(later).unwrap());

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_failure_stops_nothing_once_another_trial_was_answered() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..10 {
            breaker.failed(now, 0.0);
        }
        let slow = breaker.enter(now + SECOND).unwrap().unwrap();
        breaker.answered(breaker.enter(now + 10 * SECOND).unwrap());

        breaker.trial_failed(slow, now + 60 * SECOND, 0.0);

        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_given_up_is_followed_by_another() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..10 {
            breaker.failed(now, 0.0);
        }
        let later = now + SECOND;

        drop(breaker.enter(later).unwrap());

        assert!(breaker.enter(later).unwrap().is_some());
    }
}
