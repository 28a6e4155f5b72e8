//! Serves the requests of one connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tower::Service;

use super::activity::{Activity, Busy, Quiet};
use super::guard::{Guard, Protocol, Verdict};
use super::{Accepted, Limits, http2 as http2_head};
use crate::body::Guarded;
use crate::connect::LocalExecutor;
use crate::context::{Connection, Inbound};
use crate::error::{Error, Source};

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
    mut draining: watch::Receiver<bool>,
    _held: H,
) where
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible> + 'static,
    S::Future: 'static,
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
    let life = Life {
        activity: guard.activity(),
        draining,
        idle_timeout: limits.idle_timeout,
    };
    let requests = Requests {
        service,
        connection,
        verdict: guard.verdict(),
        limits,
        activity: guard.activity(),
    };
    let ended = match protocol {
        Protocol::Http1 => serve_http1(&mut guard, &requests, &life).await,
        Protocol::Http2 => Box::pin(serve_http2(guard, requests, &life)).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

async fn serve_http1<T, S, R>(
    guard: &mut Guard<T>,
    requests: &Requests<S>,
    life: &Life,
) -> Result<(), Source>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    loop {
        // In a box, so that nothing of it is left while the connection rests.
        if Box::pin(serve_until_rest(guard, requests, life)).await? == Stay::Ended {
            return Ok(());
        }
        if !life.rest(guard).await? {
            return Ok(guard.shutdown().await?);
        }
    }
}

/// Whether a connection is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Ended,
    Resting,
}

/// Serves requests until the connection ends or there has been nothing to do for a while.
async fn serve_until_rest<T, S, R>(
    guard: &mut Guard<T>,
    requests: &Requests<S>,
    life: &Life,
) -> Result<Stay, Source>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let service = hyper::service::service_fn(|request| requests.http1(request));
    let builder = http1_builder(&requests.limits);
    let mut connection = builder.serve_connection(TokioIo::new(&mut *guard), service);
    match life.drive(Pin::new(&mut connection)).await {
        Turn::Ended(ended) => ended?,
        Turn::Over => {
            Pin::new(&mut connection).graceful_shutdown();
            connection.await?;
        }
        Turn::Resting => {
            let unused = connection.into_parts().read_buf;
            guard.take_back(&unused);
            return Ok(Stay::Resting);
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
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible> + 'static,
    S::Future: 'static,
    R: Body<Data = Bytes> + 'static,
    R::Error: Into<Source>,
{
    let builder = http2_builder(&requests.limits);
    let service = hyper::service::service_fn(move |request| requests.http2(request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), service));
    match life.drive(connection.as_mut()).await {
        Turn::Ended(ended) => Ok(ended?),
        Turn::Over | Turn::Resting => {
            connection.as_mut().graceful_shutdown();
            Ok(connection.await?)
        }
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

/// How long a connection keeps its buffers after its last answer: long enough for a busy one, and short enough that
/// many that come at once take each other's.
const REST: Duration = Duration::from_millis(20);

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

/// What a connection has come to.
enum Turn<T> {
    /// Its end.
    Ended(T),
    /// The time to finish what it has begun and take nothing more.
    Over,
    /// A time without anything to do.
    Resting,
}

impl Life {
    /// Runs hyper's connection until it ends or something else is to be done with it.
    async fn drive<C: Future>(&self, mut connection: Pin<&mut C>) -> Turn<C::Output> {
        let mut draining = self.draining.clone();
        let taken = self.activity.taken();
        let quiet = async {
            match self.activity.quiet_for(REST, self.idle_timeout).await {
                Quiet::Resting => Turn::Resting,
                Quiet::Idle => Turn::Over,
            }
        };
        let drained = async {
            // What was accepted before the drain, or has just been woken, may have its request under way.
            let _ = draining.wait_for(|draining| *draining).await;
            let _ = timeout(GRACE, self.activity.more_than(taken)).await;
            Turn::Over
        };
        let mut quiet = pin!(quiet);
        let mut drained = pin!(drained);
        let mut waits = false;
        poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Turn::Ended(ended));
            }
            // While a request is in flight only the drain matters, and its wake-up has been asked for before.
            if waits && self.activity.is_busy() && matches!(self.draining.has_changed(), Ok(false))
            {
                return Poll::Pending;
            }
            waits = true;
            match drained.as_mut().poll(cx) {
                Poll::Pending => quiet.as_mut().poll(cx),
                over @ Poll::Ready(_) => over,
            }
        })
        .await
    }

    /// Waits with nothing but the socket; `false` when the connection is to be closed instead.
    async fn rest<T>(&self, guard: &mut Guard<T>) -> std::io::Result<bool>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut draining = self.draining.clone();
        tokio::select! {
            biased;
            more = guard.more() => more,
            () = sleep_until(self.activity.quiet_until(self.idle_timeout)) => Ok(false),
            _ = draining.wait_for(|draining| *draining) => Ok(false),
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
    service: Rc<RefCell<S>>,
    connection: Rc<Connection>,
    verdict: Verdict,
    limits: Limits,
    activity: Rc<Activity>,
}

impl<S, R> Requests<S>
where
    S: Service<Inbound<Incoming>, Response = Response<R>, Error = Infallible>,
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
        let answer = self.service.borrow_mut().call(inbound);
        async move { Ok(answer.await?.map(|body| Guarded::new(body, busy))) }
    }
}

/// An answer whose connection counts as busy until its body has ended.
type Answered<R> = Result<Response<Guarded<R, Busy>>, Infallible>;
#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::util::BoxService;

    use super::*;

    type Stack = BoxService<Inbound<Incoming>, Response<Full<Bytes>>, Infallible>;

    /// Returns the size of what a function that is called with these returns.
    fn returned<F>(
        _: impl FnOnce(Accepted, Rc<RefCell<Stack>>, watch::Receiver<bool>, ()) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_is_kept_of_a_connection_that_rests_is_small() {
        assert!(returned(serve::<Stack, Full<Bytes>, ()>) <= 1280);
    }
}
