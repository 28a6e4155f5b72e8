//! A proxy on the way out: what it is asked, what it can see, and what is said when it gives no way.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use profile_gateway::config::Supplied;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::server::{Authority, Identity, Server, config};
use super::{PATH, ROUTE};
use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::hidden::Hidden;
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, Running};

/// A proxy that leads to one server, whatever it is asked for, or answers something else.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a proxy does with whoever asks it.
#[derive(Clone, Copy)]
enum Does {
    LeadTo(SocketAddr),
    Answer(&'static str),
}

impl Proxy {
    fn start(does: Does) -> Self {
        Self::with(does, None)
    }

    fn over_tls(does: Does, identity: &Identity) -> Self {
        Self::with(
            does,
            Some(TlsAcceptor::from(config(identity, &[&TLS13], None))),
        )
    }

    fn with(does: Does, acceptor: Option<TlsAcceptor>) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&asked);
        let (tell, told) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, keep) = (acceptor.clone(), Arc::clone(&keep));
                    connections.spawn(async move {
                        match acceptor {
                            None => serve(stream, does, &keep).await,
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, does, &keep).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self {
            address: told.recv().unwrap(),
            asked,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve<S>(mut stream: S, does: Does, asked: &Mutex<Vec<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    asked.lock().unwrap().push(String::from_utf8(head).unwrap());
    match does {
        Does::LeadTo(server) => {
            let mut server = TcpStream::connect(server).await.unwrap();
            let answer = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 a proxy\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
        Does::Answer(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

#[test]
fn both_ways_out_go_through_the_proxy_and_end_at_the_origin_itself() {
    let authority = Authority::new();
    // Nobody resolves these names: where they are is the proxy's to know.
    let names = ["platform.example.com", "ims.example.com"];
    let server = Server::start(&authority.issue(&names, |_| {}));
    let files = Supplied::default().with_file("/ca.pem", authority.pem.clone());
    let lead = Does::LeadTo(server.address);
    let own = authority.issue(&["localhost"], |_| {});

    for (proxy, scheme, host) in [
        (Proxy::start(lead), "http", "127.0.0.1"),
        (Proxy::over_tls(lead, &own), "https", "localhost"),
    ] {
        let port = proxy.address.port();
        let through =
            format!("egress_proxy: '{scheme}://user:p%40ss@{host}:{port}', ca_file: /ca.pem");
        let gateway = Gateway::with_files(
            &format!(
                "ims: {{ url: 'https://ims.example.com', {through} }}
upstream: {{ url: 'https://platform.example.com:8443', {through} }}
{ROUTE}"
            ),
            &files,
        );

        let answer = exchange(gateway.address, get(PATH, ""));

        assert_eq!(answer.status, 200, "{scheme}: {}", answer.text());
        let mut asked = proxy.asked();
        asked.sort();
        let login = "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
        let expected = ["ims.example.com:443", "platform.example.com:8443"]
            .map(|place| format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}"));
        assert_eq!(asked, expected);
    }
    let plain = server.shown().plain.to_ascii_lowercase();
    assert!(
        plain.contains("host: platform.example.com:8443\r\n"),
        "{plain}"
    );
    assert!(
        plain.contains("host: ims.example.com\r\n") && !plain.contains("proxy-"),
        "{plain}"
    );
}

#[test]
fn plain_http_is_tunnelled_too() {
    let adobe = Adobe::willing();
    let proxy = Proxy::start(Does::LeadTo(adobe.address()));
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{}' }}
upstream: {{ url: 'http://platform.example.com', egress_proxy: 'http://{}', allow_plain_http: true }}
{ROUTE}",
        adobe.url(),
        proxy.address
    ));

    for _ in 0..3 {
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }

    let seen = adobe.seen();
    assert_eq!(seen.len(), 3);
    for seen in seen {
        // In origin form, and to the origin: the proxy sees a tunnel.
        assert!(seen.request_line().starts_with(&format!("GET {PATH} ")));
        assert_eq!(seen.values("host"), ["platform.example.com"]);
    }
    let asked = proxy.asked();
    assert!(
        asked[0].starts_with("CONNECT platform.example.com:80 HTTP/1.1\r\n"),
        "{asked:?}"
    );
}

#[test]
fn a_proxy_that_answers_in_the_origins_place_is_told_nothing() {
    let authority = Authority::new();
    let server = Server::start(&authority.issue(&["proxy.example.com"], |_| {}));
    let files = Supplied::default().with_file("/ca.pem", authority.pem);
    let ims = Adobe::willing();
    let proxy = Proxy::start(Does::LeadTo(server.address));
    let gateway = Gateway::with_files(
        &format!(
            "ims: {{ url: '{}' }}
upstream: {{ url: 'https://platform.example.com', egress_proxy: 'http://{}', ca_file: /ca.pem }}
{ROUTE}",
            ims.url(),
            proxy.address
        ),
        &files,
    );

    let refused = exchange(gateway.address, get(PATH, ""));

    assert_eq!(refused.problem(), (502, "upstream_tls".to_owned()));
    assert!(server.shown().connections >= 1 && server.shown().plain.is_empty());
}

#[test]
fn a_proxy_that_gives_no_way_is_named_in_the_log_and_its_password_nowhere() {
    let ims = Adobe::willing();
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
    let proxy = Proxy::start(Does::Answer(answer));
    let more = format!(
        "{CREDENTIAL}log: {{ format: json, level: trace }}
ims: {{ url: '{}' }}
upstream: {{ url: 'https://platform.example.com', egress_proxy: 'http://user:never-to-be-shown@{}' }}
",
        ims.url(),
        proxy.address
    );

    let gateway = Running::start(&more, &[]);
    let began = gateway.process.wait_for("connections go through a proxy");
    gateway.wait_for_state("demo", "valid");
    let refused = gateway.ask();
    let printed = gateway.stop();

    assert_eq!(refused.problem(), (502, "upstream_connect".to_owned()));
    assert!(
        !refused.text().contains(&proxy.address.to_string()),
        "{}",
        refused.text()
    );
    let url = format!("http://{}", proxy.address);
    assert!(
        began.contains(&url) && began.contains("https://platform.example.com"),
        "{began}"
    );
    assert!(
        printed.contains(&format!("the egress proxy {url}: it answered 407")),
        "{printed}"
    );
    assert!(proxy.asked()[0].contains("Proxy-Authorization: Basic "));
    let mut hidden = Hidden::default();
    hidden.add("never-to-be-shown");
    hidden.assert_absent("the log", &printed);
    hidden.assert_absent("the answer", &refused.text());
}

#[test]
fn the_environments_proxy_is_for_https_to_elsewhere() {
    let authority = Authority::new();
    let server = Server::start(&authority.issue(&["platform.example.com", "localhost"], |_| {}));
    let proxy = Proxy::start(Does::LeadTo(server.address));
    let url = format!("http://{}", proxy.address);
    let port = server.address.port();
    let more = format!(
        "{CREDENTIAL}ims: {{ url: 'https://localhost:{port}', ca_file: $FOLDER/ca.pem }}
upstream: {{ url: 'https://platform.example.com', ca_file: $FOLDER/ca.pem }}
"
    );

    let environment = [
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "other.example.com"),
    ];
    let gateway = Running::with_environment(&more, &[("ca.pem", &authority.pem)], &environment);
    gateway.wait_for_service();

    let asked = proxy.asked();
    assert!(
        asked
            .iter()
            .all(|it| it.starts_with("CONNECT platform.example.com:443 ")),
        "{asked:?}"
    );
    // IMS is on this machine.
    assert!(!asked.is_empty() && server.shown().plain.contains("POST /ims/token/v3"));
    gateway.stop();
}
