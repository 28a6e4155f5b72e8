//! The shape of a stage that decides on the request head alone, and its tower face.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::error::Error;

/// A step of the request's path that lets it through, changed in type, or refuses it.
pub trait Stage<In> {
    /// What the stage below takes.
    type Out;

    /// Decides.
    ///
    /// # Errors
    /// The refusal, which ends the request's path.
    fn pass(&self, request: In) -> Result<Self::Out, Error>;
}

/// Puts a [`Stage`] in front of a service.
#[derive(Debug)]
pub struct StageLayer<T>(Rc<T>);

impl<T> StageLayer<T> {
    /// Wraps the stage.
    pub fn new(stage: Rc<T>) -> Self {
        Self(stage)
    }
}

impl<T, S> Layer<S> for StageLayer<T> {
    type Service = Staged<T, S>;

    fn layer(&self, inner: S) -> Staged<T, S> {
        Staged {
            stage: Rc::clone(&self.0),
            inner,
        }
    }
}

/// A service behind a [`Stage`].
#[derive(Debug)]
pub struct Staged<T, S> {
    stage: Rc<T>,
    inner: S,
}

impl<T, S: Clone> Clone for Staged<T, S> {
    fn clone(&self) -> Self {
        Self {
            stage: Rc::clone(&self.stage),
            inner: self.inner.clone(),
        }
    }
}

impl<In, T, S> Service<In> for Staged<T, S>
where
    T: Stage<In>,
    S: Service<T::Out, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: In) -> Self::Future {
        let state = match self.stage.pass(request) {
            Ok(request) => State::Passed {
                future: self.inner.call(request),
            },
            Err(refusal) => State::Refused {
                refusal: Some(refusal),
            },
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The future of [`Staged`]: the inner one, or a refusal at once.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Passed { #[pin] future: F },
        Refused { refusal: Option<Error> },
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, Error>>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Passed { future } => future.poll(cx),
            StateProjection::Refused { refusal } => ended(refusal),
        }
    }
}

/// Ends a future with its refusal.
fn ended<R>(refusal: &mut Option<Error>) -> Poll<Result<R, Error>> {
    let refusal = refusal.take();
    Poll::Ready(Err(
        refusal.expect("a future is not polled after it is ready")
    ))
}

pin_project! {
    /// The future of a service that seldom has to wait before it can decide: the inner one, a refusal at once, or one in a
    /// box.
    pub struct WaitingFuture<F: Future> {
        #[pin]
        state: Waiting<F>,
    }
}

pin_project! {
    #[project = WaitingProjection]
    enum Waiting<F: Future> {
        Passed { #[pin] future: F },
        Refused { refusal: Option<Error> },
        Boxed { future: Pin<Box<dyn Future<Output = F::Output>>> },
    }
}

impl<F: Future> WaitingFuture<F> {
    /// Is the inner service's future.
    pub fn passed(future: F) -> Self {
        Self {
            state: Waiting::Passed { future },
        }
    }

    /// Ends at once.
    pub fn refused(refusal: Error) -> Self {
        let refusal = Some(refusal);
        Self {
            state: Waiting::Refused { refusal },
        }
    }

    /// Waits first.
    pub fn waiting(future: impl Future<Output = F::Output> + 'static) -> Self {
        Self {
            state: Waiting::Boxed {
                future: Box::pin(future),
            },
        }
    }
}

impl<F, R> Future for WaitingFuture<F>
where
    F: Future<Output = Result<R, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            WaitingProjection::Passed { future } => future.poll(cx),
            WaitingProjection::Refused { refusal } => ended(refusal),
            WaitingProjection::Boxed { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F: Future> fmt::Debug for WaitingFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Ready;

    use super::*;
    use crate::error::Reason;

    struct Even;

    impl Stage<u32> for Even {
        type Out = u64;

        fn pass(&self, request: u32) -> Result<u64, Error> {
            if request.is_multiple_of(2) {
                Ok(u64::from(request))
            } else {
                Err(Error::new(Reason::Internal, "odd"))
            }
        }
    }

    /// Counts its calls and answers with the request.
    #[derive(Clone, Default)]
    struct Echo(Rc<Cell<u32>>);

    impl Service<u64> for Echo {
        type Response = u64;
        type Error = Error;
        type Future = Ready<Result<u64, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: u64) -> Self::Future {
            self.0.set(self.0.get() + 1);
            std::future::ready(Ok(request))
        }
    }

    #[tokio::test]
    async fn a_refusal_does_not_call_inward() {
        let echo = Echo::default();
        let mut service = StageLayer::new(Rc::new(Even)).layer(echo.clone());

        let refused = service.call(3).await.unwrap_err();
        let passed = service.call(4).await.unwrap();

        assert_eq!(refused.detail(), "odd");
        assert_eq!(passed, 4);
        assert_eq!(echo.0.get(), 1);
    }
}
