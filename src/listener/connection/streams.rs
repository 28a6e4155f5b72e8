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

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

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
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when there is something to be taken, until hyper asks for more.
    offered: Cell<Option<Instant>>,
}

impl Pace {
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
        let pace = Rc::new(Pace::default());
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
    /// It is offered by small pieces: the library takes a piece whole as soon as there is a window for its first byte, and
    /// asks for the next. So a last byte is a piece of its own, which waits until the caller has a window for all that
    /// came before: only then is the answer over, and what is counted with it.
    pub(super) struct Paced<B> {
        #[pin]
        body: B,
        pace: Option<Rc<Pace>>,
        // What is left of a larger piece.
        rest: Bytes,
    }
}

/// Bytes. A frame of the usual size, and little enough that a slow caller is told from one that takes nothing.
const PIECE: usize = 16 * 1024;

/// Bytes. What the library may hold of an answer that is over: so little is not worth a frame.
const SMALL: usize = 1024;

impl<B> Paced<B> {
    /// Notes in `pace` how `body` is taken, if it is given.
    pub(super) fn new(body: B, pace: Option<Rc<Pace>>) -> Self {
        Self {
            body,
            pace,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(pace) = this.pace else {
            return this.body.poll_frame(cx);
        };
        if this.rest.is_empty() {
            let Poll::Ready(polled) = this.body.poll_frame(cx) else {
                pace.offered.set(None);
                return Poll::Pending;
            };
            pace.offer();
            match polled.map(|polled| polled.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *this.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        pace.offer();
        let left = this.rest.len();
        let keeps_one = left > SMALL && left <= PIECE;
        let piece = if keeps_one { left - 1 } else { left.min(PIECE) };
        let piece = this.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(of_body.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_offered_by_small_pieces_until_its_end() {
        let pace = Rc::new(Pace::default());
        let bytes = Bytes::from(vec![7; 2 * PIECE + 1]);
        let mut body = Paced::new(Full::new(bytes), Some(Rc::clone(&pace)));
        assert_eq!(body.size_hint().exact(), Some(32 * 1024 + 1));

        let mut sizes = Vec::new();
        while !body.is_end_stream() {
            let frame = body.frame().await.unwrap().unwrap();
            sizes.push(frame.into_data().unwrap().len());
            assert!(pace.offered.get().is_some());
            let left = body.size_hint().exact().unwrap();
            let taken: usize = sizes.iter().sum();
            assert_eq!(left, u64::try_from(2 * PIECE + 1 - taken).unwrap());
        }

        assert_eq!(sizes, [PIECE, PIECE, 1]);
        assert!(body.frame().await.is_none());
        assert_eq!(pieces(2 * PIECE).await, [PIECE, PIECE - 1, 1]);
        assert_eq!(pieces(SMALL + 1).await, [SMALL, 1]);
        assert_eq!(pieces(SMALL).await, [SMALL]);
    }

    async fn pieces(length: usize) -> Vec<usize> {
        let pace = Rc::new(Pace::default());
        let mut body = Paced::new(Full::new(Bytes::from(vec![7; length])), Some(pace));
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
        }
        sizes
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
        let pace = Rc::new(Pace::default());
        let mut body = Paced::new(Awaited, Some(Rc::clone(&pace)));
        pace.offer();

        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx)));

        assert!(polled.await.is_pending());
        assert!(pace.offered.get().is_none());
    }
}
