//! The pool against scripted peers, over real sockets. The clock moves only when a test says so.

mod early;
mod lifetimes;
mod patience;
mod shared;
mod waiting;

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::Instant;

use super::counts::{Cause, Count};
use super::peer::Peer;
use super::{Counts, Pool, Times};
use crate::connect::{Dialer, MinTls, Origin, Settings};
use crate::error::Error;

/// Settings under which nothing is in the way.
pub(in crate::connect) fn settings(origin: Origin) -> Settings {
    Settings {
        called: "the upstream",
        origin,
        address: None,
        http2: false,
        connect_timeout: Duration::from_secs(3),
        tls_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_hours(1),
        lifetime: Duration::from_hours(2),
        connections: NonZeroUsize::new(10).unwrap(),
        waiting: 10,
        breaker: None,
        extra_roots: Vec::new(),
        min_tls: MinTls::Tls12,
        client_certificate: None,
        proxy: None,
    }
}

/// Runs a test with the clock stopped.
///
/// A paused clock moves on by itself when nothing else happens, which a socket that is about to be ready does not
/// prevent; work on a blocking thread does.
pub(super) async fn stopped(test: impl Future<Output = ()>) {
    let (done, ended) = mpsc::channel::<()>();
    let holding = tokio::task::spawn_blocking(move || ended.recv().is_err());
    LocalSet::new().run_until(test).await;
    drop(done);
    assert!(holding.await.unwrap());
}

/// A pool and what it counts.
pub(super) struct Tested<B = Empty<Bytes>> {
    pub(super) pool: Pool<B>,
    pub(super) counts: Arc<Counts>,
}

pub(super) type Answer = JoinHandle<Result<String, Error>>;

impl Tested {
    fn new(settings: Settings) -> Self {
        Self::dialing(Dialer::new(settings).unwrap())
    }

    pub(super) fn dialing(dialer: Dialer) -> Self {
        let counts = Arc::<Counts>::default();
        let pool = Pool::new(dialer, Arc::clone(&counts));
        Self { pool, counts }
    }

    fn with(peer: &Peer, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = peer.settings();
        change(&mut settings);
        Self::new(settings)
    }

    /// Sends a request and returns which connection answered it.
    pub(super) fn send(&self, target: &str) -> Answer {
        self.send_until(target, Duration::from_hours(10))
    }

    fn send_until(&self, target: &str, limit: Duration) -> Answer {
        let pool = self.pool.clone();
        let request = Request::get(target).body(Empty::new()).unwrap();
        let deadline = Instant::now() + limit;
        spawn_local(async move {
            let sent = pool.send(&mut Some(request), &Times::until(deadline)).await;
            let response = sent.map_err(|unanswered| unanswered.error)?;
            let body = response.into_body().collect().await.unwrap().to_bytes();
            Ok(String::from_utf8(body.to_vec()).unwrap())
        })
    }

    pub(super) async fn get(&self, target: &str) -> String {
        self.send(target).await.unwrap().unwrap()
    }

    pub(super) fn closed(&self, cause: Cause) -> u64 {
        self.counts.closed(cause).get()
    }
}

/// Waits until something is so.
pub(super) async fn until(so: impl Fn() -> bool) {
    while !so() {
        yield_now().await;
    }
}

pub(super) async fn until_count(count: &Count, expected: u64) {
    until(|| count.get() == expected).await;
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}
