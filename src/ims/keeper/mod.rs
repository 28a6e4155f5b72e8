//! Keeps one credential's token fresh, for everyone who reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::answer::{Class, Failure, Minted};
use super::mint::TokenService;
use super::{CredentialSettings, schedule};
use crate::error::{Error, Reason};

/// A credential and its current token.
///
/// Readers take the token without waiting or locking; one task renews it ([`Credential::keep_fresh`]).
#[derive(Debug)]
pub struct Credential {
    settings: CredentialSettings,
    api_key: HeaderValue,
    token: ArcSwapOption<Token>,
    attempt: watch::Sender<Attempt>,
    counts: Counts,
}

/// A token that may be used until a known instant.
#[derive(Debug)]
struct Token {
    bearer: HeaderValue,
    usable_until: Instant,
    generation: u64,
}

/// What the latest token call has come to.
#[derive(Clone, Debug)]
enum Attempt {
    Underway,
    Succeeded,
    Failed { failure: Failure, next: Instant },
}

/// Token calls so far.
#[derive(Debug, Default)]
struct Counts {
    minted: AtomicU64,
    failed: [AtomicU64; Class::ALL.len()],
}

/// Facts about a credential for operators.
#[derive(Clone, Debug)]
pub struct Status {
    /// The credential's name.
    pub name: String,
    /// How long its token may still be used, if there is one.
    pub usable_for: Option<Duration>,
    /// How many tokens were minted before and including this one.
    pub generation: u64,
    /// Why the latest token call failed, if it did.
    pub failure: Option<String>,
    /// Tokens minted.
    pub minted: u64,
    /// Token calls failed, by class.
    pub failed: Vec<(Class, u64)>,
}

/// A token as a request carries it.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// `Bearer` and the token, marked sensitive.
    pub value: HeaderValue,
    /// When a request that has not left must not carry it any more.
    pub usable_until: Instant,
}

impl Credential {
    /// Makes a credential without a token.
    pub fn new(settings: CredentialSettings) -> Arc<Self> {
        Arc::new(Self {
            api_key: settings.client_id.to_header_value(),
            settings,
            token: ArcSwapOption::empty(),
            attempt: watch::Sender::new(Attempt::Underway),
            counts: Counts::default(),
        })
    }

    /// Returns the credential's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Returns the client id as a field value.
    pub fn api_key(&self) -> &HeaderValue {
        &self.api_key
    }

    /// Returns the token if there is one that may be used at `now`.
    pub fn bearer(&self, now: Instant) -> Option<Bearer> {
        let token = self.token.load();
        let token = token.as_ref()?;
        (now < token.usable_until).then(|| Bearer {
            value: token.bearer.clone(),
            usable_until: token.usable_until,
        })
    }

    /// Waits for a token with everybody else who does, until `deadline`.
    ///
    /// # Errors
    /// [`Reason::TokenUnavailable`] when the call under way fails, when the latest one has failed and the next is
    /// not yet due, or when `deadline` passes.
    ///
    /// # Cancel safety
    /// The token call is not the waiter's: nothing is lost.
    pub async fn wait(&self, deadline: Instant) -> Result<Bearer, Error> {
        let mut attempt = self.attempt.subscribe();
        loop {
            if let Some(bearer) = self.bearer(Instant::now()) {
                return Ok(bearer);
            }
            if let Attempt::Failed { failure, next } = &*attempt.borrow_and_update() {
                let wait = next.saturating_duration_since(Instant::now());
                return Err(self.unavailable(failure, wait));
            }
            let changed = timeout_at(deadline, attempt.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                let late = Failure::new(Class::Unreachable, "IMS has not answered yet");
                return Err(self.unavailable(&late, Duration::from_secs(1)));
            }
        }
    }

    fn unavailable(&self, failure: &Failure, wait: Duration) -> Error {
        let detail = format!(
            "credential {} has no valid token and IMS gives none ({}); the gateway keeps trying",
            self.settings.name,
            failure.class.as_str(),
        );
        Error::new(Reason::TokenUnavailable, detail)
            .because(failure.to_string())
            .after(wait)
    }

    /// Mints and renews for ever. One task runs this, so there is one token call at a time.
    pub async fn keep_fresh(self: Arc<Self>, service: impl TokenService) {
        let mut failures = 0;
        let mut secret = 0;
        loop {
            self.attempt.send_replace(Attempt::Underway);
            match self.try_secrets(&service, &mut secret).await {
                Ok(minted) => {
                    failures = 0;
                    let renew_at = self.publish(minted);
                    sleep_until(renew_at).await;
                }
                Err(failure) => {
                    failures += 1;
                    sleep(self.note(failure, failures)).await;
                }
            }
        }
    }

    /// Asks with the secret that worked last, then with the other one if IMS knows that one no more.
    async fn try_secrets(
        &self,
        service: &impl TokenService,
        preferred: &mut usize,
    ) -> Result<Minted, Failure> {
        let count = self.settings.client_secrets.len();
        let mut result = Err(Failure::new(
            Class::Configuration,
            "the credential has no client secret",
        ));
        for step in 0..count {
            let index = (*preferred + step) % count;
            let Some(secret) = self.settings.client_secrets.get(index) else {
                break;
            };
            result = service.mint(&self.settings, secret).await;
            match &result {
                Ok(_) => *preferred = index,
                Err(failure) if failure.class == Class::Client => continue,
                Err(_) => {}
            }
            break;
        }
        result
    }

    /// Makes the token everybody's and returns when to renew it.
    fn publish(&self, minted: Minted) -> Instant {
        let now = Instant::now();
        let generation = self.counts.minted.fetch_add(1, Ordering::Relaxed) + 1;
        let usable_until = now
            + minted
                .lifetime
                .saturating_sub(schedule::margin(minted.lifetime));
        self.token.store(Some(Arc::new(Token {
            bearer: minted.bearer,
            usable_until,
            generation,
        })));
        self.attempt.send_replace(Attempt::Succeeded);
        let renew_after = schedule::renew_after(minted.lifetime, fastrand::f64());
        tracing::info!(
            credential = self.settings.name,
            generation,
            lifetime_s = minted.lifetime.as_secs(),
            renewal_in_s = renew_after.as_secs(),
            "a token was minted"
        );
        now + renew_after
    }

    /// Records a failure and returns how long to wait.
    fn note(&self, failure: Failure, failures: u32) -> Duration {
        let now = Instant::now();
        let left = self.status().usable_for;
        let wait = schedule::wait_after(&failure, failures, left, fastrand::f64());
        tracing::warn!(
            credential = self.settings.name,
            class = failure.class.as_str(),
            cause = %failure,
            failures,
            next_try_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            still_serving = left.is_some(),
            "no token could be minted"
        );
        let place = Class::ALL.iter().position(|class| *class == failure.class);
        if let Some(count) = place.and_then(|place| self.counts.failed.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.attempt.send_replace(Attempt::Failed {
            failure,
            next: now + wait,
        });
        wait
    }

    /// Returns facts for operators.
    pub fn status(&self) -> Status {
        let now = Instant::now();
        let token = self.token.load();
        let failed = Class::ALL.into_iter().zip(&self.counts.failed);
        Status {
            name: self.settings.name.clone(),
            usable_for: token
                .as_ref()
                .map(|token| token.usable_until.saturating_duration_since(now))
                .filter(|left| !left.is_zero()),
            generation: token.as_ref().map_or(0, |token| token.generation),
            failure: match &*self.attempt.borrow() {
                Attempt::Failed { failure, .. } => Some(failure.to_string()),
                Attempt::Underway | Attempt::Succeeded => None,
            },
            minted: self.counts.minted.load(Ordering::Relaxed),
            failed: failed
                .map(|(class, count)| (class, count.load(Ordering::Relaxed)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
