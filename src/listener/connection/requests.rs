//! Turns hyper's requests into the stack's, and counts them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use tower::Service;

use super::streams::{Pace, Paced, Streams};
use crate::body::Guarded;
use crate::context::{Connection, Inbound};
use crate::error::Error;
use crate::listener::activity::{Activity, Busy};
use crate::listener::caller_body::CallerBody;
use crate::listener::guard::Verdict;
use crate::listener::{Limits, http2 as http2_head};

/// Turns hyper's requests into the stack's.
pub(super) struct Requests<S> {
    pub(super) service: Rc<RefCell<S>>,
    pub(super) connection: Rc<Connection>,
    pub(super) verdict: Verdict,
    pub(super) limits: Limits,
    pub(super) activity: Rc<Activity>,
}

impl<S, R> Requests<S>
where
    S: Service<Inbound<CallerBody>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    pub(super) fn http1(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Answered<R>> + use<S, R> {
        let refusal = self.verdict.take(self.activity.taken());
        let refused = refusal.map(|refusal| {
            if let Some(method) = refusal.method {
                *request.method_mut() = method;
            }
            refusal.error
        });
        self.call(request, refused, None)
    }

    pub(super) fn http2(
        &self,
        request: Request<Incoming>,
        streams: &Streams,
    ) -> impl Future<Output = Answered<R>> + use<S, R> {
        let refused = http2_head::check(&request, &self.limits);
        self.call(request, refused, Some(streams.open()))
    }

    fn call(
        &self,
        request: Request<Incoming>,
        refused: Option<Error>,
        pace: Option<Rc<Pace>>,
    ) -> impl Future<Output = Answered<R>> + use<S, R> {
        let busy = self.activity.begin();
        let is_old = request.version() == Version::HTTP_10;
        let inbound = Inbound {
            request: Box::new(request.map(|body| CallerBody::new(body, &self.activity))),
            connection: Rc::clone(&self.connection),
            refused,
        };
        // The stack is always ready: it answers what it cannot take.
        let answer = self.service.borrow_mut().call(inbound);
        self.activity.leave_to_hyper();
        async move {
            let mut answer = answer.await?;
            match &pace {
                Some(pace) => pace.offer(),
                // Over HTTP/1, so that the caller sends no request after it that nobody would read: over HTTP/1.0 an answer
                // without a length ends with its connection.
                None if busy.is_last()
                    || (is_old && answer.body().size_hint().exact().is_none()) =>
                {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(header::CONNECTION, close);
                    if is_old {
                        // hyper would say beside it that the connection stays.
                        *answer.version_mut() = Version::HTTP_10;
                    }
                }
                None => {}
            }
            Ok(answer.map(|body| Guarded::new(Paced::new(body, pace), busy)))
        }
    }
}

/// An answer whose connection counts as busy until its body has ended.
pub(super) type Answered<R> = Result<Response<Guarded<Paced<R>, Busy>>, Infallible>;
