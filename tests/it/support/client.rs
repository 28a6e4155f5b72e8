//! A small HTTP client over one connection, which shows what arrived and how it ended.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    H1,
    H2,
}

/// One open connection.
pub(crate) struct Client {
    sender: Sender,
    /// Drives the connection; it ends with the client.
    _task: JoinSet<()>,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, speaks: Speaks) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, speaks).await
    }

    /// Connects with TLS, trusting only `certificate_pem`, and checks that the server chose `speaks`.
    pub(crate) async fn connect_tls(
        address: SocketAddr,
        certificate_pem: &str,
        name: &'static str,
        speaks: Speaks,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::connect_as(address, config, name, speaks).await
    }

    /// Connects with TLS as `config` says, and checks that the server chose `speaks`.
    pub(crate) async fn connect_as(
        address: SocketAddr,
        mut config: ClientConfig,
        name: &'static str,
        speaks: Speaks,
    ) -> io::Result<Self> {
        let protocol: &[u8] = match speaks {
            Speaks::H1 => b"http/1.1",
            Speaks::H2 => b"h2",
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(name).unwrap(), stream)
            .await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        Ok(Self::over(stream, speaks).await)
    }

    async fn over<S>(stream: S, speaks: Speaks) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let mut task = JoinSet::new();
        let sender = match speaks {
            Speaks::H1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                task.spawn(async { drop(connection.await) });
                Sender::H1(sender)
            }
            Speaks::H2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.unwrap();
                task.spawn(async { drop(connection.await) });
                Sender::H2(sender)
            }
        };
        Self {
            sender,
            _task: task,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
        }
    }

    /// Sends a request and returns the answer once its head is there.
    pub(crate) async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        match &mut self.sender {
            Sender::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends the same request so many times at once, over HTTP/2, in tasks that return the answers' statuses.
    pub(crate) fn send_at_once(
        &self,
        request: &Request<Full<Bytes>>,
        times: usize,
        tasks: &mut JoinSet<StatusCode>,
    ) {
        let Sender::H2(sender) = &self.sender else {
            panic!("HTTP/1.1 has one request at a time");
        };
        for _ in 0..times {
            let (mut sender, request) = (sender.clone(), request.clone());
            tasks.spawn(async move {
                sender.ready().await.unwrap();
                let (head, body) = sender.send_request(request).await.unwrap().into_parts();
                body.collect().await.unwrap();
                head.status
            });
        }
    }

    /// Sends a request and returns the answer once its body is there.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        let (head, body) = self.begin(request).await?.into_parts();
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Makes a request with an absolute target, as HTTP/2 needs, or an origin-form one, as HTTP/1.1 does.
pub(crate) fn request(
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}
