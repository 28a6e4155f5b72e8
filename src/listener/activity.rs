//! What a connection is doing, as far as closing it in time needs to know.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A connection's requests in flight, and since when there are none.
#[derive(Debug)]
pub(super) struct Activity {
    in_flight: Cell<usize>,
    head_begun: Cell<bool>,
    quiet_since: Cell<Instant>,
    taken: Cell<u64>,
    first: Notify,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Busy(Rc<Activity>);

impl Activity {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            in_flight: Cell::new(0),
            head_begun: Cell::new(false),
            quiet_since: Cell::new(Instant::now()),
            taken: Cell::new(0),
            first: Notify::new(),
        })
    }

    /// Counts a request until the returned value is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> Busy {
        self.in_flight.set(self.in_flight.get() + 1);
        self.taken.set(self.taken.get() + 1);
        self.first.notify_one();
        Busy(Rc::clone(self))
    }

    /// Returns how many requests have begun.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Notes whether a part of a head has arrived, which has a time limit of its own.
    pub(super) fn set_head_begun(&self, begun: bool) {
        self.head_begun.set(begun);
    }

    /// Waits for the first request.
    pub(super) async fn first(&self) {
        if self.taken.get() == 0 {
            self.first.notified().await;
        }
    }

    /// Waits until there has been nothing to do for as long as `limit`.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let busy = self.in_flight.get() > 0 || self.head_begun.get();
            let since = if busy { now } else { self.quiet_since.get() };
            if !busy && now.saturating_duration_since(since) >= limit {
                return;
            }
            sleep_until(since + limit).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0
            .in_flight
            .set(self.0.in_flight.get().saturating_sub(1));
        self.0.quiet_since.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let activity = Activity::new();
        let begun = Instant::now();
        let busy = activity.begin();
        let end_later = async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            drop(busy);
        };

        tokio::join!(activity.idle_for(Duration::from_secs(10)), end_later);

        assert_eq!(begun.elapsed(), Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_is_no_idleness() {
        let activity = Activity::new();
        activity.set_head_begun(true);
        let idle = activity.idle_for(Duration::from_secs(1));
        tokio::pin!(idle);

        let waited = tokio::time::timeout(Duration::from_secs(5), idle.as_mut()).await;
        assert!(waited.is_err());
        activity.set_head_begun(false);
        advance(Duration::from_secs(1)).await;
        idle.await;
    }
}
