//! What the guard checks on HTTP/1, checked on requests that came in as HTTP/2 frames.

use http::{HeaderValue, Request, header};

use super::Limits;
use super::guard::{is_host, parse_length, spells};
use crate::error::{Error, Reason};

/// Judges a request whose frames the HTTP/2 library has accepted.
///
/// The library has refused connection-specific fields, and bodies that differ from their length (RFC 9113 §8).
pub(super) fn check<B>(request: &Request<B>, limits: &Limits) -> Option<Error> {
    let malformed = |detail| Some(Error::new(Reason::MalformedRequest, detail));
    if request.headers().len() > limits.fields {
        let detail = format!("a request head may have {} fields", limits.fields);
        return Some(Error::new(Reason::HeadTooLarge, detail));
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes {
        let detail = format!("a request target may have {} bytes", limits.target_bytes);
        return Some(Error::new(Reason::TargetTooLong, detail));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    if let Some(authority) = request.uri().authority() {
        if !matches!(request.uri().scheme_str(), Some("http" | "https")) {
            return malformed("the :scheme is neither http nor https");
        }
        let agrees = |host: &HeaderValue| {
            host.as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        };
        if !hosts.all(agrees) {
            return malformed(":authority and the Host field differ");
        }
        if !is_host(authority.as_str()) {
            return malformed("the :authority is not a host name or address with an optional port");
        }
    } else {
        // What makes HTTP/2 of HTTP/1.1 may leave the Host field in its place (RFC 9113 §8.3.1). The library keeps no :scheme then.
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return malformed("the request has no :authority, and not one Host field either");
        };
        if !host.to_str().is_ok_and(is_host) {
            return malformed("the Host field is not a host name or address with an optional port");
        }
    }
    // The library counts the body against the first length, and passes all of them on.
    let mut lengths = request.headers().get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.next().is_some() {
        return malformed("the request has more than one Content-Length");
    }
    // Where a head ends its stream it lets anything pass for one.
    if first.is_some_and(|length| parse_length(length.as_bytes()).is_none()) {
        return malformed("the Content-Length is not one decimal number");
    }
    let imitates = |name: &http::HeaderName| {
        let name = name.as_str();
        name.contains('_') && (spells(name, "transfer-encoding") || spells(name, "content-length"))
    };
    if request.headers().keys().any(imitates) {
        return malformed("a header field's name imitates Content-Length or Transfer-Encoding");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn authority_and_framing_must_be_unambiguous() {
        let limits = Limits {
            head_bytes: 1024,
            fields: 3,
            target_bytes: 32,
            head_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            write_timeout: Duration::from_mins(1),
            connections: 1,
        };
        let reason = |uri: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            check(&request.body(()).unwrap(), &limits).map(|error| error.reason())
        };

        assert_eq!(reason("http://a:80/x", &[]), None);
        assert_eq!(reason("http://a:80/x", &["A:80"]), None);
        assert_eq!(
            reason("http://a:80/x", &["a:80", "b"]),
            Some(Reason::MalformedRequest)
        );
        assert_eq!(reason("http://u@a/x", &[]), Some(Reason::MalformedRequest));
        assert_eq!(reason("/x", &["a:80"]), None);
        for hosts in [&[][..], &["a", "a"], &["a,b"], &["u@a"], &[""]] {
            assert_eq!(reason("/x", hosts), Some(Reason::MalformedRequest));
        }
        assert_eq!(
            reason("http://a/x", &["a", "a", "a", "a"]),
            Some(Reason::HeadTooLarge)
        );
        let framed = |names: &[&str]| {
            let mut request = Request::builder().uri("http://a/x");
            for name in names {
                request = request.header(*name, "5");
            }
            check(&request.body(()).unwrap(), &limits).map(|error| error.reason())
        };
        assert_eq!(framed(&["content-length"]), None);
        for length in ["", "+5", "5, 5", "5 5", "x", "18446744073709551616"] {
            let request = Request::builder().uri("http://a/x");
            let request = request.header("content-length", length).body(()).unwrap();
            let refused = check(&request, &limits).map(|error| error.reason());
            assert_eq!(refused, Some(Reason::MalformedRequest), "{length:?}");
        }
        for uri in ["http://a,b/x", "http://a:99999/x", "ftp://a/x"] {
            assert_eq!(reason(uri, &[]), Some(Reason::MalformedRequest), "{uri}");
        }
        for names in [
            &["content-length", "content-length"][..],
            &["content_length"],
            &["transfer_encoding"],
        ] {
            assert_eq!(framed(names), Some(Reason::MalformedRequest), "{names:?}");
        }
        let long = format!("http://a/{}", "x".repeat(40));
        assert_eq!(reason(&long, &[]), Some(Reason::TargetTooLong));
    }
}
