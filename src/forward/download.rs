//! The response body on its way down: streamed, unbounded in size, bounded in silence.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use crate::context::Exchange;
use crate::error::{Error, Reason, Source};

pin_project! {
    /// The upstream's body. When it breaks off the error reaches the caller as an aborted message.
    #[derive(Debug)]
    pub struct Download<B> {
        #[pin]
        body: B,
        // Set while the upstream is waited for; most bodies are there at once and never set it.
        #[pin]
        silence: Option<Sleep>,
        patience: Duration,
        exchange: Rc<Exchange>,
        broken: Option<Error>,
    }
}

impl<B> Download<B> {
    /// Takes a body whose pieces come no further apart than `patience`.
    pub fn new(body: B, patience: Duration, exchange: Rc<Exchange>) -> Self {
        Self {
            body,
            silence: None,
            patience,
            exchange,
            broken: None,
        }
    }
}

impl<B> Body for Download<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Source>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let error = match this.body.poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                this.silence.set(None);
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => {
                let detail = "the upstream broke its answer off";
                Error::new(Reason::UpstreamReset, detail).because(error)
            }
            Poll::Pending => {
                if this.silence.is_none() {
                    this.silence.set(Some(sleep(*this.patience)));
                }
                match this
                    .silence
                    .as_mut()
                    .as_pin_mut()
                    .map(|silence| silence.poll(cx))
                {
                    Some(Poll::Ready(())) => {
                        let detail = format!("the upstream sent nothing for {:?}", this.patience);
                        Error::new(Reason::UpstreamTimeout, detail)
                    }
                    Some(Poll::Pending) | None => return Poll::Pending,
                }
            }
        };
        this.exchange.reason.set(Some(error.reason()));
        tracing::warn!(cause = error.chain(), "an answer was broken off");
        // An error ends the caller's connection with all that waits to be written, so first what came is sent on.
        *this.broken = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
