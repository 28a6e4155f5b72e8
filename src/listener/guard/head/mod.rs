//! Whether a request head is valid, unambiguous and small enough, judged on its raw bytes.
//!
//! hyper reads some heads more generously than others on the path do. What two servers could read differently is
//! how requests are smuggled, so such heads never reach it.
//!
//! # Source
//! RFC 9112 §2.2, §3.2, §5.1, §6.1, §6.3, §11.2; RFC 9110 §7.2.

use std::mem::MaybeUninit;

use http::uri::Authority;
use httparse::{Header, Request, Status};
use memchr::memchr;

use crate::context::Endpoint;
use crate::error::{Error, Reason};
use crate::listener::Limits;

/// A head that may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes, the empty line included.
    pub bytes: usize,
    /// How its body is framed.
    pub framing: Framing,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In chunks.
    Chunked,
    /// By a length in bytes, which is 0 without a body.
    Length(u64),
}

/// Reads the head at the start of `bytes`, or returns `None` when it has not all arrived.
///
/// A target in absolute form has to mean the `local` end: its address, or `localhost`, which is all that a Unix socket
/// is called by.
///
/// # Errors
/// Why the head must not be passed on, as soon as it is certain.
pub fn check(bytes: &[u8], limits: &Limits, local: Endpoint) -> Result<Option<Head>, Error> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_FIELDS];
    let wanted = limits.fields.min(MOST_FIELDS);
    let fields = fields.get_mut(..wanted).unwrap_or_default();
    let mut request = Request::new(&mut []);
    let parsed = request
        .parse_with_uninit_headers(bytes, fields)
        .map_err(|error| fault(error, wanted))?;
    let Status::Complete(length) = parsed else {
        return incomplete(bytes, limits).map(|()| None);
    };
    if length > limits.head_bytes {
        return Err(too_large(limits));
    }
    check_line_ends(bytes.get(..length).unwrap_or(bytes))?;
    let http10 = request.version == Some(0);
    check_method(request.method.unwrap_or_default())?;
    let authority = check_target(request.path.unwrap_or_default(), limits)?;
    check_host(request.headers, authority, http10, local)?;
    let framing = framing(request.headers, http10)?;
    Ok(Some(Head {
        bytes: length,
        framing,
    }))
}

/// The most fields that can be allowed; configuration allows no more.
pub const MOST_FIELDS: usize = 256;

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Reason::MalformedRequest, detail)
}

fn fault(error: httparse::Error, most: usize) -> Error {
    malformed(match error {
        httparse::Error::HeaderName => {
            "a header field's name has a character that no name may have"
        }
        httparse::Error::HeaderValue => {
            "a header field's value has a character that no value may have"
        }
        httparse::Error::NewLine => "a line of the request head does not end as it must",
        httparse::Error::Token => "the request line has a character it must not have",
        httparse::Error::Version => {
            "the request line does not end in HTTP/1.0 or HTTP/1.1; encode a blank in the target as %20"
        }
        httparse::Error::TooManyHeaders => {
            let detail = format!("a request head may have {most} fields");
            return Error::new(Reason::HeadTooLarge, detail);
        }
        httparse::Error::Status => "the request begins like a response",
    })
}

fn too_large(limits: &Limits) -> Error {
    Error::new(
        Reason::HeadTooLarge,
        format!("a request head may have {} bytes", limits.head_bytes),
    )
}

fn too_long(limits: &Limits) -> Error {
    let most = limits.target_bytes.min(LONGEST_TARGET);
    let detail = format!("a request target may have {most} bytes");
    Error::new(Reason::TargetTooLong, detail)
}

fn incomplete(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    let line = limits
        .target_bytes
        .saturating_add(LONGEST_METHOD_AND_VERSION);
    if bytes.len() > line && memchr(b'\n', bytes.trim_ascii_start()).is_none_or(|at| at > line) {
        return Err(too_long(limits));
    }
    if bytes.len() > limits.head_bytes {
        return Err(too_large(limits));
    }
    Ok(())
}

const LONGEST_METHOD_AND_VERSION: usize = 64;

/// What [`http::Uri`] can hold.
const LONGEST_TARGET: usize = 65_534;

/// Every line ends in CR LF, and neither stands anywhere else.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches many bytes are compared at once"
)]
fn check_line_ends(head: &[u8]) -> Result<(), Error> {
    let next = head.get(1..).unwrap_or_default();
    let (bare_feed, bare_return) = head.iter().zip(next).fold(
        (head.first() == Some(&b'\n'), head.last() == Some(&b'\r')),
        |(feed, carriage), (first, second)| {
            let (returns, feeds) = (*first == b'\r', *second == b'\n');
            (feed | (feeds & !returns), carriage | (returns & !feeds))
        },
    );
    if bare_feed {
        Err(malformed(
            "a line of the request head ends in a bare line feed",
        ))
    } else if bare_return {
        Err(malformed("the request head has a bare carriage return"))
    } else {
        Ok(())
    }
}

fn check_method(method: &str) -> Result<(), Error> {
    if matches!(method, "CONNECT" | "TRACE") {
        let detail = "the gateway serves neither CONNECT nor TRACE";
        return Err(Error::new(Reason::MethodNotRouted, detail));
    }
    Ok(())
}

/// Returns the authority of a target in absolute form.
fn check_target<'a>(target: &'a str, limits: &Limits) -> Result<Option<&'a str>, Error> {
    if target.len() > limits.target_bytes.min(LONGEST_TARGET) {
        return Err(too_long(limits));
    }
    if let Some((at, byte)) = unfit_byte(target) {
        return Err(unfit(at, byte));
    }
    if target.starts_with('/') || target == "*" {
        return Ok(None);
    }
    let rest = target
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some(rest) = rest.and_then(|_| target.get(7..)) else {
        return Err(malformed("the target is neither a path nor an http URL"));
    };
    Ok(Some(
        rest.find(['/', '?'])
            .map_or(rest, |end| rest.get(..end).unwrap_or(rest)),
    ))
}

/// Finds what hyper would refuse by itself, without a word to the caller or the log.
fn unfit_byte(target: &str) -> Option<(usize, u8)> {
    let bytes = target.as_bytes();
    // Only a few bytes need a closer look.
    let suspect = |byte: u8| matches!(byte, 0..=b' ' | b'"' | b'#' | b'<' | b'>' | b'`' | 0x7f);
    if !bytes.iter().fold(false, |any, byte| any | suspect(*byte)) {
        return None;
    }
    let path = memchr(b'?', bytes).unwrap_or(bytes.len());
    let wrong = |at: usize, byte: u8| {
        matches!(byte, b'"' | b'<' | b'>' | b'#')
            || byte.is_ascii_control()
            || (byte == b'`' && at < path)
    };
    let mut places = target.bytes().enumerate();
    places.find(|(at, byte)| wrong(*at, *byte))
}

fn unfit(at: usize, byte: u8) -> Error {
    malformed(if byte == b'#' {
        format!("the target has a fragment at byte {at}; leave it out, or encode # as %23")
    } else {
        let shown = char::from(byte);
        let shown = if shown.is_ascii_graphic() {
            shown.to_string()
        } else {
            "a control".to_owned()
        };
        format!("the target has {shown} at byte {at}; percent-encode it as %{byte:02X}")
    })
}

/// One `Host`, valid, and in agreement with a target in absolute form, which must mean this very listener.
fn check_host(
    headers: &[Header<'_>],
    authority: Option<&str>,
    http10: bool,
    local: Endpoint,
) -> Result<(), Error> {
    let mut hosts = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(malformed("the request has more than one Host"));
    }
    let host = match host {
        Some(host) => std::str::from_utf8(host.value)
            .ok()
            .filter(|host| is_host(host))
            .ok_or_else(|| {
                malformed("the Host is not a host name or address with an optional port")
            })?,
        None if http10 && authority.is_none() => return Ok(()),
        None => return Err(malformed("the request has no Host")),
    };
    let Some(authority) = authority else {
        return Ok(());
    };
    if !authority.eq_ignore_ascii_case(host) {
        return Err(malformed("the target's host and the Host field differ"));
    }
    let name = authority
        .parse::<Authority>()
        .map(|authority| authority.host().to_ascii_lowercase());
    let ours = name.is_ok_and(|name| {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse().is_ok_and(|ip| local.ip() == Some(ip))
    });
    if ours {
        Ok(())
    } else {
        Err(malformed(
            "the gateway is no forward proxy: send the path only",
        ))
    }
}

/// Tells whether a text is a host name or an address, with a port or without.
pub(in crate::listener) fn is_host(host: &str) -> bool {
    // Most are a plain name or address, perhaps with a port; the others are worth a full parse.
    let end = memchr(b':', host.as_bytes()).unwrap_or(host.len());
    let (name, port) = host.split_at_checked(end).unwrap_or((host, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let number =
        |port: &str| matches!(port.len(), 1..=4) && port.bytes().all(|byte| byte.is_ascii_digit());
    if !name.is_empty() && name.bytes().all(plain) && port.strip_prefix(':').is_none_or(number) {
        return true;
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let port = host.strip_prefix(authority.host()).unwrap_or(host);
    let whole = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    host.bytes().all(legal) && whole
}

fn framing(headers: &[Header<'_>], http10: bool) -> Result<Framing, Error> {
    let mut length = None;
    let mut chunked = false;
    for header in headers {
        if spells(header.name, "transfer-encoding") {
            if header.name.contains('_') {
                return Err(malformed(
                    "a header field's name imitates Transfer-Encoding",
                ));
            }
            if http10 {
                return Err(malformed("HTTP/1.0 has no Transfer-Encoding"));
            }
            if chunked || header.value != b"chunked" {
                return Err(malformed("Transfer-Encoding must be chunked, once"));
            }
            chunked = true;
        } else if spells(header.name, "content-length") {
            if header.name.contains('_') {
                return Err(malformed("a header field's name imitates Content-Length"));
            }
            let value = parse_length(header.value)
                .ok_or_else(|| malformed("the Content-Length is not one decimal number"))?;
            if value > LONGEST_BODY {
                let detail = "no request body may have that many bytes";
                return Err(Error::new(Reason::TooLarge, detail));
            }
            if length.replace(value).is_some() {
                return Err(malformed("the request has more than one Content-Length"));
            }
        }
    }
    match (chunked, length) {
        (true, Some(_)) => Err(malformed(
            "the request has both Content-Length and Transfer-Encoding",
        )),
        (true, None) => Ok(Framing::Chunked),
        (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// What hyper can count to; it refuses more with a status that means something else.
const LONGEST_BODY: u64 = u64::MAX - 2;

/// Compares without case and with `_` read as `-`.
pub(in crate::listener) fn spells(name: &str, field: &str) -> bool {
    name.len() == field.len()
        && name.bytes().zip(field.bytes()).all(|(byte, wanted)| {
            byte.to_ascii_lowercase() == wanted || (byte == b'_' && wanted == b'-')
        })
}

/// Reads a `Content-Length`: digits, and nothing else.
pub(in crate::listener) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
