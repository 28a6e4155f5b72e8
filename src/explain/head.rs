//! A request head as it arrives.

use http::header;

use super::Request;
use crate::context::Endpoint;
use crate::error::Error;
use crate::listener::{Settings, guard};

/// Has the listener's guard judge the head of a request, as it would be sent over HTTP/1.1.
///
/// # Errors
/// Why the guard would not let it past.
pub(super) fn check(request: &Request, listener: &Settings) -> Result<(), Error> {
    let target = request.uri.path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let mut head = format!("{} {target} HTTP/1.1\r\n", request.method).into_bytes();
    let mut field = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    for (name, value) in &request.headers {
        field(name.as_str().as_bytes(), value.as_bytes());
    }
    if !request.headers.contains_key(header::HOST) {
        // Who names no host means any, and clients send one.
        field(b"host", b"localhost");
    }
    head.extend_from_slice(b"\r\n");
    guard::check(&head, &listener.limits, Endpoint::Unix).map(|_| ())
}
