//! Opens connections: name, address, TLS, within one timeout.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::{Breaker, Settings, Stream};
use crate::error::{Error, Reason};

/// Opens connections to one origin.
#[derive(Clone)]
pub struct Dialer {
    settings: Arc<Settings>,
    breaker: Option<Arc<Breaker>>,
    tls: Option<Tls>,
    stand_in: Option<StandIn>,
}

/// Opens the gateway's end of a connection to a stand-in, which has the other end.
type StandIn = Arc<dyn Fn() -> DuplexStream + Send + Sync>;

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// Why no dialer could be made from settings.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The host is neither a name nor an address a certificate could be for.
    #[error("{0} is not a name that a certificate can be issued for")]
    Name(String),
    /// Nothing would be trusted.
    #[error("no trusted certificates: the system has none ({0}) and no ca_file is set")]
    NoRoots(String),
    /// A certificate could not be taken as a root, or TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Dialer {
    /// Prepares dialing, with the system's trusted certificates and the extra ones.
    ///
    /// # Errors
    /// When the origin needs TLS and it cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let tls = if settings.origin.is_tls() {
            Some(Tls::new(&settings)?)
        } else {
            None
        };
        Ok(Self {
            breaker: breaker(&settings),
            settings: Arc::new(settings),
            tls,
            stand_in: None,
        })
    }

    /// Prepares dialing that leaves the process out: each connection is one that `open` makes, in clear text.
    ///
    /// It measures what a request costs without the kernel's part. Configuration cannot ask for it.
    pub fn in_memory(
        settings: Settings,
        open: impl Fn() -> DuplexStream + Send + Sync + 'static,
    ) -> Self {
        Self {
            breaker: breaker(&settings),
            settings: Arc::new(settings),
            tls: None,
            stand_in: Some(Arc::new(open)),
        }
    }

    /// Returns what the dialer was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what is known of the origin's health, by everybody who dials with a clone of this.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        self.breaker.as_ref()
    }

    /// Opens a connection. Nothing of a request has been sent when this fails.
    ///
    /// # Errors
    /// [`Reason::UpstreamName`], [`Reason::UpstreamConnect`] or [`Reason::UpstreamTls`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn dial(&self) -> Result<Stream, Error> {
        let limit = self.settings.connect_timeout;
        match timeout(limit, self.dial_untimed()).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                Reason::UpstreamConnect,
                format!("no connection to {} within {limit:?}", self.settings.origin),
            )),
        }
    }

    async fn dial_untimed(&self) -> Result<Stream, Error> {
        if let Some(open) = &self.stand_in {
            return Ok(Stream::Memory(open()));
        }
        let stream = self.connect().await?;
        // Small writes are whole messages here; waiting to merge them only adds latency.
        stream
            .set_nodelay(true)
            .map_err(|error| self.unreachable(error))?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(stream));
        };
        match tls.connector.connect(tls.name.clone(), stream).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(Error::new(
                Reason::UpstreamTls,
                format!(
                    "TLS with {} failed; see the gateway's log",
                    self.settings.origin
                ),
            )
            .because(error)),
        }
    }

    async fn connect(&self) -> Result<TcpStream, Error> {
        if let Some(address) = self.settings.address {
            let connected = TcpStream::connect(address).await;
            return connected.map_err(|error| self.unreachable(error));
        }
        let origin = &self.settings.origin;
        let addresses = tokio::net::lookup_host((origin.host(), origin.port()))
            .await
            .map_err(|error| self.unresolved(error))?;
        let addresses: Vec<_> = addresses.collect();
        let begun = Instant::now();
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            // An address that swallows packets leaves the others their share of the time.
            let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = self
                .settings
                .connect_timeout
                .saturating_sub(begun.elapsed())
                / others;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(match last {
            Some(error) => self.unreachable(error),
            None => self.unresolved(io::Error::other("the name has no address")),
        })
    }

    fn unresolved(&self, error: io::Error) -> Error {
        let host = self.settings.origin.host();
        Error::new(
            Reason::UpstreamName,
            format!("the name {host} could not be resolved"),
        )
        .because(error)
    }

    fn unreachable(&self, error: io::Error) -> Error {
        let origin = &self.settings.origin;
        Error::new(
            Reason::UpstreamConnect,
            format!("{origin} could not be connected to"),
        )
        .because(error)
    }
}

fn breaker(settings: &Settings) -> Option<Arc<Breaker>> {
    let breaker = settings.breaker.map(Breaker::new);
    breaker.map(Arc::new)
}

impl Tls {
    fn new(settings: &Settings) -> Result<Self, SetupError> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        for certificate in &settings.extra_roots {
            roots.add(certificate.clone())?;
        }
        if roots.is_empty() {
            let causes: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
            return Err(SetupError::NoRoots(causes.join("; ")));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http1 = b"http/1.1".to_vec();
        config.alpn_protocols = if settings.http2 {
            vec![b"h2".to_vec(), http1]
        } else {
            vec![http1]
        };
        let host = settings.origin.host();
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| SetupError::Name(host.to_owned()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
