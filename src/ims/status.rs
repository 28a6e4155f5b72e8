//! What operators are told about a credential.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::answer::{Class, Failure};
use super::credential::{Credential, Phase};

/// Token calls and refusals so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) minted: AtomicU64,
    /// Tokens of other replicas that were taken.
    pub(super) taken: AtomicU64,
    pub(super) failed: [AtomicU64; Class::ALL.len()],
    /// Answers by which the upstream refused a token.
    pub(super) refusals: AtomicU64,
    /// Calls made since a token was refused.
    pub(super) replacements: AtomicU64,
}

impl Counts {
    pub(super) fn failed(&self, class: Class) {
        let place = Class::ALL.iter().position(|known| *known == class);
        if let Some(count) = place.and_then(|place| self.failed.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the keeper remembers for operators.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// When a token was last minted or taken, since the Unix epoch.
    pub(super) last_success: Option<Duration>,
    /// The latest failure, and when it was, since the Unix epoch.
    pub(super) last_error: Option<(Failure, Duration)>,
    /// Which of the client secrets worked last here, counted from 1.
    pub(super) secret: Option<usize>,
}

/// How a credential is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The token is valid, but the latest call for a new one failed.
    Failing,
    /// There is no usable token, and token calls fail.
    Missing,
    /// The token is valid as far as IMS is concerned, but the upstream refuses it, and the one before it.
    Refused,
    /// There has been no answer to the first token call.
    Starting,
    /// The token is valid.
    Valid,
}

impl State {
    /// Returns the word that the status page uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Valid => "valid",
        }
    }
}

/// Facts about a credential for operators. No secret and no token is among them.
#[derive(Clone, Debug)]
pub struct Status {
    /// The credential's name.
    pub name: String,
    /// Whether readiness needs it.
    pub required: bool,
    /// How it is.
    pub state: State,
    /// Which of the credential's tokens it has, counted from 1; 0 before the first.
    pub generation: u64,
    /// A keyed hash of the token, by which two of them can be told apart.
    pub fingerprint: Option<String>,
    /// How old the token is, if there is one.
    pub age: Option<Duration>,
    /// How long the token may still be used, if it may.
    pub usable_for: Option<Duration>,
    /// How long it is until the next token call; `None` while one is under way.
    pub next_call: Option<Duration>,
    /// How long refusals of the token will still have no effect, if they have none.
    pub quiet_for: Option<Duration>,
    /// When a token was last minted or taken, since the Unix epoch.
    pub last_success: Option<Duration>,
    /// The latest failure, and when it was, since the Unix epoch. It stays when a later call succeeds.
    pub last_error: Option<(Failure, Duration)>,
    /// Why the latest token call that has ended failed, if it did.
    pub failure: Option<Failure>,
    /// Which of the client secrets worked last, counted from 1.
    pub secret: Option<usize>,
    /// Tokens minted here.
    pub minted: u64,
    /// Tokens taken that other replicas have minted.
    pub taken: u64,
    /// Token calls failed, by class.
    pub failed: Vec<(Class, u64)>,
    /// Answers by which the upstream refused a token.
    pub refusals: u64,
    /// Token calls made because a token was refused.
    pub replacements: u64,
}

impl Credential {
    /// Returns facts for operators.
    pub fn status(&self) -> Status {
        let now = self.clock.now();
        let token = self.token.load();
        let token = token.as_ref();
        let progress = self.progress.borrow().clone();
        let usable_for = token
            .map(|token| token.usable_until.left(now))
            .filter(|left| !left.is_zero());
        let calling = matches!(progress.phase, Phase::Calling);
        let last_error = progress.record.last_error;
        let failure = last_error.as_ref().filter(|_| progress.failing);
        let quiet_for = self.quiet_for(now.monotonic);
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Status {
            name: self.name.clone(),
            required: self.is_required(),
            state: match usable_for {
                Some(_) if quiet_for.is_some() => State::Refused,
                Some(_) if progress.failing => State::Failing,
                Some(_) => State::Valid,
                None if progress.failing || token.is_some() => State::Missing,
                None => State::Starting,
            },
            generation: token.map_or(0, |token| token.generation),
            fingerprint: token.map(|token| token.fingerprint.clone()),
            age: token.map(|token| token.asked_for.age(now)),
            usable_for,
            next_call: (!calling).then(|| progress.next.saturating_duration_since(now.monotonic)),
            quiet_for,
            last_success: progress.record.last_success,
            failure: failure.map(|(failure, _)| failure.clone()),
            last_error,
            secret: progress.record.secret,
            minted: counted(&self.counts.minted),
            taken: counted(&self.counts.taken),
            failed: Class::ALL
                .into_iter()
                .zip(&self.counts.failed)
                .map(|(class, count)| (class, counted(count)))
                .collect(),
            refusals: counted(&self.counts.refusals),
            replacements: counted(&self.counts.replacements),
        }
    }
}
