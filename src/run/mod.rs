//! The running gateway: its threads, and how it starts and stops.
//!
//! Data workers serve requests, one thread and one runtime each, with connections of their own. One control thread
//! keeps tokens fresh and answers operators. What they share is swapped or counted atomically.

mod control;
mod plan;
mod pools;
mod reload;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, watch};

use self::control::Control;
use self::plan::dialer;
use self::reload::Reloader;
use self::worker::{Crew, Team, Worker};
use crate::admin;
use crate::config::{Drain, Exposed, Settings, Warning, Watch};
use crate::connect::PoolMetrics;
use crate::connect::dial::SetupError;
use crate::gateway::PlanError;
use crate::ims::{Credentials, Current, Keepers};
use crate::issuers::{self, NotReached};
use crate::listener::{self, Address, BindError, Bound};
use crate::shared::{self, Store};
use crate::telemetry::audit::Audit;
use crate::telemetry::{Log, Reloads, Sink};

pub use self::plan::plan;

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    listeners: Vec<Address>,
    handles: Vec<listener::Handle>,
    admin: SocketAddr,
    stopping: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    drain: watch::Receiver<Drain>,
    /// Asks for a reload.
    reload: Arc<Notify>,
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    /// Both are kept to the end, so that the last lines are written.
    _audit: Arc<Audit>,
    _log: Arc<Log>,
}

/// Why a gateway could not start. Nothing is left running then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Where the audit goes could not be opened.
    #[error("cannot open the audit")]
    Audit(#[source] io::Error),
    /// An address could not be taken.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: Address,
        /// Why.
        source: BindError,
    },
    /// TLS could not be set up.
    #[error("cannot prepare connections to {origin}")]
    Connect {
        /// Where to.
        origin: String,
        /// Why.
        source: SetupError,
    },
    /// The tables of the configuration do not fit together.
    #[error("cannot prepare the routes")]
    Plan(#[from] PlanError),
    /// What replicas share could not be set up.
    #[error("cannot prepare what replicas share")]
    Share(#[source] shared::SetupError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl From<NotReached> for StartError {
    fn from(NotReached { origin, source }: NotReached) -> Self {
        Self::Connect { origin, source }
    }
}

impl Gateway {
    /// Takes every address, then starts the threads. Returns while the first tokens are still being fetched.
    ///
    /// Other configurations are taken from where `watch` finds them, at once when they change.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        settings: &Settings,
        log: &Arc<Log>,
        watch: Option<Watch>,
    ) -> Result<Self, StartError> {
        // Before anybody can connect: nothing is to be done that could not be written down.
        let target = settings.audit.as_ref().map(|audit| &audit.target);
        let audit = Arc::new(Audit::open(target).map_err(StartError::Audit)?);
        let admin = admin::Bound::bind(settings.admin).map_err(|source| StartError::Bind {
            address: settings.admin.address.into(),
            source: source.into(),
        })?;
        let listeners = settings.listeners.iter().map(|listener| {
            let address = listener.address.clone();
            Bound::bind(listener.clone()).map_err(|source| StartError::Bind { address, source })
        });
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners
            .iter()
            .map(|bound| bound.address().clone())
            .collect();
        let handles: Vec<_> = listeners.iter().map(Bound::handle).collect();
        let admin_address = admin.address();

        let mut registry = Registry::default();
        let credentials = Credentials::new(&settings.ims);
        let current = Current::new(credentials.clone());
        let plan = Arc::new(plan(settings, credentials, &mut registry)?);
        registry.register_collector(Box::new(current.clone()));
        let issuers = issuers::Current::new(plan.issuers.clone());
        registry.register_collector(Box::new(issuers.clone()));
        register_dropped(&mut registry, log);
        audit.register(&mut registry);
        registry.register_collector(Box::new(listener::Metrics::of(&listeners)));
        let pools = PoolMetrics::default();
        registry.register_collector(Box::new(pools.clone()));
        let reloads = Reloads::register(&mut registry);

        let store = store(settings.shared.clone())?;
        if let Some(store) = &store {
            registry.register_collector(Box::new(store.clone()));
        }

        for connect in [&settings.upstream, &settings.ims.connect] {
            if let Some(proxy) = &connect.proxy {
                let (origin, proxy) = (connect.origin.to_string(), proxy.to_string());
                tracing::info!(origin, proxy, "connections go through a proxy");
            }
        }
        warn_of(settings);
        let (stopping, stop_begins) = watch::channel(false);
        let (draining, drain_begins) = watch::channel(false);
        let (stopped, stop) = watch::channel(false);
        let drain = watch::Sender::new(settings.drain);
        let drain_times = drain.subscribe();
        let (team, inboxes) = Team::new(settings.workers.get(), plan.metrics.connections().clone());
        let (crew, handovers) = Crew::new(settings.workers.get());
        let reload = Arc::new(Notify::new());
        let keepers = Keepers::new(
            settings.ims.clone(),
            dialer(settings.ims.connect.clone())?,
            store.clone(),
        );
        let control = Control {
            admin,
            facts: admin::Facts {
                credentials: current.clone(),
                issuers: issuers.clone(),
                stopping: stop_begins,
                registry: Arc::new(registry),
            },
            keepers,
            reloader: watch.map(|watch| {
                let lasting = reload::Lasting {
                    audit: Arc::clone(&audit),
                    crew,
                    current,
                    drain,
                    issuers,
                    log: Arc::clone(log),
                    reloads,
                    store,
                };
                let asked = Arc::clone(&reload);
                let plan = Arc::clone(&plan);
                Reloader::new(watch, settings, plan, handles.clone(), lasting, asked)
            }),
            stop,
        };
        let mut listeners = Some(listeners);
        let mut workers = Vec::new();
        for (index, (inbox, plans)) in inboxes.into_iter().zip(handovers).enumerate() {
            let worker = Worker {
                audit: Arc::clone(&audit),
                plan: Arc::clone(&plan),
                plans,
                log: Arc::clone(log),
                inbox,
                pools: pools.clone(),
                // The first worker accepts for all: accepting is short, and needs no thread of its own.
                accepting: listeners.take().map(|listeners| (listeners, team.clone())),
                draining: drain_begins.clone(),
                drain: drain_times.clone(),
            };
            workers.push(worker.start(index)?);
        }
        let control = control.start()?;
        Ok(Self {
            listeners: addresses,
            handles,
            admin: admin_address,
            stopping,
            draining,
            stopped,
            drain: drain_times,
            reload,
            workers,
            control,
            _audit: audit,
            _log: Arc::clone(log),
        })
    }

    /// Returns the callers' addresses, in the order of the settings.
    pub fn listeners(&self) -> &[Address] {
        &self.listeners
    }

    /// Returns what changes the listeners' settings while they are bound, in the order of the settings.
    pub fn handles(&self) -> &[listener::Handle] {
        &self.handles
    }

    /// Returns the operators' address.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Reads the configuration anew, soon, if it was started with files to read it from.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Says that it is about to stop: readiness ends, and everything is served as usual. Returns how long that should
    /// last.
    pub fn announce(&self) -> Duration {
        let delay = self.drain.borrow().delay;
        if !self.stopping.send_replace(true) && !delay.is_zero() {
            tracing::info!(
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                "stopping: not ready any more, and serving as usual for a while"
            );
        }
        delay
    }

    /// Begins to stop: readiness ends, no connection is accepted, requests in flight finish.
    pub fn drain(&self) {
        self.stopping.send_replace(true);
        if !self.draining.send_replace(true) {
            tracing::info!(
                longest_s = self.drain.borrow().timeout.as_secs(),
                "draining"
            );
        }
    }

    /// Drains, waits for the last request or the end of the drain time, and ends the threads. Blocks.
    pub fn stop(self) {
        self.drain();
        for worker in self.workers {
            join(worker);
        }
        self.stopped.send_replace(true);
        join(self.control);
        tracing::info!("stopped");
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread had panicked");
    }
}

/// Warns of files with secrets that everybody may read, and of what can never come to anything.
fn warn_of(settings: &Settings) {
    for Warning {
        at,
        key,
        message,
        help,
    } in &settings.warnings
    {
        tracing::warn!(
            at,
            key,
            why = message,
            help,
            "a part of the configuration comes to nothing"
        );
    }
    for Exposed { path, mode } in &settings.exposed {
        tracing::warn!(
            file = %path.display(),
            mode = format!("{mode:04o}"),
            help = Exposed::HELP,
            "a file holds a secret, and everybody may read it"
        );
    }
}

fn store(settings: Option<shared::Settings>) -> Result<Option<Store>, StartError> {
    let made = settings.map(Store::new).transpose();
    made.map_err(StartError::Share)
}

/// Counts the lines the log could not take.
fn register_dropped(registry: &mut Registry, log: &Log) {
    #[derive(Debug)]
    struct Dropped(Sink);

    impl prometheus_client::collector::Collector for Dropped {
        fn encode(
            &self,
            mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
        ) -> Result<(), std::fmt::Error> {
            use prometheus_client::encoding::EncodeMetric;
            let counter = prometheus_client::metrics::counter::ConstCounter::new(self.0.dropped());
            let help = "Log lines dropped since standard output did not take them";
            let metric = encoder.encode_descriptor(
                "profile_gateway_log_dropped",
                help,
                None,
                <Counter as prometheus_client::metrics::TypedMetric>::TYPE,
            )?;
            counter.encode(metric)
        }
    }

    registry.register_collector(Box::new(Dropped(log.sink().clone())));
}
