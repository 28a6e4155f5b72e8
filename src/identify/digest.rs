//! Digests of API keys.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 digest of an API key. It is compared in a time that does not depend on what is in it.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct InvalidDigest;

impl KeyDigest {
    /// Returns the digest of a key.
    pub fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }

    /// Returns the first bytes, by which digests are found. They tell nothing of a key to whoever has none.
    pub(super) fn start(&self) -> u64 {
        let (start, _) = self.0.split_at(8);
        start
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for KeyDigest {}

impl FromStr for KeyDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let text = text.as_bytes();
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(InvalidDigest);
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let mut digits = digits.iter().map(|digit| value(*digit));
            let all = digits.try_fold(0, |all, digit| Some(all << 4 | digit?));
            let all = all.and_then(|all| u8::try_from(all).ok());
            *byte = all.ok_or(InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Shows as much as tells digests apart.
impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({:016x}…)", self.start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_its_key_and_is_written_as_sha256sum_does() {
        // printf abc | sha256sum
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest: KeyDigest = text.parse().unwrap();

        assert_eq!(digest, KeyDigest::of(b"abc"));
        assert_ne!(digest, KeyDigest::of(b"abd"));
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        assert_eq!(digest.start(), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let long = format!("{text}0");
        let wrong = text.replace("ba", "bg");
        for text in [
            "",
            "abc",
            text.strip_prefix('b').unwrap(),
            &long,
            &wrong,
            &"é".repeat(32),
        ] {
            assert_eq!(text.parse::<KeyDigest>(), Err(InvalidDigest), "{text}");
        }
    }
}
