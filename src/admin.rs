//! The operator's listener: liveness, readiness and metrics.

use std::net::SocketAddr;

/// Where operators look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address. Default 127.0.0.1:9901. Port 0 takes a free one.
    pub address: SocketAddr,
}
