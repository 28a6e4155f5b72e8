//! One worker's connections to one origin.
//!
//! Everything here stays on the worker's thread, so nothing is locked. An HTTP/1.1 connection is *idle* (on the
//! stack), *leased* (an exchange owns it) or gone; HTTP/2 has one connection that all exchanges share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Dialer, LeasedBody, LocalExecutor, Stream};
use crate::error::{Error, Reason, Source};

/// One worker's connections to one origin.
pub struct Pool<B>(Rc<Inner<B>>);

pub(super) struct Inner<B> {
    dialer: Dialer,
    /// Most recently used last, so that the rest can grow old and be closed.
    idle: RefCell<Vec<Idle<B>>>,
    shared: RefCell<Option<Shared<B>>>,
    /// Held while an HTTP/2 connection is opened, so that a burst opens one and not many.
    opening: Mutex<()>,
    /// Whether the origin last chose HTTP/1.1 although HTTP/2 was offered: then nobody waits for `opening`.
    chose_http1: Cell<bool>,
    /// When the latest attempt to open a shared connection failed, and why, for those who waited for it.
    failed: RefCell<Option<(Instant, Reason, String)>>,
}

/// The HTTP/2 connection that all exchanges share.
struct Shared<B> {
    sender: http2::SendRequest<B>,
    /// Held by every exchange besides this.
    users: Rc<()>,
    used: Instant,
}

impl<B> Shared<B> {
    fn is_unused_for(&self, oldest: Duration) -> bool {
        Rc::strong_count(&self.users) == 1 && self.used.elapsed() >= oldest
    }
}

struct Idle<B> {
    sender: http1::SendRequest<B>,
    since: Instant,
}

enum Connection<B> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>, Rc<()>),
}

/// A connection in use.
pub(super) enum Lease<B> {
    /// HTTP/1.1: this exchange alone has it.
    Whole {
        sender: http1::SendRequest<B>,
        pool: Rc<Inner<B>>,
    },
    /// HTTP/2: it counts as used as long as this lives.
    Stream { _user: Rc<()> },
}

impl<B> Lease<B> {
    pub(super) fn give_back(self) {
        if let Self::Whole { sender, pool } = self
            && !sender.is_closed()
        {
            pool.idle.borrow_mut().push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}

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
    /// Makes an empty pool.
    pub fn new(dialer: Dialer) -> Self {
        Self(Rc::new(Inner {
            dialer,
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: Mutex::new(()),
            chose_http1: Cell::new(false),
            failed: RefCell::default(),
        }))
    }

    /// Sends `request`, whose target is in origin form, and returns the head of the answer.
    ///
    /// `Host` or `:authority` is the origin's, whatever the request says. A request that met a connection the
    /// origin had just closed, before a byte of it was written, goes out again over another one.
    ///
    /// # Errors
    /// The reasons of [`Dialer::dial`], [`Reason::UpstreamReset`] or [`Reason::UpstreamProtocol`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the HTTP/1.1 connection in use, or resets the HTTP/2 stream.
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<LeasedBody<B>>, Error> {
        loop {
            let (connection, reused) = match self.ready() {
                Some(connection) => (connection, true),
                None => (self.open().await?, false),
            };
            let (error, unsent) = match connection {
                Connection::Http1(mut sender) => {
                    self.address_http1(&mut request);
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            let lease = Lease::Whole {
                                sender,
                                pool: Rc::clone(&self.0),
                            };
                            return Ok(response.map(|body| LeasedBody::new(body, Some(lease))));
                        }
                        Err(mut refused) => {
                            let unsent = refused.take_message();
                            (refused.into_error(), unsent)
                        }
                    }
                }
                Connection::Http2(mut sender, user) => {
                    self.address_http2(&mut request)?;
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            let lease = Lease::Stream { _user: user };
                            return Ok(response.map(|body| LeasedBody::new(body, Some(lease))));
                        }
                        Err(mut refused) => {
                            let unsent = refused.take_message();
                            (refused.into_error(), unsent)
                        }
                    }
                }
            };
            match unsent {
                Some(returned) if reused => request = returned,
                _ => return Err(broken(error)),
            }
        }
    }

    /// Closes connections that have been idle for longer than the settings allow, and dead ones.
    pub fn sweep(&self) {
        let oldest = self.0.dialer.settings().idle_timeout;
        let mut idle = self.0.idle.borrow_mut();
        idle.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < oldest);
        self.0
            .shared
            .borrow_mut()
            .take_if(|shared| shared.is_unused_for(oldest));
    }

    /// Returns the number of idle HTTP/1.1 connections.
    pub fn idle_connections(&self) -> usize {
        self.0.idle.borrow().len()
    }

    fn ready(&self) -> Option<Connection<B>> {
        let oldest = self.0.dialer.settings().idle_timeout;
        let mut shared = self.0.shared.borrow_mut();
        shared.take_if(|shared| shared.sender.is_closed() || shared.is_unused_for(oldest));
        if let Some(shared) = shared.as_mut() {
            shared.used = Instant::now();
            return Some(Connection::Http2(
                shared.sender.clone(),
                Rc::clone(&shared.users),
            ));
        }
        let mut idle = self.0.idle.borrow_mut();
        // A connection just given back may need one more turn of its task before it is ready: look below it.
        let mut place = idle.len();
        while place > 0 {
            place -= 1;
            let candidate = idle.get(place)?;
            if candidate.sender.is_closed() || candidate.since.elapsed() >= oldest {
                idle.swap_remove(place);
            } else if candidate.sender.is_ready() {
                return Some(Connection::Http1(idle.remove(place).sender));
            }
        }
        None
    }

    async fn open(&self) -> Result<Connection<B>, Error> {
        if !self.0.dialer.settings().http2 || self.0.chose_http1.get() {
            return self.dial().await;
        }
        let asked = Instant::now();
        let opening = self.0.opening.lock().await;
        if let Some(connection) = self.ready() {
            return Ok(connection);
        }
        if self.0.chose_http1.get() {
            // The one that was waited for found this out; from here nobody waits for anybody.
            drop(opening);
            return self.dial().await;
        }
        if let Some((at, reason, detail)) = &*self.0.failed.borrow()
            && *at >= asked
        {
            return Err(Error::new(*reason, detail.clone()));
        }
        let dialed = self.dial().await;
        if let Err(error) = &dialed {
            let failed = (Instant::now(), error.reason(), error.detail().to_owned());
            *self.0.failed.borrow_mut() = Some(failed);
        }
        dialed
    }

    /// Opens a connection and speaks what the settings and the origin agree on.
    async fn dial(&self) -> Result<Connection<B>, Error> {
        let settings = self.0.dialer.settings();
        let stream = self.0.dialer.dial().await?;
        // Clear text has no way to choose: the setting is prior knowledge.
        let http2 = settings.http2 && (stream.chose_http2() || !settings.origin.is_tls());
        self.0.chose_http1.set(settings.http2 && !http2);
        if http2 {
            self.handshake_http2(stream).await
        } else {
            self.handshake_http1(stream).await
        }
    }

    async fn handshake_http2(&self, stream: Stream) -> Result<Connection<B>, Error> {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an upstream HTTP/2 connection ended");
            }
        });
        let users = Rc::new(());
        let shared = Shared {
            sender: sender.clone(),
            users: Rc::clone(&users),
            used: Instant::now(),
        };
        *self.0.shared.borrow_mut() = Some(shared);
        Ok(Connection::Http2(sender, users))
    }

    async fn handshake_http1(&self, stream: Stream) -> Result<Connection<B>, Error> {
        let (sender, connection) = http1::Builder::new()
            // What an answer may pile up here while its caller is slow; hyper's own bound is 400 KiB.
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an upstream connection ended");
            }
        });
        Ok(Connection::Http1(sender))
    }

    fn address_http1(&self, request: &mut Request<B>) {
        let authority = self.0.dialer.settings().origin.authority().clone();
        request.headers_mut().insert(header::HOST, authority);
        if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
            // With GET, hyper leaves a body of unknown length out unless it is told that there is one.
            let chunked = HeaderValue::from_static("chunked");
            request
                .headers_mut()
                .insert(header::TRANSFER_ENCODING, chunked);
        }
        *request.version_mut() = Version::HTTP_11;
        if request.uri().authority().is_some() {
            let target = request.uri().path_and_query().cloned();
            *request.uri_mut() =
                Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
    }

    fn address_http2(&self, request: &mut Request<B>) -> Result<(), Error> {
        let origin = &self.0.dialer.settings().origin;
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::TRANSFER_ENCODING);
        *request.version_mut() = Version::HTTP_2;
        let internal = |error: http::Error| {
            Error::new(Reason::Internal, "the upstream target could not be built").because(error)
        };
        let authority = Authority::try_from(origin.authority().as_bytes());
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if origin.is_tls() {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        });
        parts.authority = Some(authority.map_err(|error| internal(error.into()))?);
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts).map_err(|error| internal(error.into()))?;
        Ok(())
    }
}

/// The most that is read ahead of a slow caller, in bytes.
const READ_BUFFER: usize = 64 * 1024;

/// A shared connection is asked whether it is alive this often, and given up when it does not say so in time.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Names what went wrong on a connection that had been made.
fn broken(error: hyper::Error) -> Error {
    let (reason, detail) = if error.is_parse() {
        (
            Reason::UpstreamProtocol,
            "the upstream's answer could not be read as HTTP",
        )
    } else {
        (
            Reason::UpstreamReset,
            "the upstream closed the connection before it had answered",
        )
    };
    Error::new(reason, detail).because(error)
}

impl<B> std::fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("dialer", &self.0.dialer)
            .finish_non_exhaustive()
    }
}
