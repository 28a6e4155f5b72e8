//! The response body on its way down: streamed, unbounded in size, bounded in silence.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use super::beginning::Beginning;
use super::fields;
use super::withheld::{Place, Withheld};
use crate::context::{Exchange, Successors};
use crate::error::{Error, Reason, Source};

pin_project! {
    /// The upstream's body. When it breaks off the error reaches the caller as an aborted message.
    #[derive(Debug)]
    pub struct Download<B> {
        #[pin]
        body: B,
        // What has been taken of the body already.
        beginning: Option<Bytes>,
        trailers: Option<Box<HeaderMap>>,
        // Made when the upstream is first waited for; most bodies are there at once and never need it.
        silence: Option<Pin<Box<Sleep>>>,
        waiting: bool,
        patience: Duration,
        withheld: (Rc<Withheld>, Rc<dyn Successors>),
        exchange: Rc<Exchange>,
        broken: Option<Error>,
        sent_on: bool,
    }
}

impl<B> Download<B> {
    /// Takes a body whose pieces come no further apart than `patience`, and which ends in the exchange's time if it has one.
    /// Its trailers are without what is `withheld` from callers.
    pub(super) fn new(
        body: B,
        patience: Duration,
        withheld: (Rc<Withheld>, Rc<dyn Successors>),
        exchange: Rc<Exchange>,
    ) -> Self {
        Self {
            body,
            beginning: None,
            trailers: None,
            silence: None,
            waiting: false,
            patience,
            withheld,
            exchange,
            broken: None,
            sent_on: false,
        }
    }

    /// Puts what has been taken of the body in front of what is left.
    #[must_use]
    pub(super) fn after(mut self, beginning: Beginning) -> Self {
        let Beginning {
            bytes,
            trailers,
            broken,
            ..
        } = beginning;
        self.beginning = (!bytes.is_empty()).then_some(bytes);
        self.trailers = trailers.map(Box::new);
        if let Some(error) = &broken {
            self.exchange.reason.set(Some(error.reason()));
            tracing::warn!(cause = error.chain(), "an answer was broken off");
        }
        self.broken = broken;
        self
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
        let this = self.project();
        if let Some(beginning) = this.beginning.take() {
            return Poll::Ready(Some(Ok(Frame::data(beginning))));
        }
        if this.broken.is_some() && !mem::replace(this.sent_on, true) {
            // An error ends the caller's connection with all that waits to be written, so first what came is sent on.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(passable(
                Frame::trailers(*trailers),
                this.withheld,
            ))));
        }
        let ends_by = this.exchange.ends_by.get();
        let error = match this.body.poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(_))) if ends_by.is_some_and(is_over) => out_of_time(),
            Poll::Ready(Some(Ok(frame))) => {
                *this.waiting = false;
                return Poll::Ready(Some(Ok(passable(frame, this.withheld))));
            }
            Poll::Ready(Some(Err(error))) => {
                let detail = "the upstream broke its answer off";
                Error::new(Reason::UpstreamReset, detail).because(error)
            }
            Poll::Pending => {
                let patience = *this.patience;
                let silence = this
                    .silence
                    .get_or_insert_with(|| Box::pin(sleep(patience)));
                if !mem::replace(this.waiting, true) {
                    let patient_until = Instant::now() + patience;
                    let until = ends_by.map_or(patient_until, |end| end.min(patient_until));
                    silence.as_mut().reset(until);
                }
                ready!(silence.as_mut().poll(cx));
                if ends_by.is_some_and(is_over) {
                    out_of_time()
                } else {
                    let detail = format!("the upstream sent nothing for {patience:?}");
                    Error::new(Reason::UpstreamTimeout, detail)
                }
            }
        };
        this.exchange.reason.set(Some(error.reason()));
        tracing::warn!(cause = error.chain(), "an answer was broken off");
        *this.broken = Some(error);
        *this.sent_on = true;
        // An error ends the caller's connection with all that waits to be written, so first what came is sent on.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let taken = self.beginning.is_none() && self.trailers.is_none() && self.broken.is_none();
        taken && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        if let Some(beginning) = &self.beginning {
            let taken = u64::try_from(beginning.len()).unwrap_or(u64::MAX);
            // The upper bound first, since the lower one may never pass it.
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(taken));
            }
            hint.set_lower(hint.lower().saturating_add(taken));
        }
        hint
    }
}

fn is_over(end: Instant) -> bool {
    Instant::now() >= end
}

fn out_of_time() -> Error {
    let detail = "the answer had not ended when the request's time was over";
    Error::new(Reason::UpstreamTimeout, detail)
}

/// Takes out of trailers what callers must not find there. Data is what it is.
fn passable(
    mut frame: Frame<Bytes>,
    (withheld, successors): &(Rc<Withheld>, Rc<dyn Successors>),
) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        fields::trailers(trailers);
        withheld.take_out_of(trailers, &**successors, Place::Trailers);
    }
    frame
}
