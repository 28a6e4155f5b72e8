//! Sockets for callers, and what may come in through them.

mod accept;
mod activity;
mod caller_body;
mod certificate;
mod clients;
mod address;
mod connection;
pub mod guard;
mod http2;
mod identity;
mod metrics;
mod places;
mod room;
mod socket;
mod socket_file;
mod stall;
mod stream;
mod terms;
mod tls;

pub use accept::{Accepted, BindError, Bound};
pub use address::{Address, InvalidAddress};
pub use caller_body::CallerBody;
pub use certificate::subject;
pub use clients::{Clients, Demand, InvalidClients};
pub use connection::serve;
pub use identity::{Flaw, Identity, InvalidIdentity};
pub use metrics::Metrics;
pub use places::{Place, Places};
pub use socket::Accepted as Socket;
pub use socket_file::Access;
pub use terms::{Handle, Prepared, Terms, Updated};
pub use tls::{Tls, Version};

use std::sync::Arc;
use std::time::Duration;

use crate::context::Accepts;

/// One address callers connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who may use the file of a Unix socket; of no meaning at an IP address.
    pub access: Access,
    /// The address. Default 127.0.0.1:8080. Port 0 takes a free one.
    pub address: Address,
    /// By what callers may be known. Default: by anything, and on this machine anybody is served while no callers are configured.
    pub accepts: Arc<Accepts>,
    /// The most connections that wait in the kernel's queue to be accepted. Default 1024.
    pub backlog: u32,
    /// Whether HTTP/2 is spoken besides HTTP/1.1: with prior knowledge, or over TLS by ALPN. Default: yes.
    pub http2: bool,
    /// What a request may cost before it is known to be one.
    pub limits: Limits,
    /// Scheme, host and port by which callers reach it, such as `https://profile.internal.example`. Default: as they say.
    pub public_url: Option<Arc<str>>,
    /// Whether other processes of the same user may listen at the same address. Default: no.
    pub reuse_port: bool,
    /// TLS. Default: none.
    pub tls: Option<Tls>,
    /// How many connections to the upstream callers leave descriptors for.
    pub upstream_connections: usize,
}

/// Bounds on what a caller may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request head, in bytes. Default 32 KiB.
    pub head_bytes: usize,
    /// The most header fields. Default 100.
    pub fields: usize,
    /// The longest request target, in bytes. Default 16 KiB.
    pub target_bytes: usize,
    /// Time for a request head, from its first byte (or from the connection) on. Default 10 s.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. Default 75 s.
    pub idle_timeout: Duration,
    /// How long a caller may take nothing of its answer. Default 60 s.
    pub write_timeout: Duration,
    /// The most open connections. Default 4096. More wait in the kernel's queue.
    pub connections: usize,
}
