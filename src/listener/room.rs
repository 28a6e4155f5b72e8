//! Whether the process has a descriptor left for another caller.

use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::descriptors::Descriptors;

/// Watches how many descriptors are in use, by whomever: the system gives out the lowest number that is free.
#[derive(Debug)]
pub(super) struct Room {
    descriptors: Descriptors,
    latest: Cell<RawFd>,
    told: Cell<Option<Instant>>,
}

impl Room {
    pub(super) fn in_process() -> Self {
        Self {
            descriptors: Descriptors::of_process(),
            latest: Cell::new(0),
            told: Cell::new(None),
        }
    }

    /// Notes which number a caller's socket has.
    pub(super) fn note(&self, number: RawFd) {
        self.latest.set(number);
    }

    /// Waits until a descriptor is free for a caller beside `callers` and `upstream` connections to the upstream, both asked for
    /// anew. `any` is a descriptor there is, by which that is found out.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn free(
        &self,
        callers: impl Fn() -> usize,
        upstream: impl Fn() -> usize,
        any: BorrowedFd<'_>,
    ) {
        let lowest = || Some(any.try_clone_to_owned().ok()?.as_raw_fd());
        loop {
            let end = self.descriptors.end_of_callers(upstream());
            if !self.is_full(end, &callers, lowest) {
                return;
            }
            self.tell(end);
            sleep(PAUSE).await;
        }
    }

    /// Costs nothing while there is room.
    fn is_full(
        &self,
        end: RawFd,
        callers: impl Fn() -> usize,
        lowest: impl Fn() -> Option<RawFd>,
    ) -> bool {
        if self.latest.get() < end || callers() < self.descriptors.least_callers() {
            return false;
        }
        // When none is free at all, it stays as it was.
        if let Some(lowest) = lowest() {
            self.note(lowest);
        }
        self.latest.get() >= end
    }

    fn tell(&self, end: RawFd) {
        let now = Instant::now();
        if self.told.get().is_none_or(|told| now >= told + TELL_EVERY) {
            self.told.set(Some(now));
            tracing::warn!(
                for_callers = end,
                "the process may have too few open files for its callers; who comes now waits"
            );
        }
    }
}

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(20);

/// How often it is told.
const TELL_EVERY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_waits_until_a_low_number_is_free_or_callers_have_less_than_their_least() {
        let room = Room::in_process();
        let least = room.descriptors.least_callers();
        let is_full = |callers, lowest: Option<RawFd>| room.is_full(28, || callers, || lowest);

        assert!(!is_full(least + 1, Some(40)), "nobody has come yet");
        room.note(28);
        assert!(is_full(least + 1, Some(40)));
        assert!(is_full(least, None));
        assert!(!is_full(least - 1, Some(40)), "others have the low numbers");
        assert!(is_full(least, Some(28)));
        assert!(!is_full(least + 1, Some(27)));
    }
}
