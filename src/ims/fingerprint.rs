//! Keyed hashes, by which tokens are told apart where they may not be shown.

use std::sync::Arc;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::rand::SystemRandom;
use http::HeaderValue;

use crate::secret::digits;
use crate::shared::Store;

/// Makes fingerprints of tokens. Without the key a fingerprint tells nothing.
#[derive(Clone, Debug)]
pub struct Fingerprints(By);

#[derive(Clone, Debug)]
enum By {
    /// A key that is in this process only.
    Key(Arc<Key>),
    /// A key that all replicas have, so that it shows whether they have the same token.
    Store(Store),
}

impl Fingerprints {
    /// Takes a key of its own, so that fingerprints are those of this process.
    pub fn of_this_process() -> Self {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new());
        let key = key.expect("the system gives random bytes, or TLS would not work either");
        Self(By::Key(Arc::new(key)))
    }

    /// Takes the key of the store that replicas share.
    pub fn of_all_replicas(store: Store) -> Self {
        Self(By::Store(store))
    }

    /// Returns the first 64 bits of the hash, in 16 hexadecimal digits.
    pub fn of(&self, value: &HeaderValue) -> String {
        let key = match &self.0 {
            By::Key(key) => key,
            By::Store(store) => return store.fingerprint(value.as_bytes()),
        };
        digits(sign(key, value.as_bytes()).as_ref(), 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_tokens_and_the_processs() {
        let (one, other) = (
            Fingerprints::of_this_process(),
            Fingerprints::of_this_process(),
        );
        let (a, b) = (
            HeaderValue::from_static("Bearer a"),
            HeaderValue::from_static("Bearer b"),
        );

        assert_eq!(one.of(&a), one.of(&a));
        assert_ne!(one.of(&a), one.of(&b));
        assert_ne!(one.of(&a), other.of(&a));
        assert_eq!(one.of(&a).len(), 16);
    }
}
