//! The head of an upstream's answer: whether it can be passed on, and as what.

use http::{HeaderMap, StatusCode, Version, header, response};

use super::{Settings, fields, links};
use crate::context::Exchange;
use crate::error::{Error, Reason};

/// Makes the head of an answer the caller's.
pub(super) fn settle(head: &mut response::Parts, settings: &Settings, exchange: &Exchange) {
    let refers = fields::inbound(&mut head.headers);
    if refers && let Some(origin) = &settings.rewrite_links {
        links::rewrite(&mut head.headers, origin, exchange);
    }
    // What ends here: an answer from HTTP/1.0 goes on as what the caller speaks, and with the usual words for its status.
    head.version = Version::HTTP_11;
    head.extensions.clear();
}

/// Refuses answers whose end cannot be told for sure, or that nobody asked for.
///
/// # Errors
/// [`Reason::UpstreamProtocol`].
pub(super) fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), Error> {
    let refuse = |detail| Err(Error::new(Reason::UpstreamProtocol, detail));
    match status.as_u16() {
        200..600 => {}
        100..200 => return refuse("the upstream switched protocols unasked"),
        _ => return refuse("the upstream's answer has a status that means nothing"),
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    match (coding, length) {
        _ if codings.next().is_some() || lengths.next().is_some() => {
            refuse("the upstream's answer says twice how long it is")
        }
        (Some(_), Some(_)) => {
            refuse("the upstream's answer has both Content-Length and Transfer-Encoding")
        }
        // Passing on what is coded in a way that ends here would spoil it.
        (Some(coding), None) if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            refuse("the upstream's answer has a Transfer-Encoding other than chunked")
        }
        (None, Some(length)) if !is_number(length.as_bytes()) => {
            refuse("the upstream's answer has a Content-Length that is not one number")
        }
        _ => Ok(()),
    }
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}
