//! A request body over a shared connection, which whoever has the exchange can call off.
//!
//! The HTTP/2 library sends it in a task of its own, whatever becomes of the answer, and does not ask for more of it while
//! it waits for a window. So it is the task that is ended.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use crate::body::Pieces;

/// A request body that a task of the library sends.
///
/// It is asked for by small pieces, so that its end says that there was a window for nearly all of it: what the library
/// has been given to its end cannot be called off any more.
pub(super) struct Outgoing<B> {
    pieces: Pieces<B>,
    /// `None` when there is no body.
    held: Option<Held>,
}

/// The body whose sending a connection has begun, and whose task it has not given to its executor, which hyper does in
/// one go.
#[derive(Clone, Default)]
pub(super) struct Begun(Rc<Cell<Option<Rc<Sending>>>>);

/// How far a body is on its way.
#[derive(Debug, Default)]
pub(super) struct Sending {
    called_off: Cell<bool>,
    over: Cell<bool>,
    ended: Notify,
    /// Wakes the task that sends it.
    waker: RefCell<Option<Waker>>,
}

/// Notes the end of a body, or that the library let go of it.
struct Held {
    sending: Rc<Sending>,
    /// Where its beginning is noted; `None` when it has been.
    begun: Option<Begun>,
}

impl<B: Body> Outgoing<B> {
    /// Takes a body that goes over the connection of `begun`, and returns with it what tells how far it is, if there is
    /// any.
    pub(super) fn new(body: B, begun: &Begun) -> (Self, Option<Rc<Sending>>) {
        let sending = (!body.is_end_stream()).then(Rc::<Sending>::default);
        let held = sending.clone().map(|sending| Held {
            sending,
            begun: Some(begun.clone()),
        });
        let pieces = Pieces::new(body);
        (Self { pieces, held }, sending)
    }
}

impl<B> Outgoing<B> {
    /// Returns the body, of which nothing was sent.
    pub(super) fn into_body(self) -> B {
        self.pieces.into_body()
    }
}

impl Begun {
    /// Returns the body that the task sends which comes to the executor now, if it sends one.
    pub(super) fn take(&self) -> Option<Rc<Sending>> {
        let Self(begun) = self;
        // One that went in one go has no task.
        begun.take().filter(|sending| !sending.is_over())
    }
}

impl Sending {
    /// Tells whether nothing more of the body is to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Waits until nothing more of the body is to be sent.
    pub(super) async fn over(&self) {
        while !self.over.get() {
            self.ended.notified().await;
        }
    }

    /// Has the stream reset, if the body has not ended.
    pub(super) fn call_off(&self) {
        self.called_off.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Comes back when the body was called off. The last task to ask is woken.
    pub(super) fn poll_called_off(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.called_off.get() {
            return Poll::Ready(());
        }
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sending.over.set(true);
        self.sending.ended.notify_waiters();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(Held { sending, begun }) = &mut self.held
            && let Some(Begun(begun)) = begun.take()
        {
            begun.set(Some(Rc::clone(sending)));
        }
        Pin::new(&mut self.pieces).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.size_hint()
    }
}
