//! When a token that the upstream refused is replaced, and when another one would not help.

use std::time::Duration;

use tokio::time::Instant;

/// The pace at which refused tokens are replaced.
///
/// A refused token may have been revoked, which a new one cures, or the refusal may have another reason, which no number
/// of new ones does. So the first is replaced at once, and after each replacement there is a pause in which refusals
/// have no effect. It doubles when the replacement is refused as well, and is short again after a quiet time.
#[derive(Debug)]
pub struct Refusals {
    pause: Duration,
    until: Option<Instant>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            pause: SHORTEST,
            until: None,
        }
    }
}

impl Refusals {
    /// Asks whether a token that is refused at `now` is to be replaced.
    ///
    /// # Errors
    /// The end of the pause, when it is not.
    pub fn permit(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.until {
            if now < until {
                return Err(until);
            }
            let quiet = now.duration_since(until);
            self.pause = if quiet < self.pause.max(QUIET) {
                self.pause.saturating_mul(2).min(LONGEST)
            } else {
                SHORTEST
            };
        }
        self.until = Some(now + self.pause);
        Ok(())
    }
}

/// Long enough for the answers under way with the old token, and for those a refused token cannot be at fault for.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(5);
/// How long after a pause no refusal has to come for the next one to be short again.
const QUIET: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_again_and_again_is_replaced_ever_more_rarely() {
        let mut refusals = Refusals::default();
        let begun = Instant::now();
        let mut permitted = Vec::new();

        for tenth in 0..6000_u64 {
            let now = begun + Duration::from_millis(tenth * 100);
            if refusals.permit(now).is_ok() {
                permitted.push(tenth / 10);
            }
        }

        assert_eq!(permitted, [0, 2, 6, 14, 30, 62, 126, 254, 510]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_quiet_time_the_pause_is_short_again() {
        let mut refusals = Refusals::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);

        assert_eq!(refusals.permit(at(0)), Ok(()));
        assert_eq!(refusals.permit(at(1)), Err(at(2)));
        assert_eq!(refusals.permit(at(3)), Ok(()));
        assert_eq!(refusals.permit(at(6)), Err(at(7)));
        assert_eq!(refusals.permit(at(100)), Ok(()));
        assert_eq!(refusals.permit(at(101)), Err(at(102)));
    }

    proptest! {
        #[test]
        fn however_refusals_come_there_are_few_replacements(gaps in prop::collection::vec(0_u64..3000, 1..500)) {
            let mut refusals = Refusals::default();
            let begun = Instant::now();
            let mut now = begun;
            let mut permitted = 0_u32;
            for gap in gaps {
                now += Duration::from_millis(gap);
                permitted += u32::from(refusals.permit(now).is_ok());
            }

            // Gaps of at most three seconds are never a quiet time: the pauses double up to five minutes.
            let seconds = now.duration_since(begun).as_secs_f64();
            let most = (seconds / 2.0 + 1.0).log2().ceil() + seconds / 300.0 + 1.0;
            prop_assert!(f64::from(permitted) <= most, "{permitted} in {seconds} s");
        }
    }
}
