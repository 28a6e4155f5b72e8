//! How the pages write times.

use std::time::{Duration, UNIX_EPOCH};

/// To the millisecond, which is what people can compare.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The time since the Unix epoch as a date.
pub(super) fn date(since_epoch: Duration) -> String {
    let date = UNIX_EPOCH.checked_add(since_epoch).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_millis(date).to_string()
}
