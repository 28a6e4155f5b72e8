//! What a connection is doing, as far as closing it in time and resting it needs to know.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A connection's requests in flight, and since when there are none.
#[derive(Debug)]
pub(super) struct Activity {
    in_flight: Cell<usize>,
    reading: Cell<Reading>,
    writing: Cell<bool>,
    quiet_since: Cell<Instant>,
    taken: Cell<u64>,
    took: Notify,
}

/// What has begun to arrive and not all arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: a head comes next.
    Nothing,
    /// A head, which has a time limit of its own.
    Head,
    /// A body, or what is left of the connection after a broken one.
    Body,
}

/// What a connection without requests in flight has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Nothing is under way: all it needs is its socket.
    Resting,
    /// Something is under way, but for too long.
    Idle,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Busy(Rc<Activity>);

impl Activity {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            in_flight: Cell::new(0),
            reading: Cell::new(Reading::Nothing),
            writing: Cell::new(false),
            quiet_since: Cell::new(Instant::now()),
            taken: Cell::new(0),
            took: Notify::new(),
        })
    }

    /// Counts a request until the returned value is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> Busy {
        self.in_flight.set(self.in_flight.get() + 1);
        self.taken.set(self.taken.get() + 1);
        self.took.notify_waiters();
        Busy(Rc::clone(self))
    }

    /// Tells whether there are requests in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Returns how many requests have begun.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Notes what has begun to arrive.
    pub(super) fn set_reading(&self, reading: Reading) {
        self.reading.set(reading);
    }

    /// Notes whether the caller does not take what it is sent.
    pub(super) fn set_writing(&self, writing: bool) {
        self.writing.set(writing);
    }

    /// Waits until more than `taken` requests have begun.
    pub(super) async fn more_than(&self, taken: u64) {
        while self.taken.get() <= taken {
            self.took.notified().await;
        }
    }

    /// Returns when a connection that stays quiet will have been so for `limit`.
    pub(super) fn quiet_until(&self, limit: Duration) -> Instant {
        self.quiet_since.get() + limit
    }

    /// Waits until there has been nothing to do for as long as `idle`, or nothing at all under way for as long as
    /// `rest`, which is shorter.
    ///
    /// What is under way wakes the connection's task when it has come further, and this has to be polled then: a
    /// timer for every request would cost more than it finds out.
    pub(super) async fn quiet_for(&self, rest: Duration, idle: Duration) -> Quiet {
        loop {
            let now = Instant::now();
            let reading = self.reading.get();
            if self.is_busy() || reading == Reading::Head {
                until_polled_again().await;
                continue;
            }
            let quiet = now.saturating_duration_since(self.quiet_since.get());
            let resting = reading == Reading::Nothing && !self.writing.get();
            if resting && quiet >= rest {
                return Quiet::Resting;
            }
            if quiet >= idle {
                return Quiet::Idle;
            }
            let wait = if resting { rest } else { idle };
            sleep_until(self.quiet_until(wait)).await;
        }
    }
}

async fn until_polled_again() {
    let mut polled = false;
    poll_fn(|_| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        Poll::Pending
    })
    .await;
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Self(activity) = self;
        activity
            .in_flight
            .set(activity.in_flight.get().saturating_sub(1));
        activity.quiet_since.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep, timeout};

    use super::*;

    const REST: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_from_the_end_of_its_last_request() {
        let activity = Activity::new();
        let begun = Instant::now();
        let busy = activity.begin();
        let end_later = async {
            sleep(Duration::from_millis(15_500)).await;
            drop(busy);
            // As the end of its answer polls the connection's task, this polls the other half of the join.
        };

        let (quiet, ()) = tokio::join!(activity.quiet_for(REST, IDLE), end_later);

        assert_eq!(quiet, Quiet::Resting);
        assert_eq!(begun.elapsed(), Duration::from_millis(16_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_something_under_way_does_not_rest_but_is_given_up() {
        for (reading, writing) in [(Reading::Body, false), (Reading::Nothing, true)] {
            let activity = Activity::new();
            let begun = Instant::now();
            activity.set_reading(reading);
            activity.set_writing(writing);

            assert_eq!(activity.quiet_for(REST, IDLE).await, Quiet::Idle);
            assert_eq!(begun.elapsed(), IDLE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_is_no_quiet() {
        let activity = Activity::new();
        activity.set_reading(Reading::Head);
        let quiet = activity.quiet_for(REST, IDLE);
        tokio::pin!(quiet);

        assert!(timeout(2 * IDLE, quiet.as_mut()).await.is_err());
        activity.set_reading(Reading::Nothing);
        advance(REST).await;
        assert_eq!(quiet.await, Quiet::Resting);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_waited_for_by_number() {
        let activity = Activity::new();
        drop(activity.begin());

        activity.more_than(0).await;
        assert!(timeout(IDLE, activity.more_than(1)).await.is_err());
        let begin = async { drop(activity.begin()) };
        tokio::join!(activity.more_than(1), begin);
    }
}
