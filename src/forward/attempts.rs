//! Sends a request, once as a rule, and decides what to do with an outcome that is not plainly good.

use std::future::Future;
use std::mem;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::time::{Instant, sleep_until};

use super::again::Again;
use super::beginning::{Beginning, beginning};
use super::layer::{Tools, UpstreamBody};
use super::retry::{Answer, Cause, Outcome, Wait, pause_asked, verdict};
use super::withheld::Place;
use super::{Download, Settings, Upload, answer, refusal};
use crate::aep;
use crate::clock;
use crate::connect::{LeasedBody, Times, Unanswered};
use crate::context::{Bearer, Exchange, PlaceId, RouteId, Successors};
use crate::error::{Error, Reason, Retry, Side, Source};
use crate::gate::Trial;

/// A request that may be sent.
pub(super) struct Ready<B> {
    pub(super) request: Option<Request<Upload<B>>>,
    pub(super) token: Token,
    pub(super) deadline: Instant,
    pub(super) exchange: Rc<Exchange>,
    pub(super) route: RouteId,
    pub(super) place: PlaceId,
    /// Whether it is sent to find out whether a pause is over.
    pub(super) trial: Option<Trial>,
    /// `None` where requests do not go out again.
    pub(super) again: Option<Again<B>>,
}

/// Which token a request carries, and where another one is to be had.
pub(super) struct Token {
    pub(super) generation: u64,
    pub(super) leave_by: Instant,
    pub(super) successors: Rc<dyn Successors>,
}

/// An answer whose body has not been looked at.
type Fresh<B> = Response<LeasedBody<Upload<B>>>;

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room for its arguments twice"
)]
pub(super) fn send<B>(
    tools: Rc<Tools<B>>,
    mut ready: Ready<B>,
) -> impl Future<Output = Result<Response<UpstreamBody<B>>, Error>>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    async move {
        tools.budget.deposit(ready.exchange.started);
        let times = ready.begin_attempt(&tools.settings)?;
        let sent = tools.pool.send(&mut ready.request, &times).await;
        match ready.end_attempt(&tools.settings, sent) {
            Ok(response) if !needs_care(response.status()) => {
                ready.pass_on(&tools, response, Beginning::default())
            }
            // In a box, so that who is answered well does not hold room for it.
            outcome => Box::pin(go_on(tools, ready, outcome)).await,
        }
    }
}

/// Tells whether an answer with this status may say that the request was not executed, that a token is refused, or that
/// everybody has to wait.
fn needs_care(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Sends the request again as long as its outcome, the budget and the time allow; whatever comes last is the answer.
async fn go_on<B>(
    tools: Rc<Tools<B>>,
    mut ready: Ready<B>,
    mut outcome: Result<Fresh<B>, Unanswered>,
) -> Result<Response<UpstreamBody<B>>, Error>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    let mut course = Course::default();
    loop {
        match outcome {
            Ok(response) if !needs_care(response.status()) => {
                return ready.pass_on(&tools, response, Beginning::default());
            }
            Ok(mut response) => {
                let beginning = beginning(&mut response, ready.deadline).await;
                let answer = said(&response, &beginning, &ready.exchange.method);
                ready.note_pause(&answer);
                let signs = &tools.settings.token_refused_by;
                let goes_again = if refusal::refuses(signs, response.status(), &beginning) {
                    ready.replace_token(&mut course).await?
                } else {
                    let ended = Outcome::Answered(answer);
                    ready.repeat(&tools, &ended, &mut course).await?
                };
                if !goes_again {
                    return ready.pass_on(&tools, response, beginning);
                }
                // One that has come as a whole holds no connection. Of another one the connection is free now.
                course.last = beginning
                    .text
                    .is_some()
                    .then_some(Ok((response, beginning)));
            }
            Err(Unanswered { error, stale }) => {
                let reason = error.reason();
                let ended = Outcome::Unanswered { reason, stale };
                if !ready.repeat(&tools, &ended, &mut course).await? {
                    return match course.last {
                        Some(last) if says_less(reason) => {
                            let (response, beginning) = last?;
                            // It has told already what there is to know of a pause.
                            ready.trial = None;
                            ready.pass_on(&tools, response, beginning)
                        }
                        Some(_) | None => Err(error),
                    };
                }
                if reason.meaning().retry == Retry::Unsure {
                    course.last = Some(Err(error));
                }
            }
        }
        let times = ready.begin_attempt(&tools.settings)?;
        let sent = tools.pool.send(&mut ready.request, &times).await;
        outcome = ready.end_attempt(&tools.settings, sent);
    }
}

/// Tells whether a failure says only that nothing was sent this time.
fn says_less(reason: Reason) -> bool {
    let meaning = reason.meaning();
    meaning.retry == Retry::Later && meaning.side != Side::Caller
}

/// What has become of a request so far.
struct Course<R> {
    /// Its token was refused, and another one asked for.
    replaced: bool,
    /// It met a connection that had grown old, and went out again at no cost to the budget.
    spared: bool,
    /// The latest outcome that says more than that nothing was sent: what its caller is told if the request does not get
    /// out any more.
    last: Option<Result<(R, Beginning), Error>>,
}

impl<R> Default for Course<R> {
    fn default() -> Self {
        Self {
            replaced: false,
            spared: false,
            last: None,
        }
    }
}

/// Returns what an answer to a request with `method` says, whose beginning has been read.
fn said<R>(response: &Response<R>, beginning: &Beginning, method: &Method) -> Answer {
    let code = beginning.code();
    let six_digits = |code: &str| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let text = beginning.text.as_ref().filter(|_| method != Method::HEAD);
    // Services speak JSON. What cannot be read may be theirs.
    let is_json = |text: &Bytes| matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let from_gateway = match &code {
        Some(code) => six_digits(code),
        None => text.is_some_and(|text| !is_json(text)),
    };
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| aep::retry_after(value, clock::since_epoch()));
    Answer {
        status: response.status(),
        code,
        readable: text.is_some(),
        from_gateway,
        retry_after,
        retry_after_ms: text.and_then(|text| aep::retry_after_ms(text)),
    }
}

impl<B> Ready<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    /// Counts an attempt, and returns until when it has to have left and to be answered.
    fn begin_attempt<'s>(&self, settings: &'s Settings) -> Result<Times<'s>, Error> {
        let attempts = &self.exchange.attempts;
        attempts.set(attempts.get() + 1);
        let rule = settings.routes.get(self.route)?;
        let within = |limit: Option<Duration>| match limit {
            Some(limit) => self.deadline.min(Instant::now() + limit),
            None => self.deadline,
        };
        let answer_by = within(rule.attempt_timeout);
        let leave_by = within(rule.connection_timeout)
            .min(answer_by)
            .min(self.token.leave_by);
        Ok(Times {
            leave_by,
            answer_by,
            patience: &rule.patience,
        })
    }

    /// Returns the answer if it is one that can be passed on.
    fn end_attempt<R>(
        &self,
        settings: &Settings,
        sent: Result<Response<R>, Unanswered>,
    ) -> Result<Response<R>, Unanswered> {
        let mut response = sent.map_err(|Unanswered { error, stale }| {
            let error = match &self.request {
                Some(_) if Instant::now() >= self.token.leave_by => token_ran_out().because(error),
                _ => whose_fault(&self.exchange, error),
            };
            Unanswered { error, stale }
        })?;
        self.exchange.upstream_head.set(Some(Instant::now()));
        answer::settle(&mut response, settings, &self.exchange)?;
        Ok(response)
    }

    /// Holds everybody with the same key back if the answer asks for that; if not, and this was sent to find out, lets
    /// them go on.
    fn note_pause(&mut self, answer: &Answer) {
        let trial = self.trial.take();
        match (pause_asked(answer), trial) {
            (Some(pause), _) => {
                let pauses = self.token.successors.pauses();
                if pauses.shut_for(pause, Instant::now()) {
                    tracing::warn!(
                        pause_s = pause.as_secs(),
                        "the upstream asks for a pause; requests with this API key are refused meanwhile"
                    );
                }
            }
            // One that may ask for a pause and cannot be read says nothing: the next request finds out.
            (None, Some(_)) if answer.retry_after.is_some() && !answer.readable => {}
            (None, Some(trial)) => note_open(trial),
            (None, None) => {}
        }
    }

    /// Notes that the token was refused, and prepares the request for the one after it. Returns whether there is one,
    /// nothing of the request is missing, and it is the first time.
    async fn replace_token<R>(&mut self, course: &mut Course<R>) -> Result<bool, Error> {
        let refused = self.token.generation;
        self.token.successors.refuse(refused);
        let paused = self.token.successors.pauses().is_shut();
        if course.replaced || paused || !self.is_whole() {
            return Ok(false);
        }
        course.replaced = true;
        let successors = &self.token.successors;
        let Some(bearer) = successors.successor(refused, self.deadline).await else {
            return Ok(false);
        };
        // It may have begun while the token was waited for.
        let paused = self.trial.is_none() && successors.pauses().is_shut();
        if paused {
            Ok(false)
        } else {
            self.restore(bearer)
        }
    }

    /// Waits until the request may go out once more, and prepares it. Returns whether it does.
    async fn repeat<R>(
        &mut self,
        tools: &Tools<B>,
        ended: &Outcome,
        course: &mut Course<R>,
    ) -> Result<bool, Error> {
        let attempts = self.exchange.attempts.get();
        let operation = self.exchange.operation.get();
        let replay_safe = operation.is_some_and(|operation| operation.replay_safe);
        let Some(another) = verdict(ended, replay_safe) else {
            return Ok(false);
        };
        let rule = tools.settings.routes.get(self.route)?;
        if !rule.repeats || !tools.budget.allows(attempts) || !self.is_whole() {
            return Ok(false);
        }
        let waited = self.exchange.started.elapsed();
        if another.cause == Cause::NoConnection && waited > SOON_ENOUGH {
            return Ok(false);
        }
        let spared = another.wait == Wait::Nothing && !mem::replace(&mut course.spared, true);
        let wait = if another.wait == Wait::Nothing && !spared {
            Wait::Backoff
        } else {
            another.wait
        };
        let Some(moment) = tools.budget.moment(wait, attempts, self.deadline) else {
            return Ok(false);
        };
        // Who could not go out then need not wait.
        if !spared && !tools.budget.has_one(Instant::now()) {
            tools.retries.withheld();
            return Ok(false);
        }
        sleep_until(moment).await;
        let now = Instant::now();
        // It may be the one that finds out whether the pause is over that it has just waited for.
        let trial = match self.trial.take() {
            Some(trial) => Some(trial),
            None => match self.token.successors.pauses().enter(now) {
                Ok(trial) => trial,
                Err(_) => return Ok(false),
            },
        };
        if !spared && !tools.budget.withdraw(now) {
            tools.retries.withheld();
            return Ok(false);
        }
        // No window sees more than a quota allows. Only a replay with a new token is sent without asking.
        let cost = operation.map_or(NonZeroU32::MIN, |operation| operation.cost);
        if !tools.allowance.draw(self.route, self.place, cost)? {
            return Ok(false);
        }
        let unsent = self.request.is_some() && now < self.token.leave_by;
        if !unsent {
            let Some(bearer) = self.token.successors.bearer(now) else {
                return Ok(false);
            };
            if !self.restore(bearer)? {
                return Ok(false);
            }
        }
        self.trial = trial;
        tools.retries.repeated(another.cause);
        Ok(true)
    }

    /// Tells whether all of the request is still there.
    fn is_whole(&self) -> bool {
        let kept = self.again.as_ref().is_some_and(Again::is_possible);
        kept || self.request.is_some()
    }

    /// Makes the request anew with `bearer`. Returns whether nothing of it is missing.
    fn restore(&mut self, bearer: Bearer) -> Result<bool, Error> {
        let (generation, leave_by) = (bearer.generation, bearer.leave_by);
        let Some(again) = &self.again else {
            return Ok(false);
        };
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
        &mut self,
        tools: &Tools<B>,
        response: Fresh<B>,
        beginning: Beginning,
    ) -> Result<Response<UpstreamBody<B>>, Error> {
        if let Some(again) = &self.again {
            again.forget();
        }
        if let Some(trial) = self.trial.take() {
            note_open(trial);
        }
        let (mut head, body) = response.into_parts();
        self.exchange.upstream_status.set(Some(head.status));
        let successors = &self.token.successors;
        tools
            .withheld
            .take_out_of(&mut head.headers, &**successors, Place::Head);
        let patience = tools.settings.routes.get(self.route)?.response_idle_timeout;
        let withheld = (Rc::clone(&tools.withheld), Rc::clone(successors));
        let body = Download::new(body, patience, withheld, Rc::clone(&self.exchange));
        Ok(Response::from_parts(head, body.after(beginning)))
    }
}

fn note_open(trial: Trial) {
    if trial.succeeded() {
        tracing::info!("the pause that the upstream asked for is over");
    }
}

/// How long after a request's beginning a connection that failed is still tried anew: who swallows packets should not make
/// callers wait for one connect after the other.
const SOON_ENOUGH: Duration = Duration::from_secs(2);

/// A send that failed because the caller's body did is the caller's doing.
fn whose_fault(exchange: &Exchange, error: Error) -> Error {
    match exchange.upload.fault.get() {
        Some(Reason::TooLarge) => {
            Error::new(Reason::TooLarge, "the request body is too large").because(error)
        }
        Some(Reason::RequestTimeout) => {
            let detail = "the request body came to a halt for too long";
            Error::new(Reason::RequestTimeout, detail).because(error)
        }
        Some(reason) => {
            Error::new(reason, "the request body broke off or broke its framing").because(error)
        }
        None if error.reason() == Reason::UpstreamTimeout && exchange.upload.waiting.get() => {
            body_too_late().because(error)
        }
        None => error,
    }
}

pub(super) fn token_ran_out() -> Error {
    let detail = "the token ran out while the request waited to be sent";
    Error::new(Reason::TokenUnavailable, detail).after(Duration::from_secs(1))
}

pub(super) fn body_too_late() -> Error {
    let detail = "the request body did not arrive in the time for the request, or for one attempt";
    Error::new(Reason::RequestTimeout, detail)
}

#[cfg(test)]
mod tests {
    use hyper::body::Incoming;

    use super::*;

    /// Returns the size of what a function that is called with these returns.
    fn returned<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
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
