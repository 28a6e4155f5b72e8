//! `run`: serves until a signal says stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Exit;
use super::limits::raise_descriptors;
use super::terminal::{complain, complain_of};
use crate::config::{Settings, Watch};
use crate::run::Gateway;
use crate::telemetry::Log;

/// Serves as the configuration at `path` says.
pub(super) fn run(path: &Path) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let exit = runtime.block_on(serve(path.to_owned()));
    // A second signal leaves threads behind, which end with the process; so does one to stop while files are read.
    runtime.shutdown_background();
    exit.unwrap_or_else(|exit| exit)
}

async fn serve(path: PathBuf) -> Result<Exit, Exit> {
    // Before anything that takes time: a signal that nobody listens for ends the process.
    let mut signals = Signals::listen()?.and_reload()?;
    let mut reload = false;
    let loading = spawn_blocking(move || Watch::load(&path));
    tokio::pin!(loading);
    let (loaded, watch) = loop {
        tokio::select! {
            biased;
            asked = signals.wait() => match asked {
                Asked::Reload => reload = true,
                // Nothing is served yet.
                Asked::Stop | Asked::StopNow => return Ok(Exit::Success),
            },
            loaded = &mut loading => break loaded.map_err(|error| failed(&error))?,
        }
    };
    let settings = loaded.map_err(|faults| {
        complain(&faults.to_string());
        Exit::Configuration
    })?;
    let gateway = start(&settings, Some(watch))?;
    if reload {
        // What changed before the signal may have been read before it changed.
        gateway.reload();
    }
    Ok(stop_on_signal(gateway, &mut signals).await)
}

fn failed(error: &dyn std::error::Error) -> Exit {
    complain_of(error);
    Exit::Failure
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

/// Opens the log and starts a gateway, which takes other configurations from where `watch` finds them.
pub(super) fn start(settings: &Settings, watch: Option<Watch>) -> Result<Gateway, Exit> {
    let log = Log::open(settings.log).map_err(|error| failed(&error))?;
    let log = Arc::new(log);
    log.install();
    log_panics();
    raise_descriptors();
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

/// Waits for a signal to stop, then stops the gateway; a second one ends the waiting.
pub(super) async fn stop_on_signal(gateway: Gateway, signals: &mut Signals) -> Exit {
    loop {
        match signals.wait().await {
            Asked::Reload => gateway.reload(),
            Asked::StopNow => break,
            Asked::Stop => {
                // Whoever sends callers here learns of it a while later; until then they are served as ever.
                let delay = sleep(gateway.announce());
                tokio::pin!(delay);
                loop {
                    tokio::select! {
                        () = &mut delay => break,
                        asked = signals.wait() => match asked {
                            Asked::Reload => gateway.reload(),
                            Asked::Stop | Asked::StopNow => return stopped_twice(),
                        },
                    }
                }
                break;
            }
        }
    }
    let mut stopping = spawn_blocking(move || gateway.stop());
    loop {
        tokio::select! {
            stopped = &mut stopping => {
                return if stopped.is_ok() { Exit::Success } else { Exit::Failure };
            }
            asked = signals.wait() => match asked {
                // It is too late for that.
                Asked::Reload => {}
                Asked::Stop | Asked::StopNow => return stopped_twice(),
            },
        }
    }
}

fn stopped_twice() -> Exit {
    complain("profile-gateway: stopped by a second signal, with requests in flight");
    Exit::Failure
}

/// The signals that ask a process for something.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Where there is nothing to reload it ends the process, as it does when nobody listens.
    hangup: Option<Signal>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGHUP: to read the configuration anew.
    Reload,
    /// SIGTERM, from whoever runs the process: to stop in good order.
    Stop,
    /// SIGINT, from somebody at a terminal: to stop in good order, without a delay.
    StopNow,
}

impl Signals {
    /// Listens to those that ask to stop.
    pub(super) fn listen() -> Result<Self, Exit> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// Listens to the one that asks for a reload too.
    fn and_reload(self) -> Result<Self, Exit> {
        let hangup = Some(listen(SignalKind::hangup())?);
        Ok(Self { hangup, ..self })
    }

    /// Waits for the next one.
    pub(super) async fn wait(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::StopNow,
            _ = hangup => Asked::Reload,
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Exit> {
    signal(kind).map_err(|error| {
        complain_of(&error);
        Exit::Failure
    })
}
