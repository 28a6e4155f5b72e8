//! Serves the requests of one connection.

use std::cell::Cell;
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
use tower::Service;

use super::guard::{Guard, Protocol, Verdict};
use super::{Accepted, Limits, http2 as http2_head};
use crate::connect::LocalExecutor;
use crate::context::{Connection, Inbound};
use crate::error::Source;

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
    let connection = Rc::new(Connection {
        peer,
        anonymous: settings.anonymous,
    });
    let mut guard = Guard::new(stream, settings.limits, local);
    let recognized = tokio::select! {
        recognized = guard.recognize(settings.http2) => recognized,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    let protocol = match recognized {
        Ok(Some(protocol)) => protocol,
        Ok(None) => return tracing::debug!(%peer, "a connection brought no request in time"),
        Err(error) => {
            return tracing::debug!(%peer, %error, "a connection broke before its first request");
        }
    };
    let verdict = guard.verdict();
    let requests = Requests {
        service,
        connection,
        verdict,
        limits: settings.limits,
        count: Rc::default(),
    };
    let ended = match protocol {
        Protocol::Http1 => {
            let service = hyper::service::service_fn(move |request| requests.http1(request));
            let connection =
                http1_builder(&settings.limits).serve_connection(TokioIo::new(guard), service);
            drive(connection, draining, |connection| {
                connection.graceful_shutdown();
            })
            .await
        }
        Protocol::Http2 => {
            let service = hyper::service::service_fn(move |request| requests.http2(request));
            let connection =
                http2_builder(&settings.limits).serve_connection(TokioIo::new(guard), service);
            drive(connection, draining, |connection| {
                connection.graceful_shutdown();
            })
            .await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

fn prepare(socket: std::net::TcpStream) -> std::io::Result<(TcpStream, SocketAddr)> {
    socket.set_nonblocking(true)?;
    let stream = TcpStream::from_std(socket)?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((stream, local))
}

/// Runs a connection to its end, and asks it to finish when the drain begins.
async fn drive<C>(
    connection: C,
    mut draining: watch::Receiver<bool>,
    finish: impl FnOnce(std::pin::Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    finish(connection.as_mut());
    connection.await
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The guard times heads that have begun; this bounds the wait for one to begin.
        .header_read_timeout(limits.idle_timeout)
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
    count: Rc<Cell<u64>>,
}

impl<S, R> Requests<S>
where
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible> + Clone,
{
    fn http1(&self, request: Request<Incoming>) -> S::Future {
        let which = self.count.replace(self.count.get() + 1);
        let refused = self.verdict.take(which);
        self.call(Inbound {
            request,
            connection: Rc::clone(&self.connection),
            refused,
        })
    }

    fn http2(&self, request: Request<Incoming>) -> S::Future {
        let refused = http2_head::check(&request, &self.limits);
        self.call(Inbound {
            request,
            connection: Rc::clone(&self.connection),
            refused,
        })
    }

    fn call(&self, inbound: Inbound<Incoming>) -> S::Future {
        // The stack is always ready: it answers what it cannot take.
        self.service.clone().call(inbound)
    }
}
