//! One worker's pools: the one in use, and those of earlier configurations until they are done.

use bytes::Bytes;
use http_body::Body;

use crate::connect::{Dialer, Pool, PoolMetrics};
use crate::error::Source;

/// One worker's pools.
pub(super) struct Pools<B> {
    metrics: PoolMetrics,
    present: Option<(Dialer, Pool<B>)>,
    retired: Vec<Pool<B>>,
}

impl<B> Pools<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    /// Begins without a pool; each is counted in `metrics`.
    pub(super) fn new(metrics: PoolMetrics) -> Self {
        Self {
            metrics,
            present: None,
            retired: Vec::new(),
        }
    }

    /// Returns the pool of the connections that `dialer` opens: the one in use, or a new one in its place. The old one
    /// serves what is under way and what waits in it, and ends with that.
    pub(super) fn of(&mut self, dialer: &Dialer) -> Pool<B> {
        if let Some((known, pool)) = &self.present
            // Clones of a dialer have their settings together.
            && std::ptr::eq(known.settings(), dialer.settings())
        {
            return pool.clone();
        }
        let counts = self.metrics.add(dialer.breaker());
        let pool = Pool::new(dialer.clone(), counts);
        let before = self.present.replace((dialer.clone(), pool.clone()));
        if let Some((_, before)) = before {
            before.retire();
            self.retired.push(before);
        }
        pool
    }

    /// Closes connections that have had their time, and lets pools go that are done.
    pub(super) fn sweep(&mut self) {
        let present = self.present.iter().map(|(_, pool)| pool);
        present.chain(&self.retired).for_each(Pool::sweep);
        self.retired.retain(|pool| !pool.is_done());
    }
}
