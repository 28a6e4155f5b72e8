//! Outbound HTTP: connections to the configured origins, and to nothing else.

pub mod breaker;
pub mod certificate;
pub mod dial;
pub mod lease;
mod name;
pub mod origin;
pub mod pool;
pub mod proxy;
mod race;
mod sightings;
mod socket;
pub mod stream;
mod tls;
mod tunnel;
mod unexecuted;

#[cfg(test)]
mod dialing;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

pub use breaker::Breaker;
pub use certificate::ClientCertificate;
pub use dial::Dialer;
pub use lease::LeasedBody;
pub use origin::Origin;
pub use pool::{Counts, Patience, Pool, PoolMetrics, Times, Unanswered};
pub use proxy::Proxy;
pub use stream::Stream;
pub use tls::MinTls;

/// How one origin is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What messages call the origin: `the upstream`, `IMS`.
    pub called: &'static str,
    /// Where to.
    pub origin: Origin,
    /// Connected to instead of what the origin's host resolves to; everything that is sent or checked stays the
    /// origin's. Default: none.
    pub address: Option<SocketAddr>,
    /// Whether HTTP/2 may be spoken: offered by ALPN over TLS, assumed over clear text. Default: no, since
    /// HTTP/1.1 costs less on a short way.
    pub http2: bool,
    /// Time for name resolution, TCP and the proxy's consent together. Default 3 s.
    pub connect_timeout: Duration,
    /// Time for TLS with the origin after that. Default 3 s.
    pub tls_timeout: Duration,
    /// How long an unused connection is kept. Default 45 s; keep it below the upstream's own limit.
    pub idle_timeout: Duration,
    /// How long a connection is used at most, however busy; up to a fifth less. Default 10 min.
    pub lifetime: Duration,
    /// The most connections of one pool. Default 256, divided among the workers.
    pub connections: NonZeroUsize,
    /// The most requests that may wait in one pool while all its connections are in use. Default 1024, divided among
    /// the workers.
    pub waiting: usize,
    /// When calls stop for a while since they fail. Default: never, the caller has an own way to hold back.
    pub breaker: Option<breaker::Settings>,
    /// Certificates trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The least version of TLS. Default 1.2.
    pub min_tls: MinTls,
    /// What is shown to an origin that asks for a certificate. Default: none.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy that connections go through. Default: none.
    pub proxy: Option<Proxy>,
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

    /// Returns what tells who is reached. Over TLS that is the origin, by its certificate, and an address is only a way
    /// there; without TLS whoever is at the address takes what is sent.
    pub fn reached(&self) -> (&Origin, Option<SocketAddr>) {
        let address = self.address.filter(|_| !self.origin.is_tls());
        (&self.origin, address)
    }

    /// Tells whether what is sent stays on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.address {
            // Loopback is the proxy's own there.
            _ if self.proxy.is_some() => false,
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
