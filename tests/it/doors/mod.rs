//! The doors callers come in through: TCP over both versions of IP, Unix sockets, and TLS before either.

mod certificates;
mod handshakes;
mod ip;
mod reload;
mod streams;
mod swap;
mod unix;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use profile_gateway::config::{self, Supplied};
use profile_gateway::listener;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;

use crate::support::raw::{Raw, exchange, get};
use crate::support::running::eventually;

/// A route for everything, which permits everything.
const ROUTE: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

const PATH: &str = "/data/core/ups/config/mergePolicies";

/// A certificate for `localhost` and its key, both in PEM.
struct Made {
    certificate: String,
    key: String,
}

fn made() -> Made {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    Made {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

impl Made {
    /// As the files that [`TLS`] names.
    fn files(&self) -> Supplied {
        Supplied::default()
            .with_file("/certificate.pem", self.certificate.as_str())
            .with_file("/key.pem", self.key.as_str())
    }
}

const TLS: &str = "tls: { certificate: /certificate.pem, key: /key.pem }";

/// A caller over TLS.
type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Connects over TLS, trusting only `certificate`, and offers `protocols` by ALPN.
fn secured(
    address: SocketAddr,
    certificate: &str,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> std::io::Result<Secured> {
    let mut config = trusting(certificate, versions);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    secured_by(address, Arc::new(config))
}

fn trusting(certificate: &str, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn secured_by(address: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<Secured> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(config, name).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// A caller over HTTP/1.1 and TLS of any version.
fn caller(address: SocketAddr, certificate: &str) -> Raw<Secured> {
    Raw::over(secured(address, certificate, rustls::ALL_VERSIONS, &[]).unwrap())
}

fn at_socket(path: &Path) -> Raw<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Raw::over(stream)
}

/// No test waits this long unless it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder for sockets, whose path is short enough.
fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("http.sock");
    (folder, path)
}

/// The settings of a listener, written as one entry of `listeners`.
fn settings(listener: &str) -> listener::Settings {
    let text = format!(
        "listeners: [{{ {listener} }}]\nsandboxes: {{ dev-2: {{}} }}\n{}",
        crate::support::running::CREDENTIAL
    );
    config::parse("test.yaml", &text, &config::Process)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .listeners
        .remove(0)
}

/// Returns the sum of a metric's samples.
fn metric(admin: SocketAddr, name: &str) -> u64 {
    let text = exchange(admin, get("/metrics", "")).text();
    let samples = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    samples
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

fn wait_for_connections(admin: SocketAddr, count: u64) {
    eventually(&format!("{count} connections"), || {
        (metric(admin, "profile_gateway_connections") == count).then_some(())
    });
}

/// The text of a whole configuration of a process, which listens as `listener` says.
fn configuration(url: &str, listener: &str) -> String {
    format!(
        "
log: {{ format: json }}
drain: 10s
workers: 2
listeners: [{{ {listener} }}]
admin: {{ address: '127.0.0.1:0' }}
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
sandboxes: {{ dev-2: {{}} }}
{}{ROUTE}",
        crate::support::running::CREDENTIAL
    )
}

fn written(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, text).unwrap();
    path
}
