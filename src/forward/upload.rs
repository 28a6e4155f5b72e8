//! The request body on its way up: streamed, counted and bounded, and its beginning kept in case it has to go up again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

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
    /// What has come but is not kept, and has not been given yet.
    pending: Option<Bytes>,
    turn: u32,
    exchange: Rc<Exchange>,
    limit: u64,
}

/// The beginning of a body.
#[derive(Debug, Default)]
struct Kept {
    pieces: Vec<Bytes>,
    /// What the pieces take in memory, about.
    cost: usize,
    /// How many pieces the upload whose turn it is has given.
    given: usize,
    /// Whether something is missing already.
    incomplete: bool,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    /// Takes a body of at most `limit` bytes.
    pub fn new(body: B, exchange: &Rc<Exchange>, limit: u64) -> Self {
        let shared = (!body.is_end_stream()).then(|| {
            Rc::new(RefCell::new(Shared {
                body: Some(body),
                kept: Kept::default(),
                pending: None,
                turn: 0,
                exchange: Rc::clone(exchange),
                limit,
            }))
        });
        Self { shared, turn: 0 }
    }

    /// Waits until it is known whether there is a payload: a body of unknown length may turn out to be none.
    ///
    /// # Errors
    /// [`Reason::BodyBroken`] or [`Reason::TooLarge`], before anything has gone upstream.
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
            !shared.kept.incomplete && shared.exchange.upload.fault.get().is_none()
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
        open.turn += 1;
        open.kept.given = 0;
        Some(Self {
            turn: open.turn,
            shared: Some(Rc::clone(shared)),
        })
    }

    /// Lets go of what was kept: the body will not go up again.
    pub fn forget(&self) {
        if let Some(shared) = &self.shared {
            shared.borrow_mut().kept.forget();
        }
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    /// Takes a first piece, and keeps it for the upload.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_body(cx).map(|polled| {
            let piece = polled.transpose()?.filter(|piece| !piece.is_empty());
            if let Some(piece) = piece
                && !self.kept.keep(&piece)
            {
                self.pending = Some(piece);
            }
            Ok(())
        })
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(piece) = self.kept.next() {
            return Poll::Ready(Some(Ok(piece)));
        }
        if let Some(piece) = self.pending.take() {
            return Poll::Ready(Some(Ok(piece)));
        }
        let polled = self.poll_body(cx);
        if let Poll::Ready(Some(Ok(piece))) = &polled
            && self.kept.keep(piece)
        {
            self.kept.given += 1;
        }
        polled
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        let upload = &self.exchange.upload;
        upload.waiting.set(polled.is_pending());
        let data = match polled {
            Poll::Pending => return Poll::Pending,
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
        if bytes > self.limit {
            return self.give_up(too_large(self.limit));
        }
        Poll::Ready(Some(Ok(data)))
    }

    fn give_up<T>(&self, error: Error) -> Poll<Option<Result<T, Error>>> {
        self.exchange.upload.fault.set(Some(error.reason()));
        Poll::Ready(Some(Err(error)))
    }

    /// Returns how much the upload whose turn it is will still be given.
    fn size_hint(&self) -> SizeHint {
        let taken = self.kept.left() + self.pending.as_ref().map_or(0, Bytes::len);
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

    fn is_end_stream(&self) -> bool {
        self.kept.left() == 0
            && self.pending.is_none()
            && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Kept {
    /// Keeps a piece if there is room and nothing is missing before it. Once something is missing, nothing is kept.
    fn keep(&mut self, piece: &Bytes) -> bool {
        let cost = piece.len() + size_of::<Bytes>();
        if self.incomplete || self.cost + cost > MOST_KEPT {
            self.forget();
            return false;
        }
        self.cost += cost;
        self.pieces.push(if piece.len() < SMALL {
            // A small piece may hold on to a large buffer.
            Bytes::copy_from_slice(piece)
        } else {
            piece.clone()
        });
        true
    }

    /// Returns the next piece for the upload whose turn it is.
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.pieces.get(self.given)?;
        self.given += 1;
        Some(piece.clone())
    }

    /// Lets go of all that has been given.
    fn forget(&mut self) {
        self.incomplete = true;
        self.pieces.drain(..self.given.min(self.pieces.len()));
        self.given = 0;
    }

    fn left(&self) -> usize {
        let pieces = self.pieces.iter().skip(self.given);
        pieces.map(Bytes::len).sum()
    }
}

/// Bytes of a body that are kept to send them again: more than all but the largest bodies Adobe takes.
pub const MOST_KEPT: usize = 256 * 1024;
const SMALL: usize = 512;

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
