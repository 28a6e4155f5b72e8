//! From a file and the environment to each part's `Settings`.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::{
    admin, authorize, connect, credentials, forward, ims, limit, listener, route, telemetry,
};

/// The settings of every part, checked against each other.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's listener.
    pub admin: admin::Settings,
    /// What each route permits.
    pub authorize: authorize::Settings,
    /// Which credential each route uses.
    pub credentials: credentials::Settings,
    /// How long requests in flight may take to finish after a stop signal. Default 30 s.
    pub drain: Duration,
    /// How requests are passed on.
    pub forward: forward::Settings,
    /// The token service and its credentials.
    pub ims: ims::Settings,
    /// The most requests in flight, all listeners together. Default 1024.
    pub in_flight: NonZeroUsize,
    /// The quotas.
    pub limit: limit::Settings,
    /// The callers' listeners, at least one.
    pub listeners: Vec<listener::Settings>,
    /// How the gateway logs.
    pub log: telemetry::Settings,
    /// The routes.
    pub route: route::Settings,
    /// How the upstream is reached.
    pub upstream: connect::Settings,
    /// The number of data workers. Default: one for each core the process may use.
    pub workers: NonZeroUsize,
}
