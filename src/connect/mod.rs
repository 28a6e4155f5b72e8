//! Outbound HTTP: connections to the configured origins, and to nothing else.

pub mod dial;
pub mod lease;
pub mod origin;
pub mod pool;
pub mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

pub use dial::Dialer;
pub use lease::LeasedBody;
pub use origin::Origin;
pub use pool::{Counts, Pool, PoolMetrics};
pub use stream::Stream;

/// How one origin is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to.
    pub origin: Origin,
    /// Connected to instead of what the origin's host resolves to; everything that is sent or checked stays the
    /// origin's. Default: none.
    pub address: Option<SocketAddr>,
    /// Whether HTTP/2 may be spoken: offered by ALPN over TLS, assumed over clear text. Default: no, since
    /// HTTP/1.1 costs less on a short way.
    pub http2: bool,
    /// Time for name resolution, TCP and TLS together. Default 3 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default 45 s; keep it below the upstream's own limit.
    pub idle_timeout: Duration,
    /// How long a connection is used at most, however busy; up to a fifth less. Default 10 min.
    pub lifetime: Duration,
    /// The most connections of one pool. Default 256, divided among the workers.
    pub connections: NonZeroUsize,
    /// The most requests that may wait in one pool while all its connections are in use. Default 1024, divided among
    /// the workers.
    pub waiting: usize,
    /// Certificates trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Settings {
    /// Returns the settings of one of `pools` that share the connections and the places for waiting, rounded up.
    #[must_use]
    pub fn divided(self, pools: NonZeroUsize) -> Self {
        let connections = self.connections.get().div_ceil(pools.get());
        Self {
            connections: NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN),
            waiting: self.waiting.div_ceil(pools.get()),
            ..self
        }
    }

    /// Tells whether what is sent stays on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.address {
            Some(address) => address.ip().to_canonical().is_loopback(),
            None => self.origin.is_loopback(),
        }
    }
}

/// Runs hyper's tasks on the thread they were made on, so that they may hold what cannot leave it.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}
