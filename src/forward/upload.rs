//! The request body on its way up: streamed, counted and bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::context::Exchange;
use crate::error::{Error, Reason, Source};

/// A caller's body. Trailers end here: nothing upstream asked for them, and they could carry fields.
///
/// It is small, since it is moved with its request, and most requests have none.
#[derive(Debug)]
pub struct Upload<B> {
    /// `None` when there is none, or it has ended.
    open: Option<Box<Open<B>>>,
}

#[derive(Debug)]
struct Open<B> {
    body: B,
    /// What [`Upload::begin`] has taken already.
    first: Option<Bytes>,
    exchange: Rc<Exchange>,
    limit: u64,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    /// Takes a body of at most `limit` bytes.
    pub fn new(body: B, exchange: &Rc<Exchange>, limit: u64) -> Self {
        let open = (!body.is_end_stream()).then(|| {
            Box::new(Open {
                body,
                first: None,
                exchange: Rc::clone(exchange),
                limit,
            })
        });
        Self { open }
    }

    /// Waits until it is known whether there is a payload: a body of unknown length may turn out to be none.
    ///
    /// # Errors
    /// [`Reason::BodyBroken`] or [`Reason::TooLarge`], before anything has gone upstream.
    ///
    /// # Cancel safety
    /// A piece that has been taken is kept.
    pub async fn begin(&mut self) -> Result<(), Error> {
        while self.is_undecided() {
            let piece = poll_fn(|cx| self.poll_piece(cx)).await.transpose()?;
            if let Some(open) = &mut self.open {
                open.first = piece.filter(|piece| !piece.is_empty());
            }
        }
        Ok(())
    }

    /// Tells whether only its first piece or its end can show if there is a payload: its length is not known.
    pub fn is_undecided(&self) -> bool {
        let first_is_taken = self.open.as_ref().is_some_and(|open| open.first.is_some());
        !first_is_taken && !self.is_end_stream() && self.size_hint().lower() == 0
    }

    /// Tells whether there is no payload, which is certain after [`Upload::begin`].
    pub fn is_empty(&self) -> bool {
        self.is_end_stream() || self.size_hint().exact() == Some(0)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        let polled = open.poll_piece(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.open = None;
        }
        polled
    }
}

impl<B> Open<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let upload = &self.exchange.upload;
        upload.waiting.set(polled.is_pending());
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => {
                let detail = "the request body broke off or broke its framing";
                self.give_up(Error::new(Reason::BodyBroken, detail).because(error))
            }
            Poll::Ready(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    return Poll::Ready(None);
                };
                let bytes = upload
                    .bytes
                    .get()
                    .saturating_add(data.len().try_into().unwrap_or(u64::MAX));
                upload.bytes.set(bytes);
                if bytes > self.limit {
                    return self.give_up(too_large(self.limit));
                }
                Poll::Ready(Some(Ok(data)))
            }
        }
    }

    fn give_up<T>(&self, error: Error) -> Poll<Option<Result<T, Error>>> {
        self.exchange.upload.fault.set(Some(error.reason()));
        Poll::Ready(Some(Err(error)))
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.poll_piece(cx)
            .map(|polled| polled.map(|read| read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.open
            .as_ref()
            .is_none_or(|open| open.first.is_none() && open.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(open) = &self.open else {
            return SizeHint::with_exact(0);
        };
        let taken = open.first.as_ref().map_or(0, Bytes::len);
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        let rest = open.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(taken));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(taken));
        }
        hint
    }
}

/// Makes the error for a body of more than `limit` bytes.
pub fn too_large(limit: u64) -> Error {
    Error::new(
        Reason::TooLarge,
        format!("a request body may have {limit} bytes"),
    )
}
