//! Ids that are known again without being shown.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

use crate::secret::{Secret, digits};

/// A key of this deployment, with which ids are hashed. Nothing shows it.
#[derive(Clone)]
pub struct IdKey {
    secret: Secret,
    key: Key,
}

/// A key could be found by trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has fewer than {LEAST_BYTES} bytes")]
pub struct ShortKey;

impl IdKey {
    /// Takes a secret text of 16 bytes or more.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn new(secret: Secret) -> Result<Self, ShortKey> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < LEAST_BYTES {
            return Err(ShortKey);
        }
        let key = Key::new(HMAC_SHA256, bytes);
        Ok(Self { secret, key })
    }

    /// Returns the first 16 hexadecimal digits of an id's HMAC-SHA-256: two of a million ids are alike once in 37 million
    /// deployments.
    pub fn hash(&self, id: &str) -> String {
        digits(sign(&self.key, id.as_bytes()).as_ref(), 8)
    }
}

const LEAST_BYTES: usize = 16;

impl PartialEq for IdKey {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl Eq for IdKey {}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_beginning_of_the_hmac() {
        // As `openssl dgst -sha256 -hmac` has it.
        let key = IdKey::new(Secret::new("0123456789abcdef".to_owned())).unwrap();
        assert_eq!(key.hash("checkout"), "38c8dc9fd3484e1f");
        assert_eq!(format!("{key:?}"), "IdKey(…)");
        let short = IdKey::new(Secret::new("0123456789abcde".to_owned()));
        assert_eq!(short, Err(ShortKey));
    }
}
