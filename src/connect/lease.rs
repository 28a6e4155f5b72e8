//! A response body that gives its connection back when it ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::pool::Lease;

pin_project! {
    /// A response body together with the connection it comes over.
    ///
    /// Read to its end it returns the connection to the pool; dropped before, it closes the connection, since
    /// what is still under way on it could not be told from the next answer.
    pub struct LeasedBody<B> {
        // `None` when it has ended: over HTTP/2 the stream is not over while somebody holds it.
        #[pin]
        incoming: Option<Incoming>,
        lease: Option<Lease<B>>,
    }
}

impl<B: 'static> LeasedBody<B> {
    pub(super) fn new(incoming: Incoming, lease: Option<Lease<B>>) -> Self {
        if !incoming.is_end_stream() {
            let incoming = Some(incoming);
            return Self { incoming, lease };
        }
        drop(incoming);
        if let Some(lease) = lease {
            lease.give_back();
        }
        Self {
            incoming: None,
            lease: None,
        }
    }
}

impl<B: 'static> Body for LeasedBody<B> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let Some(mut incoming) = this.incoming.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = ready!(match this.lease {
            Some(lease) => lease.poll_frame(incoming.as_mut(), cx),
            None => incoming.as_mut().poll_frame(cx),
        });
        match &frame {
            // Trailers are an end too: nothing follows them, and who has them may not ask again.
            Some(Ok(frame)) if !frame.is_trailers() && !incoming.is_end_stream() => {}
            Some(Err(_)) => {
                if let Some(lease) = this.lease.take() {
                    lease.broke();
                }
            }
            Some(Ok(_)) | None => {
                this.incoming.set(None);
                if let Some(lease) = this.lease.take() {
                    lease.give_back();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<B> std::fmt::Debug for LeasedBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeasedBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}
