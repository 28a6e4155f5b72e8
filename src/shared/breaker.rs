//! Stops asking a store that does not answer, and tries again in a while.

use std::time::Duration;

use tokio::time::Instant;

/// Whether the store may be asked.
///
/// Closed at first. A failure opens it: nothing passes for a while, then one call as a probe. What the probe meets
/// closes it again or makes the next while twice as long.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures since the latest success.
    failures: u32,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    /// When the first failure was.
    since: Instant,
    /// When the next call may pass.
    until: Instant,
    why: String,
}

/// That a call may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// As usual.
    Freely,
    /// To find out whether the store is back.
    Probe,
}

/// That a call may not go ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the latest failure was.
    pub(super) why: String,
    /// When it is worth asking again.
    pub(super) left: Duration,
}

impl Breaker {
    /// Lets a call pass, or refuses it. A probe that has not told of its end after `probe_lasts` makes way for the next.
    pub(super) fn enter(&mut self, now: Instant, probe_lasts: Duration) -> Result<Pass, Refusal> {
        match &mut self.opened {
            None => Ok(Pass::Freely),
            Some(opened) if now >= opened.until => {
                opened.until = now + probe_lasts;
                Ok(Pass::Probe)
            }
            Some(opened) => Err(Refusal {
                why: opened.why.clone(),
                left: opened.until - now,
            }),
        }
    }

    /// Tells whether the latest call that has ended was answered, or there has been none.
    pub(super) fn is_closed(&self) -> bool {
        self.opened.is_none()
    }

    /// Returns how long calls are refused from `now` on.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let until = self.opened.as_ref().map(|opened| opened.until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Notes an answer of the store. Returns how long it was away, if it was.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<Duration> {
        self.failures = 0;
        self.opened.take().map(|opened| now - opened.since)
    }

    /// Notes a failure. Returns whether it is the first. `jitter` is from 0 to 1.
    pub(super) fn failed(&mut self, pass: Pass, now: Instant, why: &str, jitter: f64) -> bool {
        if self.opened.is_some() && pass == Pass::Freely {
            // A call from before the first failure: it says nothing new.
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        // At least half of it, so that jitter spreads replicas but none hammers.
        let pause = doubled.min(LONGEST_PAUSE).mul_f64(0.5 + jitter / 2.0);
        let since = self.opened.as_ref().map(|opened| opened.since);
        self.opened = Some(Opened {
            since: since.unwrap_or(now),
            until: now + pause,
            why: why.to_owned(),
        });
        since.is_none()
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_calls_are_refused_until_one_probes() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        assert_eq!(breaker.enter(now, PROBE), Ok(Pass::Freely));

        assert!(breaker.failed(Pass::Freely, now, "gone", 1.0));
        assert!(!breaker.failed(Pass::Freely, now, "gone too", 1.0));

        let refusal = breaker.enter(now, PROBE).unwrap_err();
        assert_eq!(
            (refusal.why.as_str(), refusal.left),
            ("gone", Duration::from_secs(1))
        );
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.enter(later, PROBE), Ok(Pass::Probe));
        assert_eq!(breaker.enter(later, PROBE).unwrap_err().left, PROBE);
        assert_eq!(
            breaker.enter(later + PROBE, PROBE),
            Ok(Pass::Probe),
            "a probe that was given up"
        );
        assert_eq!(breaker.succeeded(later), Some(Duration::from_secs(1)));
        assert_eq!(breaker.enter(later, PROBE), Ok(Pass::Freely));
        assert_eq!(breaker.succeeded(later), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_to_fifteen_seconds_and_jitter_halves_it_at_most() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for failure in 0..40 {
            let pass = breaker.enter(now, PROBE).unwrap();
            assert_eq!(breaker.failed(pass, now, "gone", 1.0), failure == 0);
            let left = breaker.enter(now, PROBE).unwrap_err().left;
            pauses.push(left.as_secs());
            now += left;
        }

        assert_eq!(&pauses[..6], [1, 2, 4, 8, 15, 15]);
        assert_eq!(pauses.last(), Some(&15));
        assert_eq!(breaker.enter(now, PROBE), Ok(Pass::Probe));
        breaker.failed(Pass::Probe, now, "gone", 0.0);
        let left = breaker.enter(now, PROBE).unwrap_err().left;
        assert_eq!(left, Duration::from_millis(7500));
    }
}
