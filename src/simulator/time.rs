//! The simulator's own clock: the wall clock, plus what a test or an operator has moved it ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use crate::clock;

/// A clock that can be moved ahead, so that tokens expire and jobs finish without anyone waiting.
#[derive(Debug, Default)]
pub(super) struct Time {
    ahead_ms: AtomicU64,
}

impl Time {
    /// Returns milliseconds since the epoch.
    pub(super) fn now_ms(&self) -> u64 {
        millis(clock::since_epoch()).saturating_add(self.ahead_ms.load(Ordering::Relaxed))
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

/// Writes an instant the way Adobe writes dates: `2026-11-23T15:42:42Z`, up to the end of the year 9999.
pub(super) fn iso(at_ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms.min(LAST_DATE_MS));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// 9999-12-31T23:59:59Z.
const LAST_DATE_MS: u64 = 253_402_300_799_000;

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
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(at_ms), text);
        }
    }
}
