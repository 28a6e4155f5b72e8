//! A credential as requests see it: its token, without waiting or locking; and the wait while there is none.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::CredentialSettings;
use super::answer::{Class, Failure};
use super::echo::{Secrets, Tokens};
use super::status::{Counts, Record};
use crate::clock::Clock;
use crate::context::Bearer;
use crate::error::{Error, Reason};
use crate::gate::Gate;

/// A credential and its current token.
///
/// Any thread reads the token; one task renews it, see [`super::keeper`].
#[derive(Debug)]
pub struct Credential {
    pub(super) name: String,
    required: AtomicBool,
    api_key: HeaderValue,
    pub(super) clock: Clock,
    pub(super) token: Tokens,
    /// What the keeper is at.
    pub(super) progress: watch::Sender<Progress>,
    /// What the keeper mints with.
    pub(super) settings: watch::Sender<Arc<CredentialSettings>>,
    /// The latest generation that the upstream refused.
    refused: AtomicU64,
    /// Shut while the upstream wants no requests with this client's key.
    pauses: Arc<Gate>,
    /// Wakes the keeper when a token was refused, or is gone before its time.
    nudge: Notify,
    pub(super) counts: Counts,
    /// How many hold it for requests.
    holds: watch::Sender<usize>,
}

/// A credential as it is held for requests. While it is, its token is kept fresh, also when it has left the configuration.
#[derive(Debug)]
pub struct Hold {
    credential: Arc<Credential>,
    /// Those there were when it was taken hold of: whoever changes them has it held anew.
    secrets: Secrets,
}

/// What the keeper is at, and what it has come to.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// Whether the latest token call that has ended failed.
    pub(super) failing: bool,
    /// Failed calls in a row.
    pub(super) failures: u32,
    /// What the latest call that failed was made with.
    pub(super) failed_with: Option<Arc<CredentialSettings>>,
    /// Refusals that have no effect for a while.
    pub(super) quiet: Option<Quiet>,
    /// When the next token call is planned.
    pub(super) next: Instant,
    /// What the token there is was got with.
    pub(super) used: Option<Arc<CredentialSettings>>,
    pub(super) record: Record,
}

/// What the keeper is at.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// A token call is under way.
    Calling,
    /// The latest token call failed; the next one waits for its time.
    Failed(Failure),
    /// The token is fresh.
    Resting,
}

/// Refusals of tokens up to `generation` have no effect before `until`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet {
    pub(super) generation: u64,
    pub(super) until: Instant,
}

impl Progress {
    /// Tells whether nothing will come of a refusal of `generation` at `now`.
    fn is_final(&self, generation: u64, now: Instant) -> bool {
        let failed = matches!(self.phase, Phase::Failed(_)) && now < self.next;
        let quiet = self.quiet.filter(|quiet| now < quiet.until);
        failed || quiet.is_some_and(|quiet| quiet.generation >= generation)
    }
}

impl Credential {
    /// Makes a credential without a token.
    pub fn new(settings: CredentialSettings) -> Arc<Self> {
        Self::with(settings, Clock::default(), Arc::default())
    }

    /// Makes a credential beside `others`. Those of one client have one API key, and so are held back together.
    pub(super) fn beside<'a>(
        others: impl IntoIterator<Item = &'a Arc<Self>>,
        settings: CredentialSettings,
    ) -> Arc<Self> {
        let api_key = settings.client_id.to_header_value();
        let mut others = others.into_iter();
        let same = others.find(|other| other.api_key == api_key);
        let pauses = same.map(|other| Arc::clone(&other.pauses));
        Self::with(settings, Clock::default(), pauses.unwrap_or_default())
    }

    #[cfg(test)]
    pub(super) fn with_clock(settings: CredentialSettings, clock: Clock) -> Arc<Self> {
        Self::with(settings, clock, Arc::default())
    }

    fn with(settings: CredentialSettings, clock: Clock, pauses: Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            name: settings.name.clone(),
            required: AtomicBool::new(settings.required),
            api_key: settings.client_id.to_header_value(),
            clock,
            token: Tokens::none(),
            progress: watch::Sender::new(Progress {
                phase: Phase::Calling,
                failing: false,
                failures: 0,
                failed_with: None,
                quiet: None,
                next: Instant::now(),
                used: None,
                record: Record::default(),
            }),
            settings: watch::Sender::new(Arc::new(settings)),
            refused: AtomicU64::new(0),
            pauses,
            nudge: Notify::new(),
            counts: Counts::default(),
            holds: watch::Sender::new(0),
        })
    }

    /// Holds it for requests.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold {
            secrets: Secrets::new(&self.settings.borrow().client_secrets),
            credential: Arc::clone(self),
        }
    }

    /// Waits until nobody holds it for requests.
    pub(super) async fn let_go(&self) {
        // The sender is ours, so that this cannot end before.
        let _ = self.holds.subscribe().wait_for(|holds| *holds == 0).await;
    }

    /// Takes new settings. If they differ in what a token is minted with, one is, while the old one serves on.
    ///
    /// Name, client id and organisation stay what they are.
    pub fn update(&self, settings: CredentialSettings) {
        self.required.store(settings.required, Ordering::Relaxed);
        self.settings.send_if_modified(|present| {
            let differs = !present.mints_like(&settings);
            if differs {
                *present = Arc::new(settings);
            }
            differs
        });
    }

    /// Tells whether `settings` are of the same client in the same organisation.
    pub(super) fn is_of_client(&self, settings: &CredentialSettings) -> bool {
        self.settings.borrow().shares_key(settings)
    }

    /// Returns the credential's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether the gateway is ready only while this credential has a usable token.
    pub fn is_required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    /// Returns the client id as a field value.
    pub fn api_key(&self) -> &HeaderValue {
        &self.api_key
    }

    /// Returns what is shut while the upstream wants no requests with this client's key.
    pub fn pauses(&self) -> &Arc<Gate> {
        &self.pauses
    }

    /// Returns the token if there is one that may be used at `now`, by the monotonic clock and by the wall clock.
    pub fn bearer(&self, now: Instant) -> Option<Bearer> {
        let token = self.token.load();
        token.as_ref()?.at(self.clock.at(now))
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
        let mut progress = self.progress.subscribe();
        loop {
            let mut look = deadline;
            {
                // Looked at before the token, so that a token that comes in between is not missed.
                let seen = progress.borrow_and_update();
                let now = Instant::now();
                if let Some(bearer) = self.bearer(now) {
                    return Ok(bearer);
                }
                let wait = seen.next.saturating_duration_since(now);
                match &seen.phase {
                    Phase::Failed(failure) if !wait.is_zero() => {
                        return Err(self.unavailable(failure, wait));
                    }
                    // A clock has moved, and the keeper may not know. It may move back as well, and then nobody tells.
                    Phase::Resting => {
                        self.nudge.notify_one();
                        look = deadline.min(now + LOOK);
                    }
                    Phase::Calling | Phase::Failed(_) => {}
                }
            }
            let changed = timeout_at(look, progress.changed()).await;
            if !matches!(changed, Ok(Ok(()))) && Instant::now() >= deadline {
                let late = Failure::new(Class::Unreachable, "IMS has not answered yet");
                return Err(self.unavailable(&late, Duration::from_secs(1)));
            }
        }
    }

    fn unavailable(&self, failure: &Failure, wait: Duration) -> Error {
        let detail = format!(
            "credential {} has no valid token and IMS gives none ({}); the gateway keeps trying",
            self.name,
            failure.class.as_str(),
        );
        Error::new(Reason::TokenUnavailable, detail)
            .because(failure.to_string())
            .after(wait)
    }

    /// Notes that the upstream refused the token of this generation. However many say so, the token is replaced once.
    pub fn refuse(&self, generation: u64) {
        self.counts.refusals.fetch_add(1, Ordering::Relaxed);
        if self.generation() != generation {
            return;
        }
        let known = self.refused.fetch_max(generation, Ordering::AcqRel) >= generation;
        if !known || !self.progress.borrow().is_final(generation, Instant::now()) {
            self.nudge.notify_one();
        }
    }

    /// Waits for a token after that of `generation`, which was refused, until `deadline`. Returns `None` when no newer
    /// one is to be had: the call for it failed, or another token is not expected to help.
    ///
    /// # Cancel safety
    /// The token call is not the waiter's: nothing is lost.
    pub async fn successor(&self, generation: u64, deadline: Instant) -> Option<Bearer> {
        let mut progress = self.progress.subscribe();
        loop {
            let now = Instant::now();
            // Looked at before the token, so that a token that comes in between is not missed.
            let is_final = progress.borrow_and_update().is_final(generation, now);
            if let Some(bearer) = self.bearer(now)
                && bearer.generation > generation
            {
                return Some(bearer);
            }
            if is_final {
                return None;
            }
            timeout_at(deadline, progress.changed()).await.ok()?.ok()?;
        }
    }

    /// Returns how long refusals of the token there is will still have no effect, if they have none.
    pub(super) fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let quiet = self.progress.borrow().quiet;
        let quiet = quiet.filter(|quiet| quiet.generation >= self.generation());
        let left = quiet?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Returns the generation of the token there is, usable or not; 0 without one.
    pub(super) fn generation(&self) -> u64 {
        let token = self.token.load();
        token.as_ref().map_or(0, |token| token.generation)
    }

    /// Tells whether the upstream refused the token there is.
    pub(super) fn is_refused(&self) -> bool {
        let generation = self.generation();
        generation > 0 && self.refused.load(Ordering::Acquire) >= generation
    }

    /// Waits until a token was refused, or is gone before its time.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }
}

impl Hold {
    /// Returns the names of the fields that have one of the credential's tokens, or a secret of its client, in a value.
    pub fn echoed_in(&self, fields: &HeaderMap) -> Vec<HeaderName> {
        let gives_away = |value: &HeaderValue| {
            let value = value.as_bytes();
            self.secrets.are_in(value) || self.credential.token.are_in(value)
        };
        let found = fields.iter().filter(|(_, value)| gives_away(value));
        found.map(|(name, _)| name.clone()).collect()
    }
}

impl Deref for Hold {
    type Target = Credential;

    fn deref(&self) -> &Credential {
        &self.credential
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.credential.holds.send_modify(|holds| *holds -= 1);
    }
}

/// How often who waits looks for itself, when it is not known whether somebody will tell.
const LOOK: Duration = Duration::from_millis(250);
