//! When a request that failed is known not to have been executed.

use crate::error::{Error, Reason};

/// Tells whether a request that failed before its answer began was certainly not executed, so that it may go out again
/// whatever it does:
///
/// - no connection was there for it;
/// - over HTTP/2 the upstream said so itself (RFC 9113 §8.7): it refused the stream, or went away (GOAWAY) naming a last
///   stream before this one.
///
/// Whether anything of the request is left to send is another question: [`super::Pool::send`] hands back what it has not
/// begun to send.
pub fn nothing_executed(error: &Error) -> bool {
    if matches!(
        error.reason(),
        Reason::ConnectionsBusy
            | Reason::UpstreamConnect
            | Reason::UpstreamName
            | Reason::UpstreamTls
    ) {
        return true;
    }
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return is_disowned(error);
        }
        next = error.source();
    }
    false
}

/// Tells whether it is the upstream's word that it has not processed a stream.
fn is_disowned(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    // h2 ends streams with a GOAWAY of the peer only when they come after the last one that it names. Those before go on,
    // and end with an I/O error if the connection does.
    error.is_remote() && (refused || error.is_go_away())
}
