//! A token, and how long it may be used.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::schedule;
use crate::clock::Moment;
use crate::context::Bearer;

/// A token that has been got, and is not in use yet.
#[derive(Debug)]
pub(super) struct Obtained {
    /// `Bearer` and the token, marked sensitive.
    pub(super) bearer: HeaderValue,
    /// From when on its life is counted: before it was asked for, so that it is never thought younger than it is.
    pub(super) asked_for: Moment,
    /// How long it lives.
    pub(super) lifetime: Duration,
    /// By which it is told from later ones, if other replicas have it too.
    pub(super) fence: Option<u64>,
    /// Where it is from.
    pub(super) origin: Origin,
}

/// Where a token is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Another replica has minted it.
    Fleet,
    /// It was minted here.
    Ims {
        /// With which of the client secrets, counted from 1.
        secret: usize,
    },
}

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
    /// By which it is told from later ones, if other replicas have it too.
    pub(super) fence: Option<u64>,
    /// Tells tokens apart without giving them away.
    pub(super) fingerprint: String,
}

impl Token {
    /// Takes a token into use. `random`, in 0…1, spreads its renewal.
    pub(super) fn new(
        obtained: Obtained,
        generation: u64,
        fingerprint: String,
        random: f64,
    ) -> Self {
        let Obtained {
            bearer,
            asked_for,
            lifetime,
            fence,
            origin: _,
        } = obtained;
        let usable = lifetime.saturating_sub(schedule::margin(lifetime));
        Self {
            bearer,
            generation,
            asked_for,
            usable_until: asked_for.plus(usable),
            renew_at: asked_for.plus(schedule::renew_after(lifetime, random)),
            fence,
            fingerprint,
        }
    }

    /// Returns the token alone.
    pub(super) fn text(&self) -> &[u8] {
        let bearer = self.bearer.as_bytes();
        bearer.strip_prefix(b"Bearer ").unwrap_or(bearer)
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
