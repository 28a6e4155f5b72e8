//! What is told once a minute at most, so that what happens with every request does not fill the log.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// When something was told last.
#[derive(Debug)]
pub struct Seldom {
    begun: Instant,
    /// Seconds since `begun`, and as many more as there have to be between two times.
    last: AtomicU64,
}

impl Seldom {
    /// Begins with nothing told.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// Tells whether it may be told now, and takes it for told.
    pub fn is_due(&self) -> bool {
        let now = self.begun.elapsed().as_secs() + MINUTE;
        let last = self.last.load(Ordering::Relaxed);
        now >= last + MINUTE
            && self
                .last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

/// Seconds.
const MINUTE: u64 = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_once_a_minute_at_most() {
        let told = Seldom::new();
        let mut due = Vec::new();
        for pause in [0, 0, 59, 1, 1, 58, 1, 3600, 0] {
            advance(Duration::from_secs(pause)).await;
            due.push(told.is_due());
        }
        assert_eq!(
            due,
            [true, false, false, true, false, false, true, true, false]
        );
    }
}
