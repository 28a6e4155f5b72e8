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

/// Returns how long before its end a token is no longer used, for the time a request is under way.
pub fn margin(lifetime: Duration) -> Duration {
    lifetime.mul_f64(0.05).min(Duration::from_secs(5))
}

/// Returns how long to wait after the `failures`-th failure in a row (from 1 on).
///
/// Full jitter over a bound that doubles from 0.5 s to 30 s, but to 4 s only while there is no token to serve
/// with, and never past the end of the one there is, `left` from now. A pause IMS asked for is kept, up to 300 s. Refusals that only a changed configuration ends wait 5 s to
/// 60 s. `random` is in 0…1.
pub fn wait_after(
    failure: &Failure,
    failures: u32,
    left: Option<Duration>,
    random: f64,
) -> Duration {
    if let Some(asked) = failure.retry_after {
        let asked = asked.clamp(Duration::from_millis(500), Duration::from_mins(5));
        return asked + Duration::from_millis(500).mul_f64(random.clamp(0.0, 1.0));
    }
    let doublings = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    if failure.class.is_permanent() {
        return Duration::from_secs(5)
            .saturating_mul(doublings)
            .min(Duration::from_mins(1));
    }
    let patient = left.is_some() || failure.class == Class::Throttled;
    let longest = Duration::from_secs(if patient { 30 } else { 4 });
    let bound = Duration::from_millis(500)
        .saturating_mul(doublings)
        .min(longest);
    let bound = left.map_or(bound, |left| bound.min(left));
    bound
        .mul_f64(random.clamp(0.0, 1.0))
        .max(Duration::from_millis(350))
}

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

        failure.retry_after = Some(Duration::from_secs(38));
        assert!(wait_after(&failure, 1, None, 0.0) >= Duration::from_secs(38));
        failure.retry_after = Some(Duration::from_hours(1));
        assert!(wait_after(&failure, 1, None, 1.0) <= Duration::from_secs(301));
    }

    #[test]
    fn a_refused_client_is_tried_ever_more_rarely() {
        let failure = Failure::new(Class::Client, "");
        let waits: Vec<_> = (1..=6)
            .map(|n| wait_after(&failure, n, None, 0.5).as_secs())
            .collect();

        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_within_its_life(seconds in 1.0_f64..172_800.0, random in 0.0_f64..=1.0) {
            let lifetime = Duration::from_secs_f64(seconds);
            let after = renew_after(lifetime, random);

            prop_assert!(after < lifetime.saturating_sub(lifetime.mul_f64(0.04).min(Duration::from_secs(20))));
        }

        #[test]
        fn failures_never_hammer(failures in 1_u32..1000, left in prop::option::of(0_u64..100), random in 0.0_f64..=1.0) {
            let left = left.map(Duration::from_secs);
            let wait = wait_after(&Failure::new(Class::Unwell, ""), failures, left, random);

            prop_assert!(wait >= Duration::from_millis(350) && wait <= Duration::from_secs(30));
            prop_assert!(left.is_none_or(|left| wait <= left.max(Duration::from_millis(350))));
        }
    }
}
