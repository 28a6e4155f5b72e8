//! Serves the requests of one connection.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::Service;

use super::activity::{Activity, Busy};
use super::guard::{Guard, Protocol, Verdict};
use super::{Accepted, Limits, http2 as http2_head};
use crate::body::Guarded;
use crate::connect::LocalExecutor;
use crate::context::{Connection, Inbound};
use crate::error::{Error, Source};

/// Serves `accepted` with `service` until the caller leaves or `draining` turns true.
///
/// A connection that is draining finishes the requests it has begun and takes no others.
pub async fn serve<S, R>(accepted: Accepted, service: S, mut draining: watch::Receiver<bool>)
where
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible> + Clone + 'static,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let Accepted {
        socket,
        peer,
        settings,
        place: _place,
    } = accepted;
    let (stream, local) = match prepare(socket) {
        Ok(prepared) => prepared,
        Err(error) => {
            return tracing::debug!(%peer, %error, "a connection was lost before it was used");
        }
    };
    let connection = Rc::new(Connection::new(peer, local, settings.anonymous));
    let limits = settings.limits;
    let mut guard = Guard::new(stream, limits, Rc::clone(&connection));
    let recognized = tokio::select! {
        recognized = guard.recognize(settings.http2) => recognized,
        () = drained(&mut draining) => return,
    };
    let protocol = match recognized {
        Ok(Some(protocol)) => protocol,
        Ok(None) => return tracing::debug!(%peer, "a connection brought no request in time"),
        Err(error) => {
            return tracing::debug!(%peer, %error, "a connection broke before its first request");
        }
    };
    let activity = guard.activity();
    let life = Life {
        activity: Rc::clone(&activity),
        draining,
        idle_timeout: limits.idle_timeout,
    };
    let verdict = guard.verdict();
    let requests = Requests {
        service,
        connection,
        verdict,
        limits,
        activity,
    };
    let io = TokioIo::new(guard);
    let ended = match protocol {
        Protocol::Http1 => {
            let service = hyper::service::service_fn(move |request| requests.http1(request));
            let connection = http1_builder(&limits).serve_connection(io, service);
            drive(connection, life, |connection| {
                connection.graceful_shutdown();
            })
            .await
        }
        Protocol::Http2 => {
            let service = hyper::service::service_fn(move |request| requests.http2(request));
            let connection = http2_builder(&limits).serve_connection(io, service);
            drive(connection, life, |connection| {
                connection.graceful_shutdown();
            })
            .await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// Waits until the drain has begun, and then a little for requests that are on their way.
async fn drained(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway; without one there is nobody left to serve for.
    let _ = draining.wait_for(|draining| *draining).await;
    sleep(GRACE).await;
}

/// How long a connection may still bring its first request when the drain begins.
const GRACE: Duration = Duration::from_millis(250);

fn prepare(socket: std::net::TcpStream) -> std::io::Result<(TcpStream, SocketAddr)> {
    socket.set_nonblocking(true)?;
    let stream = TcpStream::from_std(socket)?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((stream, local))
}

/// What ends a connection besides its caller.
struct Life {
    activity: Rc<Activity>,
    draining: watch::Receiver<bool>,
    idle_timeout: Duration,
}

impl Life {
    /// Waits until the connection should finish what it has begun and take nothing more.
    async fn over(mut self) {
        tokio::select! {
            () = self.activity.idle_for(self.idle_timeout) => {}
            _ = self.draining.wait_for(|draining| *draining) => {
                // What was accepted before the drain may have its request under way.
                let _ = timeout(GRACE, self.activity.first()).await;
            }
        }
    }
}

/// Runs a connection to its end, and asks it to finish when its life is over.
async fn drive<C>(
    connection: C,
    life: Life,
    finish: impl FnOnce(std::pin::Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = life.over() => {}
    }
    finish(connection.as_mut());
    connection.await
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The guard times heads, and the connection's life ends when it is idle for too long.
        .header_read_timeout(None)
        .max_buf_size((limits.head_bytes + SPARE_BYTES).max(SMALLEST_BUFFER));
    if limits.fields > HYPER_FIELDS {
        builder.max_headers(limits.fields);
    }
    builder
}

/// Room beside the largest head, so that the guard and not hyper decides what is too large.
const SPARE_BYTES: usize = 1024;
/// hyper accepts no smaller one.
const SMALLEST_BUFFER: usize = 8192;
/// What hyper allows without allocating.
const HYPER_FIELDS: usize = 100;

fn http2_builder(limits: &Limits) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(limits.head_bytes.try_into().unwrap_or(u32::MAX))
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Turns hyper's requests into the stack's.
struct Requests<S> {
    service: S,
    connection: Rc<Connection>,
    verdict: Verdict,
    limits: Limits,
    activity: Rc<Activity>,
}

impl<S, R> Requests<S>
where
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    fn http1(
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
        self.call(request, refused)
    }

    fn http2(&self, request: Request<Incoming>) -> impl Future<Output = Answered<R>> + use<S, R> {
        let refused = http2_head::check(&request, &self.limits);
        self.call(request, refused)
    }

    fn call(
        &self,
        request: Request<Incoming>,
        refused: Option<Error>,
    ) -> impl Future<Output = Answered<R>> + use<S, R> {
        let busy = self.activity.begin();
        let inbound = Inbound {
            request,
            connection: Rc::clone(&self.connection),
            refused,
        };
        // The stack is always ready: it answers what it cannot take.
        let answer = self.service.clone().call(inbound);
        async move { Ok(answer.await?.map(|body| Guarded::new(body, busy))) }
    }
}

/// An answer whose connection counts as busy until its body has ended.
type Answered<R> = Result<Response<Guarded<R, Busy>>, Infallible>;
