//! The body of a caller's request, as far as its connection needs to know of it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::Activity;

/// The body of a caller's request. Until it has ended or is dropped, hyper holds what is left of it; dropped before its
/// end, its connection can carry no other request.
#[derive(Debug)]
pub struct CallerBody {
    incoming: Incoming,
    /// `None` when it has ended.
    arriving: Option<Arriving>,
}

impl CallerBody {
    pub(super) fn new(incoming: Incoming, activity: &Rc<Activity>) -> Self {
        let arriving = (!incoming.is_end_stream()).then(|| Arriving::new(activity));
        Self { incoming, arriving }
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(cx));
        // Nothing follows trailers.
        let trailers = matches!(&frame, Some(Ok(frame)) if frame.is_trailers());
        if (frame.is_none() || trailers || this.incoming.is_end_stream())
            && let Some(arriving) = this.arriving.take()
        {
            arriving.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A request body that has not ended. Dropped, it was left unread.
#[derive(Debug)]
pub(super) struct Arriving {
    activity: Rc<Activity>,
    ended: bool,
}

impl Arriving {
    pub(super) fn new(activity: &Rc<Activity>) -> Self {
        activity.body_begins();
        Self {
            activity: Rc::clone(activity),
            ended: false,
        }
    }

    pub(super) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.activity.body_over(self.ended);
    }
}
