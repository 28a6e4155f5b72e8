//! A request body over a shared connection, which whoever has the exchange can call off.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use crate::error::Source;

/// A request body that a task of the HTTP/2 library sends, whatever becomes of its answer.
pub(super) struct Outgoing<B> {
    body: B,
    /// `None` when there is no body.
    held: Option<Held>,
}

/// How far a body is on its way.
#[derive(Debug, Default)]
pub(super) struct Sending {
    called_off: Cell<bool>,
    over: Cell<bool>,
    ended: Notify,
    /// Wakes the library when it waits for more of the body.
    waker: RefCell<Option<Waker>>,
}

/// Notes the end of a body, or that the library let go of it.
struct Held(Rc<Sending>);

impl<B: Body> Outgoing<B> {
    /// Takes a body, and returns with it what tells how far it is, if there is any.
    pub(super) fn new(body: B) -> (Self, Option<Rc<Sending>>) {
        let sending = (!body.is_end_stream()).then(Rc::<Sending>::default);
        let held = sending.clone().map(Held);
        (Self { body, held }, sending)
    }
}

impl<B> Outgoing<B> {
    /// Returns the body, of which nothing was sent.
    pub(super) fn into_body(self) -> B {
        self.body
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
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self(sending) = self;
        sending.over.set(true);
        sending.ended.notify_waiters();
    }
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    type Data = Bytes;
    type Error = Source;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Source>>> {
        if let Some(Held(sending)) = &self.held {
            if sending.called_off.get() {
                // The library resets the stream for the reason it finds in the error.
                let error = h2::Error::from(h2::Reason::CANCEL);
                return Poll::Ready(Some(Err(error.into())));
            }
            sending.waker.replace(Some(cx.waker().clone()));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map(|frame| frame.map(|read| read.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
