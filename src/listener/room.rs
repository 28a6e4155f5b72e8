//! Whether the process has a descriptor left for another caller.

use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::descriptors::Descriptors;

/// Watches how many descriptors are in use, by whomever: the system gives out the lowest number that is free.
#[derive(Debug)]
pub(super) struct Room {
    /// The first number that is not for callers.
    end: RawFd,
    latest: Cell<RawFd>,
    told: Cell<Option<Instant>>,
}

impl Room {
    pub(super) fn in_process() -> Self {
        Self {
            end: Descriptors::of_process().end_of_callers(),
            latest: Cell::new(0),
            told: Cell::new(None),
        }
    }

    /// Notes which number a caller's socket has.
    pub(super) fn note(&self, number: RawFd) {
        self.latest.set(number);
    }

    /// Waits until a descriptor is free for a caller. `any` is one there is, by which that is found out.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn free(&self, any: BorrowedFd<'_>) {
        while self.is_full(any) {
            self.tell();
            sleep(PAUSE).await;
        }
    }

    /// Costs nothing while there is room.
    fn is_full(&self, any: BorrowedFd<'_>) -> bool {
        if self.latest.get() >= self.end
            // When none is free at all, it stays as it was.
            && let Ok(lowest) = any.try_clone_to_owned()
        {
            self.note(lowest.as_raw_fd());
        }
        self.latest.get() >= self.end
    }

    fn tell(&self) {
        let now = Instant::now();
        if self.told.get().is_none_or(|told| now >= told + TELL_EVERY) {
            self.told.set(Some(now));
            tracing::warn!(
                for_callers = self.end,
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
    use std::os::fd::{AsFd, OwnedFd};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_waits_until_a_low_number_is_free() {
        let any = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Numbers that only this test gives back.
        let mut taken: Vec<OwnedFd> = std::iter::repeat_with(|| any.try_clone().unwrap().into())
            .take(500)
            .collect();
        let highest = taken.iter().map(AsRawFd::as_raw_fd).max().unwrap();
        let room = Room {
            end: highest - 100,
            ..Room::in_process()
        };
        let wait = || tokio::time::timeout(Duration::from_secs(10), room.free(any.as_fd()));

        assert!(wait().await.is_ok(), "nobody has come yet");
        room.note(highest);
        assert!(wait().await.is_err());
        taken.retain(|it| it.as_raw_fd() > highest - 50);
        assert!(wait().await.is_ok());
        assert!(room.latest.get() < room.end);
    }
}
