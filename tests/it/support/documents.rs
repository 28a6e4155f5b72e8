//! A server over TLS that gives documents, and keeps the heads of what it was asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{CertifiedKey, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A running server, whose certificate is for `localhost` and the cluster's own name.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Its certificate, which has to be trusted.
    pub(crate) pem: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    documents: Mutex<BTreeMap<String, String>>,
    heads: Mutex<Vec<String>>,
    /// What has to be shown for an answer other than 401.
    bearer: Option<&'static str>,
}

impl Server {
    pub(crate) fn start(bearer: Option<&'static str>) -> Self {
        let names = ["localhost", "kubernetes.default.svc"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            bearer,
            ..State::default()
        });
        let (pem, config) = (made.cert.pem(), config(&made));
        let keep = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, keep) = (Arc::clone(&config), Arc::clone(&keep));
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    // How it ends is for the client to see.
                    let _ = answer(StreamOwned::new(connection, stream.unwrap()), &keep);
                });
            }
        });
        Self {
            address,
            pem,
            state,
        }
    }

    /// Gives this document at `path` from now on.
    pub(crate) fn give(&self, path: &str, document: String) {
        let mut documents = self.state.documents.lock().unwrap();
        documents.insert(path.to_owned(), document);
    }

    /// Answers 404 at `path` from now on.
    pub(crate) fn take_away(&self, path: &str) {
        self.state.documents.lock().unwrap().remove(path);
    }

    /// Returns the heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    state: &State,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let is_shown = state
        .bearer
        .is_none_or(|bearer| head.contains(&format!("authorization: Bearer {bearer}\r\n")));
    state.heads.lock().unwrap().push(head);
    let document = state.documents.lock().unwrap().get(&path).cloned();
    let (status, body) = match document {
        _ if !is_shown => ("401 Unauthorized", String::new()),
        Some(document) => ("200 OK", document),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    // Until the client has what it came for.
    let _ = stream.read(&mut [0]);
    Ok(())
}

fn config(made: &CertifiedKey<KeyPair>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key));
    Arc::new(config.unwrap())
}
