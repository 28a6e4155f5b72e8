//! Opens a connection to one server: name, address, TLS, and logging in.

use std::io;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::{Login, Server, Settings};

/// Opens connections to servers.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: Option<TlsConnector>,
    allow_plain: bool,
}

/// An open connection, which many calls may share.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) pipeline: MultiplexedConnection,
    /// The task that reads and writes. It ends with the last copy of the connection.
    _driver: Arc<JoinSet<()>>,
}

/// Why the store cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing would be trusted.
    #[error("no trusted certificates: the system has none ({0}) and no ca_file is set")]
    NoRoots(String),
    /// A certificate could not be taken as a root, or TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// Why a server could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no connection in time")]
    Late,
    #[error("it is on another machine, and clear text may not leave this one")]
    Plain,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Dialer {
    /// Prepares dialing, with the system's trusted certificates and the extra ones.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be set up.
    pub(super) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let tls = settings
            .tls
            .then(|| connector(&settings.extra_roots))
            .transpose()?;
        Ok(Self {
            tls,
            allow_plain: settings.allow_plain,
        })
    }

    /// Connects and logs in, until `deadline`.
    pub(super) async fn dial(
        &self,
        server: &Server,
        login: Option<&Login>,
        database: u16,
        deadline: Instant,
    ) -> Result<Connection, DialError> {
        let dialing = self.dial_untimed(server, login, database, deadline);
        timeout_at(deadline, dialing)
            .await
            .unwrap_or(Err(DialError::Late))
    }

    async fn dial_untimed(
        &self,
        server: &Server,
        login: Option<&Login>,
        database: u16,
        deadline: Instant,
    ) -> Result<Connection, DialError> {
        if self.tls.is_none() && !self.allow_plain && !server.is_loopback() {
            return Err(DialError::Plain);
        }
        let stream = connect(server, deadline).await?;
        // Small writes are whole messages here; waiting to merge them only adds latency.
        stream.set_nodelay(true)?;
        let info = info(login, database);
        match &self.tls {
            None => greet(&info, stream).await,
            Some(tls) => {
                let name = ServerName::try_from(server.host().to_owned())
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                greet(&info, tls.connect(name, stream).await?).await
            }
        }
    }
}

async fn connect(server: &Server, deadline: Instant) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((server.host(), server.port())).await?;
    let addresses: Vec<_> = addresses.collect();
    let mut last = io::Error::other("the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets leaves the others their share of the time.
        let until = share(deadline, addresses.len() - index);
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Returns until when the first of `others` may take, so that each has as much of what is left until `deadline`.
pub(super) fn share(deadline: Instant, others: usize) -> Instant {
    let now = Instant::now();
    let others = u32::try_from(others).unwrap_or(u32::MAX).max(1);
    now + deadline.saturating_duration_since(now) / others
}

/// Logs in, and starts the task that serves the connection.
async fn greet<S>(info: &RedisConnectionInfo, stream: S) -> Result<Connection, DialError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Time is kept for the whole operation.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let made = MultiplexedConnection::new_with_config(info, stream, config);
    let (pipeline, driver) = Box::pin(made).await?;
    let mut task = JoinSet::new();
    task.spawn_local(driver);
    Ok(Connection {
        pipeline,
        _driver: Arc::new(task),
    })
}

fn info(login: Option<&Login>, database: u16) -> RedisConnectionInfo {
    // An identification would be one more thing that access rules have to permit.
    let mut info = RedisConnectionInfo::default()
        .set_db(database.into())
        .set_skip_set_lib_name();
    if let Some(login) = login {
        info = info.set_password(login.password.expose());
        if let Some(username) = &login.username {
            info = info.set_username(username);
        }
    }
    info
}

fn connector(extra_roots: &[CertificateDer<'static>]) -> Result<TlsConnector, SetupError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for certificate in extra_roots {
        roots.add(certificate.clone())?;
    }
    if roots.is_empty() {
        let causes: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
        return Err(SetupError::NoRoots(causes.join("; ")));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("tls", &self.tls.is_some())
            .field("allow_plain", &self.allow_plain)
            .finish()
    }
}
