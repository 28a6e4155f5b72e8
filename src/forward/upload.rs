//! The request body on its way up: streamed, counted and bounded, and its beginning kept in case it has to go up again.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::context::Exchange;
use crate::error::{Error, Reason, Source};

/// A caller's body. Trailers end here: nothing upstream asked for them, and they could carry fields.
///
/// It is small, since it is moved with its request, and most requests have none.
#[derive(Debug)]
pub struct Upload<B> {
    /// `None` when there is none.
    shared: Option<Rc<RefCell<Shared<B>>>>,
    /// Which of the uploads of this body it is. Only the latest gets anything.
    turn: u32,
}

/// What the uploads of one body share, one after the other.
#[derive(Debug)]
struct Shared<B> {
    /// `None` when it has ended.
    body: Option<B>,
    /// What came first, for another turn.
    kept: Kept,
    /// What has come and has not been given yet.
    pending: Option<Bytes>,
    turn: u32,
    /// Wakes the upload whose turn it is, when it waits.
    waker: Option<Waker>,
    exchange: Rc<Exchange>,
    bounds: Bounds,
    /// Made when the caller is first waited for.
    silence: Option<Pin<Box<Sleep>>>,
}

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes.
    pub bytes: u64,
    /// The longest silence between two pieces.
    pub silence: Duration,
}

/// The beginning of a body. It is copied, since a piece may hold on to a buffer many times its size.
#[derive(Debug)]
enum Kept {
    /// All that has come, of which the upload whose turn it is has been given so much.
    All { bytes: Vec<u8>, given: usize },
    /// Something is missing already. What is here is still to be given.
    Rest { bytes: Bytes },
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    /// Takes a body within `bounds`. Its beginning is kept if it `may_go_again`.
    pub fn new(body: B, exchange: &Rc<Exchange>, bounds: Bounds, may_go_again: bool) -> Self {
        let shared = (!body.is_end_stream()).then(|| {
            Rc::new(RefCell::new(Shared {
                body: Some(body),
                kept: if may_go_again {
                    Kept::All {
                        bytes: Vec::new(),
                        given: 0,
                    }
                } else {
                    Kept::nothing()
                },
                pending: None,
                turn: 0,
                waker: None,
                exchange: Rc::clone(exchange),
                bounds,
                silence: None,
            }))
        });
        Self { shared, turn: 0 }
    }

    /// Waits until it is known whether there is a payload: a body of unknown length may turn out to be none.
    ///
    /// # Errors
    /// [`Reason::BodyBroken`], [`Reason::RequestTimeout`] or [`Reason::TooLarge`], before anything has gone upstream.
    ///
    /// # Cancel safety
    /// A piece that has been taken is kept.
    pub async fn begin(&mut self) -> Result<(), Error> {
        while self.is_undecided() {
            let Some(shared) = &self.shared else { break };
            poll_fn(|cx| shared.borrow_mut().poll_first(cx)).await?;
        }
        Ok(())
    }

    /// Tells whether only its first piece or its end can show if there is a payload: its length is not known.
    pub fn is_undecided(&self) -> bool {
        !self.is_end_stream() && self.size_hint().lower() == 0
    }

    /// Tells whether there is no payload, which is certain after [`Upload::begin`].
    pub fn is_empty(&self) -> bool {
        self.is_end_stream() || self.size_hint().exact() == Some(0)
    }
}

impl<B> Upload<B> {
    /// Returns another hold on the body, from which it can go up again.
    #[must_use]
    pub fn hold(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            turn: self.turn,
        }
    }

    /// Tells whether all that has come of the body is still there, and it has not broken off.
    pub fn is_whole(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| {
            let shared = shared.borrow();
            let whole = matches!(shared.kept, Kept::All { .. });
            whole && shared.exchange.upload.fault.get().is_none()
        })
    }

    /// Returns the body from its beginning, or `None` when it is not whole any more.
    ///
    /// The uploads before get nothing more.
    pub fn again(&self) -> Option<Self> {
        if !self.is_whole() {
            return None;
        }
        let Some(shared) = &self.shared else {
            return Some(self.hold());
        };
        let mut open = shared.borrow_mut();
        if let Kept::All { given, .. } = &mut open.kept {
            *given = 0;
        }
        // It is the beginning of what was kept, or the end of it.
        open.pending = None;
        open.turn += 1;
        open.exchange.upload.waiting.set(false);
        if let Some(waker) = open.waker.take() {
            // The upload before sees that its turn is over, and ends its exchange.
            waker.wake();
        }
        Some(Self {
            turn: open.turn,
            shared: Some(Rc::clone(shared)),
        })
    }

    /// Lets go of what was kept: the body will not go up again.
    pub fn forget(&self) {
        if let Some(shared) = &self.shared {
            let shared = &mut *shared.borrow_mut();
            shared.kept.forget(shared.pending.as_ref());
        }
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    /// Takes a first piece, which the upload is given first.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_body(cx).map(|polled| {
            let piece = polled.transpose()?;
            self.pending = piece.filter(|piece| !piece.is_empty());
            Ok(())
        })
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = self.pending.take().or_else(|| self.kept.next());
        let polled = match piece {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => self.poll_body(cx),
        };
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.kept.give(piece.len());
        }
        polled
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        let upload = &self.exchange.upload;
        let waited = upload.waiting.replace(polled.is_pending());
        let data = match polled {
            Poll::Pending => {
                self.waker = Some(cx.waker().clone());
                ready!(self.poll_silence(cx, waited));
                let detail = format!(
                    "nothing of the request body came for {:?}",
                    self.bounds.silence
                );
                return self.give_up(Error::new(Reason::RequestTimeout, detail));
            }
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(error))) => {
                let detail = "the request body broke off or broke its framing";
                return self.give_up(Error::new(Reason::BodyBroken, detail).because(error));
            }
            // What is no data is trailers, and nothing follows them.
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        };
        let Some(data) = data else {
            self.body = None;
            return Poll::Ready(None);
        };
        let length = data.len().try_into().unwrap_or(u64::MAX);
        let bytes = upload.bytes.get().saturating_add(length);
        upload.bytes.set(bytes);
        if bytes > self.bounds.bytes {
            return self.give_up(too_large(self.bounds.bytes));
        }
        self.kept.keep(&data);
        Poll::Ready(Some(Ok(data)))
    }

    /// Comes back when the caller has sent nothing for too long. `waited`: it was waited for already.
    fn poll_silence(&mut self, cx: &mut Context<'_>, waited: bool) -> Poll<()> {
        let longest = self.bounds.silence;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(longest)));
        if !waited {
            silence.as_mut().reset(Instant::now() + longest);
        }
        silence.as_mut().poll(cx)
    }

    fn give_up<T>(&self, error: Error) -> Poll<Option<Result<T, Error>>> {
        self.exchange.upload.fault.set(Some(error.reason()));
        Poll::Ready(Some(Err(error)))
    }

    /// Returns how much the upload whose turn it is will still be given.
    fn size_hint(&self) -> SizeHint {
        let taken = self.left();
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        let rest = match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(taken));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(taken));
        }
        hint
    }

    /// Returns how much has come that the upload whose turn it is has not been given.
    fn left(&self) -> usize {
        let pending = self.pending.as_ref().map(Bytes::len);
        pending.unwrap_or_else(|| self.kept.left())
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0 && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Kept {
    fn nothing() -> Self {
        Self::Rest {
            bytes: Bytes::new(),
        }
    }

    /// Keeps what has come, if there is room and nothing is missing before it.
    fn keep(&mut self, piece: &Bytes) {
        match self {
            Self::All { bytes, .. } if bytes.len() + piece.len() <= MOST_KEPT => {
                bytes.extend_from_slice(piece);
            }
            // Who takes this piece has been given all before it.
            Self::All { .. } => *self = Self::nothing(),
            Self::Rest { .. } => {}
        }
    }

    /// Returns what the upload whose turn it is has not been given.
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::All { bytes, given } => {
                let rest = bytes.get(*given..)?;
                (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest))
            }
            Self::Rest { bytes } => {
                let rest = mem::take(bytes);
                (!rest.is_empty()).then_some(rest)
            }
        }
    }

    /// Notes that the upload whose turn it is was given so much.
    fn give(&mut self, length: usize) {
        if let Self::All { given, .. } = self {
            *given += length;
        }
    }

    /// Lets go of all that has been given, or is `pending` besides.
    fn forget(&mut self, pending: Option<&Bytes>) {
        let rest = self.next().filter(|_| pending.is_none());
        *self = Self::Rest {
            bytes: rest.unwrap_or_default(),
        };
    }

    fn left(&self) -> usize {
        match self {
            Self::All { bytes, given } => bytes.len().saturating_sub(*given),
            Self::Rest { bytes } => bytes.len(),
        }
    }
}

/// Bytes of a body that are kept to send them again: more than all but the largest bodies Adobe takes.
pub const MOST_KEPT: usize = 256 * 1024;

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(shared) = &self.shared else {
            return Poll::Ready(None);
        };
        let mut shared = shared.borrow_mut();
        if shared.turn != self.turn {
            let detail = "the request went upstream again";
            return Poll::Ready(Some(Err(Error::new(Reason::Internal, detail))));
        }
        shared
            .poll_piece(cx)
            .map(|polled| polled.map(|read| read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_none_or(|shared| shared.borrow().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.shared {
            Some(shared) => shared.borrow().size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// Makes the error for a body of more than `limit` bytes.
pub fn too_large(limit: u64) -> Error {
    Error::new(
        Reason::TooLarge,
        format!("a request body may have {limit} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::{HeaderValue, Method, Version};
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;
    use crate::context::{Accepts, Connection};

    /// A body in pieces whose length is not known.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn upload(pieces: &[usize], may_go_again: bool) -> Upload<Pieces> {
        let address = ([127, 0, 0, 1], 1).into();
        let exchange = Exchange::new(
            Method::POST,
            Version::HTTP_11,
            HeaderValue::from_static("id"),
            Rc::new(Connection::new(address, address, Accepts::anybody(true))),
        );
        let pieces = pieces.iter().enumerate();
        let pieces = pieces.map(|(number, length)| {
            let byte = u8::try_from(number % 251).unwrap();
            Bytes::from(vec![byte; *length])
        });
        Upload::new(
            Pieces(pieces.collect()),
            &Rc::new(exchange),
            Bounds {
                bytes: u64::MAX,
                silence: Duration::MAX,
            },
            may_go_again,
        )
    }

    fn whole(pieces: &[usize]) -> Vec<u8> {
        let pieces = pieces.iter().enumerate();
        pieces.fold(Vec::new(), |mut all, (number, length)| {
            all.extend(vec![u8::try_from(number % 251).unwrap(); *length]);
            all
        })
    }

    /// Takes at most `frames` of an upload.
    async fn take(upload: &mut Upload<Pieces>, frames: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        for _ in 0..frames {
            let Some(frame) = upload.frame().await else {
                break;
            };
            taken.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        taken
    }

    proptest! {
        #[test]
        fn a_body_goes_up_again_from_its_beginning_whatever_had_gone(
            pieces in prop::collection::vec(0_usize..70_000, 1..8),
            begun in any::<bool>(),
            frames in 0_usize..10,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut first = upload(&pieces, true);
                if begun {
                    first.begin().await.unwrap();
                }
                let hold = first.hold();
                let gone = take(&mut first, frames).await;
                assert!(whole(&pieces).starts_with(&gone));
                let Some(mut second) = hold.again() else {
                    assert!(gone.len() > MOST_KEPT || whole(&pieces).len() > MOST_KEPT);
                    return;
                };
                assert!(gone.len() <= MOST_KEPT);
                assert!(first.frame().await.unwrap().is_err(), "its turn is over");
                let again = take(&mut second, usize::MAX).await;
                assert_eq!(again, whole(&pieces));
                assert!(second.is_end_stream());
            });
        }

        #[test]
        fn what_is_forgotten_has_been_given_and_nothing_else_is(
            pieces in prop::collection::vec(1_usize..70_000, 1..8),
            begun in any::<bool>(),
            frames in 0_usize..10,
            may_go_again in any::<bool>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut upload = upload(&pieces, may_go_again);
                if begun {
                    upload.begin().await.unwrap();
                }
                let mut all = take(&mut upload, frames).await;
                upload.forget();
                assert!(!upload.is_whole() && upload.again().is_none());
                all.extend(take(&mut upload, usize::MAX).await);
                assert_eq!(all, whole(&pieces));
            });
        }
    }
}
