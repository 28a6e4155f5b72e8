//! How far the attempts to open a connection are, and who waits no longer for them.
//!
//! An attempt is made for several, and who leaves the line does not end it: it has the origin's own limits. What a request
//! may wait less is up to the request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::line::Attempt;
use super::open::http2_late;
use crate::connect::Settings;
use crate::connect::dial::{connect_late, tls_late};
use crate::error::Error;

/// How long a request waits for each part of the connection that is opened for it: `None` for as long as its origin allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For name, TCP and the way through a proxy.
    pub connect: Option<Duration>,
    /// For TLS, and as long again for the beginning of HTTP/2.
    pub tls: Option<Duration>,
}

/// What an attempt is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connect,
    Tls,
    Http2,
}

/// What somebody waited for too long, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Late(Stage, Duration);

/// What the attempts under way are at.
#[derive(Debug, Default)]
pub(super) struct Stages {
    at: RefCell<BTreeMap<Attempt, (Stage, Instant)>>,
    moved: Notify,
}

impl Patience {
    /// As long as the origin allows.
    pub const ENDLESS: Self = Self {
        connect: None,
        tls: None,
    };

    fn with(&self, stage: Stage) -> Option<Duration> {
        match stage {
            Stage::Connect => self.connect,
            Stage::Tls | Stage::Http2 => self.tls,
        }
    }
}

impl Late {
    pub(super) fn told(&self, settings: &Settings) -> Error {
        let Self(stage, limit) = *self;
        match stage {
            Stage::Connect => connect_late(&settings.origin, limit),
            Stage::Tls => tls_late(&settings.origin, limit),
            Stage::Http2 => http2_late(settings.called, limit),
        }
    }
}

impl Stages {
    /// Notes that an attempt has come to a stage.
    pub(super) fn reach(&self, attempt: Attempt, stage: Stage) {
        let at = (stage, Instant::now());
        self.at.borrow_mut().insert(attempt, at);
        self.tell();
    }

    /// Forgets an attempt.
    pub(super) fn end(&self, attempt: Attempt) {
        self.at.borrow_mut().remove(&attempt);
    }

    /// Says that an attempt has moved on, or is promised to somebody else.
    pub(super) fn tell(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until somebody has waited for a part of an attempt for as long as their patience allows; `promised` says
    /// which attempt is made for them at the moment. What was waited for before they came does not count.
    pub(super) async fn run_out(
        &self,
        patience: &Patience,
        promised: impl Fn() -> Option<Attempt>,
    ) -> Late {
        if *patience == Patience::ENDLESS {
            return pending().await;
        }
        let joined = Instant::now();
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            let at = promised().and_then(|attempt| self.at.borrow().get(&attempt).copied());
            let limited = at.and_then(|(stage, since)| {
                let limit = patience.with(stage)?;
                Some((Late(stage, limit), since.max(joined) + limit))
            });
            let Some((late, end)) = limited else {
                moved.await;
                continue;
            };
            if end <= Instant::now() {
                return late;
            }
            // Whether it is this that was waited for is looked at once more.
            let _ = timeout_at(end, moved).await;
        }
    }
}
