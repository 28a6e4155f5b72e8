//! Whom a request names: the origin, in the form the connection's version of HTTP wants.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version, header};
use http_body::Body;

use crate::connect::Origin;
use crate::error::{Error, Reason};

/// Addresses a request for HTTP/1.1: `Host`, and a target in origin form.
pub(super) fn http1<B: Body>(request: &mut Request<B>, origin: &Origin) {
    let authority = origin.authority().clone();
    request.headers_mut().insert(header::HOST, authority);
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        // With GET, hyper leaves a body of unknown length out unless it is told that there is one.
        let chunked = HeaderValue::from_static("chunked");
        request
            .headers_mut()
            .insert(header::TRANSFER_ENCODING, chunked);
    }
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
}

/// Addresses a request for HTTP/2: `:scheme` and `:authority` in the target, and no `Host`.
///
/// # Errors
/// [`Reason::Internal`], when scheme, authority and target do not fit together.
pub(super) fn http2<B>(request: &mut Request<B>, origin: &Origin) -> Result<(), Error> {
    request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    *request.version_mut() = Version::HTTP_2;
    let internal = |error: http::Error| {
        Error::new(Reason::Internal, "the upstream target could not be built").because(error)
    };
    let authority = Authority::try_from(origin.authority().as_bytes());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if origin.is_tls() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    parts.authority = Some(authority.map_err(|error| internal(error.into()))?);
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| internal(error.into()))?;
    Ok(())
}
