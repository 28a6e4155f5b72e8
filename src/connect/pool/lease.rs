//! A connection, or a place on one, while an exchange has it.

use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::Inner;
use super::book::{Given, Id, Whole};
use super::counts::Cause;
use super::http1::Http1;
use super::open::Http2;
use super::outgoing::Sending;

/// A connection in use. Dropped, it closes an HTTP/1.1 connection, since its exchange has not come to its end.
pub(in crate::connect) struct Lease<B> {
    held: Held<B>,
    pool: Rc<Inner<B>>,
    /// Whether the connection may have died of old age before it was taken.
    pub(super) reused: bool,
}

pub(super) enum Held<B> {
    /// HTTP/1.1: this exchange alone has it.
    Whole(Whole<Box<Http1<B>>>),
    /// HTTP/2: one of several, and the request's body on its way.
    Stream(Id, Http2<B>, Option<Rc<Sending>>),
    /// It has been given back.
    Nothing,
}

impl<B> Lease<B> {
    pub(super) fn new(
        given: Given<Box<Http1<B>>, Http2<B>>,
        pool: Rc<Inner<B>>,
        reused: bool,
    ) -> Self {
        let held = match given {
            Given::Whole(whole) => Held::Whole(whole),
            Given::Stream(id, shared) => Held::Stream(id, shared, None),
        };
        Self { held, pool, reused }
    }

    /// Returns what requests are sent with.
    pub(super) fn held(&mut self) -> &mut Held<B> {
        &mut self.held
    }

    /// Tells whether a request can be sent at once.
    pub(super) fn is_ready(&self) -> bool {
        match &self.held {
            Held::Whole(whole) => whole.connection.is_ready(),
            Held::Stream(_, shared, _) => shared.sender.is_ready(),
            Held::Nothing => false,
        }
    }

    /// Notes that the connection broke, or the exchange on it.
    pub(in crate::connect) fn broke(mut self) {
        self.end(Cause::Dead);
    }

    /// Ends the exchange, and a whole connection with it.
    fn end(&mut self, cause: Cause) {
        // What is dropped with the connection may come back here, so the book must not be open then.
        let held = mem::replace(&mut self.held, Held::Nothing);
        if let Held::Stream(_, _, Some(sending)) = &held {
            sending.call_off();
        }
        let mut book = self.pool.book.borrow_mut();
        match &held {
            Held::Whole(_) => book.lost(cause),
            Held::Stream(id, shared, _) if shared.sender.is_closed() => book.ended(*id),
            Held::Stream(id, shared, _) => {
                if let Some(streams) = shared.allowed() {
                    book.allow_streams(*id, streams);
                }
                book.stream_over(*id, Instant::now);
            }
            Held::Nothing => return,
        }
        drop(book);
        drop(held);
        self.pool.proceed();
    }
}

impl<B: 'static> Lease<B> {
    /// Polls the body of the answer, and the connection with it where nobody else does.
    pub(in crate::connect) fn poll_frame(
        &mut self,
        incoming: Pin<&mut Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.held {
            Held::Whole(whole) => whole.connection.poll_frame(incoming, cx),
            Held::Stream(..) | Held::Nothing => incoming.poll_frame(cx),
        }
    }

    /// Ends the exchange: the connection is free for the next one.
    pub(in crate::connect) fn give_back(mut self) {
        // The answer is complete, but the request's body may still be on its way.
        let whole = match &self.held {
            Held::Whole(whole) if whole.connection.is_closed() => return self.end(Cause::Dead),
            Held::Whole(whole) => whole.connection.is_ready(),
            Held::Stream(_, _, Some(sending)) if !sending.is_over() => false,
            Held::Stream(..) | Held::Nothing => return self.end(Cause::Dead),
        };
        if !whole {
            return self.settle();
        }
        if let Held::Whole(whole) = mem::replace(&mut self.held, Held::Nothing) {
            self.pool.book.borrow_mut().give_back(whole, Instant::now());
            self.pool.proceed();
        }
    }

    /// Waits for the rest of the request to go, and gives the connection back then.
    fn settle(mut self) {
        tokio::task::spawn_local(async move {
            let settled = match &mut self.held {
                Held::Whole(whole) => timeout(REST_OF_REQUEST, whole.connection.ready()).await,
                Held::Stream(_, _, Some(sending)) => {
                    let over = timeout(REST_OF_REQUEST, sending.over()).await;
                    over.map(Ok)
                }
                Held::Stream(_, _, None) | Held::Nothing => return,
            };
            match settled {
                Ok(Ok(())) => self.give_back(),
                Ok(Err(_)) => self.broke(),
                // Dropped, it ends the exchange.
                Err(_) => {}
            }
        });
    }
}

/// How long the rest of a request may still go up when its answer is complete: long enough for what is on its way, since
/// a caller may send all before it reads, and too short to keep connections from others with.
const REST_OF_REQUEST: Duration = Duration::from_secs(1);

impl<B> Drop for Lease<B> {
    fn drop(&mut self) {
        self.end(Cause::Abandoned);
    }
}
