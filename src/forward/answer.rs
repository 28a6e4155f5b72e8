//! The head of an upstream's answer: whether it can be passed on, and as what.

use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};

use super::fields::Found;
use super::{Settings, links};
use crate::context::Exchange;
use crate::error::{Error, Reason};

/// Makes the head of an answer the caller's.
///
/// # Errors
/// [`Reason::UpstreamProtocol`] when its end cannot be told for sure, or nobody asked for it.
pub(super) fn settle<B>(
    response: &mut Response<B>,
    settings: &Settings,
    exchange: &Exchange,
) -> Result<(), Error> {
    check_status(response.status())?;
    let fields = response.headers_mut();
    let found = Found::among(fields);
    check_length(fields, found)?;
    found.strip(fields);
    if found.refers
        && let Some(origin) = &settings.rewrite_links
    {
        links::rewrite(fields, origin, exchange);
    }
    // What ends here: an answer from HTTP/1.0 goes on as what the caller speaks, and with the usual words for its status.
    *response.version_mut() = Version::HTTP_11;
    response.extensions_mut().clear();
    Ok(())
}

fn check_status(status: StatusCode) -> Result<(), Error> {
    match status.as_u16() {
        200..600 => Ok(()),
        100..200 => refuse("the upstream switched protocols unasked"),
        _ => refuse("the upstream's answer has a status that means nothing"),
    }
}

fn check_length(fields: &HeaderMap, found: Found) -> Result<(), Error> {
    if found.sized && found.coded {
        return refuse("the upstream's answer has both Content-Length and Transfer-Encoding");
    }
    let name = match found {
        Found { sized: true, .. } => header::CONTENT_LENGTH,
        Found { coded: true, .. } => header::TRANSFER_ENCODING,
        Found { .. } => return Ok(()),
    };
    let mut values = fields.get_all(name).iter();
    let value = values.next().map_or(&b""[..], HeaderValue::as_bytes);
    if values.next().is_some() {
        return refuse("the upstream's answer says twice how long it is");
    }
    if found.sized && !is_number(value) {
        return refuse("the upstream's answer has a Content-Length that is not one number");
    }
    // Passing on what is coded in a way that ends here would spoil it.
    if found.coded && !value.eq_ignore_ascii_case(b"chunked") {
        return refuse("the upstream's answer has a Transfer-Encoding other than chunked");
    }
    Ok(())
}

fn refuse(detail: &'static str) -> Result<(), Error> {
    Err(Error::new(Reason::UpstreamProtocol, detail))
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}
