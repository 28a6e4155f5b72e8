//! The keys of one issuer as workers see them: without waiting or locking; and the wait for newer ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::Newer;
use super::fetch::Failure;
use super::keys::KeySet;
use super::status::Counts;
use crate::clock::{Clock, Moment};

/// The keys of an issuer, and what is under way to fetch others.
///
/// Any thread reads the keys; one task fetches them, see [`super::keeper`].
#[derive(Debug)]
pub(super) struct Supply {
    name: String,
    pub(super) clock: Clock,
    current: ArcSwapOption<Snapshot>,
    /// What the keeper is at.
    pub(super) progress: watch::Sender<Progress>,
    /// Wakes the keeper when a token names a key that is not known.
    pub(super) asked: Notify,
    /// How many wait for newer keys.
    waiting: AtomicUsize,
    pub(super) counts: Counts,
}

/// Keys as they were fetched.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) set: Arc<KeySet>,
    /// Which of the issuer's sets it is, counted from 1. A set that is fetched again stays what it is.
    pub(super) generation: u64,
    /// How many fetches have brought keys, this one counted.
    pub(super) fetch: u64,
    pub(super) fetched: Moment,
}

/// What the keeper is at.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// How many fetches have begun.
    pub(super) begun: u64,
    /// Whether one of them is under way.
    pub(super) is_fetching: bool,
    /// From when on another may begin if somebody asks for it; `None` when there is never another.
    pub(super) next: Option<Instant>,
    /// When the next is planned.
    pub(super) due: Instant,
    /// Why the latest fetch failed, if it did.
    pub(super) failing: Option<Failure>,
    /// Fetches that failed in a row.
    pub(super) failures: u32,
    /// The latest failure, and when it was, since the Unix epoch.
    pub(super) last_error: Option<(Failure, Duration)>,
}

impl Snapshot {
    fn is_usable(&self, stale: Option<Duration>, now: Moment) -> bool {
        stale.is_none_or(|stale| self.fetched.age(now) <= stale)
    }
}

impl Supply {
    /// Makes one without keys.
    pub(super) fn new(name: String, clock: Clock) -> Self {
        let now = Instant::now();
        Self {
            name,
            clock,
            current: ArcSwapOption::empty(),
            progress: watch::Sender::new(Progress {
                begun: 0,
                is_fetching: false,
                next: Some(now),
                due: now,
                failing: None,
                failures: 0,
                last_error: None,
            }),
            asked: Notify::new(),
            waiting: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }

    /// Returns the issuer's name in the configuration.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Says that no keys are ever fetched: there are those there are.
    pub(super) fn is_all(&self) {
        self.progress.send_modify(|progress| progress.next = None);
    }

    /// Returns the keys, unless they are older than `stale` at `now`.
    pub(super) fn keys(&self, stale: Option<Duration>, now: Moment) -> Option<Arc<Snapshot>> {
        self.latest()
            .filter(|snapshot| snapshot.is_usable(stale, now))
    }

    /// Returns which of its sets it has, unless it is older than `stale` at `now`.
    pub(super) fn usable(&self, stale: Option<Duration>, now: Moment) -> Option<u64> {
        let current = self.current.load();
        let snapshot = current.as_ref()?;
        snapshot
            .is_usable(stale, now)
            .then_some(snapshot.generation)
    }

    /// Returns the keys however old they are.
    pub(super) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Returns which of its sets it has, 0 before the first.
    pub(super) fn generation(&self) -> u64 {
        let current = self.current.load();
        current.as_ref().map_or(0, |snapshot| snapshot.generation)
    }

    /// Puts keys in the place of those there are, or notes that they are still the same.
    pub(super) fn publish(&self, set: KeySet) {
        let before = self.latest();
        let same = before.as_ref().filter(|before| *before.set == set);
        let (set, generation) = if let Some(before) = same {
            (Arc::clone(&before.set), before.generation)
        } else {
            tell_of(&self.name, &set);
            (Arc::new(set), self.generation() + 1)
        };
        self.current.store(Some(Arc::new(Snapshot {
            set,
            generation,
            fetch: self.fetch() + 1,
            fetched: self.clock.now(),
        })));
    }

    /// Returns how many fetches have brought keys.
    pub(super) fn fetch(&self) -> u64 {
        let current = self.current.load();
        current.as_ref().map_or(0, |snapshot| snapshot.fetch)
    }

    fn has(&self, newer_than: Newer) -> bool {
        match newer_than {
            Newer::Fetch(fetch) => self.fetch() > fetch,
            Newer::Generation(generation) => self.generation() > generation,
        }
    }

    /// Waits for keys that are newer than these, until `deadline`. Tells whether there are.
    ///
    /// # Cancel safety
    /// The fetch is the keeper's: nothing is lost.
    pub(super) async fn newer(&self, newer_than: Newer, deadline: Instant) -> bool {
        if self.has(newer_than) {
            return true;
        }
        // Tokens with keys that nobody has are easily made, and whoever waits takes room from others.
        let Some(_waiting) = Waiting::one(&self.waiting) else {
            return false;
        };
        let mut progress = self.progress.subscribe();
        // A fetch that is under way will do, else one that begins now.
        let fetch = {
            let seen = progress.borrow();
            seen.begun + u64::from(!seen.is_fetching)
        };
        loop {
            {
                let seen = progress.borrow_and_update();
                if self.has(newer_than) {
                    return true;
                }
                let is_over = seen.begun > fetch || (seen.begun == fetch && !seen.is_fetching);
                if is_over {
                    return false;
                }
                if !seen.is_fetching {
                    if seen.next.is_none_or(|next| next > deadline) {
                        return false;
                    }
                    self.asked.notify_one();
                }
            }
            if !matches!(timeout_at(deadline, progress.changed()).await, Ok(Ok(()))) {
                return self.has(newer_than);
            }
        }
    }

    /// Returns how long it is at `now` until keys are fetched the next time.
    pub(super) fn next_fetch(&self, now: Instant) -> Duration {
        let progress = self.progress.borrow();
        progress.due.saturating_duration_since(now)
    }
}

fn tell_of(issuer: &str, set: &KeySet) {
    tracing::info!(issuer, keys = set.count(), "the issuer's keys are used");
    if set.has_private() {
        tracing::warn!(
            issuer,
            "the issuer publishes private keys: whoever has read them can make tokens"
        );
    }
    for left_out in set.left_out() {
        tracing::warn!(
            issuer,
            key = left_out.key,
            why = left_out.why,
            "a key of the issuer is not used"
        );
    }
}

/// One who waits for newer keys.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn one(all: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(all);
        // Dropped at once when there are too many.
        (all.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All workers together, for one issuer.
const MOST_WAITING: usize = 256;
