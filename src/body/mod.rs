//! Response bodies: the upstream's, streamed, or a short one of the gateway's own; and how bodies are taken.

mod pieces;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pub use self::pieces::Pieces;

pin_project! {
    /// A response body of either origin.
    #[derive(Debug)]
    pub struct Answer<B> {
        #[pin]
        origin: Origin<B>,
    }
}

pin_project! {
    #[project = OriginProjection]
    #[derive(Debug)]
    enum Origin<B> {
        Upstream { #[pin] body: B },
        Own { text: Option<Bytes> },
    }
}

impl<B> Answer<B> {
    /// Makes a body of the gateway's own.
    pub fn own(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self {
            origin: Origin::Own {
                text: (!text.is_empty()).then_some(text),
            },
        }
    }

    /// Takes the upstream's body, to be passed on as it comes.
    pub fn upstream(body: B) -> Self {
        Self {
            origin: Origin::Upstream { body },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().origin.project() {
            OriginProjection::Upstream { body } => body.poll_frame(cx),
            OriginProjection::Own { text } => {
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.origin {
            Origin::Upstream { body } => body.is_end_stream(),
            Origin::Own { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            Origin::Upstream { body } => body.size_hint(),
            Origin::Own { text } => {
                let bytes = text.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(bytes.try_into().unwrap_or(u64::MAX))
            }
        }
    }
}

pin_project! {
    /// A body that lets go of `guard` when it is dropped, or is asked for more than there is.
    ///
    /// Its last piece is no end: who takes it may have to hold it until there is a window for it.
    #[derive(Debug)]
    pub struct Guarded<B, G> {
        #[pin]
        body: B,
        guard: Option<G>,
    }
}

impl<B: Body, G> Guarded<B, G> {
    /// Ties `guard` to `body`. A body that is already at its end lets go at once.
    pub fn new(body: B, guard: G) -> Self {
        let guard = (!body.is_end_stream()).then_some(guard);
        Self { body, guard }
    }
}

impl<B, G> Guarded<B, G> {
    /// Lets go, and returns the body.
    pub fn into_body(self) -> B {
        self.body
    }
}

impl<B: Body, G> Body for Guarded<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            this.guard.take();
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_guard_goes_with_who_has_taken_the_last_piece_or_an_early_drop() {
        let guard = Rc::new(());

        let mut read = Guarded::new(Full::new(Bytes::from_static(b"x")), Rc::clone(&guard));
        assert!(read.frame().await.is_some() && read.is_end_stream());
        assert_eq!(Rc::strong_count(&guard), 2);
        assert!(read.frame().await.is_none());
        assert_eq!(Rc::strong_count(&guard), 1);

        drop(Guarded::new(
            Full::new(Bytes::from_static(b"x")),
            Rc::clone(&guard),
        ));
        assert_eq!(Rc::strong_count(&guard), 1);
    }
}
