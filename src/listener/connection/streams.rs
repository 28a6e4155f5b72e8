//! Gives HTTP/2 streams up whose caller takes nothing of the answer.
//!
//! A caller that opens no window keeps an answer, its place among the requests in flight and a connection to the
//! upstream, while the socket takes bytes and pings are answered: nothing that is timed elsewhere ever stands still.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::Pieces;
use crate::connect::LocalExecutor;
use crate::context::Connection;

/// The streams of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    connection: Rc<Connection>,
    limit: Duration,
    /// The stream whose request has been given to the service and not yet to the executor, which hyper does in one go.
    opened: Rc<RefCell<Option<Rc<Pace>>>>,
}

/// How an answer is taken.
#[derive(Debug)]
pub(super) struct Pace {
    connection: Rc<Connection>,
    /// Since when there is something to be taken, until hyper asks for more.
    offered: Cell<Option<Instant>>,
    /// Whether the last piece is gone.
    last_gone: Cell<bool>,
}

impl Pace {
    fn new(connection: Rc<Connection>) -> Self {
        Self {
            connection,
            offered: Cell::new(None),
            last_gone: Cell::new(false),
        }
    }

    /// Notes that there is something to be taken.
    pub(super) fn offer(&self) {
        self.offered.set(Some(Instant::now()));
    }
}

impl Streams {
    /// Watches the streams of `connection`, each of which may stand still for `limit`.
    pub(super) fn new(connection: Rc<Connection>, limit: Duration) -> Self {
        Self {
            connection,
            limit,
            opened: Rc::default(),
        }
    }

    /// Begins the record of a stream.
    pub(super) fn open(&self) -> Rc<Pace> {
        let pace = Rc::new(Pace::new(Rc::clone(&self.connection)));
        self.opened.replace(Some(Rc::clone(&pace)));
        pace
    }
}

/// Runs what hyper makes of a stream until it ends or stands still for too long.
impl<F: Future + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Some(pace) = self.opened.take() else {
            return LocalExecutor.execute(stream);
        };
        let (connection, limit) = (Rc::clone(&self.connection), self.limit);
        LocalExecutor.execute(async move {
            let watched = Watched {
                stream,
                pace,
                limit,
                timer: None,
            };
            let mut watched = std::pin::pin!(Some(watched));
            let over = {
                let Some(watched) = watched.as_mut().as_pin_mut() else {
                    return;
                };
                watched.await
            };
            if over.is_err() {
                // Who writes the access line, as the answer is dropped, looks why.
                let before = connection.stalled.replace(true);
                watched.set(None);
                connection.stalled.set(before);
            }
        });
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        stream: F,
        pace: Rc<Pace>,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

/// A stream stood still for too long.
struct StoodStill;

impl<F: Future> Future for Watched<F> {
    type Output = Result<(), StoodStill>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let Some(offered) = this.pace.offered.get() else {
            return Poll::Pending;
        };
        let due = offered + *this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(StoodStill))
    }
}

pin_project! {
    /// An answer's body that tells how it is taken.
    ///
    /// It is offered by small pieces, so that it is over only when the caller has a window for nearly all of it, and with it
    /// what is counted with it. Dropped before, it says so to who is dropped with it.
    pub(super) struct Paced<B> {
        #[pin]
        pieces: Pieces<B>,
        pace: Option<Rc<Pace>>,
    }

    impl<B> PinnedDrop for Paced<B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(pace) = &this.pace
                && (this.pieces.has_rest() || pace.last_gone.get())
            {
                pace.connection.untaken.set(true);
            }
        }
    }
}

/// A piece of an answer.
///
/// hyper holds the last one while there is no window for it, and tells nobody whether it came to be sent. If it did, the
/// piece outlasts the answer's body; else it goes first.
pub(super) struct Piece {
    bytes: Bytes,
    /// The answer, if this is its last piece.
    last_of: Option<Rc<Pace>>,
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(pace) = &self.last_of {
            pace.last_gone.set(true);
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}

impl<B> Paced<B> {
    /// Notes in `pace` how `body` is taken, if it is given.
    pub(super) fn new(body: B, pace: Option<Rc<Pace>>) -> Self {
        let pieces = Pieces::new(body);
        Self { pieces, pace }
    }
}

impl<B: Body<Data = Bytes>> Body for Paced<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let mut this = self.project();
        let polled = match this.pace {
            None => this.pieces.as_mut().whole().poll_frame(cx),
            Some(pace) => {
                let polled = this.pieces.as_mut().poll_frame(cx);
                let offered = polled.is_ready().then(Instant::now);
                pace.offered.set(offered);
                polled
            }
        };
        let is_last = || this.pieces.is_end_stream();
        polled.map(|polled| {
            polled.map(|read| {
                read.map(|frame| {
                    frame.map_data(|bytes| {
                        let last_of = this.pace.as_ref().filter(|_| is_last()).cloned();
                        Piece { bytes, last_of }
                    })
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::context::Accepts;

    fn pace() -> Pace {
        let address = ([127, 0, 0, 1], 1).into();
        Pace::new(Rc::new(Connection::new(
            address,
            address,
            Accepts::anybody(true),
        )))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_is_offered_by_pieces() {
        let pace = Rc::new(pace());
        let answer = Full::new(Bytes::from(vec![7; 2000]));
        let mut body = Paced::new(answer, Some(Rc::clone(&pace)));

        for size in [1999, 1] {
            let frame = body.frame().await.unwrap().unwrap();

            assert_eq!(frame.into_data().ok().unwrap().remaining(), size);
            assert!(pace.offered.take().is_some());
        }
        assert!(body.is_end_stream());
    }

    /// A body whose next piece has not come.
    struct Awaited;

    impl Body for Awaited {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_upstream_is_waited_for_nothing_is_offered() {
        let pace = Rc::new(pace());
        let mut body = Paced::new(Awaited, Some(Rc::clone(&pace)));
        pace.offer();

        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx)));

        assert!(polled.await.is_pending());
        assert!(pace.offered.get().is_none());
    }
}
