//! TLS in front of a listener: which versions and protocols are spoken, and how a handshake is made.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::names;
use super::clients::Clients;
use super::identity::Identity;
use crate::peer::CertificateNames;

/// How a listener speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whose certificates callers may show. Default: none is asked for.
    pub clients: Option<Clients>,
    /// Its certificates and key.
    pub identity: Identity,
    /// The oldest version spoken. Default 1.2.
    pub min_version: Version,
    /// Time for a handshake. Default 10 s.
    pub timeout: Duration,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Makes handshakes.
#[derive(Clone)]
pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    timeout: Duration,
}

impl Handshakes {
    /// Prepares handshakes that offer HTTP/2 or do not.
    ///
    /// Sessions are resumed by tickets, with keys of these handshakes alone, so that nothing is kept for a caller and no
    /// session of an older certificate is taken up again. Where callers may show certificates none is resumed: a ticket
    /// would go on saying who its caller was after the certificate has expired, been renewed or been revoked.
    ///
    /// # Errors
    /// When the library cannot use what it is given.
    pub(super) fn new(settings: &Tls, http2: bool) -> Result<Self, rustls::Error> {
        // Keys of sessions are written nowhere, whatever `SSLKEYLOGFILE` says: that is the library's default.
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(settings.min_version.and_newer())?
            .with_client_cert_verifier(match &settings.clients {
                Some(clients) => clients.verifier(),
                None => WebPkiClientVerifier::no_client_auth(),
            })
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(
                settings.identity.certified(),
            )));
        if settings.clients.is_some() {
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Ticketer::new()?;
        }
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.alpn_protocols = if http2 {
            vec![HTTP2.to_vec(), HTTP1.to_vec()]
        } else {
            vec![HTTP1.to_vec()]
        };
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            timeout: settings.timeout,
        })
    }

    /// Makes the handshake with a caller.
    ///
    /// # Errors
    /// When it fails or takes too long.
    ///
    /// # Cancel safety
    /// The connection is lost.
    pub(super) async fn make<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match timeout(self.timeout, self.acceptor.accept(stream)).await {
            Ok(made) => made,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Version {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static FROM_13: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Tls12 => &FROM_12,
            Self::Tls13 => &FROM_13,
        }
    }
}

/// Tells whether the two ends agreed on HTTP/2, which takes ALPN (RFC 9113 §3.2).
pub(super) fn agreed_on_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// Returns the names in the certificate that the caller showed, if it did. It has been verified.
pub(super) fn certificate<S>(stream: &TlsStream<S>) -> Option<io::Result<CertificateNames>> {
    let own = stream.get_ref().1.peer_certificates()?.first()?;
    Some(names(own).map_err(|unreadable| io::Error::new(io::ErrorKind::InvalidData, unreadable)))
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
