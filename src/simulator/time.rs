//! The simulator's own clock: the wall clock, plus what a test or an operator has moved it ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that can be moved ahead, so that tokens expire and jobs finish without anyone waiting.
#[derive(Debug, Default)]
pub(super) struct Time {
    ahead_ms: AtomicU64,
}

impl Time {
    /// Returns milliseconds since the epoch.
    pub(super) fn now_ms(&self) -> u64 {
        wall_clock_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(millis(by), Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.ahead_ms.store(0, Ordering::Relaxed);
    }
}

/// Returns `duration` in whole milliseconds, at most `u64::MAX`.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes an instant the way Adobe writes dates: `2026-11-23T15:42:42Z`.
pub(super) fn iso(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date after Howard Hinnant's "chrono-compatible low-level date algorithms".
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator plays another company's server, which has a clock of its own"
)]
fn wall_clock_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_ahead_and_back() {
        let time = Time::default();
        let before = time.now_ms();

        time.advance(Duration::from_hours(24));

        assert!(time.now_ms() >= before + 86_400_000);
        time.reset();
        assert!(time.now_ms() < before + 86_400_000);
    }

    #[test]
    fn dates_are_written_in_utc() {
        for (at_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_645_197_489_007, "2022-02-18T15:18:09Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(at_ms), text);
        }
    }
}
