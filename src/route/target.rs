//! Whether a path has one meaning only.
//!
//! The path that picks the route is the path that is sent, byte for byte but for segments that the route rewrites. So a path that another server could
//! read differently, by decoding or normalising it, is refused rather than repaired.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;

/// Why a path has more than one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// What is wrong.
    pub fault: Fault,
    /// Where it begins, in bytes from the start of the path.
    pub at: usize,
}

/// What can be wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A byte that does not stand for itself in a path (RFC 3986 §3.3).
    Byte,
    /// A `.` or `..` segment, plain or encoded.
    DotSegment,
    /// An encoded character that would be reserved or unprintable once decoded.
    EncodedControl,
    /// An encoded slash or backslash.
    EncodedSlash,
    /// An encoded semicolon, or a plain one.
    Parameter,
    /// A segment without a character.
    EmptySegment,
    /// A `%` without two hexadecimal digits.
    Escape,
    /// An encoded character that needs no encoding, or one encoded twice.
    NeedlessEncoding,
    /// The path is not absolute.
    NotAbsolute,
    /// Decoded, the path is not UTF-8.
    NotUtf8,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Byte => "a character that has to be percent-encoded",
            Fault::DotSegment => "a dot segment",
            Fault::EncodedControl => "an encoded control character",
            Fault::EncodedSlash => "an encoded slash or backslash",
            Fault::Parameter => "a semicolon",
            Fault::EmptySegment => "an empty segment",
            Fault::Escape => "a broken percent-encoding",
            Fault::NeedlessEncoding => "a character that is encoded without need, or twice",
            Fault::NotAbsolute => "no leading slash",
            Fault::NotUtf8 => "an encoding of bytes that are not UTF-8",
        };
        write!(f, "the path has {fault} at byte {}", self.at)
    }
}

/// Checks that `path` means the same to every server, but for slashes: returns where its first encoded slash
/// stands, if it has one, for the route to judge.
///
/// # Errors
/// The first fault, and where it is.
pub fn check(path: &str) -> Result<Option<usize>, Ambiguous> {
    if !path.starts_with('/') {
        return Err(Ambiguous {
            fault: Fault::NotAbsolute,
            at: 0,
        });
    }
    let bytes = path.as_bytes();
    let mut at = 0;
    let mut encoded = false;
    let mut slash = None;
    while let Some(&byte) = bytes.get(at) {
        if PLAIN.get(usize::from(byte)) == Some(&true) {
            at += 1;
            continue;
        }
        let rest = bytes.get(at + 1..).unwrap_or_default();
        match byte {
            b'%' => {
                let value = escape(rest.first(), rest.get(1));
                let twice = escape(rest.get(2), rest.get(3)).is_some();
                if let Some(fault) = encoded_fault(value, twice) {
                    return Err(Ambiguous { fault, at });
                }
                if value == Some(b'/') {
                    slash = slash.or(Some(at));
                }
                encoded = true;
                at += 3;
            }
            b'/' => {
                if let Some(fault) = segment_fault(rest) {
                    return Err(Ambiguous { fault, at: at + 1 });
                }
                at += 1;
            }
            other => {
                let fault = if other == b';' {
                    Fault::Parameter
                } else {
                    Fault::Byte
                };
                return Err(Ambiguous { fault, at });
            }
        }
    }
    if encoded {
        check_decoded(bytes, slash.unwrap_or_default())?;
    }
    Ok(slash)
}

/// What is wrong with an encoded byte; `twice` when what follows it would make another encoding of it.
fn encoded_fault(value: Option<u8>, twice: bool) -> Option<Fault> {
    Some(match value {
        None => Fault::Escape,
        Some(b'/') => return None,
        Some(b'\\') => Fault::EncodedSlash,
        Some(b';') => Fault::Parameter,
        Some(b'%') if twice => Fault::NeedlessEncoding,
        Some(b'.') => Fault::DotSegment,
        Some(0..=0x1f | 0x7f) => Fault::EncodedControl,
        Some(value) if is_unreserved(value) => Fault::NeedlessEncoding,
        Some(_) => return None,
    })
}

/// What is wrong with the segment at the start of `rest`.
fn segment_fault(rest: &[u8]) -> Option<Fault> {
    match rest {
        [b'/', ..] => Some(Fault::EmptySegment),
        [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..] => {
            Some(Fault::DotSegment)
        }
        _ => None,
    }
}

/// Checks what decoding makes of a path; `slash` is where its first encoded slash stands.
fn check_decoded(path: &[u8], slash: usize) -> Result<(), Ambiguous> {
    let decoded: Cow<'_, [u8]> = percent_decode(path).into();
    if let Err(error) = std::str::from_utf8(&decoded) {
        return Err(Ambiguous {
            fault: Fault::NotUtf8,
            at: error.valid_up_to(),
        });
    }
    // Only here can an encoded slash make new segments. One at the end ends the path as a plain one does.
    let decoded = decoded.strip_suffix(b"/").unwrap_or(&decoded);
    for segment in decoded.split(|byte| *byte == b'/').skip(1) {
        let fault = match segment {
            b"" => Fault::EmptySegment,
            b"." | b".." => Fault::DotSegment,
            _ => continue,
        };
        return Err(Ambiguous { fault, at: slash });
    }
    Ok(())
}

/// The bytes that stand for themselves within a segment (RFC 3986 §3.3), without the semicolon.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    loop {
        let in_segment = is_unreserved(byte)
            || matches!(
                byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
            );
        #[expect(
            clippy::indexing_slicing,
            clippy::as_conversions,
            reason = "a byte is always an index, and constants are made without traits"
        )]
        {
            plain[byte as usize] = in_segment;
        }
        if byte == u8::MAX {
            break plain;
        }
        byte += 1;
    }
};

fn escape(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// RFC 3986 §2.3: characters that mean the same whether encoded or not.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(path: &str) -> Option<Fault> {
        match check(path) {
            Ok(None) => None,
            Ok(Some(_)) => Some(Fault::EncodedSlash),
            Err(ambiguous) => Some(ambiguous.fault),
        }
    }

    #[test]
    fn real_paths_pass() {
        for path in [
            "/data/core/ups/access/entities",
            "/data/core/ups/export/jobs/",
            "/data/core/ups/preview/MDoyOjRhNDVlODUzLWFjOTEtNGJi==",
            "/data/core/ups/preview/a:b=c,d@e",
            "/data/core/ups/audiences/s%20one%3Fx",
            "/data/core/ups/audiences/%C3%A9",
            "/data/core/ups/audiences/100%25",
            "/a..b/.c/d.",
        ] {
            assert_eq!(fault(path), None, "{path}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for (path, expected) in [
            ("", Fault::NotAbsolute),
            ("*", Fault::NotAbsolute),
            ("/a/../b", Fault::DotSegment),
            ("/a/./b", Fault::DotSegment),
            ("/a/..", Fault::DotSegment),
            ("/a/.", Fault::DotSegment),
            ("/a/%2e%2e/b", Fault::DotSegment),
            ("/a/.%2E/b", Fault::DotSegment),
            ("/a/%252e%252e/b", Fault::NeedlessEncoding),
            ("/a/%25%32%65/b", Fault::NeedlessEncoding),
            ("/a//b", Fault::EmptySegment),
            ("//a", Fault::EmptySegment),
            ("/a/b//", Fault::EmptySegment),
            ("/a%2F%2Fb", Fault::EmptySegment),
            ("/a%2f/b", Fault::EmptySegment),
            ("/a/%2Fb", Fault::EmptySegment),
            ("/%2Fa/b", Fault::EmptySegment),
            ("/%2F", Fault::EmptySegment),
            ("/a/b%2F/", Fault::EmptySegment),
            ("/a/b/%2f", Fault::EmptySegment),
            ("/a/b%2F%2F", Fault::EmptySegment),
            ("/a/b%2F", Fault::EncodedSlash),
            ("/a%2fb", Fault::EncodedSlash),
            ("/a%2Fb", Fault::EncodedSlash),
            ("/a%5cb", Fault::EncodedSlash),
            ("/a\\b", Fault::Byte),
            ("/a%252fb", Fault::NeedlessEncoding),
            ("/a%00b", Fault::EncodedControl),
            ("/a%0d%0ab", Fault::EncodedControl),
            ("/a%7f", Fault::EncodedControl),
            ("/a;x=y", Fault::Parameter),
            ("/a%3bx=y", Fault::Parameter),
            ("/%61ccess", Fault::NeedlessEncoding),
            ("/a%7Eb", Fault::NeedlessEncoding),
            ("/a%", Fault::Escape),
            ("/a%2", Fault::Escape),
            ("/a%zz", Fault::Escape),
            ("/a%c0%afb", Fault::NotUtf8),
            ("/a%c0%ae%c0%ae/b", Fault::NotUtf8),
            ("/é", Fault::Byte),
            ("/a b", Fault::Byte),
            ("/a#b", Fault::Byte),
            ("/a\"b", Fault::Byte),
            ("/a{b}", Fault::Byte),
            ("/a|b", Fault::Byte),
            ("/a\u{1}b", Fault::Byte),
        ] {
            assert_eq!(fault(path), Some(expected), "{path:?}");
        }
    }

    #[test]
    fn an_encoded_slash_is_told_but_not_a_backslash() {
        assert_eq!(check("/a%2Fb%2Fc"), Ok(Some(2)));
        assert_eq!(check("/a/b"), Ok(None));
        assert!(check("/a%5Cb").is_err());
        assert!(check("/a%252Fb").is_err());
        assert!(check("/a%2F..%2Fb").is_err());
        assert!(check("/a/..%2Fb").is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_the_same_decoded_once_or_normalised(path in "(/|[a-z%.0-9A-F;\\\\é ]){0,12}") {
            if check(&path) == Ok(None) {
                let decoded = percent_decode(path.as_bytes()).decode_utf8().unwrap().into_owned();

                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
                prop_assert!(!decoded.contains('\\') && !decoded.contains(';') && !decoded.contains("//"));
                prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
                let printable = |character: char| !character.is_ascii_control();
                prop_assert!(decoded.chars().all(printable));
            }
        }
    }
}
