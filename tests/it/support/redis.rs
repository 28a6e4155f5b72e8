//! Real `redis-server` processes, each with a folder and a port of its own.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use profile_gateway::shared::{Keyring, Mode, Server, Settings, Store};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::task::LocalSet;

use super::running::pass;

/// A running server, killed when dropped.
pub(crate) struct Redis {
    child: Child,
    output: Arc<Output>,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    ready: &'static str,
}

/// What a server has printed.
#[derive(Default)]
struct Output {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more arguments, in which `{dir}` stands for its folder.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::launch(READY, |folder, port| {
            let mut all = vec!["--port".to_owned(), port.to_string()];
            all.extend(common(folder));
            all.extend(filled(arguments, folder));
            all
        })
    }

    /// Starts a server that speaks only TLS, with a certificate for localhost and 127.0.0.1.
    pub(crate) fn with_tls(authority: &Authority, arguments: &[&str]) -> Self {
        Self::launch(READY, |folder, port| {
            authority.issue(folder);
            let mut all = vec!["--port".to_owned(), "0".to_owned()];
            all.extend(["--tls-port".to_owned(), port.to_string()]);
            all.extend(common(folder));
            all.extend(filled(TLS, folder));
            all.extend(filled(arguments, folder));
            all
        })
    }

    /// Starts a sentinel that watches `primary` as `mymaster`.
    pub(crate) fn sentinel(primary: &Self, more: &str) -> Self {
        let watched = primary.port;
        Self::launch("+monitor master", |folder, port| {
            let file = folder.join("sentinel.conf");
            let folder = folder.display();
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor mymaster 127.0.0.1 {watched} 1\n{more}\n"
            );
            std::fs::write(&file, text).unwrap();
            vec![file.display().to_string(), "--sentinel".to_owned()]
        })
    }

    /// Starts the node of a cluster that has no slots yet.
    pub(crate) fn node() -> Self {
        Self::launch(READY, |folder, port| {
            let mut all = vec!["--port".to_owned(), port.to_string()];
            all.extend(common(folder));
            all.extend(["--cluster-enabled", "yes", "--cluster-port"].map(str::to_owned));
            all.push(free_port().to_string());
            all
        })
    }

    fn launch(ready: &'static str, arguments: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        // Somebody else may take a free port before the server does.
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let arguments = arguments(folder.path(), port);
            let (child, output) = spawn(&arguments);
            let redis = Self {
                child,
                output,
                port,
                folder,
                arguments,
                ready,
            };
            if redis.output.wait_for(ready) {
                return redis;
            }
        }
        panic!("no redis-server could be started");
    }

    /// Stops the server at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the port it had.
    pub(crate) fn restart(&mut self) {
        self.kill();
        for _ in 0..10 {
            (self.child, self.output) = spawn(&self.arguments);
            if self.output.wait_for(self.ready) {
                return;
            }
            // It has ended: somebody else has the port, who may need a moment to leave it.
            pass(Duration::from_millis(200));
        }
        panic!("redis-server could not be started again");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn server(&self) -> Server {
        format!("127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the server has printed `text`.
    pub(crate) fn wait_for(&self, text: &str) {
        assert!(self.output.wait_for(text), "no {text:?}");
    }

    /// Runs one command beside the gateway, without TLS or a password.
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command("", words).unwrap()
    }

    /// Runs one command as `user:password@`.
    pub(crate) fn try_command<T: redis::FromRedisValue>(
        &self,
        user: &str,
        words: &[&str],
    ) -> redis::RedisResult<T> {
        let url = format!("redis://{user}127.0.0.1:{}", self.port);
        let mut connection = redis::Client::open(url)?.get_connection()?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    /// Settings of a store on this server in clear text, with one key, and more time than any test needs.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            mode: Mode::Single {
                server: self.server(),
                database: 0,
            },
            ..settings()
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.settings()).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Output {
    /// Waits for a line with `text`. Returns `false` when the output ends before.
    fn wait_for(&self, text: &str) -> bool {
        let mut lines = self.lines.lock().unwrap();
        loop {
            if lines.0.iter().any(|line| line.contains(text)) {
                return true;
            }
            if lines.1 {
                return false;
            }
            let (guard, waited) = self
                .grown
                .wait_timeout(lines, Duration::from_secs(30))
                .unwrap();
            lines = guard;
            assert!(!waited.timed_out(), "no {text:?} in {:#?}", lines.0);
        }
    }
}

/// Settings without a server.
pub(crate) fn settings() -> Settings {
    Settings {
        mode: Mode::Cluster { seeds: Vec::new() },
        tls: false,
        allow_plain: false,
        extra_roots: Vec::new(),
        login: None,
        prefix: "profile-gateway".to_owned(),
        timeout: Duration::from_secs(10),
        keys: keys(&[("k1", 1)]),
    }
}

/// A keyring of keys that consist of one byte each.
pub(crate) fn keys(keys: &[(&str, u8)]) -> Keyring {
    let keys = keys.iter().map(|(id, byte)| {
        let text = format!("{byte:02x}").repeat(32);
        ((*id).to_owned(), text.parse().unwrap())
    });
    Keyring::new(keys).unwrap()
}

/// Runs a test as the control thread runs what uses a store.
pub(crate) fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// Writes what a server needs into its folder.
    fn issue(&self, folder: &Path) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        write("ca.pem", self.certificate.pem());
        write("server.pem", certificate.pem());
        write("server.key", key.serialize_pem());
    }
}

fn spawn(arguments: &[String]) -> (Child, Arc<Output>) {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("redis-server is installed (`make test` does it)");
    let output = Arc::new(Output::default());
    let stream = child.stdout.take().unwrap();
    let collected = Arc::clone(&output);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            collected.lines.lock().unwrap().0.push(line.unwrap());
            collected.grown.notify_all();
        }
        collected.lines.lock().unwrap().1 = true;
        collected.grown.notify_all();
    });
    (child, output)
}

fn common(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let words = [
        "--bind",
        "127.0.0.1 127.0.0.2",
        "--save",
        "",
        "--dir",
        &folder,
    ];
    words.map(str::to_owned).to_vec()
}

fn filled(arguments: &[&str], folder: &Path) -> Vec<String> {
    let folder = PathBuf::from(folder).display().to_string();
    let fill = |argument: &&str| argument.replace("{dir}", &folder);
    arguments.iter().map(fill).collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

const READY: &str = "Ready to accept connections";

const TLS: &[&str] = &[
    "--tls-cert-file",
    "{dir}/server.pem",
    "--tls-key-file",
    "{dir}/server.key",
    "--tls-ca-cert-file",
    "{dir}/ca.pem",
    "--tls-auth-clients",
    "no",
];
