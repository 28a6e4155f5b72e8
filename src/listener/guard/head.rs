//! Whether a request head is valid, unambiguous and small enough, judged on its raw bytes.
//!
//! hyper reads some heads more generously than others on the path do. What two servers could read differently is
//! how requests are smuggled, so such heads never reach it.
//!
//! # Source
//! RFC 9112 §2.2, §3.2, §5.1, §6.1, §6.3, §11.2; RFC 9110 §7.2.

use std::mem::MaybeUninit;
use std::net::SocketAddr;

use http::uri::Authority;
use httparse::{Header, Request, Status};
use memchr::memchr_iter;

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
/// # Errors
/// Why the head must not be passed on, as soon as it is certain.
pub fn check(bytes: &[u8], limits: &Limits, local: SocketAddr) -> Result<Option<Head>, Error> {
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
    if bytes.len() > line
        && memchr::memchr(b'\n', bytes.trim_ascii_start()).is_none_or(|at| at > line)
    {
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
fn check_line_ends(head: &[u8]) -> Result<(), Error> {
    let mut ends = 0;
    for at in memchr_iter(b'\n', head) {
        if at == 0 || head.get(at - 1) != Some(&b'\r') {
            return Err(malformed(
                "a line of the request head ends in a bare line feed",
            ));
        }
        ends += 1;
    }
    if memchr_iter(b'\r', head).count() != ends {
        return Err(malformed("the request head has a bare carriage return"));
    }
    Ok(())
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
    let path = target.find('?').unwrap_or(target.len());
    // What hyper would refuse by itself, without a word to the caller or the log.
    let wrong = |at: usize, byte: u8| {
        matches!(byte, b'"' | b'<' | b'>' | b'#')
            || byte.is_ascii_control()
            || (byte == b'`' && at < path)
    };
    let first = target
        .bytes()
        .enumerate()
        .find(|(at, byte)| wrong(*at, *byte));
    if let Some((at, byte)) = first {
        let detail = if byte == b'#' {
            format!("the target has a fragment at byte {at}; leave it out, or encode # as %23")
        } else {
            let shown = char::from(byte);
            let shown = if shown.is_ascii_graphic() {
                shown.to_string()
            } else {
                "a control".to_owned()
            };
            format!("the target has {shown} at byte {at}; percent-encode it as %{byte:02X}")
        };
        return Err(malformed(detail));
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

/// One `Host`, valid, and in agreement with a target in absolute form, which must mean this very listener.
fn check_host(
    headers: &[Header<'_>],
    authority: Option<&str>,
    http10: bool,
    local: SocketAddr,
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
        name == "localhost" || bare.parse() == Ok(local.ip())
    });
    if ours {
        Ok(())
    } else {
        Err(malformed(
            "the gateway is no forward proxy: send the path only",
        ))
    }
}

fn is_host(host: &str) -> bool {
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

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            head_bytes: 2048,
            fields: 10,
            target_bytes: 512,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_mins(1),
            connections: 16,
        }
    }

    fn head(text: &str) -> Result<Option<Head>, Reason> {
        check(text.as_bytes(), &limits(), ([127, 0, 0, 1], 8080).into())
            .map_err(|error| error.reason())
    }

    #[test]
    fn plain_heads_pass_with_their_framing() {
        for (text, framing) in [
            ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
            (
                "GET /a?b=c<d HTTP/1.1\r\nHost: x\r\n\r\n"
                    .replace('<', "%3C")
                    .as_str(),
                Framing::Length(0),
            ),
            (
                "POST /a HTTP/1.1\r\nhost: x:80\r\nContent-Length: 17\r\n\r\nbody",
                Framing::Length(17),
            ),
            (
                "POST /a HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n",
                Framing::Chunked,
            ),
            ("GET /a HTTP/1.0\r\n\r\n", Framing::Length(0)),
            ("\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
            (
                "GET http://127.0.0.1:8080/a HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
                Framing::Length(0),
            ),
            (
                "GET /a?x={\"y\"}|^[é] HTTP/1.1\r\nHost: x\r\n\r\n"
                    .replace('"', "'")
                    .as_str(),
                Framing::Length(0),
            ),
        ] {
            assert_eq!(
                head(text).unwrap().map(|head| head.framing),
                Some(framing),
                "{text}"
            );
        }
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        for text in [
            "GET /a HTTP/1.1\nHost: x\n\n",
            "GET /a HTTP/1.1\r\nHost: x\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n",
            "GET /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: \r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: x:y\r\n\r\n",
            "GET http://evil.example/a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "GET http://127.0.0.1/a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET https://127.0.0.1/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a?b<c HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a?b=\"c\" HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a`b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
            "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
            "GET /a\r\nHost: x\r\n\r\n",
            "G@T /a HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\ncontent_length: 5\r\n\r\n",
            "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(head(text), Err(Reason::MalformedRequest), "{text:?}");
        }
    }

    #[test]
    fn tunnels_and_echoes_are_refused() {
        for method in ["CONNECT", "TRACE"] {
            let text = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");

            assert_eq!(head(&text), Err(Reason::MethodNotRouted));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_has_all_arrived() {
        let long_target = format!("GET /{}", "a".repeat(600));
        let long_field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(2048));
        let many_fields = format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "A: b\r\n".repeat(11));

        assert_eq!(head(&long_target), Err(Reason::TargetTooLong));
        assert_eq!(head(&long_field), Err(Reason::HeadTooLarge));
        assert_eq!(head(&many_fields), Err(Reason::HeadTooLarge));
        assert_eq!(head("GET / HTTP/1.1\r\nHost: x\r\n"), Ok(None));
        assert_eq!(head(""), Ok(None));
    }

    #[test]
    fn what_hyper_cannot_hold_is_too_large() {
        let length = |length: u64| {
            let text = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            head(&text).map(|head| head.unwrap().framing)
        };
        let wide = Limits {
            head_bytes: 1 << 20,
            target_bytes: 1 << 20,
            ..limits()
        };
        let target = |bytes: usize| {
            let target = "a".repeat(bytes - 1);
            let text = format!("GET /{target} HTTP/1.1\r\nHost: x\r\n\r\n");
            let judged = check(text.as_bytes(), &wide, ([127, 0, 0, 1], 80).into());
            (
                judged.map(|_| ()).map_err(|error| error.reason()),
                format!("/{target}").parse::<http::Uri>().is_ok(),
            )
        };

        assert_eq!(length(u64::MAX - 2), Ok(Framing::Length(u64::MAX - 2)));
        assert_eq!(length(u64::MAX - 1), Err(Reason::TooLarge));
        assert_eq!(target(65_534), (Ok(()), true));
        assert_eq!(target(65_535), (Err(Reason::TargetTooLong), false));
    }

    proptest! {
        #[test]
        fn hyper_can_read_every_target_that_passes(
            target in "(|http://127.0.0.1|http://127.0.0.1:8080|http://localhost)(|/|[*]|[?]|/.{0,6}|/[ -~]{0,6}|/[!-~]{0,6}[?][!-~\u{e9}]{0,6})",
        ) {
            let host = target.strip_prefix("http://").map_or("x", |rest| {
                rest.find(['/', '?', '*']).map_or(rest, |end| rest.split_at(end).0)
            });
            let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");

            if check(text.as_bytes(), &limits(), ([127, 0, 0, 1], 8080).into()).is_ok() {
                prop_assert!(target.parse::<http::Uri>().is_ok(), "{:?}", target);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, &limits(), ([127, 0, 0, 1], 8080).into());
        }

        #[test]
        fn a_head_is_judged_the_same_however_it_arrives(
            head in "(GET|POST) /[a-z<]{0,5} HTTP/1.[012]\r\nHost: x\r\n([A-Za-z_-]{1,5}: [ -~]{0,9}(\r\n|\n)){0,3}\r\n",
            cut in 0_usize..40,
        ) {
            let whole = check(head.as_bytes(), &limits(), ([127, 0, 0, 1], 1).into());
            let part = check(&head.as_bytes()[..cut.min(head.len())], &limits(), ([127, 0, 0, 1], 1).into());

            if part.is_err() {
                prop_assert!(whole.is_err());
            }
        }
    }
}
