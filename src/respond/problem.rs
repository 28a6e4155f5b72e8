//! Turns errors into answers: problem+json (RFC 9457) and `Proxy-Status` (RFC 9209).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::{HeaderName, HeaderValue, Method, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;
use serde::Serialize;
use tower::{Layer, Service};

use crate::aep::fields::X_REQUEST_ID;
use crate::body::Answer;
use crate::context::{Exchange, Opened, Received};
use crate::error::{Error, Reason, Side};

/// The layer that turns errors into answers.
#[derive(Clone, Copy, Debug)]
pub struct ProblemsLayer;

impl<S> Layer<S> for ProblemsLayer {
    type Service = Problems<S>;

    fn layer(&self, inner: S) -> Problems<S> {
        Problems { inner }
    }
}

/// Turns the errors of everything below into answers, and the listener's refusals too.
#[derive(Clone, Debug)]
pub struct Problems<S> {
    inner: S,
}

impl<S, B, R> Service<Opened<B>> for Problems<S>
where
    S: Service<Received<B>, Response = Response<R>, Error = Error>,
    R: Body,
{
    type Response = Response<Answer<R>>;
    type Error = std::convert::Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The stack is always ready: what it cannot take it answers with a problem.
        let _ = self.inner.poll_ready(cx);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, opened: Opened<B>) -> Self::Future {
        let Opened { received, refused } = opened;
        let exchange = Rc::clone(&received.exchange);
        match refused {
            Some(refused) => ResponseFuture {
                future: None,
                refused: Some(refused),
                exchange,
            },
            None => ResponseFuture {
                future: Some(self.inner.call(received)),
                refused: None,
                exchange,
            },
        }
    }
}

pin_project! {
    /// The future of [`Problems`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: Option<F>,
        refused: Option<Error>,
        exchange: Rc<Exchange>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
    R: Body,
{
    type Output = Result<Response<Answer<R>>, std::convert::Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.future.as_pin_mut() {
            Some(future) => ready!(future.poll(cx)),
            None => Err(this
                .refused
                .take()
                .unwrap_or_else(|| Error::new(Reason::Internal, "the answer was asked for twice"))),
        };
        Poll::Ready(Ok(match result {
            Ok(response) => response.map(Answer::upstream),
            Err(error) => {
                this.exchange.reason.set(Some(error.reason()));
                this.exchange.cause.set(error.cause());
                tell(&error, this.exchange);
                problem(&error, this.exchange)
            }
        }))
    }
}

/// Logs what the caller is not told. What a caller did wrong is its own to read, and could fill the log.
fn tell(error: &Error, exchange: &Exchange) {
    let request_id = exchange.request_id.to_str().unwrap_or_default();
    // Told once, as it began, and then answered at once to everybody who comes; without keys, whoever that is.
    let held_back = matches!(
        error.reason(),
        Reason::KeysUnavailable | Reason::UpstreamFailing | Reason::UpstreamPaused
    );
    match error.reason().meaning().side {
        _ if held_back => {
            tracing::debug!(request_id, cause = error.chain(), "a request was held back");
        }
        Side::Caller => tracing::debug!(request_id, cause = error.chain(), "a request was refused"),
        Side::Gateway => tracing::error!(request_id, cause = error.chain(), "a request failed"),
        Side::Ims | Side::Upstream => {
            tracing::warn!(request_id, cause = error.chain(), "a request failed");
        }
    }
}

/// The members of a problem. `type` and `title` are RFC 9457's; the rest is ours.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
    side: &'a str,
    retry: &'a str,
    request_id: &'a str,
}

static PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Makes the answer that tells a caller of `error`.
pub fn problem<R: Body>(error: &Error, exchange: &Exchange) -> Response<Answer<R>> {
    let meaning = error.reason().meaning();
    let body = serde_json::to_vec(&Problem {
        kind: format!("urn:profile-gateway:problem:{}", meaning.code),
        title: meaning.title,
        status: meaning.status.as_u16(),
        detail: error.detail(),
        reason: meaning.code,
        side: meaning.side.as_str(),
        retry: meaning.retry.as_str(),
        request_id: exchange.request_id.to_str().unwrap_or_default(),
    })
    .unwrap_or_default();
    let length = body.len();
    let body = if exchange.method == Method::HEAD {
        Vec::new()
    } else {
        body
    };

    let mut response = Response::new(Answer::own(body));
    *response.status_mut() = meaning.status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID.clone(), exchange.request_id.clone());
    let status = format!(
        "profile-gateway; error={}; details=\"{}\"",
        meaning.proxy_error, meaning.code
    );
    if let Ok(value) = HeaderValue::from_str(&status) {
        headers.insert(PROXY_STATUS.clone(), value);
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in error.fields() {
        headers.insert(name.clone(), value.clone());
    }
    response
}
