//! One worker's connections to one origin.
//!
//! Everything here stays on the worker's thread, so nothing is locked. A connection is
//!
//! - *opening*: a task of its own connects;
//! - *idle*: nobody uses it;
//! - *in use*: an exchange has it (HTTP/1.1), or some share it (HTTP/2);
//! - gone: broken, unused for `idle_timeout`, past its `lifetime`, or given up in the middle of an exchange.
//!
//! A request takes an idle connection or a free place on a shared one. If there is none it stands in line, and a
//! connection is opened for it if the cap allows. Whatever comes first, a connection that another request gives back or
//! a new one, goes to the front of the line, so a connection may be opened for one request and serve another; what was
//! opened and is not needed becomes idle. Where HTTP/2 is expected one connection is opened for up to 100 requests.
//!
//! An attempt to connect that fails takes those requests with it that it was made for and that still wait. Who waits
//! for no attempt, since the cap was reached, gets one as soon as a connection is gone or an attempt has failed.
//!
//! The files: `book` keeps account and decides, `line` is the waiting line, `open` connects, `lease` lends,
//! `stages` knows how far each attempt is and who waits no longer for it, `address` says whom a request is for, `outgoing`
//! calls a body off, `answers` looks at what comes back, `counts` is what is measured.

mod address;
mod answers;
mod book;
mod counts;
mod http1;
mod lease;
mod line;
mod open;
mod outgoing;
mod stages;

#[cfg(test)]
mod frames;
#[cfg(test)]
mod model;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use hyper::client::conn::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::book::{Book, Limits, Step};
use self::http1::Http1;
use self::lease::Held;
use self::line::{Attempt, Ticket};
use self::open::Http2;
use self::outgoing::Outgoing;
use self::stages::{Stage, Stages};
use super::unexecuted::{is_disowned, is_of_the_other_side};
use super::{Dialer, LeasedBody};
use crate::error::{Error, Reason, Source};
use crate::gate::{Shut, Trial};

pub use self::counts::{Counts, PoolMetrics};
pub(super) use self::lease::Lease;
pub use self::stages::Patience;
#[cfg(test)]
pub(super) use self::tests::settings;

/// One worker's connections to one origin.
pub struct Pool<B>(Rc<Inner<B>>);

pub(super) struct Inner<B> {
    dialer: Dialer,
    book: RefCell<Accounts<B>>,
    stages: Stages,
    /// Whether [`Inner::proceed`] is under way.
    proceeding: Cell<bool>,
    /// Starts an attempt to connect. Kept as a pointer, so that what only gives back need not know how a body is sent.
    start: fn(&Rc<Self>, Attempt),
}

type Accounts<B> = Book<Box<Http1<B>>, Http2<B>, Waiter<B>>;
type Next<B> = Step<Box<Http1<B>>, Http2<B>, Waiter<B>>;
type Waiter<B> = oneshot::Sender<Result<Lease<B>, Error>>;

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    /// Makes an empty pool that counts into `counts`, which no other pool does.
    pub fn new(dialer: Dialer, counts: std::sync::Arc<Counts>) -> Self {
        let settings = dialer.settings();
        let limits = Limits {
            connections: settings.connections.get(),
            waiting: settings.waiting,
            streams: STREAMS,
            idle: settings.idle_timeout,
        };
        let book = Book::new(limits, settings.http2, counts);
        Self(Rc::new(Inner {
            dialer,
            book: RefCell::new(book),
            stages: Stages::default(),
            proceeding: Cell::new(false),
            start: open::start::<B>,
        }))
    }

    /// Sends `request`, whose target is in origin form, and returns the head of the answer. What is left in its
    /// place has not been sent.
    ///
    /// `Host` or `:authority` is the origin's, whatever the request says. A request that met a connection the
    /// origin had just closed, before a byte of it was written, goes out again over another one.
    ///
    /// # Errors
    /// The reasons of [`Dialer::dial`], [`Reason::UpstreamReset`] or [`Reason::UpstreamProtocol`];
    /// [`Reason::ConnectionsBusy`] when no connection became free before `leave_by`, or too many wait for one already;
    /// [`Reason::UpstreamTimeout`] when the answer did not begin before `answer_by`; [`Reason::UpstreamFailing`] while the
    /// breaker lets nothing through.
    ///
    /// # Cancel safety
    /// Dropping the future closes the HTTP/1.1 connection in use, or resets the HTTP/2 stream. While it waits it
    /// leaves the line, and what it had been given goes to the next.
    pub async fn send(
        &self,
        request: &mut Option<Request<B>>,
        times: &Times<'_>,
    ) -> Result<Response<LeasedBody<B>>, Unanswered> {
        let mut now = Instant::now();
        let trial = match self.0.dialer.breaker() {
            Some(breaker) => breaker.enter(now).map_err(|shut| self.failing(shut))?,
            None => None,
        };
        loop {
            let mut lease = match self.take(now) {
                Some(lease) => lease,
                // In a box, so that who need not wait does not hold room for it.
                None => match Box::pin(self.wait(times)).await {
                    Ok(Ok(lease)) => lease,
                    // The attempt itself was noted when it failed.
                    Ok(Err(error)) => {
                        if error.reason().is_connecting() {
                            self.note_failed_trial(trial);
                        }
                        return Err(error.into());
                    }
                    // That somebody waits no longer says nothing of the other side.
                    Err(left) => return Err(left.into()),
                },
            };
            let settings = self.0.dialer.settings();
            let (origin, called) = (&settings.origin, settings.called);
            let missing = || {
                let detail = "a request was to be sent that is not there";
                Error::new(Reason::Internal, detail)
            };
            let sent = match lease.held() {
                Held::Whole(whole) => {
                    address::http1(request.as_mut().ok_or_else(missing)?, origin);
                    let sending = whole.connection.send(request.take().ok_or_else(missing)?);
                    timeout_at(times.answer_by, sending).await
                }
                Held::Stream(_, shared, outgoing) => {
                    address::http2(request.as_mut().ok_or_else(missing)?, origin)?;
                    let request = request.take().ok_or_else(missing)?.map(|body| {
                        let (body, sending) = Outgoing::new(body, &shared.begun);
                        *outgoing = sending;
                        body
                    });
                    let sending = shared.sender.try_send_request(request);
                    let sent = timeout_at(times.answer_by, sending).await;
                    sent.map(|sent| {
                        sent.map_err(|refused| Refused::new(refused, Outgoing::into_body))
                    })
                }
                Held::Nothing => return Err(Error::new(Reason::Internal, "an empty lease").into()),
            };
            match sent {
                Ok(Ok(response)) => {
                    if let Some(breaker) = self.0.dialer.breaker() {
                        breaker.answered(trial);
                    }
                    let lease = if announces_what_cannot_be(&response) {
                        lease.broke();
                        None
                    } else {
                        Some(lease)
                    };
                    return Ok(response.map(|body| LeasedBody::new(body, lease)));
                }
                Ok(Err(Refused { error, unsent })) => {
                    let reused = lease.reused;
                    let whole = matches!(lease.held(), Held::Whole(_));
                    lease.broke();
                    *request = unsent.map(|unsent| *unsent);
                    // On a new connection the next one would hardly do better.
                    if !reused || request.is_none() {
                        let exchange = Broken {
                            unsent: request.is_some(),
                            reused,
                            whole,
                        };
                        return Err(self.note_broken(error, exchange, now, trial));
                    }
                    now = Instant::now();
                }
                Err(_) => {
                    let detail =
                        format!("{called}'s answer did not begin before the request's deadline");
                    return Err(Error::new(Reason::UpstreamTimeout, detail).into());
                }
            }
        }
    }

    /// Closes connections that have been unused or open for longer than the settings allow, or lead to an address that
    /// the origin's name has no more. It has the name looked up, so it wants to be called every ten seconds.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut book = self.0.book.borrow_mut();
        book.sweep(now, |connection| connection.is_alive());
        // Nobody asks for the name while there is nothing that it matters to.
        let gone = if book.is_empty() {
            Vec::new()
        } else {
            self.0.dialer.gone()
        };
        book.retire_addresses(gone, now);
        drop(book);
        self.0.proceed();
    }

    /// Closes what is unused, now and whenever something comes to be. What is under way, and what waits, is served.
    pub fn retire(&self) {
        self.0.book.borrow_mut().retire();
    }

    /// Tells whether nobody can use the pool any more, and nothing is left of it.
    pub fn is_done(&self) -> bool {
        Rc::strong_count(&self.0) == 1 && self.0.book.borrow().is_empty()
    }

    fn take(&self, now: Instant) -> Option<Lease<B>> {
        loop {
            let given = self.0.book.borrow_mut().take(now)?;
            let lease = Lease::new(given, Rc::clone(&self.0), true);
            if lease.is_ready() {
                return Some(lease);
            }
            lease.give_back();
        }
    }

    /// Stands in line until somebody gives a connection, or an attempt to open one has failed.
    ///
    /// # Errors
    /// When it leaves the line before either, or finds no place in it.
    async fn wait(&self, times: &Times<'_>) -> Result<Result<Lease<B>, Error>, Error> {
        let (waiter, receiver) = oneshot::channel();
        let joined = self.0.book.borrow_mut().join(waiter);
        let Ok(ticket) = joined else {
            return Err(self.busy("and too many requests wait for one"));
        };
        let mut waiting = Waiting {
            pool: self,
            ticket,
            receiver,
        };
        self.0.proceed();
        // Who had to wait for the others is told so, also when a connect had begun at last.
        let had_room = self.0.book.borrow().promised(ticket).is_some();
        let promised = || self.0.book.borrow().promised(ticket);
        let left = tokio::select! {
            biased;
            given = &mut waiting.receiver => {
                let given_up = |_| Error::new(Reason::Internal, "the line was given up");
                return given.map_err(given_up);
            }
            late = self.0.stages.run_out(times.patience, promised) => Some(late),
            () = sleep_until(times.leave_by) => None,
        };
        let settings = self.0.dialer.settings();
        let origin = &settings.origin;
        Err(match left {
            Some(late) => late.told(settings),
            None if had_room => Error::new(
                Reason::UpstreamConnect,
                format!("no connection to {origin} before the request's deadline"),
            ),
            None => self.busy("and none became free before the request's deadline"),
        })
    }

    /// Names what became of an exchange over a connection that was looked for at `taken`, and tells the breaker.
    fn note_broken(
        &self,
        error: hyper::Error,
        exchange: Broken,
        taken: Instant,
        trial: Option<Trial>,
    ) -> Unanswered {
        let called = self.0.dialer.settings().called;
        let Broken {
            unsent,
            reused,
            whole,
        } = exchange;
        let refused = unsent || is_disowned(&error);
        if let Some(breaker) = self.0.dialer.breaker()
            // A connection that was idle may have ended as it was taken.
            && !reused
            && is_of_the_other_side(&error)
        {
            if is_parse(&error) {
                breaker.answered(trial);
            } else {
                breaker.failed(Instant::now(), fastrand::f64());
                self.note_failed_trial(trial);
            }
        }
        if refused {
            let detail = format!(
                "{called} closed the connection or refused the request before it had looked at it"
            );
            return Error::new(Reason::UpstreamRefused, detail)
                .because(error)
                .into();
        }
        let error = broken(called, error);
        let soon = whole && reused && taken.elapsed() < STALE;
        let stale = soon && error.reason() == Reason::UpstreamReset;
        Unanswered { error, stale }
    }

    fn note_failed_trial(&self, trial: Option<Trial>) {
        if let (Some(breaker), Some(trial)) = (self.0.dialer.breaker(), trial) {
            breaker.trial_failed(trial, Instant::now(), fastrand::f64());
        }
    }

    fn failing(&self, shut: Shut) -> Error {
        let origin = &self.0.dialer.settings().origin;
        let detail =
            format!("calls to {origin} fail; it is called once in a while until it answers");
        Error::new(Reason::UpstreamFailing, detail).after(shut.wait)
    }

    fn busy(&self, more: &str) -> Error {
        let detail = format!(
            "all connections to {} are in use, {more}",
            self.0.dialer.settings().origin
        );
        Error::new(Reason::ConnectionsBusy, detail).after(BUSY_FOR)
    }
}

/// Until when what has to have happened to a request.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    /// When it has to have a connection.
    pub leave_by: Instant,
    /// When its answer has to begin.
    pub answer_by: Instant,
    /// How long it waits for the parts of a connection that is opened for it.
    pub patience: &'a Patience,
}

impl Times<'_> {
    /// Lets a request use all of its time for whatever takes it.
    pub fn until(deadline: Instant) -> Self {
        Self {
            leave_by: deadline,
            answer_by: deadline,
            patience: &Patience::ENDLESS,
        }
    }
}

/// An exchange that broke.
#[derive(Clone, Copy)]
struct Broken {
    /// Nothing of the request had been written.
    unsent: bool,
    /// The connection had been used before.
    reused: bool,
    /// It was alone on the connection.
    whole: bool,
}

/// A request that got no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// Why.
    pub error: Error,
    /// Whether the connection had been used before and ended before an answer began, as one does that the origin closes
    /// for its age in the same moment.
    pub stale: bool,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self {
            error,
            stale: false,
        }
    }
}

/// A request that was not answered.
struct Refused<B> {
    error: hyper::Error,
    /// The request, when nothing of it was sent. In a box, since it is rare and not small.
    unsent: Option<Box<Request<B>>>,
}

impl<B> Refused<B> {
    fn new<T>(mut refused: TrySendError<Request<T>>, body: impl FnOnce(T) -> B) -> Self {
        let unsent = refused.take_message();
        Self {
            unsent: unsent.map(|unsent| Box::new(unsent.map(body))),
            error: refused.into_error(),
        }
    }
}

/// A place in the line, left when dropped.
struct Waiting<'a, B: 'static> {
    pool: &'a Pool<B>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Result<Lease<B>, Error>>,
}

impl<B> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        let waiter = self.pool.0.book.borrow_mut().leave(self.ticket);
        self.pool.0.stages.tell();
        if waiter.is_none()
            && let Ok(Ok(lease)) = self.receiver.try_recv()
        {
            // It was given in the same moment, and has not been used.
            lease.give_back();
        }
    }
}

impl<B> Inner<B> {
    /// Does what the book says is to be done, until nothing is.
    ///
    /// Called by what it does, it leaves that to the call under way: an attempt that ends as it begins, as all do when
    /// the runtime goes, would otherwise begin the next one deeper and deeper.
    fn proceed(self: &Rc<Self>) {
        if !self.book.borrow().is_waited_for() || self.proceeding.replace(true) {
            return;
        }
        while let Some(step) = self.next_step() {
            match step {
                Step::Open(attempt) => {
                    self.stages.reach(attempt, Stage::Connect);
                    (self.start)(self, attempt);
                }
                Step::Serve { who, given, fresh } => {
                    // Who has gone has left the line, so this is always received.
                    drop(who.send(Ok(Lease::new(given, Rc::clone(self), !fresh))));
                }
            }
        }
        self.proceeding.set(false);
        self.stages.tell();
    }

    fn next_step(&self) -> Option<Next<B>> {
        self.book.borrow_mut().next_step(Instant::now())
    }

    /// Tells those who fail with an attempt.
    fn fail(self: &Rc<Self>, attempt: Attempt, error: Error) {
        if error.reason().is_connecting()
            && let Some(breaker) = self.dialer.breaker()
        {
            breaker.failed(Instant::now(), fastrand::f64());
        }
        self.stages.end(attempt);
        let failed = self.book.borrow_mut().failed(attempt);
        let (reason, detail) = (error.reason(), error.detail().to_owned());
        let mut first = Some(error);
        for waiter in failed {
            let shared = || Error::new(reason, detail.clone());
            drop(waiter.send(Err(first.take().unwrap_or_else(shared))));
        }
        self.proceed();
    }
}

/// The most exchanges at a time on one HTTP/2 connection; fewer where the peer's SETTINGS say so.
const STREAMS: usize = 100;

/// How soon after a request a connection ends that its origin had closed for its age.
const STALE: Duration = Duration::from_millis(250);

/// When it is worth to come back after all connections were in use.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Tells whether an answer without a body says that it has one: what may still come of it would be taken for the next.
fn announces_what_cannot_be<R>(response: &Response<R>) -> bool {
    let fields = response.headers();
    let length = || fields.get(header::CONTENT_LENGTH);
    response.status() == StatusCode::NO_CONTENT
        && (fields.contains_key(header::TRANSFER_ENCODING)
            || length().is_some_and(|length| length != "0"))
}

/// Names what went wrong on a connection to `called` that had been made.
fn broken(called: &str, error: hyper::Error) -> Error {
    let (reason, detail) = if is_parse(&error) {
        (
            Reason::UpstreamProtocol,
            format!("{called}'s answer could not be read as HTTP"),
        )
    } else {
        (
            Reason::UpstreamReset,
            format!("{called} closed the connection before it had answered"),
        )
    };
    Error::new(reason, detail).because(error)
}

/// Tells whether an answer's head could not be read, by hyper or before hyper read it.
fn is_parse(error: &hyper::Error) -> bool {
    error.is_parse() || is_bad_answer(error)
}

fn is_bad_answer(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(<dyn std::error::Error>::downcast_ref::<std::io::Error>);
    source
        .and_then(std::io::Error::get_ref)
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<answers::BadAnswer>)
}

impl<B> std::fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("dialer", &self.0.dialer)
            .finish_non_exhaustive()
    }
}
