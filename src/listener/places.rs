//! The bound on a listener's open connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The places of a listener's connections. Their number may change while they are taken.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: AtomicUsize,
    changed: Notify,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl Places {
    /// Takes a place without regard to how many there are. One task takes them all.
    pub fn take(&self) -> Place {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.0))
    }

    /// Returns how many are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Waits until fewer than `most` places are taken. `most` is asked for anew whenever something has changed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn free(&self, most: impl Fn() -> usize) {
        // One who leaves in between has left a note, so that the wait ends at once.
        while self.taken() >= most() {
            self.0.changed.notified().await;
        }
    }

    /// Tells who waits that the number of places may have changed.
    pub(super) fn changed(&self) {
        self.0.changed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(shared) = self;
        shared.taken.fetch_sub(1, Ordering::Release);
        shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const WHILE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_when_somebody_leaves_or_there_are_more() {
        let places = Places::default();
        let most = Cell::new(2);
        let taken = [places.take(), places.take()];
        let full = || timeout(WHILE, places.free(|| most.get()));
        assert!(full().await.is_err());

        let [first, second] = taken;
        drop(first);
        assert!(full().await.is_ok());

        most.set(1);
        assert!(full().await.is_err(), "one is too many already");
        let more = async {
            most.set(2);
            places.changed();
        };
        let (freed, ()) = tokio::join!(full(), more);
        assert!(freed.is_ok());
        drop(second);
    }
}
