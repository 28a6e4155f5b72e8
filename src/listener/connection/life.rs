//! When a connection has had its time, and when it rests.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::listener::activity::{Activity, Quiet};
use crate::listener::guard::Guard;

/// How long a connection may still bring a request when the drain begins.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// How long a TLS handshake may still take when the drain begins: some round trips to a caller far away.
pub(super) const HANDSHAKE_GRACE: Duration = Duration::from_secs(2);

/// How long a connection keeps its buffers after its last answer: long enough for a busy one, and short enough that
/// many that come at once take each other's.
pub(super) const REST: Duration = Duration::from_millis(10);

/// What ends a connection besides its caller.
pub(super) struct Life {
    pub(super) activity: Rc<Activity>,
    /// Has not seen the drain begin, whenever that was; whoever waits for it takes a clone.
    pub(super) draining: watch::Receiver<bool>,
    pub(super) idle_timeout: Duration,
}

/// What a connection has come to.
pub(super) enum Turn<T> {
    /// Its end.
    Ended(T),
    /// The time to finish what it has begun and take nothing more.
    Over,
    /// A time without anything to do.
    Resting,
}

/// When a connection is over once the drain has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// When there has been nothing to answer for a while: over HTTP/1.1 an answer says that it is the last, and whoever
    /// has none on its way may have sent a request meanwhile.
    AfterAnother,
    /// At once, if it has brought a request: HTTP/2 has a way to say which requests are taken.
    AfterTheFirst,
}

impl Life {
    /// Runs hyper's connection until it ends or something else is to be done with it.
    pub(super) async fn drive<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        drain: Drain,
    ) -> Turn<C::Output> {
        let mut draining = self.draining.clone();
        let taken = self.activity.taken();
        let quiet = async {
            match self.activity.quiet_for(REST, self.idle_timeout).await {
                Quiet::Resting => Turn::Resting,
                Quiet::Idle => Turn::Over,
            }
        };
        let drained = async {
            begun(&mut draining).await;
            let since = self.activity.drain();
            match drain {
                Drain::AfterAnother => self.quiet_since(since, GRACE).await,
                // What was accepted before the drain, or has just been woken, may have its request under way.
                Drain::AfterTheFirst => {
                    let _ = timeout(GRACE, self.activity.more_than(taken)).await;
                }
            }
            Turn::Over
        };
        let mut quiet = pin!(quiet);
        let mut drained = pin!(drained);
        let mut waits = false;
        poll_fn(|cx| {
            // Before the connection, which may answer at once.
            if !matches!(self.draining.has_changed(), Ok(false)) {
                self.activity.drain();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Turn::Ended(ended));
            }
            // While a request is in flight only the drain matters, and its wake-up has been asked for before.
            if waits && self.activity.is_busy() && matches!(self.draining.has_changed(), Ok(false))
            {
                return Poll::Pending;
            }
            waits = true;
            match drained.as_mut().poll(cx) {
                Poll::Pending => quiet.as_mut().poll(cx),
                over @ Poll::Ready(_) => over,
            }
        })
        .await
    }

    /// Runs hyper's connection to its end, which it has been told to come to; `None` when no request has been in flight
    /// for as long as `limit`, and the caller has not taken what is left of the last answer.
    pub(super) async fn finish<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        limit: Duration,
    ) -> Option<C::Output> {
        let mut quiet = pin!(self.quiet_since(Instant::now(), limit));
        poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            quiet.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Waits until there has been no request in flight for as long as `limit`, from `begun` on. It has to be polled
    /// whenever the connection is.
    async fn quiet_since(&self, begun: Instant, limit: Duration) {
        let mut timer = pin!(sleep_until(begun));
        poll_fn(|cx| {
            if self.activity.is_busy() {
                return Poll::Pending;
            }
            let due = self.activity.quiet_until(limit).max(begun + limit);
            timer.as_mut().reset(due);
            timer.as_mut().poll(cx)
        })
        .await;
    }

    /// Waits with nothing but the socket; `false` when the connection is to be closed instead.
    pub(super) async fn rest<T>(&self, guard: &mut Guard<T>) -> std::io::Result<bool>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::select! {
            biased;
            more = guard.more() => more,
            () = sleep_until(self.activity.quiet_until(self.idle_timeout)) => Ok(false),
            // A request may be on its way. What comes and is none lengthens nothing.
            () = self.drained() => Ok(false),
        }
    }

    /// Waits until the drain has begun and there has been no request in flight for a while.
    async fn drained(&self) {
        begun(&mut self.draining.clone()).await;
        let since = self.activity.drain();
        sleep_until(self.activity.quiet_until(GRACE).max(since + GRACE)).await;
    }
}

/// Waits until the drain has begun, and then as long as `grace` for what is on its way.
pub(super) async fn drained(mut draining: watch::Receiver<bool>, grace: Duration) {
    begun(&mut draining).await;
    sleep(grace).await;
}

/// Waits until the drain has begun.
async fn begun(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway; without one there is nobody left to serve for.
    let _ = draining.wait_for(|draining| *draining).await;
}
