//! What the end of an exchange says about whether its request was executed, and whose doing it is.

use std::error::Error as _;

/// Tells whether it is the upstream's word over HTTP/2 that it has not processed a request, so that it may go out again
/// whatever it does (RFC 9113 §8.7): it refused the stream, or went away (GOAWAY) naming a last stream before this one.
pub(super) fn is_disowned(error: &hyper::Error) -> bool {
    // h2 ends streams with a GOAWAY of the peer only when they come after the last one that it names. Those before go on,
    // and end with an I/O error if the connection does.
    of_http2(error).is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

/// Tells whether an exchange ended by the other side or the network, and not by our own request's body, which may have
/// broken off.
pub(super) fn is_of_the_other_side(error: &hyper::Error) -> bool {
    let by_http2 = of_http2(error).is_none_or(|error| error.is_remote() || error.is_io());
    by_http2 && !error.is_user()
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}
