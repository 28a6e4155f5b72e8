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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use tokio::time::Instant;

    use super::super::token::{Obtained, Origin};
    use super::*;
    use crate::clock::Moment;

    fn token(text: &str) -> Token {
        let obtained = Obtained {
            bearer: HeaderValue::try_from(format!("Bearer {text}")).unwrap(),
            asked_for: Moment {
                monotonic: Instant::now(),
                wall: Duration::ZERO,
            },
            lifetime: Duration::from_hours(1),
            fence: None,
            origin: Origin::Fleet,
        };
        Token::new(obtained, 1, String::new(), 0.0)
    }

    #[test]
    fn a_secret_is_known_alone_and_within_and_whichever_is_the_shortest() {
        let secrets = ["p8e-0123456789", "p8e-a-longer-one-0123456789", "short"];
        let secrets = Secrets::new(&secrets.map(|secret| Secret::new(secret.to_owned())));

        for text in [
            "p8e-0123456789",
            "x=p8e-0123456789",
            "p8e-a-longer-one-0123456789;",
        ] {
            assert!(secrets.are_in(text.as_bytes()), "{text}");
        }
        for text in ["", "short", "p8e-012345678", "P8E-0123456789"] {
            assert!(!secrets.are_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_token_before_the_present_one_is_known_too_and_the_one_before_that_is_not() {
        let tokens = Tokens::none();
        let are_in = |text: &str| tokens.are_in(text.as_bytes());
        assert!(!are_in("eyJ.0123456789"));

        for (next, known, unknown) in [
            ("eyJ.0123456789", vec!["eyJ.0123456789"], "eyJ.012345678"),
            (
                "eyJ.a.longer.token",
                vec!["eyJ.0123456789", "a eyJ.a.longer.token"],
                "eyJ",
            ),
            (
                "eyJ.9876543210",
                vec!["eyJ.a.longer.token"],
                "eyJ.0123456789",
            ),
        ] {
            tokens.store(token(next));
            for text in known {
                assert!(are_in(text), "{text}");
            }
            assert!(!are_in(unknown), "{unknown}");
        }
    }
}
