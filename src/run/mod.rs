//! The running gateway: its threads, and how it starts and stops.
//!
//! Data workers serve requests, one thread and one runtime each, with connections of their own. One control thread
//! keeps tokens fresh and answers operators. What they share is swapped or counted atomically.

mod changes;
mod control;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use self::changes::Changes;
use self::control::Control;
use self::worker::{Team, Worker};
use crate::admin;
use crate::config::{Settings, Watch};
use crate::connect::dial::SetupError;
use crate::connect::{Counts, Dialer, PoolMetrics};
use crate::forward;
use crate::gateway::Plan;
use crate::ims::Credentials;
use crate::limit::Limit;
use crate::listener::{self, Address, BindError, Bound};
use crate::respond::InFlightLayer;
use crate::shared::{self, Store};
use crate::telemetry::{Labels, Log, Metrics, Sink};

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    listeners: Vec<Address>,
    handles: Vec<listener::Handle>,
    admin: SocketAddr,
    draining: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    drain: Duration,
    workers: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    /// Kept to the end, so that the last lines are written.
    _log: Arc<Log>,
}

/// Why a gateway could not start. Nothing is left running then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
    /// What replicas share could not be set up.
    #[error("cannot prepare what replicas share")]
    Share(#[source] shared::SetupError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl Gateway {
    /// Takes every address, then starts the threads. Returns while the first tokens are still being fetched.
    ///
    /// New secrets are taken from where `watch` finds them.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        settings: &Settings,
        log: &Arc<Log>,
        watch: Option<Watch>,
    ) -> Result<Self, StartError> {
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
        let handles = listeners.iter().map(Bound::handle).collect();
        let admin_address = admin.address();

        let mut registry = Registry::default();
        let credentials = Credentials::new(&settings.ims);
        let plan = Arc::new(plan(settings, credentials.clone(), &mut registry)?);
        registry.register_collector(Box::new(credentials.clone()));
        register_dropped(&mut registry, log);
        registry.register_collector(Box::new(listener::Metrics::of(&listeners)));
        let pools: Vec<Arc<Counts>> = (0..settings.workers.get())
            .map(|_| Arc::default())
            .collect();
        registry.register_collector(Box::new(PoolMetrics::new(pools.clone())));

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
        let (draining, drain_begins) = watch::channel(false);
        let (stopped, stop) = watch::channel(false);
        let control = Control {
            admin,
            facts: admin::Facts {
                credentials: credentials.clone(),
                draining: drain_begins.clone(),
                registry: Arc::new(registry),
            },
            ims: settings.ims.clone(),
            dialer: dialer(settings.ims.connect.clone())?,
            changes: watch.map(|watch| Changes::new(watch, settings, credentials, store.clone())),
            store,
            stop,
        };
        let (team, inboxes) = Team::new(settings.workers.get(), plan.metrics.connections().clone());
        let mut listeners = Some(listeners);
        let mut workers = Vec::new();
        for (index, (inbox, counts)) in inboxes.into_iter().zip(pools).enumerate() {
            let worker = Worker {
                plan: Arc::clone(&plan),
                log: Arc::clone(log),
                inbox,
                counts,
                // The first worker accepts for all: accepting is short, and needs no thread of its own.
                accepting: listeners.take().map(|listeners| (listeners, team.clone())),
                draining: drain_begins.clone(),
                drain: settings.drain,
            };
            workers.push(worker.start(index)?);
        }
        let control = control.start()?;
        let drain = settings.drain;
        Ok(Self {
            listeners: addresses,
            handles,
            admin: admin_address,
            draining,
            stopped,
            drain,
            workers,
            control,
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

    /// Begins to stop: readiness ends, no connection is accepted, requests in flight finish.
    pub fn drain(&self) {
        if !*self.draining.borrow() {
            tracing::info!(longest_s = self.drain.as_secs(), "draining");
        }
        self.draining.send_replace(true);
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

fn dialer(settings: crate::connect::Settings) -> Result<Dialer, StartError> {
    let origin = settings.origin.to_string();
    Dialer::new(settings).map_err(|source| StartError::Connect { origin, source })
}

fn store(settings: Option<shared::Settings>) -> Result<Option<Store>, StartError> {
    let made = settings.map(Store::new).transpose();
    made.map_err(StartError::Share)
}

/// Makes what the workers' stacks are made from, with metrics in `registry`.
///
/// # Errors
/// [`StartError::Connect`].
pub fn plan(
    settings: &Settings,
    credentials: Credentials,
    registry: &mut Registry,
) -> Result<Plan, StartError> {
    let labels = settings
        .route
        .routes
        .iter()
        .zip(settings.authorize.routes.iter());
    let labels = labels.zip(settings.credentials.routes.iter()).map(
        |((rule, (_, grant)), (_, credential))| {
            let credential = credentials
                .get(*credential)
                .map(|credential| credential.name().to_owned());
            Labels::new(
                rule.name.clone(),
                credential.unwrap_or_default(),
                grant.sandbox.to_string(),
            )
        },
    );
    let names = settings
        .route
        .routes
        .iter()
        .map(|rule| rule.name.clone())
        .collect();
    let metrics = Metrics::register(registry, &names);
    let pauses = settings.credentials.routes.iter();
    let pauses = pauses.filter_map(|(_, id)| Some(Arc::clone(credentials.get(*id)?.pauses())));
    Ok(Plan {
        authorize: settings.authorize.clone(),
        credential_of: settings.credentials.clone(),
        forward: forward::Settings {
            retries: settings.forward.retries.divided(settings.workers),
            ..settings.forward.clone()
        },
        in_flight: InFlightLayer::new(settings.in_flight.get(), metrics.in_flight().clone()),
        labels: labels.collect(),
        limit: Limit::new(&settings.limit, pauses),
        metrics,
        retries: forward::retry::Counts::register(registry),
        route: settings.route.clone(),
        upstream: dialer(settings.upstream.clone().divided(settings.workers))?,
        credentials,
    })
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
