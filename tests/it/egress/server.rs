//! A server over TLS that plays both IMS and the platform, and keeps what it was shown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::adobe::TOKEN;

/// A certificate authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pub(super) pem: String,
}

/// A certificate and its key.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pub(super) pem: String,
    pub(super) key_pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("authority {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
        }
    }

    /// Issues a certificate for `names`, which are `localhost` and its addresses otherwise.
    pub(super) fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names = names.iter().map(|name| (*name).to_owned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::of(&certificate, &key)
    }
}

impl Identity {
    pub(super) fn self_signed(names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned());
        let made = rcgen::generate_simple_self_signed(names.collect::<Vec<_>>()).unwrap();
        Self::of(&made.cert, &made.signing_key)
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

/// A running server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

/// What a server was shown, on all connections together.
#[derive(Clone, Default)]
pub(super) struct Shown {
    pub(super) connections: usize,
    /// What came as it came over the wire, on connections that are not TLS.
    pub(super) wire: Vec<u8>,
    /// What came inside of TLS.
    pub(super) plain: String,
    /// The clients' own certificates.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Server {
    /// Starts one with this certificate.
    pub(super) fn start(identity: &Identity) -> Self {
        Self::with(&config(identity, &[&TLS13, &TLS12], None))
    }

    /// Starts one that speaks TLS 1.2 and nothing else.
    pub(super) fn old(identity: &Identity) -> Self {
        Self::with(&config(identity, &[&TLS12], None))
    }

    /// Starts one that wants a certificate of this authority.
    pub(super) fn mutual(identity: &Identity, authority: &Authority) -> Self {
        Self::with(&config(identity, &[&TLS13, &TLS12], Some(authority)))
    }

    fn with(config: &Arc<ServerConfig>) -> Self {
        let config = Arc::clone(config);
        Self::serving(move |stream, shown| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // How it ends is for the client to see.
            let _ = converse(StreamOwned::new(connection, stream), shown);
        })
    }

    /// Starts one that answers whatever comes first with these bytes.
    pub(super) fn saying(bytes: &'static [u8]) -> Self {
        Self::serving(move |mut stream, shown| {
            let mut piece = [0; 4096];
            let mut answered = false;
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                shown.lock().unwrap().wire.extend(&piece[..count]);
                if !std::mem::replace(&mut answered, true) {
                    let _ = stream.write_all(bytes);
                }
            }
        })
    }

    fn serving(serve: impl Fn(TcpStream, &Mutex<Shown>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::<Mutex<Shown>>::default();
        let (keep, serve) = (Arc::clone(&shown), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                keep.lock().unwrap().connections += 1;
                let (keep, serve) = (Arc::clone(&keep), Arc::clone(&serve));
                thread::spawn(move || serve(stream.unwrap(), &keep));
            }
        });
        Self { address, shown }
    }

    pub(super) fn shown(&self) -> Shown {
        self.shown.lock().unwrap().clone()
    }
}

fn converse(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    shown: &Mutex<Shown>,
) -> std::io::Result<()> {
    let mut buffer = String::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        let piece = String::from_utf8_lossy(&piece[..count]);
        let mut now = shown.lock().unwrap();
        now.plain.push_str(&piece);
        let certificates = stream.conn.peer_certificates().unwrap_or_default();
        now.certificates
            .extend(certificates.iter().map(|it| it.clone().into_owned()));
        drop(now);
        buffer.push_str(&piece);
        while let Some((head, rest)) = buffer.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>().unwrap())
            });
            let length = length.unwrap_or(0);
            if rest.len() < length {
                break;
            }
            let body = if head.starts_with("POST /ims/") {
                format!(r#"{{"access_token":"{TOKEN}","token_type":"bearer","expires_in":86399}}"#)
            } else {
                "{}".to_owned()
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            buffer = rest.split_at(length).1.to_owned();
            stream.write_all(answer.as_bytes())?;
        }
    }
}

pub(super) fn config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
    let config = builder.with_single_cert(vec![identity.certificate.clone()], key);
    Arc::new(config.unwrap())
}
