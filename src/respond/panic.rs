//! Keeps a panic from taking more with it than its own request.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::error::{Error, Reason};

/// The layer that turns panics into errors.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// Turns panics of everything below into errors. The panic hook has logged where it happened.
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S, In> Service<In> for CatchPanic<S>
where
    S: Service<In, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: In) -> Self::Future {
        // What a panic leaves half done belongs to the request that ends with it.
        let future = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        ResponseFuture { future }
    }
}

pin_project! {
    /// The future of [`CatchPanic`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, Error>>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.project().future.as_pin_mut() else {
            return Poll::Ready(Err(panicked()));
        };
        catch_unwind(AssertUnwindSafe(|| future.poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    }
}

fn panicked() -> Error {
    Error::new(
        Reason::Internal,
        "a fault of the gateway ended the request; please report it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when called, or when its future is polled.
    struct Faulty {
        at_once: bool,
    }

    impl Service<()> for Faulty {
        type Response = ();
        type Error = Error;
        type Future = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            assert!(!self.at_once, "in the call");
            Box::pin(async { panic!("in the future") })
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_internal_error() {
        for at_once in [true, false] {
            let mut service = CatchPanicLayer.layer(Faulty { at_once });

            assert_eq!(
                service.call(()).await.unwrap_err().reason(),
                Reason::Internal
            );
        }
    }
}
