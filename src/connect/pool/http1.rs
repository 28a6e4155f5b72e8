//! An HTTP/1.1 connection that whoever uses it moves on.
//!
//! hyper's connection would usually run as a task of its own, which every request and every answer then has to wake:
//! here it is polled by the exchange that has it, and lies still while nobody does. While an answer is not waited for
//! in particular the connection is polled with a waker that does nothing, so that what hyper's two halves tell each
//! other wakes nobody. Only when a request body is still on its way as its answer begins does a task take over, since
//! a caller may send all before it reads.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tokio::task::coop::has_budget_remaining;

use super::Refused;
use super::answers::{Answers, Progress};
use crate::body::Guarded;
use crate::connect::Stream;
use crate::error::Source;

/// An HTTP/1.1 connection.
pub(super) struct Http1<B> {
    sender: SendRequest<Tracked<B>>,
    driver: Driver,
    /// How far the latest exchange is.
    progress: Progress,
    /// Whether the latest request's body is still on its way.
    uploading: Rc<Cell<bool>>,
}

enum Driver {
    /// Whoever uses the connection polls it.
    User(Pin<Box<dyn Future<Output = hyper::Result<()>>>>),
    /// A task does.
    Task {
        /// Ends the task when it is dropped.
        _owned: Owned,
    },
    /// Nothing is left to poll.
    Ended,
}

impl<B> Http1<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    /// Speaks HTTP/1.1 over `stream`.
    ///
    /// # Errors
    /// hyper's, when the connection breaks at once.
    pub(super) async fn handshake(stream: Stream) -> hyper::Result<Self> {
        let progress = Progress::default();
        let (sender, connection) = http1::Builder::new()
            // What an answer may pile up here while its caller is slow; hyper's own bound is 400 KiB.
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(Answers::new(stream, progress.clone())))
            .await?;
        let mut connection = Self {
            sender,
            driver: Driver::User(Box::pin(connection)),
            progress,
            uploading: Rc::new(Cell::new(false)),
        };
        connection.ready().await?;
        Ok(connection)
    }

    /// Sends `request` and returns the head of the answer.
    ///
    /// # Errors
    /// hyper's error, with the request when nothing of it was sent.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the connection in the middle of an exchange.
    pub(super) fn send(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, Refused<B>>> {
        let Self {
            sender,
            driver,
            progress,
            uploading,
        } = self;
        progress.sent();
        uploading.set(true);
        let tracked = |body| Tracked::new(body, Uploading(Rc::clone(uploading)));
        Sending {
            answer: sender.try_send_request(request.map(tracked)),
            written: false,
            driver,
            uploading,
        }
    }
}

pin_project! {
    /// Waits for the head of an answer. An `async` block would have room for hyper's future twice.
    struct Sending<'a, F> {
        #[pin]
        answer: F,
        written: bool,
        driver: &'a mut Driver,
        uploading: &'a Cell<bool>,
    }
}

impl<B, F> Future for Sending<'_, F>
where
    F: Future<Output = Result<Response<Incoming>, TrySendError<Request<Tracked<B>>>>>,
{
    type Output = Result<Response<Incoming>, Refused<B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let poll = |cx: &mut Context<'_>| this.answer.as_mut().poll(cx);
        // Before the request is written no answer can come.
        let answer = ready!(if mem::replace(this.written, true) {
            this.driver.poll_for(cx, poll)
        } else {
            this.driver.begin(cx, poll)
        });
        if answer.is_ok() && this.uploading.get() {
            this.driver.detach();
        }
        Poll::Ready(answer.map_err(|refused| Refused::new(refused, Guarded::into_body)))
    }
}

impl<B> Http1<B> {
    /// Tells whether a request can be sent at once.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Tells whether the connection has ended, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.driver, Driver::Ended) || self.sender.is_closed()
    }

    /// Looks whether the peer has closed the connection while nobody used it.
    pub(super) fn is_alive(&mut self) -> bool {
        self.driver.poll(&mut Context::from_waker(Waker::noop()));
        !self.is_closed()
    }

    /// Waits until a request can be sent.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        poll_fn(|cx| {
            self.driver.poll(cx);
            self.sender.poll_ready(cx)
        })
        .await
    }

    /// Polls `incoming`, the body of the latest answer, and the connection as far as it takes.
    pub(super) fn poll_frame(
        &mut self,
        mut incoming: Pin<&mut Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = self
            .driver
            .poll_for(cx, |cx| incoming.as_mut().poll_frame(cx));
        if polled.is_ready() {
            self.progress.moved();
        }
        polled
    }
}

/// A task that ends when this is dropped.
struct Owned(JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// Polls `what` only the connection can bring further, and the connection as far as it takes.
    fn poll_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut what: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut quiet = Context::from_waker(Waker::noop());
        if let ready @ Poll::Ready(_) = what(&mut quiet) {
            return ready;
        }
        self.poll(&mut quiet);
        if let ready @ Poll::Ready(_) = what(&mut quiet) {
            return ready;
        }
        self.begin(cx, what)
    }

    /// The same, where nothing can have come before the connection was polled.
    fn begin<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut what: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Self::Task { .. } = self {
            return what(cx);
        }
        self.poll(cx);
        let polled = what(&mut Context::from_waker(Waker::noop()));
        if polled.is_pending() && !has_budget_remaining() {
            // The task has done enough for one turn, and only the waker that does nothing may have been told.
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Self::User(connection) = self
            && let Poll::Ready(ended) = connection.as_mut().poll(cx)
        {
            note_end(ended);
            *self = Self::Ended;
        }
    }

    fn detach(&mut self) {
        match mem::replace(self, Self::Ended) {
            Self::User(connection) => {
                let task = tokio::task::spawn_local(async move { note_end(connection.await) });
                *self = Self::Task {
                    _owned: Owned(task),
                };
            }
            other @ (Self::Task { .. } | Self::Ended) => *self = other,
        }
    }
}

fn note_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an outbound connection ended");
    }
}

/// The most that is read ahead of a slow caller, in bytes: as little as costs large answers no processor time.
pub(super) const READ_BUFFER: usize = 256 * 1024;

/// A request body that tells when it is done with.
type Tracked<B> = Guarded<B, Uploading>;

struct Uploading(Rc<Cell<bool>>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::task::coop::consume_budget;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_done_enough_for_one_turn_comes_again() {
        let mut driver = Driver::Ended;
        let (tell, mut told) = oneshot::channel();
        tell.send(()).unwrap();
        let mut tired = true;
        let told = poll_fn(|cx| {
            if mem::take(&mut tired) {
                while has_budget_remaining() {
                    let _ = std::pin::pin!(consume_budget()).poll(cx);
                }
            }
            driver.begin(cx, |cx| Pin::new(&mut told).poll(cx))
        });

        let begun = Instant::now();
        let told = timeout(Duration::from_secs(1), told).await;

        // What nobody wakes would have come only with the time limit.
        assert!(told.unwrap().is_ok() && begun.elapsed().is_zero());
    }
}
