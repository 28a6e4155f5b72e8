//! `simulate`: the simulated Adobe alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Exit;
use super::serve::{self, Signals};
use super::terminal::{complain_of, print};
use crate::aep::SandboxName;
use crate::simulator::{Client, Settings, Simulator, Tls};

/// How Adobe is simulated.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Where to listen, for IMS and the platform alike. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Serve TLS, with a certificate made at the start.
    #[arg(long)]
    tls: bool,
    /// A name or address the certificate holds besides localhost and 127.0.0.1. May be repeated.
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
    /// Where to write the certificate that clients have to trust (`ca_file` in the gateway's configuration).
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// A client to know besides demo-client: its id, secret and organisation. May be repeated.
    #[arg(long, value_name = "ID:SECRET:ORG", value_parser = client)]
    client: Vec<Client>,
    /// A sandbox to have instead of prod, dev and dev-2; prod is always there. May be repeated.
    #[arg(long, value_name = "NAME")]
    sandbox: Vec<SandboxName>,
    /// How long tokens count, such as 90s or 24h.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    token_lifetime: Duration,
    /// How long jobs stay in each of their states.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    job_step: Duration,
    /// Answer every known operation that passes the header checks with 200, whatever its body.
    #[arg(long)]
    lenient: bool,
}

fn client(text: &str) -> Result<Client, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(id), Some(secret), Some(organization)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("give an id, a secret and an organisation, separated by colons".to_owned());
    };
    let id = id.parse().map_err(|error| format!("the id {error}"))?;
    let organization = organization
        .parse()
        .map_err(|error| format!("the organisation {error}"))?;
    Ok(Client::new(id, secret, organization))
}

/// Runs the simulator until a signal says stop.
pub(super) fn simulate(options: Options) -> Exit {
    let runtime = match serve::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(run(options)).unwrap_or_else(|exit| exit)
}

async fn run(options: Options) -> Result<Exit, Exit> {
    let failed = |error: std::io::Error| {
        complain_of(&error);
        Exit::Failure
    };
    let mut signals = Signals::listen()?;
    let defaults = Settings::default();
    let simulator = Simulator::start(Settings {
        address: options.listen,
        tls: options.tls.then_some(Tls {
            names: options.tls_name,
        }),
        clients: defaults
            .clients
            .iter()
            .cloned()
            .chain(options.client)
            .collect(),
        sandboxes: if options.sandbox.is_empty() {
            defaults.sandboxes
        } else {
            options.sandbox
        },
        token_lifetime: options.token_lifetime,
        job_step: options.job_step,
        lenient: options.lenient,
        ..defaults
    })
    .await
    .map_err(failed)?;
    if let (Some(path), Some(pem)) = (&options.ca_out, simulator.certificate_pem()) {
        std::fs::write(path, pem).map_err(failed)?;
    }
    let url = simulator.url();
    print(&format!(
        "Adobe simulated at {url}; what it received: {url}/_simulator/requests"
    ));
    signals.wait().await;
    simulator.stop().await;
    Ok(Exit::Success)
}
