//! A data worker: one thread, one runtime, its own connections both ways.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::StartError;
use super::pools::Pools;
use crate::config::Drain;
use crate::connect::PoolMetrics;
use crate::gateway::{self, Plan};
use crate::listener::{self, Accepted, Bound};
use crate::telemetry::audit::{Audit, Trail};
use crate::telemetry::{Lines, Log, Recorder};

/// The workers as the one that accepts sees them.
#[derive(Clone, Debug)]
pub(super) struct Team {
    members: Arc<[Member]>,
    connections: Gauge,
}

#[derive(Debug)]
struct Member {
    load: Arc<AtomicUsize>,
    inbox: mpsc::UnboundedSender<(Accepted, Load)>,
}

/// One connection's share of a worker's load.
#[derive(Debug)]
pub(super) struct Load {
    of: Arc<AtomicUsize>,
    connections: Gauge,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.of.fetch_sub(1, Ordering::Relaxed);
        self.connections.dec();
    }
}

/// Where a worker finds its connections.
pub(super) type Inbox = mpsc::UnboundedReceiver<(Accepted, Load)>;

impl Team {
    /// Makes a team of `size`, with an inbox for each member.
    pub(super) fn new(size: usize, connections: Gauge) -> (Self, Vec<Inbox>) {
        let (members, inboxes) = (0..size)
            .map(|_| {
                // What waits here has been accepted, so the listeners' limits on connections bound it.
                let (inbox, receiver) = mpsc::unbounded_channel();
                (
                    Member {
                        load: Arc::default(),
                        inbox,
                    },
                    receiver,
                )
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        (
            Self {
                members: members.into(),
                connections,
            },
            inboxes,
        )
    }

    /// Gives a connection to the member with the fewest.
    fn deliver(&self, accepted: Accepted) {
        let least = self
            .members
            .iter()
            .filter(|member| !member.inbox.is_closed())
            .min_by_key(|member| member.load.load(Ordering::Relaxed));
        let Some(member) = least else {
            return tracing::error!("no worker is left to serve a connection");
        };
        member.load.fetch_add(1, Ordering::Relaxed);
        self.connections.inc();
        let load = Load {
            of: Arc::clone(&member.load),
            connections: self.connections.clone(),
        };
        // A worker that has ended takes nothing more; dropping the connection closes it.
        drop(member.inbox.send((accepted, load)));
    }
}

/// The workers as whoever gives them another plan sees them.
#[derive(Debug)]
pub(super) struct Crew(Vec<mpsc::UnboundedSender<Handover>>);

/// A plan on its way to a worker, which lets go of `taken` when it has taken it.
#[derive(Debug)]
pub(super) struct Handover {
    plan: Arc<Plan>,
    taken: mpsc::Sender<Infallible>,
}

/// Where a worker finds other plans.
pub(super) type Plans = mpsc::UnboundedReceiver<Handover>;

impl Crew {
    /// Makes a crew of `size`, with the receiving end of each member.
    pub(super) fn new(size: usize) -> (Self, Vec<Plans>) {
        let (members, plans) = (0..size).map(|_| mpsc::unbounded_channel()).unzip();
        (Self(members), plans)
    }

    /// Gives all workers a plan, and waits until they have taken it: requests that arrive from then on are served by it.
    /// Returns `false` when one has not for a long time.
    pub(super) async fn hand_over(&self, plan: &Arc<Plan>) -> bool {
        let (taken, mut all_taken) = mpsc::channel(1);
        for member in &self.0 {
            let handover = Handover {
                plan: Arc::clone(plan),
                taken: taken.clone(),
            };
            // A worker that has ended, or drains, has no use for it.
            drop(member.send(handover));
        }
        drop(taken);
        timeout(PATIENCE, all_taken.recv()).await.is_ok()
    }
}

/// How long a worker may be busy with one thing. None is unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a worker's thread takes with it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) audit: Arc<Audit>,
    pub(super) plan: Arc<Plan>,
    pub(super) plans: Plans,
    pub(super) log: Arc<Log>,
    pub(super) inbox: Inbox,
    pub(super) pools: PoolMetrics,
    pub(super) accepting: Option<(Vec<Bound>, Team)>,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) drain: watch::Receiver<Drain>,
}

impl Worker {
    /// Starts the thread. It ends when the drain has.
    pub(super) fn start(self, index: usize) -> Result<JoinHandle<()>, StartError> {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // The runtime stays on the thread it was made on, and so does all it runs.
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => {
                        drop(tell);
                        runtime.block_on(self.run());
                        // A resolver that hangs keeps the process from nothing.
                        runtime.shutdown_background();
                    }
                    Err(error) => drop(tell.send(error)),
                }
            })
            .map_err(StartError::Thread)?;
        match told.recv() {
            Ok(error) => Err(StartError::Thread(error)),
            Err(_) => Ok(thread),
        }
    }

    async fn run(mut self) {
        let lines = Lines::new(self.log.sink().clone());
        // Access lines of a plan are wanted or not as the log's level is when its stack is made.
        let wanted = || self.log.wants_access_lines().then(|| Rc::clone(&lines));
        let audited = self.audit.lines();
        let trail = |plan: &Plan| {
            let settings = plan.audit.as_ref()?;
            Some(Trail::new(Rc::clone(&audited), settings.hash_ids.clone()))
        };
        let recorder = Recorder::new(
            wanted(),
            self.log.is_json(),
            self.plan.names(),
            self.plan.metrics.clone(),
        );
        let recorder = Rc::new(recorder.audited(trail(&self.plan)));
        let pools = Rc::new(RefCell::new(Pools::new(self.pools)));
        let pool = pools.borrow_mut().of(&self.plan.upstream);
        let stack = match gateway::stack(&self.plan, pool, Rc::clone(&recorder)) {
            Ok(stack) => Rc::new(RefCell::new(stack)),
            // The configuration's checks refuse such a plan.
            Err(error) => return tracing::error!(%error, "a worker could not start"),
        };
        let mut upkeep = JoinSet::new();
        upkeep.spawn_local(Rc::clone(&lines).flush_in_time());
        upkeep.spawn_local(Rc::clone(&audited).flush_in_time());
        let swept = Rc::clone(&pools);
        upkeep.spawn_local(async move {
            let mut ticks = interval(SWEEP);
            loop {
                ticks.tick().await;
                swept.borrow_mut().sweep();
            }
        });
        let mut accepting = JoinSet::new();
        if let Some((listeners, team)) = self.accepting.take() {
            for listener in listeners {
                let team = team.clone();
                let mut draining = self.draining.clone();
                accepting.spawn_local(async move {
                    let accept =
                        listener.accept(draining.clone(), |accepted| team.deliver(accepted));
                    if let Err(error) = accept.await {
                        tracing::error!(%error, "a listener failed");
                        // The others serve on; workers end when nobody is left to deliver to them.
                        let _ = draining.wait_for(|draining| *draining).await;
                    }
                });
            }
        }
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                delivered = self.inbox.recv() => {
                    // The inbox ends with the drain's beginning, when everything that was accepted is delivered.
                    let Some((accepted, load)) = delivered else { break };
                    let (stack, draining) = (Rc::clone(&stack), self.draining.clone());
                    connections.spawn_local(listener::serve(accepted, stack, draining, load));
                }
                Some(Handover { plan, taken }) = self.plans.recv() => {
                    let recorder = recorder.renewed(
                        wanted(),
                        plan.names(),
                        plan.metrics.clone(),
                    );
                    let recorder = recorder.audited(trail(&plan));
                    let pool = pools.borrow_mut().of(&plan.upstream);
                    match gateway::stack(&plan, pool, Rc::new(recorder)) {
                        // Connections stay open, and call it for their next request. What is under way has all it needs
                        // of the one before.
                        Ok(next) => drop(stack.replace(next)),
                        // Who made the plan has checked it.
                        Err(error) => tracing::error!(%error, "a plan could not be taken"),
                    }
                    drop(taken);
                }
                Some(_) = connections.join_next() => {}
            }
        }
        // What waits here, or comes, is let go of.
        drop(self.plans);
        accepting.shutdown().await;
        let finish = async { while connections.join_next().await.is_some() {} };
        let longest = self.drain.borrow().timeout;
        if timeout(longest, finish).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the drain time is over with requests still in flight; they are cut off"
            );
            recorder.cut_off();
        }
        connections.shutdown().await;
        upkeep.shutdown().await;
    }
}

/// How often idle upstream connections are looked over.
const SWEEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::context::Accepts;
    use crate::listener::{Places, Socket, Terms};

    /// Makes connections that only count.
    struct Callers {
        listener: TcpListener,
        places: Places,
        terms: Arc<Terms>,
    }

    impl Callers {
        fn new() -> Self {
            let settings = listener::Settings {
                access: listener::Access::default(),
                address: listener::Address::Ip((Ipv4Addr::LOCALHOST, 0).into()),
                accepts: Accepts::anybody(true),
                backlog: 1,
                http2: true,
                limits: listener::Limits {
                    head_bytes: 1,
                    fields: 1,
                    target_bytes: 1,
                    head_timeout: Duration::ZERO,
                    idle_timeout: Duration::ZERO,
                    write_timeout: Duration::ZERO,
                    connections: 1000,
                },
                public_url: None,
                upstream_connections: 1,
                reuse_port: false,
                tls: None,
            };
            Self {
                listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
                places: Places::default(),
                terms: Arc::new(Terms::new(settings).unwrap()),
            }
        }

        fn connect(&self) -> Accepted {
            let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            // Nobody speaks over it, but it must not fill the queue.
            drop(self.listener.accept().unwrap());
            Accepted {
                peer: socket.local_addr().unwrap().into(),
                socket: Socket::Tcp(socket),
                terms: Arc::clone(&self.terms),
                place: self.places.take(),
                failed_handshakes: Counter::default(),
            }
        }
    }

    #[test]
    fn connections_are_balanced_however_they_come_and_go() {
        let callers = Callers::new();
        let gauge = Gauge::default();
        let (team, mut inboxes) = Team::new(4, gauge.clone());
        let mut open: Vec<Vec<_>> = inboxes.iter().map(|_| Vec::new()).collect();

        for round in 0..20 {
            for _ in 0..13 {
                team.deliver(callers.connect());
            }
            for (inbox, open) in inboxes.iter_mut().zip(&mut open) {
                while let Ok(delivered) = inbox.try_recv() {
                    open.push(delivered);
                }
            }
            let counts: Vec<_> = open.iter().map(Vec::len).collect();
            let all: usize = counts.iter().sum();
            assert_eq!(gauge.get(), i64::try_from(all).unwrap());
            assert!(
                counts.iter().all(|count| count * 4 <= 2 * all),
                "{counts:?}"
            );
            // One worker's callers leave, another one each round.
            open[round % 4].clear();
        }
    }

    #[test]
    fn a_worker_that_has_ended_is_given_nothing() {
        let callers = Callers::new();
        let (team, mut inboxes) = Team::new(2, Gauge::default());
        drop(inboxes.remove(0));

        team.deliver(callers.connect());
        team.deliver(callers.connect());

        assert!(inboxes[0].try_recv().is_ok() && inboxes[0].try_recv().is_ok());
    }
}
