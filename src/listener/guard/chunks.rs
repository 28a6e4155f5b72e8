//! Follows a chunked body, strictly (RFC 9112 §7.1), to find its end and to refuse what is not one.

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    /// Bytes of extensions and trailers so far, which callers pay no other price for.
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the size, after this many digits.
    Size { digits: u8, size: u64 },
    /// In an extension.
    Extension { size: u64 },
    /// After the CR of a size line.
    SizeLine { size: u64 },
    /// In the data, with this much left.
    Data { left: u64 },
    /// After the data.
    DataCr,
    /// After the CR that follows the data.
    DataLf,
    /// At the start of a trailer line, or of the last line.
    LineStart,
    /// In a trailer line.
    Line,
    /// After the CR of a trailer line.
    LineEnd,
    /// After the CR of the last line.
    LastLine,
}

/// What is wrong with a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    /// A size that is no hexadecimal number of up to 15 digits.
    #[error("a chunk's size is not a hexadecimal number of up to 15 digits")]
    Size,
    /// A byte that must not stand where it does.
    #[error("a chunk, or the line after it, does not end as it must")]
    Line,
    /// More than 8 KiB of extensions and trailers.
    #[error("the body has more than 8 KiB of chunk extensions and trailers")]
    TooMuch,
}

const MOST_EXTRA: usize = 8 * 1024;

impl Default for Chunks {
    fn default() -> Self {
        Self {
            place: Place::Size { digits: 0, size: 0 },
            extra: 0,
        }
    }
}

impl Chunks {
    /// Follows `bytes` and returns how many belong to the body, if it ends within them.
    ///
    /// # Errors
    /// [`BadChunk`] at the first byte that breaks the framing.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<Option<usize>, BadChunk> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Place::Data { left } = &mut self.place {
                let here = u64::try_from(bytes.len() - at)
                    .unwrap_or(u64::MAX)
                    .min(*left);
                *left -= here;
                at += usize::try_from(here).unwrap_or(bytes.len() - at);
                if *left == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            at += 1;
            if self.step(byte)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Takes one byte that is not data and tells whether it was the last.
    fn step(&mut self, byte: u8) -> Result<bool, BadChunk> {
        self.place = match (self.place, byte) {
            (Place::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                if digits == 15 {
                    return Err(BadChunk::Size);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Place::Size {
                    digits: digits + 1,
                    size: size * 16 + u64::from(digit),
                }
            }
            (Place::Size { digits: 1.., size } | Place::Extension { size }, b'\r') => {
                Place::SizeLine { size }
            }
            (Place::Size { digits: 1.., size }, b';') => Place::Extension { size },
            (Place::Size { .. }, _) => return Err(BadChunk::Size),
            (Place::Extension { size }, byte) if is_text(byte) => {
                self.count()?;
                Place::Extension { size }
            }
            (Place::SizeLine { size: 0 } | Place::LineEnd, b'\n') => Place::LineStart,
            (Place::SizeLine { size }, b'\n') => Place::Data { left: size },
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size { digits: 0, size: 0 },
            (Place::LineStart, b'\r') => Place::LastLine,
            (Place::LineStart, byte) if is_text(byte) && byte != b' ' && byte != b'\t' => {
                self.count()?;
                Place::Line
            }
            (Place::Line, b'\r') => Place::LineEnd,
            (Place::Line, byte) if is_text(byte) => {
                self.count()?;
                Place::Line
            }
            (Place::LastLine, b'\n') => return Ok(true),
            _ => return Err(BadChunk::Line),
        };
        Ok(false)
    }

    fn count(&mut self) -> Result<(), BadChunk> {
        self.extra += 1;
        if self.extra > MOST_EXTRA {
            Err(BadChunk::TooMuch)
        } else {
            Ok(())
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(text: &str) -> Result<Option<usize>, BadChunk> {
        Chunks::default().follow(text.as_bytes())
    }

    #[test]
    fn the_end_of_a_body_is_found() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A\r\n0123456789\r\n1;x=\"y\"\r\nz\r\n000\r\n\r\n",
            "1\r\na\r\n0\r\nETag: x\r\nB: y\r\n\r\n",
        ] {
            assert_eq!(
                follow(&format!("{body}GET / HTTP/1.1")),
                Ok(Some(body.len())),
                "{body:?}"
            );
            assert_eq!(
                follow(body.strip_suffix('\n').unwrap()),
                Ok(None),
                "{body:?}"
            );
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "+1\r\n",
            "-1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 \r\n",
            "1\n",
            "1\r\r\n",
            "1;a\nb\r\n",
            "1;\0\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\r\r\n",
            "1\r\n\r\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na\0\r\n\r\n",
            "1000000000000000\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
        ] {
            assert!(follow(body).is_err(), "{body:?}");
        }
        assert_eq!(
            follow(&format!("1;{}", "x".repeat(9000))),
            Err(BadChunk::TooMuch)
        );
        assert_eq!(
            follow(&format!("0\r\n{}", "x: y\r\n".repeat(3000))),
            Err(BadChunk::TooMuch)
        );
    }

    proptest! {
        #[test]
        fn pieces_are_followed_like_the_whole(
            body in "([0-3]|[0-3];x)(\r\n|\n)[a-c]{0,3}\r\n(0\r\n){0,2}(t: x\r\n)?\r\n.{0,3}",
            cuts in prop::collection::vec(1_usize..5, 0..12),
        ) {
            let whole = Chunks::default().follow(body.as_bytes());
            let mut rest = body.as_bytes();
            let mut chunks = Chunks::default();
            let mut before = 0;
            let mut result = Ok(None);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                result = chunks.follow(piece).map(|end| end.map(|end| before + end));
                if result != Ok(None) {
                    break;
                }
                before += piece.len();
                rest = after;
            }

            prop_assert_eq!(result, whole);
        }
    }
}
