//! The outermost layer: opens a request's record, and writes it down when the answer's body has ended.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::blame::{LARGEST, blame};
use super::request_id;
use crate::context::{Exchange, Inbound, Opened, Received};
use crate::telemetry::{Outcome, Recorder};

/// The layer that keeps the access log.
#[derive(Clone, Debug)]
pub struct AccessLogLayer {
    recorder: Rc<Recorder>,
}

impl AccessLogLayer {
    /// Writes to `recorder`.
    pub fn new(recorder: Rc<Recorder>) -> Self {
        Self { recorder }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog {
            inner,
            recorder: Rc::clone(&self.recorder),
        }
    }
}

/// Keeps the access log, and gives every request an id.
#[derive(Clone, Debug)]
pub struct AccessLog<S> {
    inner: S,
    recorder: Rc<Recorder>,
}

impl<S, B, R> Service<Inbound<B>> for AccessLog<S>
where
    S: Service<Opened<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Observed<R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound<B>) -> Self::Future {
        let Inbound {
            mut request,
            connection,
            refused,
        } = inbound;
        let id = request_id::settle(request.headers_mut());
        let exchange = Rc::new(Exchange::new(
            request.method().clone(),
            request.version(),
            id,
            connection,
        ));
        let entry = Entry {
            exchange: Rc::clone(&exchange),
            recorder: Rc::clone(&self.recorder),
            outcome: Outcome::default(),
            beginning: Vec::new(),
        };
        let received = Received { request, exchange };
        ResponseFuture {
            future: self.inner.call(Opened { received, refused }),
            entry: Some(entry),
        }
    }
}

/// A request's line in the log, written when this is dropped: at the end of the body, or when the caller leaves.
#[derive(Debug)]
struct Entry {
    exchange: Rc<Exchange>,
    recorder: Rc<Recorder>,
    outcome: Outcome,
    /// The beginning of an error answer of Adobe's, as far as telling whose error it is needs it.
    beginning: Vec<u8>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let connection = &self.exchange.connection;
        // Over HTTP/2 what was read to its end of the upstream may have waited for a window.
        if connection.untaken.take() || connection.stalled.get() {
            self.outcome.complete = false;
        }
        let own = self.exchange.reason.get().is_some();
        self.outcome.blame = self
            .outcome
            .status
            .filter(|_| !own)
            .and_then(|status| blame(status, &self.beginning));
        self.recorder.record(&self.exchange, &self.outcome);
    }
}

pin_project! {
    /// The future of [`AccessLog`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        entry: Option<Entry>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<Observed<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let entry = this.entry.take();
        Poll::Ready(Ok(observe(response, entry)))
    }
}

fn observe<R: Body<Data = Bytes>>(
    response: Response<R>,
    entry: Option<Entry>,
) -> Response<Observed<R>> {
    let (head, body) = response.into_parts();
    let entry = entry.and_then(|mut entry| {
        entry.outcome.status = Some(head.status);
        let no_body = body.is_end_stream();
        entry.outcome.complete = no_body;
        (!no_body).then_some(entry)
    });
    Response::from_parts(head, Observed { body, entry })
}

pin_project! {
    /// A response body whose end is written down.
    #[derive(Debug)]
    pub struct Observed<R> {
        #[pin]
        body: R,
        entry: Option<Entry>,
    }
}

impl<R: Body<Data = Bytes>> Body for Observed<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(entry) = this.entry.as_mut() {
            entry.saw(frame.as_ref());
        }
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => this.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        // It is written when the body is dropped: a last piece may have to wait for a window, and in vain.
        if ended && let Some(entry) = this.entry.as_mut() {
            entry.outcome.complete = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Entry {
    fn saw<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) {
        let Some(Ok(frame)) = frame else { return };
        let Some(data) = frame.data_ref() else { return };
        let error = self
            .outcome
            .status
            .is_some_and(|status| status.is_client_error() || status.is_server_error());
        if error {
            // One byte more than is looked at shows that there is more.
            let room = (LARGEST + 1)
                .saturating_sub(self.beginning.len())
                .min(data.len());
            self.beginning
                .extend_from_slice(data.get(..room).unwrap_or_default());
        }
        self.outcome.response_bytes += u64::try_from(data.len()).unwrap_or(u64::MAX);
    }
}
