//! A scripted upstream for the pool's tests: it answers, closes and shakes hands when it is told to.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::connect::{LocalExecutor, Origin, Settings};

/// A scripted upstream. `/held…` is answered when [`Peer::answer`] says so, everything else at once, with the number of
/// the connection it came over, counted from 0.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    speaks: Speaks,
    certificate: Option<CertificateDer<'static>>,
    state: Rc<State>,
}

/// What a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    /// With as many streams at a time as this.
    Http2(u32),
    /// HTTP/1.1 over TLS; each handshake waits for [`Peer::shake_hands`].
    Tls,
}

#[derive(Default)]
struct State {
    accepted: Cell<usize>,
    targets: RefCell<Vec<String>>,
    answers: Gate,
    handshakes: Gate,
    connections: RefCell<Vec<AbortHandle>>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Gate {
    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Peer {
    pub(super) async fn start(speaks: Speaks) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), speaks).await
    }

    pub(super) async fn start_at(address: SocketAddr, speaks: Speaks) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Rc::<State>::default();
        let identity = (speaks == Speaks::Tls).then(identity);
        let (acceptor, certificate) = identity.unzip();
        let keep = Rc::clone(&state);
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = keep.accepted.replace(keep.accepted.get() + 1);
                let serve = accept(stream, speaks, acceptor.clone(), number, Rc::clone(&keep));
                let task = spawn_local(serve).abort_handle();
                keep.connections.borrow_mut().push(task);
            }
        });
        Self {
            address,
            speaks,
            certificate,
            state,
        }
    }

    /// Returns the settings with which a pool reaches this peer.
    pub(super) fn settings(&self) -> Settings {
        let scheme = if self.speaks == Speaks::Tls {
            "https"
        } else {
            "http"
        };
        let origin: Origin = format!("{scheme}://localhost").parse().unwrap();
        Settings {
            address: Some(self.address),
            http2: matches!(self.speaks, Speaks::Http2(_)),
            extra_roots: self.certificate.iter().cloned().collect(),
            ..super::tests::settings(origin)
        }
    }

    /// Lets `count` held requests be answered, the first to arrive first.
    pub(super) fn answer(&self, count: usize) {
        self.state.answers.0.add_permits(count);
    }

    /// Lets `count` TLS handshakes happen.
    pub(super) fn shake_hands(&self, count: usize) {
        self.state.handshakes.0.add_permits(count);
    }

    /// Closes a connection.
    pub(super) fn close(&self, number: usize) {
        self.state.connections.borrow()[number].abort();
    }

    /// Returns how many connections came.
    pub(super) fn accepted(&self) -> usize {
        self.state.accepted.get()
    }

    /// Returns the targets of the requests that came, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        self.state.targets.borrow().clone()
    }
}

async fn accept(
    stream: TcpStream,
    speaks: Speaks,
    acceptor: Option<TlsAcceptor>,
    number: usize,
    state: Rc<State>,
) {
    match acceptor {
        None => serve(stream, speaks, number, state).await,
        Some(acceptor) => {
            state.handshakes.pass().await;
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, speaks, number, state).await;
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    speaks: Speaks,
    number: usize,
    state: Rc<State>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Rc::clone(&state);
        async move {
            let target = request.uri().path().to_owned();
            state.targets.borrow_mut().push(target.clone());
            if target.starts_with("/held") {
                state.answers.pass().await;
            }
            let text = number.to_string();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    // How a connection ends is for the pool to see.
    let _ = match speaks {
        Speaks::Http2(streams) => {
            let mut builder = http2::Builder::new(LocalExecutor);
            builder.max_concurrent_streams(streams);
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        Speaks::Http1 | Speaks::Tls => {
            let builder = http1::Builder::new();
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
    };
}

/// Makes a certificate for `localhost`.
fn identity() -> (TlsAcceptor, CertificateDer<'static>) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = signed.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}
