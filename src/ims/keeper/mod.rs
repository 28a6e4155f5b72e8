//! Keeps one credential's token fresh: the task that makes token calls, so that there is one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::CredentialSettings;
use super::answer::{Class, Failure, Minted};
use super::credential::{Credential, Phase, Quiet};
use super::fingerprint::Fingerprints;
use super::mint::TokenService;
use super::refusals::Refusals;
use super::schedule::{self, Supply};
use super::token::Token;
use crate::clock::Moment;

/// Keeps a credential's token fresh.
#[derive(Debug)]
pub struct Keeper<S> {
    credential: Arc<Credential>,
    service: S,
    settings: watch::Receiver<Arc<CredentialSettings>>,
    fingerprints: Fingerprints,
    refusals: Refusals,
    /// The place of the client secret that worked last.
    preferred: usize,
    /// Failed calls in a row.
    failures: u32,
}

impl<S: TokenService> Keeper<S> {
    /// Prepares to keep the token of `credential` fresh with calls of `service`.
    pub fn new(credential: Arc<Credential>, service: S, fingerprints: Fingerprints) -> Self {
        Self {
            settings: credential.settings.subscribe(),
            credential,
            service,
            fingerprints,
            refusals: Refusals::new(),
            preferred: 0,
            failures: 0,
        }
    }

    /// Mints and renews for ever.
    pub async fn run(mut self) {
        loop {
            let next = self.renew().await;
            self.rest(next).await;
        }
    }

    /// Makes a token call, and returns when the next one is due.
    async fn renew(&mut self) -> Instant {
        self.credential
            .progress
            .send_modify(|progress| progress.phase = Phase::Calling);
        let settings = Arc::clone(&self.settings.borrow_and_update());
        let asked_for = self.credential.clock.now();
        match self.try_secrets(&settings).await {
            Ok(minted) => self.publish(minted, asked_for),
            Err(failure) => self.note(failure),
        }
    }

    /// Asks with the secret that worked last, then with the other one if IMS knows that one no more.
    async fn try_secrets(&mut self, settings: &CredentialSettings) -> Result<Minted, Failure> {
        let count = settings.client_secrets.len();
        let mut result = Err(Failure::new(
            Class::Configuration,
            "the credential has no client secret",
        ));
        for step in 0..count {
            let place = (self.preferred + step) % count;
            let Some(secret) = settings.client_secrets.get(place) else {
                break;
            };
            result = self.service.mint(settings, secret).await;
            match &result {
                Ok(_) => self.preferred = place,
                Err(failure) if failure.class == Class::Client => {
                    tracing::warn!(
                        credential = settings.name,
                        secret = place + 1,
                        of = count,
                        cause = %failure,
                        "IMS refused a client secret"
                    );
                    continue;
                }
                Err(_) => {}
            }
            break;
        }
        result
    }

    /// Makes the token everybody's.
    fn publish(&mut self, minted: Minted, asked_for: Moment) -> Instant {
        let credential = &self.credential;
        let now = credential.clock.now();
        let generation = credential.generation() + 1;
        let token = Token::new(
            minted.bearer.clone(),
            generation,
            asked_for,
            minted.lifetime,
            self.fingerprints.of(&minted.bearer),
            fastrand::f64(),
        );
        // However short tokens live, there are at most four calls a second.
        let next = token.renewal(now).max(now.monotonic + SHORTEST_REST);
        tracing::info!(
            credential = credential.name,
            generation,
            fingerprint = token.fingerprint,
            lifetime_s = minted.lifetime.as_secs(),
            renewal_in_s = next.saturating_duration_since(now.monotonic).as_secs(),
            secret = self.preferred + 1,
            "a token was minted"
        );
        self.failures = 0;
        credential.counts.minted.fetch_add(1, Ordering::Relaxed);
        credential.token.store(Some(Arc::new(token)));
        credential.progress.send_modify(|progress| {
            progress.phase = Phase::Resting;
            progress.failing = false;
            progress.next = next;
            progress.record.last_success = Some(now.wall);
            progress.record.secret = Some(self.preferred + 1);
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
            progress.next = next;
        });
        next
    }

    /// Rests until `next`, or until there is a reason to make a call before.
    async fn rest(&mut self, next: Instant) {
        let earliest = Instant::now() + SHORTEST_REST;
        let mut look = next.min(Instant::now() + LOOK);
        loop {
            tokio::select! {
                changed = self.settings.changed() => if changed.is_ok() {
                    return self.begin_anew();
                },
                () = self.credential.nudged() => {}
                () = sleep_until(look) => {}
            }
            let now = Instant::now();
            if now >= next || now >= earliest && self.is_wanted() {
                return;
            }
            // Between whiles it is looked at the wall clock, which may have gone on while the machine slept.
            look = if now < earliest { earliest } else { now + LOOK }.min(next);
        }
    }

    /// New secrets end every pause, and are tried in the order they are written.
    fn begin_anew(&mut self) {
        tracing::info!(
            credential = self.credential.name,
            "the credential's settings changed; a token is minted with them"
        );
        self.failures = 0;
        self.preferred = 0;
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

/// How often the wall clock is looked at.
const LOOK: Duration = Duration::from_secs(15);
const SHORTEST_REST: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
