//! The innermost service: one request up, one answer down.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version, header};
use http_body::Body;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::again::{Again, complete};
use super::attempts::{Ready, Token, body_too_late, send, token_ran_out};
use super::retry::{Budget, Counts};
use super::upload::{self, Upload};
use super::withheld::{Echoes, Withheld};
use super::{ContentType, Download, Rule, Settings, fields, links, query};
use crate::aep::OwnedFields;
use crate::connect::{LeasedBody, Pool};
use crate::context::{Allowance, Credentialed, Exchange, PlaceId, Received, RouteId};
use crate::deadline;
use crate::error::{Error, Reason, Source};
use crate::gate::Trial;

/// The body of an answer from upstream.
pub type UpstreamBody<B> = Download<LeasedBody<Upload<B>>>;

/// Sends requests upstream.
#[derive(Debug)]
pub struct Forward<B>(Rc<Tools<B>>);

/// What all requests of a worker are sent with.
#[derive(Debug)]
pub(super) struct Tools<B> {
    pub(super) settings: Settings,
    pub(super) pool: Pool<Upload<B>>,
    pub(super) allowance: Rc<dyn Allowance>,
    pub(super) budget: Budget,
    pub(super) retries: Counts,
    pub(super) withheld: Rc<Withheld>,
}

impl<B> Forward<B> {
    /// Sends through `pool`. What is sent once more draws on `allowance`, and is counted in `retries`; what is taken out of
    /// answers since it gave a credential away is counted in `echoes`.
    pub fn new(
        settings: Settings,
        pool: Pool<Upload<B>>,
        allowance: Rc<dyn Allowance>,
        retries: Counts,
        echoes: Echoes,
    ) -> Self {
        Self(Rc::new(Tools {
            withheld: Rc::new(Withheld::new(settings.drop_answer_fields.clone(), echoes)),
            allowance,
            budget: Budget::new(settings.retries),
            settings,
            pool,
            retries,
        }))
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<B> Service<Credentialed<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    type Response = Response<UpstreamBody<B>>;
    type Error = Error;
    /// The one box on the path of a request.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, credentialed: Credentialed<B>) -> Self::Future {
        let tools = Rc::clone(&self.0);
        // What needs no waiting is done here, so that the future holds little more than the request.
        match Outgoing::prepare(&tools.settings, credentialed) {
            Err(refused) => Box::pin(ready(Err(refused))),
            Ok(mut outgoing) if outgoing.body.is_undecided() => Box::pin(async move {
                match timeout_at(outgoing.deadline, outgoing.body.begin()).await {
                    Ok(begun) => begun?,
                    Err(_) => return Err(body_too_late()),
                }
                if Instant::now() >= outgoing.token.leave_by {
                    return Err(token_ran_out());
                }
                let finished = outgoing.finish()?;
                send(tools, finished).await
            }),
            Ok(outgoing) => match outgoing.finish() {
                Err(refused) => Box::pin(ready(Err(refused))),
                Ok(finished) => Box::pin(send(tools, finished)),
            },
        }
    }
}

/// A request whose head is what will be sent.
struct Outgoing<B> {
    head: Parts,
    body: Upload<B>,
    owned: OwnedFields,
    wants_content_type: bool,
    may_go_again: bool,
    token: Token,
    deadline: Instant,
    exchange: Rc<Exchange>,
    route: RouteId,
    place: PlaceId,
    trial: Option<Trial>,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    fn prepare(settings: &Settings, credentialed: Credentialed<B>) -> Result<Self, Error> {
        let Credentialed {
            routed,
            place,
            owned,
            generation,
            leave_by,
            successors,
            trial,
        } = credentialed;
        let Received { request, exchange } = routed.received;
        let rule = settings.routes.get(routed.route)?;
        let (mut head, body) = request.into_parts();

        let mut deadline = routed.deadline;
        if fields::outbound(&mut head.headers, rule, settings.forwarded)? {
            deadline = deadline::shorten(&mut head.headers, &exchange, deadline)?;
        }
        if settings.rewrite_links.is_some() {
            links::note(&head, &exchange);
        }
        if body.size_hint().lower() > settings.request_body_bytes {
            return Err(upload::too_large(settings.request_body_bytes));
        }
        head.uri = target(&head.uri, rule)?;
        // A request to HTTP/1.1 that says otherwise is refused by the client; the pool sets what the connection
        // speaks.
        head.version = Version::HTTP_11;
        let may_go_again = settings.sends_again(rule);
        let wants_content_type = !body.is_end_stream()
            && routed.operation.payload
            && names_no_content_type(rule, &head.headers);
        let bounds = upload::Bounds {
            bytes: settings.request_body_bytes,
            silence: rule.request_idle_timeout,
        };
        Ok(Self {
            body: Upload::new(body, &exchange, bounds, may_go_again),
            may_go_again,
            wants_content_type,
            head,
            owned,
            token: Token {
                generation,
                leave_by,
                successors,
            },
            deadline,
            exchange,
            route: routed.route,
            place,
            trial,
        })
    }

    /// Looks at what only a body that has begun can show, and then a last time at the head.
    fn finish(self) -> Result<Ready<B>, Error> {
        let Self {
            mut head,
            body,
            owned,
            ..
        } = self;
        if self.wants_content_type && !body.is_empty() {
            return Err(content_type_required());
        }
        let keep = || Again::keep(&head.uri, &head.headers, &owned, &body);
        let again = self.may_go_again.then(keep);
        complete(&mut head.headers, &self.exchange, &owned)?;
        Ok(Ready {
            again,
            request: Some(Request::from_parts(head, body)),
            token: self.token,
            deadline: self.deadline,
            exchange: self.exchange,
            route: self.route,
            place: self.place,
            trial: self.trial,
        })
    }
}

/// Adobe answers a payload without `Content-Type` with 400, after having taken it.
fn names_no_content_type(rule: &Rule, headers: &HeaderMap) -> bool {
    rule.content_type == ContentType::Require
        && headers
            .get(header::CONTENT_TYPE)
            .is_none_or(HeaderValue::is_empty)
}

fn content_type_required() -> Error {
    let detail = "send a Content-Type, such as application/json, with the payload";
    Error::new(Reason::ContentTypeRequired, detail)
}

/// Returns the target in origin form, byte for byte but for the API key parameter.
fn target(uri: &Uri, rule: &Rule) -> Result<Uri, Error> {
    let target = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    let stripped = target
        .query()
        .filter(|_| !rule.let_api_key_through)
        .and_then(query::without_api_key);
    let Some(query) = stripped else {
        return Ok(Uri::from(target));
    };
    let path = target.path();
    let text = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    let target = PathAndQuery::try_from(text).map_err(|error| {
        Error::new(Reason::Internal, "the target could not be rebuilt").because(error)
    })?;
    Ok(Uri::from(target))
}
