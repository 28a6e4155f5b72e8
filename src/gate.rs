//! A gate that is shut for a while, and opens again when somebody who was let through on trial has come back well.
//!
//! Open, it costs those who pass one atomic load. It locks only while it is shut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whether requests may go somewhere.
#[derive(Debug, Default)]
pub struct Gate {
    /// Whether there is anything to look at under the lock.
    shut: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    /// Nobody passes before `until`; the first who comes then is the trial.
    Shut { until: Instant },
    /// The trial of this number is under way.
    Trying { number: u64, since: Instant },
}

/// The gate is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    /// When it is worth coming again.
    pub wait: Duration,
}

/// Somebody who was let through to find out whether the gate may open. Dropped without a word, the next one is.
#[derive(Debug)]
pub struct Trial {
    gate: Arc<Gate>,
    number: u64,
}

impl Gate {
    /// Lets somebody through: as usual, or as the one trial at a time after the gate was shut.
    ///
    /// # Errors
    /// [`Shut`], before the time is over or while the trial is under way.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Option<Trial>, Shut> {
        if !self.shut.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut state = self.state();
        let number = match *state {
            State::Open => return Ok(None),
            State::Shut { until } if now < until => return Err(Shut { wait: until - now }),
            State::Shut { .. } => 0,
            State::Trying { number, since } if now >= since + TRIAL => number + 1,
            State::Trying { .. } => return Err(Shut { wait: SOON }),
        };
        *state = State::Trying { number, since: now };
        Ok(Some(Trial {
            gate: Arc::clone(self),
            number,
        }))
    }

    /// Shuts the gate for `wait` from `now` on, unless it is shut for longer already.
    pub fn shut_for(&self, wait: Duration, now: Instant) {
        let mut state = self.state();
        let later = match *state {
            State::Shut { until } => until.max(now + wait),
            State::Open | State::Trying { .. } => now + wait,
        };
        *state = State::Shut { until: later };
        self.shut.store(true, Ordering::Release);
    }

    /// Tells whether nobody but a trial passes.
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// A state is written whole, so one that a panic left behind is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// Opens the gate, unless it has been shut again meanwhile.
    pub fn succeeded(self) {
        let mut state = self.gate.state();
        if self.is_current(&state) {
            *state = State::Open;
            self.gate.shut.store(false, Ordering::Release);
        }
    }

    fn is_current(&self, state: &State) -> bool {
        matches!(state, State::Trying { number, .. } if *number == self.number)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if let State::Trying { since, .. } = *state
            && self.is_current(&state)
        {
            // The next who comes is the trial.
            *state = State::Shut { until: since };
        }
    }
}

/// How long one trial keeps others from being the next.
const TRIAL: Duration = Duration::from_secs(5);

/// When it is worth coming again while a trial is under way.
const SOON: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_at_a_time_is_let_through_when_the_time_is_over() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        assert!(gate.enter(now).unwrap().is_none());

        gate.shut_for(10 * SECOND, now);
        assert_eq!(gate.enter(now + SECOND).unwrap_err().wait, 9 * SECOND);
        let trial = gate.enter(now + 10 * SECOND).unwrap().unwrap();
        assert_eq!(gate.enter(now + 10 * SECOND).unwrap_err().wait, SOON);
        trial.succeeded();

        assert!(gate.enter(now + 10 * SECOND).unwrap().is_none());
        assert!(!gate.is_shut());
    }

    #[test]
    fn a_trial_that_says_nothing_makes_way_for_the_next() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        gate.shut_for(SECOND, now);

        drop(gate.enter(now + SECOND).unwrap().unwrap());
        let slow = gate.enter(now + SECOND).unwrap().unwrap();
        let next = gate.enter(now + SECOND + TRIAL).unwrap().unwrap();
        drop(slow);
        assert!(gate.enter(now + SECOND + TRIAL).is_err(), "one at a time");
        next.succeeded();

        assert!(!gate.is_shut());
    }

    #[test]
    fn a_gate_that_is_shut_again_stays_so_whatever_becomes_of_the_trial() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        gate.shut_for(SECOND, now);
        let trial = gate.enter(now + SECOND).unwrap().unwrap();

        gate.shut_for(5 * SECOND, now + SECOND);
        gate.shut_for(SECOND, now + SECOND);
        trial.succeeded();

        assert_eq!(gate.enter(now + SECOND).unwrap_err().wait, 5 * SECOND);
    }
}
