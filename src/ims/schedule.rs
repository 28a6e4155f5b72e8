//! When to renew a token, and how long to wait after a failure.

use std::time::Duration;

use super::answer::{Class, Failure};

/// Returns how long after minting a token of this lifetime is renewed.
///
/// It is renewed when the smaller of 10 minutes and 20 % of its life is left, give or take 10 % of that, so that
/// replicas started together drift apart. What lives so shortly that a slow token call would take longer is renewed
/// when 10 s or half of its life is left. `random` is in 0…1.
pub fn renew_after(lifetime: Duration, random: f64) -> Duration {
    let call = lifetime.mul_f64(0.5).min(Duration::from_secs(10));
    let lead = lifetime.mul_f64(0.2).min(Duration::from_mins(10)).max(call);
    let floor = lifetime.mul_f64(0.05).min(Duration::from_secs(30));
    let lead = lead.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0)).max(floor);
    // A renewal at most four times a second, however short tokens live.
    lifetime
        .saturating_sub(lead)
        .max(Duration::from_millis(250))
}

/// Returns how long a replica on its own waits before it mints, so that not all of them do at once: up to a quarter
/// second when there is nothing to serve with, else up to a quarter of what its token has left, at most 5 s. `random`
/// is in 0…1.
pub fn apart(valid_for: Duration, random: f64) -> Duration {
    let most = if valid_for.is_zero() {
        Duration::from_millis(250)
    } else {
        (valid_for / 4).min(Duration::from_secs(5))
    };
    most.mul_f64(random.clamp(0.0, 1.0))
}

/// Returns how long before its end a token is no longer used, for the time a request is under way.
pub fn margin(lifetime: Duration) -> Duration {
    lifetime.mul_f64(0.05).min(Duration::from_secs(5))
}

/// What there is to serve with while token calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// There has not been a token yet.
    Never,
    /// The last one ran out this long ago.
    RanOut(Duration),
    /// A token that may be used for this long.
    Valid(Duration),
}

/// Returns how long to wait after the `failures`-th failure in a row (from 1 on). `random` is in 0…1.
///
/// - A pause that IMS asked for is kept, from 0.5 s to 300 s, and up to a tenth more, so that not all come back at once.
///   It makes no wait shorter than the ones below.
/// - Refusals that only a changed secret or configuration ends wait 5 s, then twice as long each time, up to 60 s.
/// - While a token is valid: full jitter over a bound that doubles from 0.5 s to 30 s, but not past the token's end.
/// - Since it ran out callers fail, so for ten seconds there are two tries a second. After that, and where there never was
///   a token: full jitter over a bound that grows to 4 s, or to 30 s when IMS throttles. It grows to 30 s as well once the
///   token has been gone for five minutes, or forty calls have failed: nobody waits for the second at which that ends.
pub fn wait_after(failure: &Failure, failures: u32, supply: Supply, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    let own = backoff(failure.class, failures, supply, random);
    let Some(asked) = failure.retry_after else {
        return own;
    };
    let asked = asked.clamp(Duration::from_millis(500), LONGEST_PAUSE);
    asked.mul_f64(1.0 + 0.1 * random).max(own)
}

/// Returns how long to wait when IMS says nothing of it.
fn backoff(class: Class, failures: u32, supply: Supply, random: f64) -> Duration {
    let doublings = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    if class.is_permanent() {
        let latched = Duration::from_secs(5).saturating_mul(doublings);
        return latched
            .min(Duration::from_mins(1))
            .mul_f64(1.0 - 0.1 * random);
    }
    let longest = match (supply, class) {
        (Supply::Valid(_), _) | (_, Class::Throttled) => LONGEST_BOUND,
        (Supply::Never, _) => {
            let old = failures.saturating_sub(YOUNG_FAILURES).min(16);
            YOUNG_BOUND.saturating_mul(2_u32.saturating_pow(old))
        }
        (Supply::RanOut(ago), _) => YOUNG_BOUND + ago.saturating_sub(YOUNG) / 8,
    }
    .min(LONGEST_BOUND);
    let doubled = FIRST_BOUND.saturating_mul(doublings).min(longest);
    let (bound, floor) = match supply {
        Supply::RanOut(ago) if class != Class::Throttled => {
            if ago < URGENT {
                return Duration::from_millis(440).mul_f64(1.0 + 0.1 * random);
            }
            ((ago / 8).clamp(FIRST_BOUND, longest), FLOOR)
        }
        Supply::Never | Supply::RanOut(_) => (doubled, FLOOR),
        // The last moments of a token are for a try or two, not for many.
        Supply::Valid(left) => (doubled.min(left), left.min(Duration::from_secs(1))),
    };
    bound.mul_f64(random).max(floor).max(FLOOR)
}

/// The longest pause that is kept when IMS asks for one.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(5);
const FIRST_BOUND: Duration = Duration::from_millis(500);
const LONGEST_BOUND: Duration = Duration::from_secs(30);
/// The bound while an outage is young and there is nothing to serve with.
const YOUNG_BOUND: Duration = Duration::from_secs(4);
/// So many failures take a minute and more, and ten times as long when each of them is one of silence.
const YOUNG_FAILURES: u32 = 40;
const YOUNG: Duration = Duration::from_mins(5);
/// So that jitter never makes a try follow on the heels of another.
const FLOOR: Duration = Duration::from_millis(350);
/// How long after a token has run out the end of an outage of IMS is looked for twice a second.
const URGENT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_long_token_is_renewed_ten_minutes_before_its_end() {
        let lifetime = Duration::from_secs(86_399);

        assert_eq!(
            renew_after(lifetime, 0.5),
            Duration::from_secs(86_399 - 600)
        );
        assert_eq!(
            renew_after(lifetime, 0.0),
            Duration::from_secs(86_399 - 540)
        );
        assert_eq!(
            renew_after(lifetime, 1.0),
            Duration::from_secs(86_399 - 660)
        );
    }

    #[test]
    fn a_pause_asked_for_is_kept_and_capped() {
        let mut failure = Failure::new(Class::Throttled, "");
        let wait = |failure: &Failure, random| wait_after(failure, 1, Supply::Never, random);

        failure.retry_after = Some(Duration::from_secs(38));
        assert_eq!(wait(&failure, 0.0), Duration::from_secs(38));
        assert!(wait(&failure, 1.0) < Duration::from_secs(42));
        failure.retry_after = Some(Duration::from_hours(1));
        assert!(wait(&failure, 1.0) <= Duration::from_secs(330));
        failure.retry_after = Some(Duration::ZERO);
        assert_eq!(wait(&failure, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn a_pause_asked_for_makes_no_wait_shorter() {
        for (class, failures, asked_s, least_s) in [
            (Class::Client, 1, 0, 5),
            (Class::Client, 4, 0, 40),
            (Class::Configuration, 9, 0, 60),
            (Class::Configuration, 9, 120, 120),
            (Class::Client, 1, 30, 30),
            (Class::Throttled, 9, 0, 30),
            (Class::Unwell, 9, 1, 4),
            (Class::Unwell, 9, 38, 38),
        ] {
            let failure = Failure {
                retry_after: Some(Duration::from_secs(asked_s)),
                ..Failure::new(class, "")
            };
            // At 1 the jitter of a passing failure is at its bound, and a latch a tenth below.
            let wait = wait_after(&failure, failures, Supply::Never, 1.0);

            let least = Duration::from_secs(least_s);
            let (least, most) = (least.mul_f64(0.9), least.mul_f64(1.1));
            assert!((least..=most).contains(&wait), "{class:?}: {wait:?}");
        }
    }

    #[test]
    fn a_refused_client_is_tried_ever_more_rarely() {
        let failure = Failure::new(Class::Client, "");
        let waits: Vec<_> = (1..=6)
            .map(|n| wait_after(&failure, n, Supply::Never, 0.0).as_secs())
            .collect();

        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert!(wait_after(&failure, 1, Supply::Never, 1.0) >= Duration::from_millis(4500));
    }

    #[test]
    fn the_end_of_an_outage_is_noticed_within_half_a_second_while_it_is_young() {
        let failure = Failure::new(Class::Unwell, "");
        for random in [0.0, 0.5, 1.0] {
            for (ago, failures) in [(0, 1), (3, 8), (9, 100)] {
                let supply = Supply::RanOut(Duration::from_secs(ago));
                let wait = wait_after(&failure, failures, supply, random);

                assert!((400..500).contains(&wait.as_millis()), "{wait:?}");
            }
        }
        let old = Supply::RanOut(Duration::from_mins(5));
        assert_eq!(wait_after(&failure, 9, old, 1.0), Duration::from_secs(4));
    }

    #[test]
    fn an_outage_that_lasts_is_looked_at_ever_more_rarely() {
        let failure = Failure::new(Class::Unreachable, "");
        let bound_s = |failures, supply| wait_after(&failure, failures, supply, 1.0).as_secs();

        let never = [1, 3, 4, 40, 41, 42, 43, 1000].map(|it| bound_s(it, Supply::Never));
        assert_eq!(never, [0, 2, 4, 4, 8, 16, 30, 30]);
        let ran_out = [16, 40, 300, 380, 508, 100_000]
            .map(|ago| bound_s(100, Supply::RanOut(Duration::from_secs(ago))));
        assert_eq!(ran_out, [2, 4, 4, 14, 30, 30]);
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_within_its_life(seconds in 1.0_f64..172_800.0, random in 0.0_f64..=1.0) {
            let lifetime = Duration::from_secs_f64(seconds);
            let after = renew_after(lifetime, random);

            prop_assert!(after < lifetime.saturating_sub(lifetime.mul_f64(0.04).min(Duration::from_secs(20))));
        }

        #[test]
        fn jitter_spreads_renewals_by_a_tenth_of_the_lead_and_no_more(seconds in 100.0_f64..172_800.0) {
            let lifetime = Duration::from_secs_f64(seconds);
            let lead = |random| lifetime.saturating_sub(renew_after(lifetime, random)).as_secs_f64();
            let middle = lead(0.5);

            prop_assert!((lead(0.0) / middle - 0.9).abs() < 0.001);
            prop_assert!((lead(1.0) / middle - 1.1).abs() < 0.001);
        }

        #[test]
        fn failures_never_hammer(
            failures in 1_u32..1000,
            supply in prop_oneof![
                Just(Supply::Never),
                (0_u64..1000).prop_map(|ago| Supply::RanOut(Duration::from_secs(ago))),
                (0_u64..1000).prop_map(|left| Supply::Valid(Duration::from_secs(left))),
            ],
            random in 0.0_f64..=1.0,
        ) {
            let wait = wait_after(&Failure::new(Class::Unwell, ""), failures, supply, random);

            prop_assert!(wait >= Duration::from_millis(350) && wait <= Duration::from_secs(30));
            if let Supply::Valid(left) = supply {
                prop_assert!(wait <= left.max(Duration::from_millis(350)));
            }
        }
    }
}
