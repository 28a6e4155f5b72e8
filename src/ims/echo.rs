//! Whether a text gives a credential away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use memchr::{memchr, memmem};

use super::token::Token;
use crate::secret::Secret;

/// The tokens of a credential that the upstream may still take: the one in use and the one before it, which requests
/// under way carry. The one before that has expired or been refused.
#[derive(Debug)]
pub(super) struct Tokens {
    present: ArcSwapOption<Token>,
    before: ArcSwapOption<Token>,
    /// Bytes of the shorter one, so that shorter texts are not looked at.
    shortest: AtomicUsize,
}

impl Tokens {
    /// Begins without any.
    pub(super) fn none() -> Self {
        Self {
            present: ArcSwapOption::empty(),
            before: ArcSwapOption::empty(),
            shortest: AtomicUsize::new(usize::MAX),
        }
    }

    /// Returns the one in use.
    pub(super) fn load(&self) -> arc_swap::Guard<Option<Arc<Token>>> {
        self.present.load()
    }

    /// Takes another one into use. One task does.
    pub(super) fn store(&self, token: Token) {
        let token = Arc::new(token);
        let before = self.present.load_full();
        let both = [Some(&token), before.as_ref()];
        let lengths = both.into_iter().flatten().map(|token| {
            let length = token.text().len();
            if length < LEAST_BYTES {
                usize::MAX
            } else {
                length
            }
        });
        // First, so that no text is passed over while the token is in use.
        let shortest = lengths.min().unwrap_or(usize::MAX);
        self.shortest.store(shortest, Ordering::Release);
        self.before.store(before);
        self.present.store(Some(token));
    }

    /// Tells whether one of them is in `text`.
    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        if text.len() < self.shortest.load(Ordering::Acquire) {
            return false;
        }
        [&self.present, &self.before].into_iter().any(|token| {
            let token = token.load();
            let token = token.as_ref().map_or(&b""[..], |token| token.text());
            token.len() >= LEAST_BYTES && memmem::find(text, token).is_some()
        })
    }
}

/// The secrets of a client, with a byte of each that hardly any other text has.
#[derive(Debug)]
pub(super) struct Secrets {
    all: Vec<(u8, Secret)>,
    /// Bytes of the shortest one.
    shortest: usize,
}

impl Secrets {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let long = secrets
            .iter()
            .filter(|secret| secret.expose().len() >= LEAST_BYTES);
        let shortest = long.clone().map(|secret| secret.expose().len()).min();
        let all = long.map(|secret| (telling(secret.expose().as_bytes()), secret.clone()));
        Self {
            all: all.collect(),
            shortest: shortest.unwrap_or(usize::MAX),
        }
    }

    /// Tells whether one of them is in `text`.
    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        text.len() >= self.shortest
            && self.all.iter().any(|(telling, secret)| {
                memchr(*telling, text).is_some()
                    && memmem::find(text, secret.expose().as_bytes()).is_some()
            })
    }
}

/// Returns the byte of a secret that is the rarest in other texts.
fn telling(secret: &[u8]) -> u8 {
    let rare = RARE.iter().find(|byte| secret.contains(byte));
    rare.or_else(|| secret.first()).copied().unwrap_or(0)
}

/// The rarest first, in fields of answers: dates, hosts, media types, ids in hexadecimal digits.
const RARE: &[u8] = b"QXZKYVLRUBHqzjkIEPWxNOCyvw";

/// Shorter ones are no secrets: they are in other texts by chance.
const LEAST_BYTES: usize = 8;
