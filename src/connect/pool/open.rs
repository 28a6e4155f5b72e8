//! Opens connections: each attempt is a task of its own, so that nobody's leaving ends what others wait for.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::book::{Id, Term, Whole};
use super::http1::Http1;
use super::line::Attempt;
use super::outgoing::{Begun, Outgoing};
use super::stages::Stage;
use super::{Inner, STREAMS};
use crate::connect::{Dialer, LocalExecutor, Settings, Stream};
use crate::error::{Error, Reason, Source};

/// An attempt under way. Dropped without a result, it has failed.
struct Opening<B> {
    pool: Weak<Inner<B>>,
    attempt: Option<Attempt>,
}

impl<B> Opening<B> {
    /// Notes how far the attempt is.
    fn reach(&self, stage: Stage) {
        if let (Some(pool), Some(attempt)) = (self.pool.upgrade(), self.attempt) {
            pool.stages.reach(attempt, stage);
        }
    }

    /// Takes the attempt out, which has succeeded.
    fn succeeded(&mut self, pool: &Inner<B>) -> Option<Attempt> {
        let attempt = self.attempt.take()?;
        pool.stages.end(attempt);
        Some(attempt)
    }

    fn fail(&mut self, error: Error) {
        if let Some(attempt) = self.attempt.take()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.fail(attempt, error);
        }
    }
}

impl<B> Drop for Opening<B> {
    fn drop(&mut self) {
        self.fail(Error::new(
            Reason::Internal,
            "opening a connection was given up",
        ));
    }
}

/// An HTTP/2 connection.
pub(super) struct Http2<B> {
    pub(super) sender: http2::SendRequest<Outgoing<B>>,
    /// Where the bodies of its requests note that they begin.
    pub(super) begun: Begun,
    /// Asks the connection, as long as its task runs.
    allowed: Weak<dyn Fn() -> usize>,
}

impl<B> Http2<B> {
    /// Returns how many streams the peer allows, once it has said so.
    ///
    /// It is asked and does not tell: hyper reads SETTINGS in a task that we do not see.
    pub(super) fn allowed(&self) -> Option<usize> {
        let allowed = self.allowed.upgrade()?();
        (allowed != UNTOLD).then_some(allowed)
    }
}

impl<B> Clone for Http2<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            begun: self.begun.clone(),
            allowed: Weak::clone(&self.allowed),
        }
    }
}

/// Starts to open a connection.
pub(super) fn start<B>(pool: &Rc<Inner<B>>, attempt: Attempt)
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    let mut opening = Opening {
        pool: Rc::downgrade(pool),
        attempt: Some(attempt),
    };
    let dialer = pool.dialer.clone();
    tokio::task::spawn_local(async move {
        if let Err(error) = open(&dialer, &mut opening).await {
            tracing::debug!(
                to = dialer.settings().called,
                error = error.chain(),
                "no connection was opened"
            );
            opening.fail(error);
        }
    });
}

/// Opens a connection and speaks what the settings and the origin agree on.
async fn open<B>(dialer: &Dialer, opening: &mut Opening<B>) -> Result<(), Error>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    let settings = dialer.settings();
    let stream = dialer.dial(|| opening.reach(Stage::Tls)).await?;
    // Clear text has no way to choose: the setting is prior knowledge.
    let shared = settings.http2 && (stream.chose_http2() || !settings.origin.is_tls());
    let Some(pool) = opening.pool.upgrade() else {
        return Ok(());
    };
    let id = pool.book.borrow_mut().number();
    let term = Term {
        expires: Instant::now() + shortened(settings.lifetime),
        address: stream.address(),
    };
    if shared {
        opening.reach(Stage::Http2);
        let connection = handshake_http2(stream, id, &opening.pool, settings).await?;
        if let Some(attempt) = opening.succeeded(&pool) {
            let mut book = pool.book.borrow_mut();
            book.expect(true);
            let allowed = connection.allowed();
            book.opened_shared(attempt, id, connection, term, Instant::now());
            book.allow_streams(id, allowed.unwrap_or(STREAMS));
        }
    } else {
        let connection = Http1::handshake(stream).await;
        let connection = connection.map_err(|error| unspoken(settings.called, error))?;
        let connection = Box::new(connection);
        if let Some(attempt) = opening.succeeded(&pool) {
            let whole = Whole {
                id,
                connection,
                term,
            };
            let mut book = pool.book.borrow_mut();
            book.expect(false);
            book.opened(attempt, whole, Instant::now());
        }
    }
    if let Some(breaker) = dialer.breaker() {
        // Whoever opens connections is there, and may be slow to answer.
        breaker.answered(None);
    }
    pool.proceed();
    Ok(())
}

/// Begins HTTP/2, and waits for the peer's SETTINGS: before them it is not known how many requests it takes, nor whether
/// it speaks HTTP/2 at all.
async fn handshake_http2<B>(
    stream: Stream,
    id: Id,
    pool: &Weak<Inner<B>>,
    settings: &Settings,
) -> Result<Http2<B>, Error>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    let tasks = Tasks::default();
    let Tasks { moved, begun } = tasks.clone();
    let (sender, connection) = http2::Builder::new(tasks)
        .timer(TokioTimer::new())
        .initial_max_send_streams(UNTOLD)
        // Of all streams together as much as of each: callers that read slowly take nothing from the others.
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.saturating_mul(STREAM_WINDOWS))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unspoken(settings.called, error))?;
    let connection = Rc::new(RefCell::new(connection));
    let asked = Rc::clone(&connection);
    let allowed: Rc<dyn Fn() -> usize> = Rc::new(move || {
        let connection = asked.try_borrow();
        connection.map_or(UNTOLD, |connection| connection.current_max_send_streams())
    });
    let shared = Http2 {
        sender,
        begun,
        allowed: Rc::downgrade(&allowed),
    };
    let pool = Weak::clone(pool);
    let ending = Rc::clone(&moved);
    tokio::task::spawn_local(async move {
        let ended = poll_fn(|cx| Pin::new(&mut *connection.borrow_mut()).poll(cx)).await;
        drop((connection, allowed));
        ending.notify_waiters();
        note_end(&pool, id, ended);
    });
    let begun = async {
        loop {
            let moved = moved.notified();
            if shared.allowed().is_some() || shared.sender.is_closed() {
                return !shared.sender.is_closed();
            }
            moved.await;
        }
    };
    let (called, limit) = (settings.called, settings.tls_timeout);
    match timeout(limit, begun).await {
        Ok(true) => Ok(shared),
        Ok(false) => {
            let said = format!("{called} closed the connection before HTTP/2 had begun on it");
            Err(Error::new(Reason::UpstreamConnect, said))
        }
        Err(_) => Err(http2_late(called, limit)),
    }
}

/// Says that the peer's SETTINGS did not come in time.
pub(super) fn http2_late(called: &str, limit: Duration) -> Error {
    let said = format!("{called} did not begin HTTP/2 within {limit:?}");
    Error::new(Reason::UpstreamConnect, said)
}

/// Runs hyper's tasks, and tells when one of them has moved on: only then can the peer have said something new. One that
/// sends a body ends when the body is called off, and with it the stream.
#[derive(Clone, Default)]
struct Tasks {
    moved: Rc<Notify>,
    begun: Begun,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, task: F) {
        let moved = Rc::clone(&self.moved);
        let sending = self.begun.take();
        LocalExecutor.execute(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                if let Some(sending) = &sending
                    && sending.poll_called_off(cx).is_ready()
                {
                    return Poll::Ready(());
                }
                let polled = task.as_mut().poll(cx);
                moved.notify_waiters();
                polled
            })
            .await;
        });
    }
}

/// Notes that a connection's task has ended: the peer closed it, it broke, or the pool let go of it.
fn note_end<B>(pool: &Weak<Inner<B>>, id: Id, ended: hyper::Result<()>)
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    if let Err(error) = ended {
        tracing::debug!(%error, "an outbound connection ended");
    }
    if let Some(pool) = pool.upgrade() {
        pool.book.borrow_mut().ended(id);
        pool.proceed();
    }
}

/// Says that a connection broke before anything of a request was sent.
fn unspoken(called: &str, error: hyper::Error) -> Error {
    let detail = format!("{called} closed the connection before a request could be sent");
    Error::new(Reason::UpstreamConnect, detail).because(error)
}

/// Takes up to a fifth off, so that connections opened together do not end together.
fn shortened(lifetime: Duration) -> Duration {
    lifetime.mul_f64(1.0 - fastrand::f64() / 5.0)
}

/// What hyper takes for the peer's limit until its SETTINGS have come: a number that nobody can say, since theirs are of 32
/// bits, and no limit at all is the number after this one.
const UNTOLD: usize = usize::MAX - 1;

/// What may arrive of one answer that nobody reads, in bytes: as much as over HTTP/1.1.
const WINDOW: u32 = 256 * 1024;

/// As many as [`STREAMS`].
const STREAM_WINDOWS: u32 = 100;

/// A shared connection is asked whether it is alive this often, and given up when it does not say so in time.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
