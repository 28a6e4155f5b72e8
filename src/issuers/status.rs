//! What operators are told about an issuer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fetch::{Class, Failure};
use super::{Issuer, Source};

/// Fetches so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    fetched: AtomicU64,
    failed: [AtomicU64; Class::ALL.len()],
}

impl Counts {
    pub(super) fn fetched(&self) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, class: Class) {
        let place = Class::ALL.iter().position(|known| *known == class);
        if let Some(count) = place.and_then(|place| self.failed.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How an issuer's keys are, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There are keys, but the latest fetch failed.
    Failing,
    /// There are no keys that may be used, and fetches fail.
    Missing,
    /// There has been no answer to the first fetch.
    Starting,
    /// There are keys.
    Valid,
}

impl State {
    /// Returns the word that the status page uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Missing => "missing",
            Self::Starting => "starting",
            Self::Valid => "valid",
        }
    }
}

/// Facts about an issuer for operators.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its name in the configuration.
    pub name: String,
    /// What its tokens call it.
    pub issuer: String,
    /// Whether readiness needs it.
    pub required: bool,
    /// How its keys are.
    pub state: State,
    /// How many keys there are that may be used.
    pub keys: usize,
    /// How old they are, if there are any and they were fetched.
    pub age: Option<Duration>,
    /// How long it is until the next fetch; `None` while one is under way, and when there are none.
    pub next_fetch: Option<Duration>,
    /// Why the latest fetch failed, if it did.
    pub failure: Option<Failure>,
    /// The latest failure, and when it was, since the Unix epoch.
    pub last_error: Option<(Failure, Duration)>,
    /// How many fetches brought keys.
    pub fetched: u64,
    /// How many fetches failed, by what was wrong.
    pub failed: Vec<(Class, u64)>,
}

impl Issuer {
    /// Returns the facts about it.
    pub fn status(&self) -> Status {
        let supply = self.keys();
        let now = supply.clock.now();
        let progress = supply.progress.borrow().clone();
        let snapshot = self.snapshot(now);
        let failed = Class::ALL.iter().zip(&supply.counts.failed);
        let is_fetched = matches!(self.settings.source, Source::Server(_));
        let latest = supply.latest().filter(|_| is_fetched);
        Status {
            name: self.name().to_owned(),
            issuer: self.rules().issuer.clone(),
            required: self.is_required(),
            state: match (&snapshot, &progress.failing) {
                (Some(_), None) => State::Valid,
                (Some(_), Some(_)) => State::Failing,
                (None, Some(_)) => State::Missing,
                (None, None) if progress.begun > 1 => State::Missing,
                (None, None) => State::Starting,
            },
            keys: snapshot.map_or(0, |snapshot| snapshot.set.count()),
            age: latest.map(|snapshot| snapshot.fetched.age(now)),
            next_fetch: progress
                .next
                .filter(|_| !progress.is_fetching)
                .map(|_| progress.due.saturating_duration_since(now.monotonic)),
            failure: progress.failing,
            last_error: progress.last_error,
            fetched: supply.counts.fetched.load(Ordering::Relaxed),
            failed: failed
                .map(|(class, count)| (*class, count.load(Ordering::Relaxed)))
                .collect(),
        }
    }
}
