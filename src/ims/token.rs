//! A token, and how long it may be used.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::schedule;
use crate::clock::Moment;
use crate::context::Bearer;

/// A token of a credential.
#[derive(Debug)]
pub(super) struct Token {
    /// `Bearer` and the token, marked sensitive.
    pub(super) bearer: HeaderValue,
    /// Which of the credential's tokens it is, counted from 1.
    pub(super) generation: u64,
    /// From when on its life is counted: before it was asked for, so that it is never thought younger than it is.
    pub(super) asked_for: Moment,
    /// A margin before the end of its life.
    pub(super) usable_until: Moment,
    /// When it is to be replaced by a new one.
    pub(super) renew_at: Moment,
    /// Tells tokens apart without giving them away.
    pub(super) fingerprint: String,
}

impl Token {
    /// Takes a token into use. `random`, in 0…1, spreads its renewal.
    pub(super) fn new(
        bearer: HeaderValue,
        generation: u64,
        asked_for: Moment,
        lifetime: Duration,
        fingerprint: String,
        random: f64,
    ) -> Self {
        let usable = lifetime.saturating_sub(schedule::margin(lifetime));
        Self {
            bearer,
            generation,
            asked_for,
            usable_until: asked_for.plus(usable),
            renew_at: asked_for.plus(schedule::renew_after(lifetime, random)),
            fingerprint,
        }
    }

    /// Returns the token for a request at `now`, or `None` once it may not be used any more.
    pub(super) fn at(&self, now: Moment) -> Option<Bearer> {
        let left = self.usable_until.left(now);
        (!left.is_zero()).then(|| Bearer {
            value: self.bearer.clone(),
            generation: self.generation,
            leave_by: now.monotonic + left,
        })
    }

    /// Returns when the token is to be renewed, on the monotonic clock.
    pub(super) fn renewal(&self, now: Moment) -> Instant {
        now.monotonic + self.renew_at.left(now)
    }
}
