//! `run`: serves until a signal says stop.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Exit;
use super::terminal::{complain, complain_of};
use crate::config::{Settings, Watch};
use crate::run::Gateway;
use crate::telemetry::Log;

/// Serves as the configuration at `path` says.
pub(super) fn run(path: &Path) -> Exit {
    let (loaded, watch) = Watch::load(path);
    let settings = match loaded {
        Ok(settings) => settings,
        Err(faults) => {
            complain(&faults.to_string());
            return Exit::Configuration;
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let exit = runtime.block_on(async {
        let Ok(mut signals) = Signals::listen() else {
            return Exit::Failure;
        };
        match start(&settings, Some(watch)) {
            Ok(gateway) => stop_on_signal(gateway, &mut signals).await,
            Err(exit) => exit,
        }
    });
    // A second signal leaves threads behind, which end with the process.
    runtime.shutdown_background();
    exit
}

/// Makes the main thread's runtime, which waits for signals and runs the simulator.
pub(super) fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            complain_of(&error);
            Exit::Failure
        })
}

/// Opens the log and starts a gateway, which takes new secrets from where `watch` finds them.
pub(super) fn start(settings: &Settings, watch: Option<Watch>) -> Result<Gateway, Exit> {
    let failed = |error: &dyn std::error::Error| {
        complain_of(error);
        Exit::Failure
    };
    let log = Log::open(settings.log).map_err(|error| failed(&error))?;
    let log = Arc::new(log);
    log.install();
    log_panics();
    let gateway = Gateway::start(settings, &log, watch).map_err(|error| failed(&error))?;
    for address in gateway.listeners() {
        tracing::info!(%address, "serving callers");
    }
    tracing::info!(address = %gateway.admin(), version = env!("CARGO_PKG_VERSION"), "serving operators");
    Ok(gateway)
}

/// Sends panics to the log: where they happened and what they said, without a trace of the stack.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let said = panic.payload_as_str().unwrap_or("nothing");
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed").to_owned();
        tracing::error!(thread, place, said, "a panic; please report it");
    }));
}

/// Waits for a signal, then stops the gateway; a second signal ends the waiting.
pub(super) async fn stop_on_signal(gateway: Gateway, signals: &mut Signals) -> Exit {
    signals.wait().await;
    let stopping = tokio::task::spawn_blocking(move || gateway.stop());
    tokio::select! {
        stopped = stopping => if stopped.is_ok() { Exit::Success } else { Exit::Failure },
        () = signals.wait() => {
            complain("profile-gateway: stopped by a second signal, with requests in flight");
            Exit::Failure
        }
    }
}

/// The signals that ask a process to stop.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Exit> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                complain_of(&error);
                Exit::Failure
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
