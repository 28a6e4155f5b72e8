//! `demo`: a gateway and a simulated Adobe in one process.

use std::net::SocketAddr;

use clap::Args;

use super::Exit;
use super::serve::{self, Signals};
use super::terminal::{complain, complain_of, print};
use crate::config::{self, Supplied};
use crate::listener::Address;
use crate::simulator::{self, Simulator};

/// Where the demo listens.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Where the gateway serves callers. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the gateway serves operators.
    #[arg(long, default_value = "127.0.0.1:0")]
    admin: SocketAddr,
    /// Where the simulated Adobe listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    simulator: SocketAddr,
}

/// The demo's configuration, complete and commented.
const CONFIGURATION: &str = include_str!("../../config/demo.yaml");

/// Runs the demo until a signal says stop.
pub(super) fn demo(options: &Options) -> Exit {
    let runtime = match serve::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let exit = runtime.block_on(run(options)).unwrap_or_else(|exit| exit);
    runtime.shutdown_background();
    exit
}

async fn run(options: &Options) -> Result<Exit, Exit> {
    let mut signals = Signals::listen()?;
    let settings = simulator::Settings {
        address: options.simulator,
        ..Default::default()
    };
    let simulator = Simulator::start(settings).await.map_err(|error| {
        complain_of(&error);
        Exit::Failure
    })?;
    let supplied = Supplied::default()
        .with_variable("SIMULATOR_URL", simulator.url())
        .with_variable("LISTEN", options.listen.to_string())
        .with_variable("ADMIN_LISTEN", options.admin.to_string());
    let settings = config::parse("demo.yaml", CONFIGURATION, &supplied).map_err(|faults| {
        complain(&faults.to_string());
        Exit::Configuration
    })?;
    let gateway = serve::start(&settings, None)?;
    if let Some(address) = gateway.listeners().first().and_then(Address::ip) {
        print(&greeting(address, gateway.admin(), &simulator.url()));
    }
    let exit = serve::stop_on_signal(gateway, &mut signals).await;
    simulator.stop().await;
    Ok(exit)
}

fn greeting(listener: SocketAddr, admin: SocketAddr, simulator: &str) -> String {
    format!(
        r#"
A gateway in front of a simulated Adobe. Call it without any credentials:

  # look a profile up in the production sandbox
  curl -s 'http://{listener}/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=janedoe@example.com&entityIdNS=email'

  # look several up at once
  curl -s http://{listener}/data/core/ups/access/entities -H 'Content-Type: application/json' \
    -d '{{"schema":{{"name":"_xdm.context.profile"}},"identities":[{{"entityId":"janedoe@example.com","entityIdNS":{{"code":"email"}}}}]}}'

  # the same person by another identity
  curl -s 'http://{listener}/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=crm-1001&entityIdNS=crmid'

What Adobe received, each request with exactly one of the four headers: {simulator}/_simulator/requests
Deleting is refused in production: curl -i -X DELETE the first URL.
Metrics: http://{admin}/metrics   Readiness: http://{admin}/readyz   Stop: Ctrl-C
"#
    )
}
