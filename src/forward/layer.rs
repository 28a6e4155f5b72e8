//! The innermost service: one request up, one answer down.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version, header};
use http_body::Body;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::again::{Again, complete};
use super::answer;
use super::refusal::Beginning;
use super::upload::{self, Upload};
use super::{ContentType, Download, Rule, Settings, fields, links, query, refusal};
use crate::aep::OwnedFields;
use crate::connect::{LeasedBody, Pool};
use crate::context::{Credentialed, Exchange, Received, Successors};
use crate::error::{Error, Reason, Source};

/// The body of an answer from upstream.
pub type UpstreamBody<B> = Download<LeasedBody<Upload<B>>>;

/// Sends requests upstream.
#[derive(Debug)]
pub struct Forward<B> {
    settings: Rc<Settings>,
    pool: Pool<Upload<B>>,
}

impl<B> Forward<B> {
    /// Sends through `pool`.
    pub fn new(settings: Rc<Settings>, pool: Pool<Upload<B>>) -> Self {
        Self { settings, pool }
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self {
            settings: Rc::clone(&self.settings),
            pool: self.pool.clone(),
        }
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
        let Self { settings, pool } = self.clone();
        // What needs no waiting is done here, so that the future holds little more than the request.
        match Outgoing::prepare(&settings, credentialed) {
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
                send(settings, pool, finished).await
            }),
            Ok(outgoing) => match outgoing.finish() {
                Err(refused) => Box::pin(ready(Err(refused))),
                Ok(finished) => Box::pin(send(settings, pool, finished)),
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
    replaces_tokens: bool,
    token: Token,
    deadline: Instant,
    exchange: Rc<Exchange>,
}

/// Which token a request carries, and where another one is to be had.
struct Token {
    generation: u64,
    leave_by: Instant,
    successors: Rc<dyn Successors>,
}

/// A request that may be sent.
struct Ready<B> {
    request: Option<Request<Upload<B>>>,
    token: Token,
    deadline: Instant,
    exchange: Rc<Exchange>,
    /// `None` where tokens are not replaced.
    again: Option<Again<B>>,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Source>,
{
    fn prepare(settings: &Settings, credentialed: Credentialed<B>) -> Result<Self, Error> {
        let Credentialed {
            routed,
            owned,
            generation,
            leave_by,
            successors,
        } = credentialed;
        let Received { request, exchange } = routed.received;
        let rule = settings.routes.get(routed.route)?;
        let (mut head, body) = request.into_parts();

        fields::outbound(&mut head.headers, rule, settings.forwarded)?;
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
        Ok(Self {
            body: Upload::new(
                body,
                &exchange,
                settings.request_body_bytes,
                settings.replaces_tokens(),
            ),
            replaces_tokens: settings.replaces_tokens(),
            wants_content_type: names_no_content_type(rule, &head.headers),
            head,
            owned,
            token: Token {
                generation,
                leave_by,
                successors,
            },
            deadline: routed.deadline,
            exchange,
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
        let again = self.replaces_tokens.then(keep);
        complete(&mut head.headers, &self.exchange, &owned)?;
        Ok(Ready {
            again,
            request: Some(Request::from_parts(head, body)),
            token: self.token,
            deadline: self.deadline,
            exchange: self.exchange,
        })
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room for its arguments twice"
)]
fn send<B>(
    settings: Rc<Settings>,
    pool: Pool<Upload<B>>,
    mut ready: Ready<B>,
) -> impl Future<Output = Result<Response<UpstreamBody<B>>, Error>>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    async move {
        let leave_by = ready.begin_attempt();
        let sent = pool
            .send(&mut ready.request, leave_by, ready.deadline)
            .await;
        let response = ready.end_attempt(sent)?;
        if refusal::is_suspicious(response.status()) && ready.again.is_some() {
            // In a box, so that who is answered well does not hold room for it.
            return Box::pin(look_closer(settings, pool, ready, response)).await;
        }
        Ok(ready.pass_on(&settings, response, Beginning::default()))
    }
}

/// Reads what an answer says of the token. If it refuses it, the request goes out once more with the next token, if there
/// is one and nothing of the request is lost; whatever comes then is the answer.
async fn look_closer<B>(
    settings: Rc<Settings>,
    pool: Pool<Upload<B>>,
    mut ready: Ready<B>,
    mut response: Response<LeasedBody<Upload<B>>>,
) -> Result<Response<UpstreamBody<B>>, Error>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    loop {
        let beginning = refusal::beginning(&mut response, ready.deadline).await;
        let status = response.status();
        if !refusal::refuses(&settings.token_refused_by, status, &beginning) {
            return Ok(ready.pass_on(&settings, response, beginning));
        }
        let refused = ready.token.generation;
        ready.token.successors.refuse(refused);
        if ready.exchange.attempts.get() > 1 || !ready.begin_again(refused).await? {
            return Ok(ready.pass_on(&settings, response, beginning));
        }
        // Its connection is free for the next attempt.
        drop(response);
        let leave_by = ready.begin_attempt();
        let sent = pool
            .send(&mut ready.request, leave_by, ready.deadline)
            .await;
        response = ready.end_attempt(sent)?;
        if !refusal::is_suspicious(response.status()) {
            return Ok(ready.pass_on(&settings, response, Beginning::default()));
        }
    }
}

impl<B> Ready<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    /// Counts an attempt, and returns until when it has to have left.
    fn begin_attempt(&self) -> Instant {
        let attempts = &self.exchange.attempts;
        attempts.set(attempts.get() + 1);
        self.token.leave_by.min(self.deadline)
    }

    /// Returns the answer if it is one that can be passed on.
    fn end_attempt<R>(&self, sent: Result<Response<R>, Error>) -> Result<Response<R>, Error> {
        let response = sent.map_err(|error| match &self.request {
            Some(_) if Instant::now() >= self.token.leave_by => token_ran_out().because(error),
            _ => whose_fault(&self.exchange, error),
        })?;
        self.exchange.upstream_head.set(Some(Instant::now()));
        answer::check(response.status(), response.headers())?;
        Ok(response)
    }

    /// Prepares the request for the token after the refused one. Returns whether there is one, and the request is whole.
    async fn begin_again(&mut self, refused: u64) -> Result<bool, Error> {
        let Some(again) = self.again.as_ref().filter(|again| again.is_possible()) else {
            return Ok(false);
        };
        let next = self
            .token
            .successors
            .successor(refused, self.deadline)
            .await;
        let Some(bearer) = next else {
            return Ok(false);
        };
        let (generation, leave_by) = (bearer.generation, bearer.leave_by);
        let Some(request) = again.with(bearer, &self.exchange)? else {
            return Ok(false);
        };
        self.request = Some(request);
        self.token.generation = generation;
        self.token.leave_by = leave_by;
        Ok(true)
    }

    /// Makes the upstream's answer the caller's: the request will not go out again.
    fn pass_on(
        &self,
        settings: &Settings,
        response: Response<LeasedBody<Upload<B>>>,
        beginning: Beginning,
    ) -> Response<UpstreamBody<B>> {
        if let Some(again) = &self.again {
            again.forget();
        }
        let (mut head, body) = response.into_parts();
        answer::settle(&mut head, settings, &self.exchange);
        let body = Download::new(
            body,
            settings.response_idle_timeout,
            Rc::clone(&self.exchange),
        );
        Response::from_parts(head, body.after(beginning))
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

/// A send that failed because the caller's body did is the caller's doing.
fn whose_fault(exchange: &Exchange, error: Error) -> Error {
    match exchange.upload.fault.get() {
        Some(Reason::TooLarge) => {
            Error::new(Reason::TooLarge, "the request body is too large").because(error)
        }
        Some(reason) => {
            Error::new(reason, "the request body broke off or broke its framing").because(error)
        }
        None if error.reason() == Reason::UpstreamTimeout && exchange.upload.waiting.get() => {
            body_too_late()
        }
        None => error,
    }
}

fn token_ran_out() -> Error {
    let detail = "the token ran out while the request waited to be sent";
    Error::new(Reason::TokenUnavailable, detail).after(Duration::from_secs(1))
}

fn body_too_late() -> Error {
    let detail = "the request body did not arrive before the request's deadline";
    Error::new(Reason::RequestTimeout, detail)
}

#[cfg(test)]
mod tests {
    use hyper::body::Incoming;

    use super::*;

    /// Returns the size of what a function that is called with these returns.
    fn returned<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_one_box_of_a_request_is_among_the_small_ones() {
        // What is larger the system allocator looks for much longer.
        assert!(
            returned(send::<Incoming>) <= 1032,
            "{}",
            returned(send::<Incoming>)
        );
    }
}
