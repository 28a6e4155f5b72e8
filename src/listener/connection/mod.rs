//! Serves the requests of one connection.

mod life;
mod requests;
mod streams;

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tower::Service;

use self::life::{Drain, GRACE, HANDSHAKE_GRACE, Life, Turn, drained};
use self::requests::Requests;
use self::streams::Streams;
use super::activity::Activity;
use super::caller_body::CallerBody;
use super::guard::{Guard, Protocol};
use super::socket::Socket;
use super::stall::Stall;
use super::stream::Stream;
use super::tls::{agreed_on_http2, certificate};
use super::{Accepted, Limits, Terms};
use crate::context::{Connection, Inbound};
use crate::error::Source;

/// Serves `accepted` with `service` until the caller leaves or `draining` turns true.
///
/// All connections of a worker share its service. `_held` is let go when the connection has ended.
///
/// A connection that is draining finishes the requests it has begun and takes no others. One over HTTP/1.1 that
/// rests between two requests is taken down to its socket, and set up again when more arrives: of the connections
/// a gateway holds open most wait.
pub async fn serve<S, R, H>(
    accepted: Accepted,
    service: Rc<RefCell<S>>,
    draining: watch::Receiver<bool>,
    _held: H,
) where
    S: Service<Inbound<CallerBody>, Response = Response<R>, Error = Infallible> + 'static,
    S::Future: 'static,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let Accepted {
        socket,
        peer,
        terms,
        place: _place,
        failed_handshakes,
    } = accepted;
    let (socket, local, unix_peer) = match socket.enter() {
        Ok(entered) => entered,
        Err(error) => {
            return tracing::debug!(%peer, %error, "a connection was lost before it was used");
        }
    };
    let connection = Rc::new(Connection {
        tls: terms.settings.tls.is_some(),
        unix_peer,
        public_url: terms.settings.public_url.clone(),
        ..Connection::new(peer, local, Arc::clone(&terms.settings.accepts))
    });
    let limits = terms.settings.limits;
    let activity = Activity::new();
    let socket = Stall::new(
        socket,
        limits.write_timeout,
        Rc::clone(&connection),
        Rc::clone(&activity),
    );
    // In a box, since a handshake needs more room than all that comes after it.
    let opened = tokio::select! {
        opened = Box::pin(open(socket, terms, &connection)) => opened,
        () = drained(draining.clone(), HANDSHAKE_GRACE) => return,
    };
    let (stream, may_speak) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            failed_handshakes.inc();
            return tracing::debug!(%peer, %error, "a TLS handshake failed");
        }
    };
    let mut guard =
        Guard::with_activity(stream, limits, Rc::clone(&connection), Rc::clone(&activity));
    let recognized = tokio::select! {
        recognized = guard.recognize(may_speak != MaySpeak::Http1) => recognized,
        () = drained(draining.clone(), GRACE) => return,
    };
    let protocol = match recognized {
        Ok(Some(Protocol::Http1)) if may_speak == MaySpeak::Http2 => {
            return tracing::debug!(%peer, "a connection agreed on HTTP/2 and does not speak it");
        }
        Ok(Some(protocol)) => protocol,
        Ok(None) => return tracing::debug!(%peer, "a connection brought no request in time"),
        Err(error) => {
            return tracing::debug!(%peer, %error, "a connection broke before its first request");
        }
    };
    let life = Life {
        activity: Rc::clone(&activity),
        draining,
        idle_timeout: limits.idle_timeout,
    };
    let requests = Requests {
        service,
        connection,
        verdict: guard.verdict(),
        limits,
        activity,
    };
    let ended = match protocol {
        Protocol::Http1 => serve_http1(&mut guard, &requests, &life).await,
        Protocol::Http2 => Box::pin(serve_http2(guard, requests, &life)).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// What may be spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MaySpeak {
    /// HTTP/1 or, with prior knowledge, HTTP/2.
    Both,
    Http1,
    Http2,
}

/// Makes the handshake, where the terms ask for one, and notes whose certificate was shown in it.
async fn open(
    socket: Stall<Socket>,
    terms: Arc<Terms>,
    connection: &Connection,
) -> std::io::Result<(Stream, MaySpeak)> {
    let Some(handshakes) = &terms.handshakes else {
        let may_speak = if terms.settings.http2 {
            MaySpeak::Both
        } else {
            MaySpeak::Http1
        };
        return Ok((Stream::Plain(socket), may_speak));
    };
    let stream = handshakes.make(socket).await?;
    if let Some(names) = certificate(&stream).transpose()? {
        tracing::debug!(peer = %connection.peer, ?names, "a caller showed its certificate");
        let _ = connection.certificate.set(Box::new(names));
    }
    let may_speak = if agreed_on_http2(&stream) {
        MaySpeak::Http2
    } else {
        MaySpeak::Http1
    };
    Ok((Stream::Tls(Box::new(stream)), may_speak))
}

async fn serve_http1<T, S, R>(
    guard: &mut Guard<T>,
    requests: &Requests<S>,
    life: &Life,
) -> Result<(), Source>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Inbound<CallerBody>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    loop {
        // In a box, so that nothing of it is left while the connection rests.
        match Box::pin(serve_until_rest(guard, requests, life)).await? {
            Stay::Ended => return Ok(()),
            Stay::Waiting => {}
            Stay::Resting => {
                if !life.rest(guard).await? {
                    return Ok(guard.shutdown().await?);
                }
            }
        }
    }
}

/// Whether a connection is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// It is not.
    Ended,
    /// It is, and nothing has come over it.
    Resting,
    /// It is, and requests that have come wait to be served.
    Waiting,
}

/// Serves requests until the connection ends or there has been nothing to do for a while.
async fn serve_until_rest<T, S, R>(
    guard: &mut Guard<T>,
    requests: &Requests<S>,
    life: &Life,
) -> Result<Stay, Source>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Inbound<CallerBody>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let service = hyper::service::service_fn(|request| requests.http1(request));
    let builder = http1_builder(&requests.limits);
    let mut connection = builder.serve_connection(TokioIo::new(&mut *guard), service);
    match life
        .drive(Pin::new(&mut connection), Drain::AfterAnother)
        .await
    {
        Turn::Ended(ended) => ended?,
        Turn::Over => {
            Pin::new(&mut connection).graceful_shutdown();
            connection.await?;
        }
        Turn::Resting => {
            let unused = connection.into_parts().read_buf;
            return Ok(if guard.take_back(&unused) {
                Stay::Waiting
            } else {
                Stay::Resting
            });
        }
    }
    Ok(Stay::Ended)
}

async fn serve_http2<T, S, R>(
    guard: Guard<T>,
    requests: Requests<S>,
    life: &Life,
) -> Result<(), Source>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Inbound<CallerBody>, Response = Response<R>, Error = Infallible> + 'static,
    S::Future: 'static,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let streams = Streams::new(
        Rc::clone(&requests.connection),
        requests.limits.write_timeout,
    );
    let builder = http2_builder(&requests.limits, streams.clone());
    let limit = requests.limits.write_timeout;
    let service = hyper::service::service_fn(move |request| requests.http2(request, &streams));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), service));
    match life.drive(connection.as_mut(), Drain::AfterTheFirst).await {
        Turn::Ended(ended) => Ok(ended?),
        Turn::Over | Turn::Resting => {
            connection.as_mut().graceful_shutdown();
            life.finish(connection, limit).await.unwrap_or(Ok(()))?;
            Ok(())
        }
    }
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

/// Bounds what one HTTP/2 connection can make the gateway hold and do. What a caller exceeds ends its stream, or the
/// connection with a GOAWAY.
fn http2_builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        // More than a service keeps in flight over one connection. Each may hold a window and a send buffer.
        .max_concurrent_streams(128)
        // Streams that are reset before they are served: a rapid reset (CVE-2023-44487) is cut off after so many that
        // lie unserved at once.
        .max_pending_accept_reset_streams(20)
        // Streams that the caller's own errors make us reset (RUSTSEC-2024-0003), over the connection's life. Whoever
        // errs so often is no client.
        .max_local_error_reset_streams(128)
        // Counted as the sum of names, values and 32 bytes a field, as they are decoded: neither CONTINUATION frames
        // nor fields that refer to the table again and again add to it unseen.
        .max_header_list_size(limits.head_bytes.try_into().unwrap_or(u32::MAX))
        // The default of RFC 9113, and all that a table can be made to hold.
        .header_table_size(4096)
        // The smallest there is: nothing a caller sends needs more, and a frame is read whole.
        .max_frame_size(16 * 1024)
        // What may arrive of a body that nobody reads yet: of one stream, and of all streams together.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        // What is taken from the upstream of an answer that the caller does not read, give or take a piece.
        .max_send_buf_size(64 * 1024)
        // A caller that is gone without a word is found out within the sum of the two.
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

#[cfg(test)]
mod tests;
