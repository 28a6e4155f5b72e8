//! Sockets for callers, and what may come in through them.

mod accept;
mod activity;
mod connection;
pub mod guard;
mod http2;

pub use accept::{Accepted, Bound};
pub use activity::{CallerBody, Receiving};
pub use connection::serve;

use std::net::SocketAddr;
use std::time::Duration;

/// One address callers connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address. Default 127.0.0.1:8080. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Whether callers who show nothing of who they are are served. Default: on loopback only.
    pub anonymous: bool,
    /// Whether HTTP/2 with prior knowledge is spoken besides HTTP/1.1. Default: yes.
    pub http2: bool,
    /// What a request may cost before it is known to be one.
    pub limits: Limits,
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
