//! What a connection is doing, as far as closing it in time and resting it needs to know.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A connection's requests in flight, and since when there are none.
#[derive(Debug)]
pub(super) struct Activity {
    in_flight: Cell<usize>,
    reading: Cell<Reading>,
    writing: Cell<bool>,
    receiving: Cell<usize>,
    unread: Cell<bool>,
    /// Since when the drain has been known of.
    draining: Cell<Option<Instant>>,
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
            receiving: Cell::new(0),
            unread: Cell::new(false),
            draining: Cell::new(None),
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

    /// Counts a request body that has not ended.
    pub(super) fn body_begins(&self) {
        self.receiving.set(self.receiving.get() + 1);
    }

    /// Notes that a request body has `ended`, or that nobody reads it any more.
    pub(super) fn body_over(&self, ended: bool) {
        self.receiving.set(self.receiving.get().saturating_sub(1));
        if !ended {
            self.unread.set(true);
        }
    }

    /// Forgets that a body was left unread: whoever drops one while hyper hands its request over leaves it to hyper, which
    /// reads on if the rest is short and says that the answer is the last if it is not.
    pub(super) fn leave_to_hyper(&self) {
        self.unread.set(false);
    }

    /// Notes that the connection takes no request after those that are under way or on their way, and returns since when
    /// that is so.
    pub(super) fn drain(&self) -> Instant {
        let since = self.draining.get().unwrap_or_else(Instant::now);
        self.draining.set(Some(since));
        since
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

    /// Tells whether nothing at all is under way: all that is left of the connection is its socket.
    fn is_resting(&self) -> bool {
        let nothing_left = self.receiving.get() == 0 && !self.unread.get();
        self.reading.get() == Reading::Nothing && !self.writing.get() && nothing_left
    }

    /// Waits until there has been nothing to do for as long as `idle`, or nothing at all under way for as long as
    /// `rest`, which is shorter, and up to [`TICK`] more.
    ///
    /// What is under way wakes the connection's task when it has come further, and this has to be polled then: a
    /// timer for every request would cost more than it finds out.
    pub(super) async fn quiet_for(&self, rest: Duration, idle: Duration) -> Quiet {
        let mut armed = None;
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|cx| {
            loop {
                if self.is_busy() || self.reading.get() == Reading::Head {
                    return Poll::Pending;
                }
                let resting = self.is_resting();
                let due = if resting {
                    on_tick(self.quiet_until(rest))
                } else {
                    self.quiet_until(idle)
                };
                // A timer that goes off too early is set again then; one for every request would cost more.
                if armed.is_none_or(|armed| armed > due) {
                    armed = Some(due);
                    timer.as_mut().reset(due);
                }
                ready!(timer.as_mut().poll(cx));
                if armed.take() >= Some(due) {
                    return Poll::Ready(if resting { Quiet::Resting } else { Quiet::Idle });
                }
            }
        })
        .await
    }
}

/// How far apart the moments are at which connections begin to rest: many that do so together cost one wake-up.
const TICK: Duration = Duration::from_millis(25);

fn on_tick(at: Instant) -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let beginning = *BEGINNING.get_or_init(|| at);
    let since = at.saturating_duration_since(beginning).as_nanos();
    let to_next = since.next_multiple_of(TICK.as_nanos()) - since;
    at + Duration::from_nanos(u64::try_from(to_next).unwrap_or_default())
}

impl Busy {
    /// Tells whether no request can follow this one for sure: the drain has begun, or a part of its body is unread.
    pub(super) fn is_last(&self) -> bool {
        let Self(activity) = self;
        activity.draining.get().is_some() || activity.unread.get() || activity.receiving.get() > 0
    }
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
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::listener::caller_body::Arriving;

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
        };

        let (quiet, ()) = tokio::join!(activity.quiet_for(REST, IDLE), end_later);

        assert_eq!(quiet, Quiet::Resting);
        let rested = begun
            .elapsed()
            .saturating_sub(Duration::from_millis(15_500));
        assert!(rested >= REST && rested <= REST + TICK, "{rested:?}");
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
        assert_eq!(quiet.await, Quiet::Resting);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_its_end_lets_a_connection_rest_long_before_it_would_be_idle() {
        let activity = Activity::new();
        let begun = Instant::now();
        let body = Arriving::new(&activity);
        activity.set_writing(true);
        let quiet = activity.quiet_for(REST, IDLE);
        tokio::pin!(quiet);

        assert!(timeout(2 * REST, quiet.as_mut()).await.is_err());
        activity.set_writing(false);
        assert!(timeout(2 * REST, quiet.as_mut()).await.is_err());
        body.ended();
        assert_eq!(quiet.await, Quiet::Resting);
        assert!(begun.elapsed() <= 5 * REST);
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
