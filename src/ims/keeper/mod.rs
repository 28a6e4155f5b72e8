//! Keeps one credential's token fresh: the task that makes token calls, so that there is one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::CredentialSettings;
use super::answer::{Class, Failure};
use super::credential::{Credential, Phase, Quiet};
use super::fingerprint::Fingerprints;
use super::fleet::{self, Fleet, Shelf, Wish};
use super::mint::TokenService;
use super::minter::Minter;
use super::refusals::Refusals;
use super::schedule::{self, Supply};
use super::token::{Obtained, Origin, Token};
use crate::clock::Moment;
use crate::shared::Store;

/// Keeps a credential's token fresh.
#[derive(Debug)]
pub struct Keeper<S, H: Shelf = Store> {
    credential: Arc<Credential>,
    minter: Minter<S>,
    fleet: Option<Fleet<H>>,
    settings: watch::Receiver<Arc<CredentialSettings>>,
    /// The settings of the latest call.
    used: Arc<CredentialSettings>,
    fingerprints: Fingerprints,
    refusals: Refusals,
    /// Failed calls in a row.
    failures: u32,
    takes_over: TakesOver,
}

/// What a keeper goes on with of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakesOver {
    /// Nothing: a token is got at once.
    #[default]
    Nothing,
    /// A token that need not be renewed yet.
    Token,
    /// That, and the pause after a call that failed, unless IMS was not reached.
    TokenAndPause,
}

impl<S: TokenService> Keeper<S> {
    /// Prepares to keep the token of `credential` fresh with calls of `service`.
    pub fn new(credential: Arc<Credential>, service: S, fingerprints: Fingerprints) -> Self {
        let settings = credential.settings.subscribe();
        let used = Arc::clone(&settings.borrow());
        Self {
            settings,
            used,
            credential,
            minter: Minter::new(service),
            fleet: None,
            fingerprints,
            refusals: Refusals::default(),
            failures: 0,
            takes_over: TakesOver::Nothing,
        }
    }

    /// Says what it goes on with of a keeper before it. By itself with nothing.
    #[must_use]
    pub fn taking_over(self, takes_over: TakesOver) -> Self {
        Self { takes_over, ..self }
    }

    /// Shares the token with other replicas.
    #[must_use]
    pub fn sharing<H: Shelf>(self, fleet: Fleet<H>) -> Keeper<S, H> {
        Keeper {
            credential: self.credential,
            minter: self.minter,
            fleet: Some(fleet),
            settings: self.settings,
            used: self.used,
            fingerprints: self.fingerprints,
            refusals: self.refusals,
            failures: self.failures,
            takes_over: self.takes_over,
        }
    }
}

impl<S: TokenService, H: Shelf> Keeper<S, H> {
    /// Mints and renews for ever.
    pub async fn run(mut self) {
        let mut next = match self.resume() {
            Some(next) => next,
            None => self.renew().await,
        };
        loop {
            next = match self.rest(next).await {
                Some(obtained) => self.publish(obtained),
                None => self.renew().await,
            };
        }
    }

    /// Goes on with the pause there is, or with a token that need not be renewed yet. Returns when a call is due.
    fn resume(&mut self) -> Option<Instant> {
        let credential = Arc::clone(&self.credential);
        let now = credential.clock.now();
        let is_these = |other: &Option<Arc<CredentialSettings>>| {
            let other = other.as_ref();
            other.is_some_and(|other| Arc::ptr_eq(other, &self.used))
        };
        let progress = credential.progress.borrow().clone();
        if self.takes_over == TakesOver::TokenAndPause
            && let Phase::Failed(failure) = &progress.phase
            && failure.class != Class::Unreachable
            && is_these(&progress.failed_with)
            && now.monotonic < progress.next
        {
            self.failures = progress.failures;
            return Some(progress.next);
        }
        if self.takes_over == TakesOver::Nothing
            || !is_these(&progress.used)
            || credential.is_refused()
        {
            return None;
        }
        let token = credential.token.load();
        let renewal = token.as_ref()?.renewal(now);
        if renewal <= now.monotonic {
            return None;
        }
        credential.progress.send_modify(|progress| {
            progress.phase = Phase::Resting;
            progress.failing = false;
            progress.next = renewal;
        });
        Some(renewal)
    }

    /// Gets a token, and returns when the next one is due.
    async fn renew(&mut self) -> Instant {
        let credential = Arc::clone(&self.credential);
        credential
            .progress
            .send_modify(|progress| progress.phase = Phase::Calling);
        let settings = Arc::clone(&self.settings.borrow_and_update());
        if !Arc::ptr_eq(&settings, &self.used) {
            self.begin_anew(&settings);
        }
        let clock = &credential.clock;
        let obtained = match &mut self.fleet {
            Some(fleet) => {
                let moved = fleet.settle(&settings);
                let wish = || if moved { Wish::ANY } else { wish(&credential) };
                fleet.obtain(wish, &mut self.minter, &settings, clock).await
            }
            None => fleet::mint(&mut self.minter, &settings, clock).await,
        };
        match obtained {
            Ok(obtained) => self.publish(obtained),
            Err(failure) => self.note(failure),
        }
    }

    /// Makes the token everybody's.
    fn publish(&mut self, obtained: Obtained) -> Instant {
        let credential = &self.credential;
        let now = credential.clock.now();
        let generation = credential.generation() + 1;
        let (origin, lifetime) = (obtained.origin, obtained.lifetime);
        let fingerprint = self.fingerprints.of(&obtained.bearer);
        let token = Token::new(obtained, generation, fingerprint, fastrand::f64());
        // However short tokens live, there are at most four calls a second.
        let next = token.renewal(now).max(now.monotonic + SHORTEST_REST);
        let (secret, count, said) = match origin {
            Origin::Ims { secret } => (
                Some(secret),
                &credential.counts.minted,
                "a token was minted",
            ),
            Origin::Fleet => (
                None,
                &credential.counts.taken,
                "a token was taken that another replica has minted",
            ),
        };
        tracing::info!(
            credential = credential.name,
            generation,
            fingerprint = token.fingerprint,
            lifetime_s = lifetime.as_secs(),
            renewal_in_s = next.saturating_duration_since(now.monotonic).as_secs(),
            secret,
            "{said}"
        );
        self.failures = 0;
        count.fetch_add(1, Ordering::Relaxed);
        credential.token.store(token);
        credential.progress.send_modify(|progress| {
            progress.phase = Phase::Resting;
            progress.failing = false;
            progress.failures = 0;
            progress.next = next;
            progress.used = Some(Arc::clone(&self.used));
            progress.record.last_success = Some(now.wall);
            progress.record.secret = secret.or(progress.record.secret);
        });
        next
    }

    /// Records a failure.
    fn note(&mut self, failure: Failure) -> Instant {
        let credential = &self.credential;
        self.failures = self.failures.saturating_add(1);
        let now = credential.clock.now();
        let supply = match &*credential.token.load() {
            None => Supply::Never,
            Some(token) => match token.usable_until.left(now) {
                Duration::ZERO => Supply::RanOut(token.usable_until.age(now)),
                left => Supply::Valid(left),
            },
        };
        let wait = schedule::wait_after(&failure, self.failures, supply, fastrand::f64());
        tracing::warn!(
            credential = credential.name,
            class = failure.class.as_str(),
            cause = %failure,
            failures = self.failures,
            next_try_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            still_serving = matches!(supply, Supply::Valid(_)),
            "no token could be minted"
        );
        credential.counts.failed(failure.class);
        let next = now.monotonic + wait;
        credential.progress.send_modify(|progress| {
            progress.record.last_error = Some((failure.clone(), now.wall));
            progress.phase = Phase::Failed(failure);
            progress.failing = true;
            progress.failures = self.failures;
            progress.failed_with = Some(Arc::clone(&self.used));
            progress.next = next;
        });
        next
    }

    /// Rests until `next`, or until there is a reason to make a call before; or until another replica has a token while
    /// this one has none.
    async fn rest(&mut self, next: Instant) -> Option<Obtained> {
        let earliest = Instant::now() + SHORTEST_REST;
        let mut look = next.min(Instant::now() + self.between_looks());
        loop {
            tokio::select! {
                changed = self.settings.changed() => if changed.is_ok() {
                    return None;
                },
                () = self.credential.nudged() => {}
                () = sleep_until(look) => {}
            }
            let now = Instant::now();
            if now >= next || now >= earliest && self.is_wanted() {
                return None;
            }
            if let Some(fleet) = self
                .fleet
                .as_ref()
                .filter(|_| is_empty_handed(&self.credential))
            {
                let found = fleet
                    .find(wish(&self.credential), &self.credential.clock)
                    .await;
                if let Ok(Some(obtained)) = found {
                    return Some(obtained);
                }
            }
            look = if now < earliest {
                earliest
            } else {
                now + self.between_looks()
            };
            look = look.min(next);
        }
    }

    /// Returns how long it is until the next look at what may have changed by itself: the wall clock, which may have gone on
    /// while the machine slept; and, while there is nothing to serve with, what other replicas have.
    fn between_looks(&self) -> Duration {
        if self.fleet.is_some() && is_empty_handed(&self.credential) {
            return Duration::from_millis(250);
        }
        let seldom = Duration::from_secs(15);
        // The end of a token is a moment to look as well.
        match wish(&self.credential).valid_for {
            Duration::ZERO => seldom,
            left => left.min(seldom),
        }
    }

    /// New secrets end every pause, and are tried in the order they are written.
    fn begin_anew(&mut self, settings: &Arc<CredentialSettings>) {
        tracing::info!(
            credential = self.credential.name,
            "the credential's settings changed; a new token is got"
        );
        self.used = Arc::clone(settings);
        self.failures = 0;
        self.minter.begin_anew();
    }

    /// Tells whether a call is to be made before its time.
    fn is_wanted(&mut self) -> bool {
        let credential = &self.credential;
        // After a failure its own pause is kept, whatever happens.
        if matches!(credential.progress.borrow().phase, Phase::Failed(_)) {
            return false;
        }
        let now = credential.clock.now();
        let is_due = match &*credential.token.load() {
            None => true,
            Some(token) => token.renew_at.left(now).is_zero(),
        };
        if is_due {
            tracing::info!(
                credential = credential.name,
                "a clock went ahead; the token is renewed before its time"
            );
            return true;
        }
        credential.is_refused() && self.is_replaced(now)
    }

    fn is_replaced(&mut self, now: Moment) -> bool {
        let credential = &self.credential;
        let generation = credential.generation();
        match self.refusals.permit(now.monotonic) {
            Ok(()) => {
                tracing::warn!(
                    credential = credential.name,
                    generation,
                    "the upstream refused the token; a new one is minted"
                );
                credential
                    .counts
                    .replacements
                    .fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(until) => {
                let known =
                    Some(until) == credential.progress.borrow().quiet.map(|quiet| quiet.until);
                if !known {
                    tracing::warn!(
                        credential = credential.name,
                        generation,
                        quiet_ms = u64::try_from(until.duration_since(now.monotonic).as_millis())
                            .unwrap_or(u64::MAX),
                        "the upstream refused a token that had just been minted; until the pause is over its refusals are passed on"
                    );
                }
                credential.progress.send_modify(|progress| {
                    progress.quiet = Some(Quiet { generation, until });
                });
                false
            }
        }
    }
}

/// Returns what kind of token `credential` needs: a refused one serves nobody, however long it lives.
fn wish(credential: &Credential) -> Wish {
    let token = credential.token.load();
    let valid_for = match &*token {
        Some(token) if !credential.is_refused() => token.usable_until.left(credential.clock.now()),
        _ => Duration::ZERO,
    };
    Wish {
        newer_than: token.as_ref().and_then(|token| token.fence),
        valid_for,
    }
}

/// Tells whether there is nothing to serve with, and token calls fail.
fn is_empty_handed(credential: &Credential) -> bool {
    let failed = matches!(credential.progress.borrow().phase, Phase::Failed(_));
    failed && wish(credential).valid_for.is_zero()
}

const SHORTEST_REST: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
