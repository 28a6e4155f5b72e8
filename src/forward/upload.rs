//! The request body on its way up: streamed, counted and bounded.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::context::Exchange;
use crate::error::{Error, Reason, Source};

/// A caller's body. Trailers end here: nothing upstream asked for them, and they could carry fields.
#[derive(Debug)]
pub struct Upload<B> {
    body: B,
    exchange: Rc<Exchange>,
    limit: u64,
}

impl<B> Upload<B> {
    /// Takes a body of at most `limit` bytes.
    pub fn new(body: B, exchange: Rc<Exchange>, limit: u64) -> Self {
        Self {
            body,
            exchange,
            limit,
        }
    }

    fn give_up(&self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
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
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Makes the error for a body of more than `limit` bytes.
pub fn too_large(limit: u64) -> Error {
    Error::new(
        Reason::TooLarge,
        format!("a request body may have {limit} bytes"),
    )
}
