//! A body by small pieces, at whose end nearly all of it is known to have a way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body that is offered by small pieces.
    ///
    /// The HTTP/2 library takes a piece whole as soon as there is a window for its first byte, asks for the next, and lets
    /// go of the body with the last. So a last byte is a piece of its own, which waits until there is a window for all
    /// that came before. It costs a frame, so it is kept back only of a piece that may be the last: of each one, small
    /// ones aside, where only the end itself tells that it has come.
    #[derive(Debug)]
    pub struct Pieces<B> {
        #[pin]
        body: B,
        // What is left of a larger piece.
        rest: Bytes,
    }
}

/// Bytes. A frame of the usual size, and little enough that a slow reader is told from one that takes nothing.
const PIECE: usize = 16 * 1024;

/// Bytes. What the library may hold of a body that is over: so little is not worth a frame.
const SMALL: usize = 1024;

impl<B> Pieces<B> {
    /// Takes a body.
    pub fn new(body: B) -> Self {
        Self {
            body,
            rest: Bytes::new(),
        }
    }

    /// Returns the body, of which nothing was taken.
    pub fn into_body(self) -> B {
        self.body
    }

    /// Tells whether something was taken of the body that has not been offered yet.
    pub fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Returns the body, for who takes all of it as it comes.
    pub fn whole(self: Pin<&mut Self>) -> Pin<&mut B> {
        self.project().body
    }
}

impl<B: Body<Data = Bytes>> Body for Pieces<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if this.rest.is_empty() {
            let polled = ready!(this.body.as_mut().poll_frame(cx));
            match polled.map(|polled| polled.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *this.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let left = this.rest.len();
        let keeps_one = left > SMALL && left <= PIECE && may_be_over(&*this.body);
        let piece = if keeps_one { left - 1 } else { left.min(PIECE) };
        let piece = this.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(of_body.lower().saturating_add(rest));
        hint
    }
}

/// Tells whether nothing may follow what has been taken of `body`.
fn may_be_over(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact().is_none_or(|left| left == 0)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_is_offered_by_small_pieces_until_its_end() {
        let bytes = Bytes::from(vec![7; 2 * PIECE + 1]);
        let mut body = Pieces::new(Full::new(bytes));
        assert_eq!(body.size_hint().exact(), Some(32 * 1024 + 1));

        let mut sizes = Vec::new();
        while !body.is_end_stream() {
            let frame = body.frame().await.unwrap().unwrap();
            sizes.push(frame.into_data().unwrap().len());
            let left = body.size_hint().exact().unwrap();
            let taken: usize = sizes.iter().sum();
            assert_eq!(left, u64::try_from(2 * PIECE + 1 - taken).unwrap());
        }

        assert_eq!(sizes, [PIECE, PIECE, 1]);
        assert!(body.frame().await.is_none());
        assert_eq!(
            pieces(Full::from(vec![7; 2 * PIECE])).await,
            [PIECE, PIECE - 1, 1]
        );
        assert_eq!(pieces(Full::from(vec![7; SMALL + 1])).await, [SMALL, 1]);
        assert_eq!(pieces(Full::from(vec![7; SMALL])).await, [SMALL]);
    }

    #[tokio::test]
    async fn only_what_may_be_the_last_piece_goes_without_its_last_byte() {
        let pieces_of = |tells| pieces(Coming::new(&[2000, 3000, 500, 20_000, 4000], tells));

        let end = [2000, 3000, 500, PIECE, 20_000 - PIECE, 3999, 1];
        assert_eq!(pieces_of(Tells::Length).await, end);
        assert_eq!(pieces_of(Tells::End).await, end);
        let each = [
            [1999, 1, 2999, 1].as_slice(),
            &[500, PIECE, 20_000 - PIECE - 1, 1, 3999, 1],
        ];
        assert_eq!(pieces_of(Tells::Nothing).await, each.concat());
    }

    async fn pieces<B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin>(body: B) -> Vec<usize> {
        let mut body = Pieces::new(body);
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
        }
        sizes
    }

    /// A body that comes in pieces.
    struct Coming(VecDeque<Bytes>, Tells);

    /// What a body tells of its end.
    #[derive(Clone, Copy, PartialEq)]
    enum Tells {
        /// That nothing is left, with the last piece, and how much is left before.
        End,
        /// How much is left.
        Length,
        Nothing,
    }

    impl Coming {
        fn new(sizes: &[usize], tells: Tells) -> Self {
            let pieces = sizes.iter().map(|size| Bytes::from(vec![7; *size]));
            Self(pieces.collect(), tells)
        }
    }

    impl Body for Coming {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }

        fn is_end_stream(&self) -> bool {
            self.1 == Tells::End && self.0.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            if self.1 == Tells::Nothing {
                return SizeHint::default();
            }
            let left: usize = self.0.iter().map(Bytes::len).sum();
            SizeHint::with_exact(left.try_into().unwrap())
        }
    }
}
