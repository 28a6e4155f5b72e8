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
struct State {
    door: Door,
    /// How often the gate was shut: a trial from before the latest time says nothing.
    shuts: u64,
    /// How many trials there were.
    trials: u64,
}

#[derive(Debug, Default)]
enum Door {
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
    shuts: u64,
}

impl Gate {
    /// Lets somebody through: as usual, or as the one trial at a time after the gate was shut. A trial that takes long
    /// makes way for another one, and either may open the gate.
    ///
    /// # Errors
    /// [`Shut`], before the time is over or while the trial is under way.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Option<Trial>, Shut> {
        if !self.is_shut() {
            return Ok(None);
        }
        let mut state = self.state();
        match state.door {
            Door::Open => return Ok(None),
            Door::Shut { until } if now < until => return Err(Shut { wait: until - now }),
            Door::Trying { since, .. } if now < since + TRIAL => return Err(Shut { wait: SOON }),
            Door::Shut { .. } | Door::Trying { .. } => {}
        }
        state.trials += 1;
        let number = state.trials;
        state.door = Door::Trying { number, since: now };
        Ok(Some(Trial {
            gate: Arc::clone(self),
            number,
            shuts: state.shuts,
        }))
    }

    /// Shuts the gate for `wait` from `now` on, unless it is shut for longer already. Returns whether it was open.
    pub fn shut_for(&self, wait: Duration, now: Instant) -> bool {
        let mut state = self.state();
        let until = match state.door {
            Door::Shut { until } => until.max(now + wait),
            Door::Open | Door::Trying { .. } => now + wait,
        };
        state.door = Door::Shut { until };
        state.shuts += 1;
        !self.shut.swap(true, Ordering::AcqRel)
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
    /// Opens the gate, unless it has been shut again since. Returns whether it was this that opened it.
    pub fn succeeded(self) -> bool {
        let mut state = self.gate.state();
        let opens = state.shuts == self.shuts && !matches!(state.door, Door::Open);
        if opens {
            state.door = Door::Open;
            self.gate.shut.store(false, Ordering::Release);
        }
        opens
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if let Door::Trying { number, since } = state.door
            && number == self.number
        {
            // The next who comes is the trial.
            state.door = Door::Shut { until: since };
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
        assert!(trial.succeeded());

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
        assert!(next.succeeded());

        assert!(!gate.is_shut());
    }

    #[test]
    fn a_slow_trial_opens_the_gate_as_well_as_the_one_after_it() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        gate.shut_for(SECOND, now);
        let slow = gate.enter(now + SECOND).unwrap().unwrap();
        let next = gate.enter(now + SECOND + TRIAL).unwrap().unwrap();

        assert!(slow.succeeded());
        assert!(!next.succeeded(), "it is open already");

        assert!(gate.enter(now).unwrap().is_none());
    }

    #[test]
    fn a_trial_from_before_the_gate_was_shut_again_neither_opens_it_nor_makes_way() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        gate.shut_for(SECOND, now);
        let (first, second) = (now + SECOND, now + 2 * SECOND);
        let old = gate.enter(first).unwrap().unwrap();
        let dropped = gate.enter(first + TRIAL).unwrap().unwrap();
        assert!(!gate.shut_for(SECOND, first), "it was shut already");
        let current = gate.enter(second + TRIAL).unwrap().unwrap();

        assert!(!old.succeeded());
        drop(dropped);
        assert!(
            gate.enter(second + TRIAL).is_err(),
            "the trial is under way"
        );
        assert!(current.succeeded());
    }

    #[test]
    fn a_gate_that_is_shut_again_stays_so_whatever_becomes_of_the_trial() {
        let gate = Arc::new(Gate::default());
        let now = Instant::now();
        gate.shut_for(SECOND, now);
        let trial = gate.enter(now + SECOND).unwrap().unwrap();

        gate.shut_for(5 * SECOND, now + SECOND);
        gate.shut_for(SECOND, now + SECOND);
        assert!(!trial.succeeded());

        assert_eq!(gate.enter(now + SECOND).unwrap_err().wait, 5 * SECOND);
    }
}
