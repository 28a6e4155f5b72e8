//! TLS with an origin: which certificates are trusted, which is shown, and under which name.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use super::{ClientCertificate, Settings};

/// The least version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinTls {
    /// TLS 1.2. Older ones are not built in.
    Tls12,
    /// TLS 1.3.
    Tls13,
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

/// TLS as a client, towards one host. The certificate that host shows is always verified.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Prepares TLS with the settings' origin.
    pub(super) fn with_origin(settings: &Settings) -> Result<Self, SetupError> {
        let mut config = config(settings, settings.client_certificate.as_ref())?;
        let http1 = b"http/1.1".to_vec();
        config.alpn_protocols = if settings.http2 {
            vec![b"h2".to_vec(), http1]
        } else {
            vec![http1]
        };
        Self::named(settings.origin.host(), config)
    }

    /// Prepares TLS with the settings' proxy, which is at `host`. It is shown no certificate of ours.
    pub(super) fn with_proxy(settings: &Settings, host: &str) -> Result<Self, SetupError> {
        let mut config = config(settings, None)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self::named(host, config)
    }

    fn named(host: &str, config: ClientConfig) -> Result<Self, SetupError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| SetupError::Name(host.to_owned()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

fn config(
    settings: &Settings,
    shown: Option<&ClientCertificate>,
) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[_] = match settings.min_tls {
        MinTls::Tls12 => &[&TLS13, &TLS12],
        MinTls::Tls13 => &[&TLS13],
    };
    // It writes keys nowhere, whatever SSLKEYLOGFILE says: that has to be asked for, and is not.
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots(&settings.extra_roots)?);
    Ok(match shown {
        None => config.with_no_client_auth(),
        Some(certificate) => {
            let always: Arc<dyn ResolvesClientCert> = Arc::new(
                rustls::sign::SingleCertAndKey::from(certificate.certified()),
            );
            config.with_client_cert_resolver(always)
        }
    })
}

/// Returns the system's trusted certificates (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name) and `extra`.
fn roots(extra: &[CertificateDer<'static>]) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    if roots.is_empty() {
        let causes: Vec<_> = system.errors.iter().map(ToString::to_string).collect();
        return Err(SetupError::NoRoots(causes.join("; ")));
    }
    Ok(roots)
}
