//! A real gateway on free ports, in this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use profile_gateway::config::{self, Supplied};
use profile_gateway::listener::{BindError, Updated};
use profile_gateway::run;
use profile_gateway::telemetry::{Format, Log, Settings};
use tracing::Level;

/// A running gateway, stopped when dropped.
pub(crate) struct Gateway {
    running: Option<run::Gateway>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Routes that cover everything, in sandbox dev-2, but for lookups, which are in prod.
pub(crate) const ROUTES: &str = "
routes:
  - name: lookups
    match: { path: /data/core/ups/access/entities, methods: [GET, POST, DELETE] }
    sandbox: prod
  - name: trials
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

impl Gateway {
    /// Starts a gateway in front of `url`, which plays both IMS and the platform, with `more` configuration.
    pub(crate) fn start(url: &str, more: &str) -> Self {
        Self::with(&format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{more}"
        ))
    }

    /// Starts a gateway with one demo credential, two sandboxes, and `more` configuration.
    ///
    /// It listens on a free port unless `more` says where.
    pub(crate) fn with(more: &str) -> Self {
        Self::with_files(more, &Supplied::default())
    }

    /// Like [`Self::with`], where the configuration may name the `files`.
    pub(crate) fn with_files(more: &str, files: &Supplied) -> Self {
        Self::run(&format!("{CREDENTIAL}{more}"), files)
    }

    /// Starts a gateway with `more` configuration, which brings the credentials, and two sandboxes unless it brings others.
    pub(crate) fn bare(more: &str) -> Self {
        Self::bare_with_files(more, &Supplied::default())
    }

    /// Like [`Self::bare`], where the configuration may name the `files`.
    pub(crate) fn bare_with_files(more: &str, files: &Supplied) -> Self {
        Self::run(more, files)
    }

    fn run(more: &str, files: &Supplied) -> Self {
        Self::settled(&settings(more, files))
    }

    /// Starts a gateway with settings that a test has made.
    pub(crate) fn settled(settings: &config::Settings) -> Self {
        let log = Log::open(Settings {
            format: Format::Json,
            level: Level::ERROR,
        })
        .unwrap();
        let running = run::Gateway::start(settings, &Arc::new(log), None).unwrap();
        let address = running.listeners()[0].ip().unwrap_or(NOWHERE);
        let admin = running.admin();
        Self {
            running: Some(running),
            address,
            admin,
        }
    }

    /// Gives the first listener what it would be started with by other configuration.
    pub(crate) fn relisten(&self, more: &str, files: &Supplied) -> Result<Updated, BindError> {
        let settings = settings(&format!("{CREDENTIAL}{more}"), files);
        let running = self.running.as_ref().unwrap();
        running.handles()[0].update(&settings.listeners[0])
    }

    /// Begins the drain.
    pub(crate) fn drain(&self) {
        self.running.as_ref().unwrap().drain();
    }

    /// Waits for the drain's end.
    pub(crate) fn stop(mut self) {
        self.running.take().unwrap().stop();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

fn settings(more: &str, files: &Supplied) -> config::Settings {
    let listeners = if more.contains("listeners:") {
        ""
    } else {
        LISTENERS
    };
    let sandboxes = if more.contains("\nsandboxes:") {
        ""
    } else {
        SANDBOXES
    };
    let text = format!("{COMMON}{sandboxes}{listeners}{more}");
    config::parse("test.yaml", &text, files).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Where a gateway is that listens at a Unix socket.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

const LISTENERS: &str = "listeners: [{ address: '127.0.0.1:0' }]\n";

const COMMON: &str = "
workers: 2
drain: 1s
admin: { address: '127.0.0.1:0' }
";

const SANDBOXES: &str = "sandboxes: { prod: {}, dev-2: {} }\n";

const CREDENTIAL: &str = "
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
";
