//! Looks at what hyper reads more generously than others do of answers, and at what it reads without end.
//!
//! hyper ends a line at a bare line feed and passes over empty lines before an answer. Whoever can have an upstream put a
//! line feed into a field could so make fields of an answer, or a whole one, for whoever reads alike. Of interim answers and of
//! zeros before the size of a piece it reads any number.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use memchr::{memchr, memchr_iter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http1::READ_BUFFER;

/// A connection to an origin whose answers are looked at.
pub(super) struct Answers<S> {
    stream: S,
    progress: Progress,
    place: Place,
}

/// How far an exchange is; whoever has the connection says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Rc<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether a head comes next.
    head: Cell<bool>,
    /// Bytes that were read since the last piece of a body.
    framing: Cell<usize>,
}

impl Progress {
    /// Says that a request is sent, so that a head comes next.
    pub(super) fn sent(&self) {
        let Self(state) = self;
        state.head.set(true);
        state.framing.set(0);
    }

    /// Says that a piece of the answer's body has come.
    pub(super) fn moved(&self) {
        let Self(state) = self;
        state.framing.set(0);
    }

    /// Counts bytes of a body and of what frames it.
    fn read(&self, bytes: usize) -> Result<(), BadAnswer> {
        let Self(state) = self;
        let framing = state.framing.get().saturating_add(bytes);
        state.framing.set(framing);
        if framing > MOST_FRAMING {
            return Err(BadAnswer::Framing);
        }
        Ok(())
    }
}

/// How far a head has come.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes of the line so far.
    line: usize,
    /// Whether the last of them is a carriage return.
    returned: bool,
    /// Lines before this one.
    lines: usize,
    /// Whether the status begins with 1, so that another head follows.
    interim: bool,
    /// How many such heads came before this one.
    interims: usize,
}

/// An answer is none that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAnswer {
    #[error("more than {MOST_FRAMING} bytes of an answer had nothing of its body among them")]
    Framing,
    #[error("a line of the answer's head ends in a bare line feed, or is empty before its first")]
    Line,
    #[error("more than {MOST_INTERIMS} interim answers came before the answer")]
    Interims,
}

/// How many interim answers are passed over before one answer. hyper reads any number of them in one turn, in which nobody
/// else on the thread is served and no time is over.
const MOST_INTERIMS: usize = 32;

/// Bytes. More than is read ahead of a piece of a body that nobody has taken yet.
const MOST_FRAMING: usize = 4 * READ_BUFFER;

impl<S> Answers<S> {
    /// Looks at what is read of `stream`, as `progress` says what it is.
    pub(super) fn new(stream: S, progress: Progress) -> Self {
        Self {
            stream,
            progress,
            place: Place::default(),
        }
    }
}

impl Place {
    /// Follows `bytes`, and tells whether the head that is waited for ends within them.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<bool, BadAnswer> {
        if self.lines == 0
            && self.line == 0
            && bytes.get(STATUS).is_none_or(|digit| *digit != b'1')
            && is_whole(bytes)?
        {
            return Ok(true);
        }
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, b""));
            self.note(line);
            let returned = match end.checked_sub(1).and_then(|before| line.get(before)) {
                Some(before) => *before == b'\r',
                None => self.returned,
            };
            let empty = self.line == 2;
            if !returned || (empty && self.lines == 0) {
                return Err(BadAnswer::Line);
            }
            bytes = rest;
            self.returned = false;
            if !empty {
                self.line = 0;
                self.lines += 1;
            } else if self.interim {
                if self.interims == MOST_INTERIMS {
                    return Err(BadAnswer::Interims);
                }
                *self = Self {
                    interims: self.interims + 1,
                    ..Self::default()
                };
            } else {
                return Ok(true);
            }
        }
        self.note(bytes);
        self.returned = bytes.last() == Some(&b'\r');
        Ok(false)
    }

    /// Counts bytes of a line. The tenth of the first is the first digit of the status.
    fn note(&mut self, bytes: &[u8]) {
        if self.lines == 0
            && let Some(at) = STATUS.checked_sub(self.line)
            && let Some(digit) = bytes.get(at)
        {
            self.interim = *digit == b'1';
        }
        self.line += bytes.len();
    }
}

/// Tells whether a head ends within `bytes`, which begin with it, as nearly all do: that is known at half the cost of
/// following lines through pieces.
fn is_whole(bytes: &[u8]) -> Result<bool, BadAnswer> {
    let mut begins = 0;
    for end in memchr_iter(b'\n', bytes) {
        let returned = end > begins && bytes.get(end - 1) == Some(&b'\r');
        if !returned || (begins == 0 && end == 1) {
            return Err(BadAnswer::Line);
        }
        if end == begins + 1 {
            return Ok(true);
        }
        begins = end + 1;
    }
    Ok(false)
}

/// Where the status begins in the first line.
const STATUS: usize = "HTTP/1.1 ".len();

impl<S: AsyncRead + Unpin> AsyncRead for Answers<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let Self {
            progress, place, ..
        } = this;
        let looked = if progress.0.head.get() {
            place.follow(fresh).map(|ended| {
                if ended {
                    *place = Place::default();
                    progress.0.head.set(false);
                }
            })
        } else {
            progress.read(fresh.len())
        };
        Poll::Ready(looked.map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answers<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in pieces of `size` bytes: how many bytes were looked at when the head ended.
    fn follow(text: &str, size: usize) -> Result<Option<usize>, BadAnswer> {
        let mut place = Place::default();
        let mut looked_at = 0;
        for piece in text.as_bytes().chunks(size) {
            looked_at += piece.len();
            if place.follow(piece)? {
                return Ok(Some(looked_at));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_ends_at_its_empty_line_in_whatever_pieces_it_comes() {
        let plain = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        let bare = "HTTP/1.1 204 No Content\r\n\r\n";
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        for text in [plain, bare, interim] {
            for size in 1..=text.len() {
                let body = format!("{text}\n\nbody\n");
                let ended = follow(&body, size).unwrap().unwrap();
                assert!(
                    ended >= text.len() && ended < text.len() + size,
                    "{text} by {size}"
                );
                assert_eq!(follow(text.strip_suffix('\n').unwrap(), size), Ok(None));
            }
        }
    }

    #[test]
    fn lines_that_end_as_none_may_are_found_in_whatever_pieces_they_come() {
        for text in [
            "HTTP/1.1 200 OK\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n\n",
            "HTTP/1.1 200 OK\n\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nA: b\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            for size in 1..=text.len() {
                assert_eq!(
                    follow(text, size),
                    Err(BadAnswer::Line),
                    "{text:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn interim_answers_are_passed_over_up_to_a_number() {
        let interim = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\n\r\n";
        let text = [&interim.repeat(MOST_INTERIMS), last].concat();
        let more = [interim, &text].concat();
        for size in [1, 7, text.len()] {
            assert!(matches!(follow(&text, size), Ok(Some(_))), "{size}");
            assert_eq!(follow(&more, size), Err(BadAnswer::Interims), "{size}");
        }
    }
}
