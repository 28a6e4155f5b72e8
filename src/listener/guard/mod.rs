//! Stands between the socket and hyper, and lets nothing ambiguous past.
//!
//! The guard follows the framing of every HTTP/1 request on the connection. A head that must not be passed on is
//! replaced by a short stand-in, and the reason is kept for the service that will be called with it: so a refused
//! request gets an answer, a log line and a count like every other. A body that breaks its framing ends in an error.

mod chunks;
mod head;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

pub use self::chunks::{BadChunk, Chunks};
pub use self::head::{Framing, Head, MOST_FIELDS, check};
pub(super) use self::head::{is_host, parse_length, spells};
use super::Limits;
use super::activity::{Activity, Reading};
use crate::context::Connection;
use crate::error::{Error, Reason};

/// A caller's connection, watched.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    limits: Limits,
    connection: Rc<Connection>,
    activity: Rc<Activity>,
    state: State,
    /// Bytes of a head that has not all arrived, or that have been judged but not yet taken.
    held: Vec<u8>,
    /// How many of `held` may be taken.
    judged: usize,
    /// Whether `held` has grown since it was judged.
    grown: bool,
    /// Runs while a head has begun and not all arrived.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the connection closes with something unread.
    farewell: Option<Farewell>,
    heads: u64,
    verdict: Verdict,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge.
    Http2,
}

/// Which request of a connection is refused, and why; shared with the service.
#[derive(Clone, Debug, Default)]
pub struct Verdict(Rc<RefCell<Option<(u64, Refusal)>>>);

/// A request that was not let past.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// Its method, as far as it could be told.
    pub method: Option<Method>,
}

impl Verdict {
    /// Takes the refusal if it is of the `request`-th head of the connection, counted from 0.
    pub fn take(&self, request: u64) -> Option<Refusal> {
        let mut refused = self.0.borrow_mut();
        match refused.take() {
            Some((which, refusal)) if which == request => Some(refusal),
            other => {
                *refused = other;
                None
            }
        }
    }
}

/// Reads the method off the start of a head.
fn method(head: &[u8]) -> Option<Method> {
    let word = head.trim_ascii_start().split(|byte| *byte == b' ').next()?;
    Method::from_bytes(word).ok()
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A head comes next.
    Head,
    /// A body of known length, with this much left.
    Length(u64),
    /// A chunked body.
    Chunked(Chunks),
    /// A body broke its framing.
    Broken(BadChunk),
    /// A head was refused: nothing after it is read.
    Refused,
    /// Not HTTP/1: everything passes.
    Unwatched,
}

/// Reading on for a while after the last answer, so that the caller can read it: closing with unread bytes would
/// reset the connection and might take the answer with it.
#[derive(Debug)]
struct Farewell {
    patience: Pin<Box<Sleep>>,
    bytes_left: usize,
}

/// What hyper reads in place of a refused head. Its method is no caller's: hyper would refuse it too, but for us.
const STAND_IN: &[u8] = b"REFUSED / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The same in place of a `HEAD`, so that hyper sends no body after the answer's head.
const STAND_IN_FOR_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head: three bytes of length, the kind, flags, and four bytes of stream.
const FRAME_HEAD: usize = 9;

/// Tells whether the first frame after the preface is the one that belongs to it (RFC 9113 §3.4), which the HTTP/2 library
/// does without.
fn begins_with_settings(frame: &[u8]) -> bool {
    matches!(frame, [_, _, _, 4, flags, 0, 0, 0, 0] if flags & 1 == 0)
}

/// How much is read at once of what cannot be judged yet, in bytes.
const PIECE: usize = 4096;

const FAREWELL: Duration = Duration::from_secs(2);
const FAREWELL_BYTES: usize = 4 * 1024 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Watches `stream`, the socket of `connection`.
    pub fn new(stream: S, limits: Limits, connection: Rc<Connection>) -> Self {
        Self::with_activity(stream, limits, connection, Activity::new())
    }

    /// Watches `stream` and notes in `activity` what is read.
    pub(super) fn with_activity(
        stream: S,
        limits: Limits,
        connection: Rc<Connection>,
        activity: Rc<Activity>,
    ) -> Self {
        Self {
            stream,
            limits,
            connection,
            activity,
            state: State::Head,
            held: Vec::new(),
            judged: 0,
            grown: false,
            head_timer: None,
            farewell: None,
            heads: 0,
            verdict: Verdict::default(),
        }
    }

    /// Returns the place where the refusal of a request will be found.
    pub fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// Waits for the first bytes and tells what the connection speaks, or `None` when it says nothing in time.
    ///
    /// # Errors
    /// The socket's.
    pub async fn recognize(&mut self, http2: bool) -> io::Result<Option<Protocol>> {
        let Ok(recognized) = timeout(self.limits.head_timeout, self.first_bytes(http2)).await
        else {
            return Ok(None);
        };
        let recognized = recognized?;
        if recognized == Some(Protocol::Http2) {
            self.state = State::Unwatched;
            self.judged = self.held.len();
        }
        Ok(recognized)
    }

    async fn first_bytes(&mut self, http2: bool) -> io::Result<Option<Protocol>> {
        loop {
            if !self.more().await? {
                return Ok(None);
            }
            let shared = self.held.len().min(PREFACE.len());
            let like_http2 = http2 && self.held.get(..shared) == PREFACE.get(..shared);
            if !like_http2 {
                return Ok(Some(Protocol::Http1));
            }
            let rest = self.held.get(PREFACE.len()..).unwrap_or_default();
            if let Some(frame) = rest.get(..FRAME_HEAD) {
                return if begins_with_settings(frame) {
                    Ok(Some(Protocol::Http2))
                } else {
                    let detail = "the first frame of HTTP/2 is not SETTINGS";
                    Err(io::Error::new(io::ErrorKind::InvalidData, detail))
                };
            }
        }
    }

    /// Waits until more bytes have arrived, and keeps them to be judged; `false` at the end of the connection.
    ///
    /// Until then there is no buffer for them: a connection that only waits should cost next to nothing.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn more(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut fresh = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut fresh))?;
        self.held.extend_from_slice(fresh.filled());
        self.grown |= !fresh.filled().is_empty();
        Poll::Ready(Ok(!fresh.filled().is_empty()))
    }

    /// Takes back what had been let past and was not used: whole requests, or empty lines before one, which are passed
    /// over. Tells whether there are any requests.
    pub(super) fn take_back(&mut self, unused: &Bytes) -> bool {
        let mut rest: &[u8] = unused;
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        self.held.splice(..0, rest.iter().copied());
        self.judged += rest.len();
        !self.held.is_empty()
    }

    /// Returns what has begun to arrive and not all arrived.
    fn reading(&self) -> Reading {
        match self.state {
            State::Head if self.held.is_empty() => Reading::Nothing,
            State::Head => Reading::Head,
            State::Length(_)
            | State::Chunked(_)
            | State::Broken(_)
            | State::Refused
            | State::Unwatched => Reading::Body,
        }
    }

    /// Judges `bytes` and returns how many of them may pass: all, or those before a head that has not all arrived
    /// or is refused.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return at;
            }
            match &mut self.state {
                // Empty lines before a request are passed over (RFC 9112 §2.2), by hyper too.
                State::Head if rest.starts_with(b"\r\n") => at += 2,
                State::Head => match check(rest, &self.limits, self.connection.local) {
                    Ok(Some(head)) => {
                        self.heads += 1;
                        self.head_timer = None;
                        at += head.bytes;
                        self.state = match head.framing {
                            Framing::Chunked => State::Chunked(Chunks::default()),
                            Framing::Length(0) => State::Head,
                            Framing::Length(length) => State::Length(length),
                        };
                    }
                    Ok(None) => return at,
                    Err(refusal) => {
                        self.refuse(refusal, method(rest));
                        return at;
                    }
                },
                State::Length(left) => {
                    let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*left);
                    *left -= here;
                    at += usize::try_from(here).unwrap_or(rest.len());
                    if *left == 0 {
                        self.state = State::Head;
                    }
                }
                State::Chunked(chunks) => match chunks.follow(rest) {
                    Ok(Some(end)) => {
                        at += end;
                        self.state = State::Head;
                    }
                    Ok(None) => return bytes.len(),
                    Err(bad) => {
                        self.state = State::Broken(bad);
                        return at;
                    }
                },
                State::Broken(_) | State::Refused => return at,
                State::Unwatched => return bytes.len(),
            }
        }
    }

    fn refuse(&mut self, error: Error, method: Option<Method>) {
        *self.verdict.0.borrow_mut() = Some((self.heads, Refusal { error, method }));
        self.state = State::Refused;
        self.head_timer = None;
    }

    /// Takes what has been judged.
    fn take_held(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.judged.min(buffer.remaining());
        buffer.put_slice(self.held.get(..count).unwrap_or_default());
        self.held.drain(..count);
        self.judged -= count;
        if self.held.is_empty() {
            // An idle connection keeps no buffer.
            self.held = Vec::new();
        }
    }

    /// Judges what is held, and puts the stand-in after it when a head was refused.
    fn judge_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.judged = self.judge(&held);
        self.held = held;
        self.grown = false;
        if matches!(self.state, State::Refused) {
            self.held.truncate(self.judged);
            let head = self
                .verdict
                .0
                .borrow()
                .as_ref()
                .is_some_and(|(_, refusal)| refusal.method == Some(Method::HEAD));
            self.held
                .extend_from_slice(if head { STAND_IN_FOR_HEAD } else { STAND_IN });
            self.judged = self.held.len();
        }
    }

    fn poll_head_timer(&mut self, cx: &mut Context<'_>) {
        let limit = self.limits.head_timeout;
        let timer = self
            .head_timer
            .get_or_insert_with(|| Box::pin(sleep(limit)));
        if timer.as_mut().poll(cx).is_ready() {
            let detail = format!("the request head did not arrive within {limit:?}");
            let method = method(&self.held);
            self.refuse(Error::new(Reason::RequestTimeout, detail), method);
            self.held.clear();
            self.judge_held();
        }
    }

    fn poll_judged(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.judged == 0 && self.grown {
                self.judge_held();
            }
            if self.judged > 0 {
                self.take_held(buffer);
                return Poll::Ready(Ok(()));
            }
            match self.state {
                State::Refused => return Poll::Pending,
                State::Broken(bad) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, bad)));
                }
                State::Head | State::Length(_) | State::Chunked(_) | State::Unwatched => {}
            }
            if self.held.is_empty() {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
                let fresh = buffer.filled().get(before..).unwrap_or_default();
                if fresh.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let passed = self.judge(fresh);
                if passed == fresh.len() {
                    return Poll::Ready(Ok(()));
                }
                self.held = fresh.get(passed..).unwrap_or_default().to_vec();
                self.grown = true;
                buffer.set_filled(before + passed);
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match self.poll_more(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    // The caller left in the middle of a head.
                    self.held = Vec::new();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.poll_head_timer(cx);
                    if self.judged == 0 {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.poll_judged(cx, buffer);
        this.activity.set_reading(this.reading());
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if matches!(this.state, State::Head | State::Unwatched) {
                return Poll::Ready(Ok(()));
            }
        }
        let farewell = this.farewell.get_or_insert_with(|| Farewell {
            patience: Box::pin(sleep(FAREWELL)),
            bytes_left: FAREWELL_BYTES,
        });
        let mut piece = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut piece);
            match Pin::new(&mut this.stream).poll_read(cx, &mut unread) {
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {
                    farewell.bytes_left = farewell.bytes_left.saturating_sub(unread.filled().len());
                    if farewell.bytes_left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return farewell.patience.as_mut().poll(cx).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests;
