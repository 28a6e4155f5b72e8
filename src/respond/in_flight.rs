//! Bounds how many requests are in flight, so that memory is bounded too.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use prometheus_client::metrics::gauge::Gauge;
use tower::{Layer, Service};

use crate::body::Guarded;
use crate::error::{Error, Reason};

/// The layer that bounds requests in flight. Clones share the bound.
#[derive(Clone, Debug)]
pub struct InFlightLayer {
    count: Arc<AtomicUsize>,
    most: usize,
    gauge: Gauge,
}

impl InFlightLayer {
    /// Lets at most `most` requests be in flight, shown by `gauge`.
    pub fn new(most: usize, gauge: Gauge) -> Self {
        Self {
            count: Arc::default(),
            most,
            gauge,
        }
    }

    /// Returns the same layer with another bound. What is in flight goes on counting, and finishes even over the bound.
    #[must_use]
    pub fn with_most(&self, most: usize) -> Self {
        Self {
            most,
            ..self.clone()
        }
    }

    fn take(&self) -> Option<Place> {
        let place = Place {
            count: Arc::clone(&self.count),
            gauge: self.gauge.clone(),
        };
        self.gauge.inc();
        // A place over the bound is given back at once, by being dropped.
        (self.count.fetch_add(1, Ordering::Relaxed) < self.most).then_some(place)
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight {
            inner,
            limit: self.clone(),
        }
    }
}

/// Refuses at once what is over the bound.
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    limit: InFlightLayer,
}

/// A place among the requests in flight, held until the answer's last byte.
#[derive(Debug)]
pub struct Place {
    count: Arc<AtomicUsize>,
    gauge: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec();
    }
}

impl<S, In, R> Service<In> for InFlight<S>
where
    S: Service<In, Response = Response<R>, Error = Error>,
    R: Body,
{
    type Response = Response<Guarded<R, Place>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: In) -> Self::Future {
        match self.limit.take() {
            Some(place) => ResponseFuture {
                future: Some(self.inner.call(request)),
                place: Some(place),
            },
            None => ResponseFuture {
                future: None,
                place: None,
            },
        }
    }
}

pin_project! {
    /// The future of [`InFlight`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: Option<F>,
        place: Option<Place>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
    R: Body,
{
    type Output = Result<Response<Guarded<R, Place>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (Some(future), Some(_)) = (this.future.as_pin_mut(), this.place.as_ref()) else {
            let detail = "as many requests are in flight as the gateway allows";
            return Poll::Ready(Err(
                Error::new(Reason::Overloaded, detail).after(Duration::from_secs(1))
            ));
        };
        let response = ready!(future.poll(cx))?;
        Poll::Ready(match this.place.take() {
            Some(place) => Ok(response.map(|body| Guarded::new(body, place))),
            None => Err(Error::new(
                Reason::Internal,
                "the answer was asked for twice",
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[derive(Clone)]
    struct Answers;

    impl Service<()> for Answers {
        type Response = Response<Full<Bytes>>;
        type Error = Error;
        type Future = std::future::Ready<Result<Self::Response, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(Response::new(Full::new(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_body_ends() {
        let layer = InFlightLayer::new(1, Gauge::default());
        let mut service = layer.layer(Answers);

        let first = service.call(()).await.unwrap();
        let refused = service.call(()).await.unwrap_err();
        first.into_body().collect().await.unwrap();
        let second = service.call(()).await;

        assert_eq!(refused.reason(), Reason::Overloaded);
        assert!(second.is_ok());
        drop(second);
        assert_eq!(layer.count.load(Ordering::Relaxed), 0);
        assert_eq!(layer.gauge.get(), 0);
    }

    #[tokio::test]
    async fn a_lower_bound_counts_what_is_in_flight_already() {
        let before = InFlightLayer::new(3, Gauge::default());
        let mut old = before.layer(Answers);
        let under_way = [
            old.call(()).await.unwrap(),
            old.call(()).await.unwrap(),
            old.call(()).await.unwrap(),
        ];
        let mut new = before.with_most(2).layer(Answers);

        let refused = new.call(()).await.unwrap_err();
        let [first, second, _third] = under_way;
        drop(first);
        let still_refused = new.call(()).await.unwrap_err();
        drop(second);

        assert_eq!(refused.reason(), Reason::Overloaded);
        assert_eq!(still_refused.reason(), Reason::Overloaded);
        assert!(new.call(()).await.is_ok());
    }
}
