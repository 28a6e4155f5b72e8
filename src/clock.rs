//! The wall clock, read in one place so that tests and replays can stand in for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the wall-clock time as a duration since the Unix epoch.
///
/// For time stamps and `Retry-After` dates only: lifetimes and deadlines are measured with
/// `tokio::time::Instant`, which a set clock does not move. A clock before 1970 counts as 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
