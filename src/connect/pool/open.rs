//! Opens connections: each attempt is a task of its own, so that nobody's leaving ends what others wait for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::book::{Id, Whole};
use super::http1::Http1;
use super::line::Attempt;
use super::{Inner, STREAMS, broken};
use crate::connect::{Dialer, LocalExecutor, Stream};
use crate::error::{Error, Reason, Source};

/// An attempt under way. Dropped without a result, it has failed.
struct Opening<B> {
    pool: Weak<Inner<B>>,
    attempt: Option<Attempt>,
}

impl<B> Opening<B> {
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
            tracing::debug!(error = error.chain(), "no upstream connection was opened");
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
    let stream = dialer.dial().await?;
    // Clear text has no way to choose: the setting is prior knowledge.
    let shared = settings.http2 && (stream.chose_http2() || !settings.origin.is_tls());
    let Some(pool) = opening.pool.upgrade() else {
        return Ok(());
    };
    let id = pool.book.borrow_mut().number();
    let expires = Instant::now() + shortened(settings.lifetime);
    if shared {
        let connection = handshake_http2(stream, id, &opening.pool).await?;
        if let Some(attempt) = opening.attempt.take() {
            let mut book = pool.book.borrow_mut();
            book.expect(true);
            book.opened_shared(attempt, id, connection, expires, Instant::now());
        }
    } else {
        let connection = Http1::handshake(stream).await?;
        if let Some(attempt) = opening.attempt.take() {
            let whole = Whole {
                id,
                connection,
                expires,
            };
            let mut book = pool.book.borrow_mut();
            book.expect(false);
            book.opened(attempt, whole, Instant::now());
        }
    }
    pool.proceed();
    Ok(())
}

async fn handshake_http2<B>(
    stream: Stream,
    id: Id,
    pool: &Weak<Inner<B>>,
) -> Result<http2::SendRequest<B>, Error>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    let (sender, mut connection) = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let pool = Weak::clone(pool);
    tokio::task::spawn_local(async move {
        let mut allowed = STREAMS;
        let ended = poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            // Until the peer's SETTINGS have come this is 100; what is sent above its limit hyper keeps until it may go.
            let now_allowed = connection.current_max_send_streams();
            if ended.is_pending() && now_allowed != allowed {
                allowed = now_allowed;
                if let Some(pool) = pool.upgrade() {
                    pool.book.borrow_mut().allow_streams(id, allowed);
                    pool.proceed();
                }
            }
            ended
        })
        .await;
        note_end(&pool, id, ended);
    });
    Ok(sender)
}

/// Notes that a connection's task has ended: the peer closed it, it broke, or the pool let go of it.
fn note_end<B>(pool: &Weak<Inner<B>>, id: Id, ended: hyper::Result<()>)
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    if let Err(error) = ended {
        tracing::debug!(%error, "an upstream connection ended");
    }
    if let Some(pool) = pool.upgrade() {
        pool.book.borrow_mut().ended(id);
        pool.proceed();
    }
}

/// Takes up to a fifth off, so that connections opened together do not end together.
fn shortened(lifetime: Duration) -> Duration {
    lifetime.mul_f64(1.0 - fastrand::f64() / 5.0)
}

/// A shared connection is asked whether it is alive this often, and given up when it does not say so in time.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
