//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, in tasks that the server owns.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::lock;
use super::socket::{Connection, Socket};

/// How long open requests may take to finish after [`Server::stop`].
const STOP: Duration = Duration::from_secs(2);
/// How long to wait when the process has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What one request head may hold: more than any proxy in front is likely to pass on.
const HEAD_BYTES: u32 = 256 * 1024;

/// A running server. Dropping it ends its tasks at once.
#[derive(Debug)]
pub(super) struct Server {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Server {
    pub(super) fn start(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, router, stopping));
        Self { tasks, stop }
    }

    /// Stops accepting, lets open requests finish within two seconds, then cuts what is left.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    let connection = Arc::new(Connection::new(number));
                    connections.spawn(greet(stream, tls.clone(), router.clone(), connection, stopping.clone()));
                }
                Err(_) => time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What has not finished by then is cut when the set is dropped.
    let _ = time::timeout(STOP, drained).await;
}

async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    connection: Arc<Connection>,
    stopping: watch::Receiver<bool>,
) {
    // Answers are written in few large pieces; waiting to merge them only adds delay.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, Arc::clone(&connection));
    match tls {
        None => serve(socket, router, connection, stopping).await,
        Some(acceptor) => {
            // A failed handshake is the client's news: it knows why it hung up. There is no deadline, since a
            // timer of ours would run ahead in tests that pause the clock.
            if let Ok(stream) = acceptor.accept(socket).await {
                Box::pin(serve(stream, router, connection, stopping)).await;
            }
        }
    }
}

async fn serve<S>(
    stream: S,
    router: Router,
    connection: Arc<Connection>,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = Streams::default();
    let mut builder = Builder::new(streams.clone());
    builder.http2().max_header_list_size(HEAD_BYTES);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&connection));
        router.clone().call(request)
    });
    {
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut told = *stopping.borrow();
        if told {
            served.as_mut().graceful_shutdown();
        }
        loop {
            tokio::select! {
                _ = served.as_mut() => break,
                () = connection.doomed() => break,
                _ = stopping.changed(), if !told => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
    lock(&streams.0).abort_all();
}

/// The tasks of the streams of one HTTP/2 connection, which end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut tasks = lock(&self.0);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(stream);
    }
}
