//! Bodies that are made while they are sent: large ones, and ones that break off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::answer::Content;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Half of it is sent, then nothing, with the connection open.
    Stalled,
    /// Half of it is sent, then the connection is closed.
    Truncated,
    /// All of it is sent.
    Whole,
}

/// How often the end of a truncated body is put off, so that the half before it leaves first.
const FLUSH_TURNS: u8 = 3;
const CHUNK: usize = 64 * 1024;
static FILLER: [u8; CHUNK] = [b'x'; CHUNK];

/// A body that is sent in pieces.
#[derive(Debug)]
pub(super) struct Chunks {
    before: Bytes,
    filler: u64,
    after: Bytes,
    /// What the head announces.
    announced: u64,
    /// What may still be sent before the ending takes place.
    allowed: u64,
    ending: Ending,
    turns: u8,
}

impl Chunks {
    pub(super) fn new(content: Content, ending: Ending) -> Self {
        let (before, filler, after) = match content {
            Content::Bytes(bytes) => (bytes, 0, Bytes::new()),
            Content::Filled {
                before,
                after,
                total,
            } => {
                let filler = total.saturating_sub(length(&before) + length(&after));
                (before, filler, after)
            }
        };
        let announced = length(&before) + filler + length(&after);
        Self {
            before,
            filler,
            after,
            announced,
            allowed: match ending {
                Ending::Stalled | Ending::Truncated => announced / 2,
                Ending::Whole => announced,
            },
            ending,
            turns: FLUSH_TURNS,
        }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let most = usize::try_from(self.allowed).map_or(CHUNK, |allowed| allowed.min(CHUNK));
        let piece = if self.before.has_remaining() {
            self.before.split_to(self.before.len().min(most))
        } else if self.filler > 0 {
            let size = usize::try_from(self.filler).map_or(most, |left| left.min(most));
            let piece = Bytes::from_static(FILLER.get(..size).unwrap_or_default());
            self.filler -= length(&piece);
            piece
        } else {
            self.after.split_to(self.after.len().min(most))
        };
        self.allowed -= length(&piece);
        (!piece.is_empty()).then_some(piece)
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(piece) = self.next_piece() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Stalled => Poll::Pending,
            Ending::Truncated if self.turns > 0 => {
                // hyper writes out what it holds whenever the body has nothing to add.
                self.turns -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Truncated => Poll::Ready(Some(Err(io::Error::other("truncated on request")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ending == Ending::Whole && self.allowed == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_filled_body_has_exactly_the_announced_length() {
        for total in [10, 65_536, 65_537, 1_000_003] {
            let content = Content::Filled {
                before: Bytes::from_static(b"[\""),
                after: Bytes::from_static(b"\"]"),
                total,
            };

            let sent = Chunks::new(content, Ending::Whole).collect().await.unwrap();

            let sent = sent.to_bytes();
            assert_eq!(length(&sent), total);
            assert!(sent.starts_with(b"[\"x") && sent.ends_with(b"x\"]"));
        }
    }

    #[tokio::test]
    async fn a_truncated_body_announces_all_and_sends_half() {
        let content = Content::Bytes(Bytes::from_static(b"0123456789"));
        let mut body = Chunks::new(content, Ending::Truncated);
        assert_eq!(body.size_hint().exact(), Some(10));

        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let second = body.frame().await.unwrap();

        assert_eq!(first, "01234");
        assert!(second.is_err());
    }
}
