//! Secrets, and what is made of them, as configuration writes them.

use crate::config::format::Format;
use crate::identify;
use crate::secret::Secret;
use crate::shared::{InvalidKey, SealingKey};

impl Format for Secret {
    const NAME: &'static str = "secret";
    const WHAT: &'static str = "a secret of visible ASCII characters";
    const EXAMPLE: &'static str = "${file:/var/run/secrets/ims/current}";

    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
            Ok(Self::new(text.to_owned()))
        } else {
            Err("may hold only visible ASCII characters, without blanks or line breaks".to_owned())
        }
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

impl Format for SealingKey {
    const NAME: &'static str = "encryption-key";
    const WHAT: &'static str = "a key of 32 bytes in base64, or 64 hexadecimal digits";
    // It has to be legal, and so plainly no secret that nobody takes it for one; as a key it is refused.
    const EXAMPLE: &'static str =
        "0000000000000000000000000000000000000000000000000000000000000000";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: InvalidKey| error.to_string())
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

/// A private key as it is written. What is wrong with it is told when it is read, since that needs more words.
#[derive(Clone, Debug)]
pub(in crate::config) struct Pem(pub(in crate::config) Secret);

impl Format for Pem {
    const NAME: &'static str = "pem-private-key";
    const WHAT: &'static str = "a private key in PEM";
    const EXAMPLE: &'static str = "${file:/var/run/secrets/ims/private.key}";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

/// The digest of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct KeyDigest(pub(in crate::config) identify::KeyDigest);

impl Format for KeyDigest {
    const NAME: &'static str = "sha256-digest";
    const WHAT: &'static str = "a SHA-256 digest, 64 hexadecimal digits without a file name behind them, as `printf %s \"$KEY\" | sha256sum` makes it";
    // Of a key that was thrown away.
    const EXAMPLE: &'static str =
        "e6ec52377d58696c4b6099c0e4c61cf04b99fe0be11fd30472721bc4e4577463";

    fn parse(text: &str) -> Result<Self, String> {
        let digest = text.parse().map(Self);
        digest.map_err(|_| {
            let alone = text.split_once(' ').map(|(first, _)| first);
            if alone.is_some_and(|first| first.parse::<identify::KeyDigest>().is_ok()) {
                "must be the digest without the file name behind it, which sha256sum writes too"
                    .to_owned()
            } else {
                format!("must be {}", Self::WHAT)
            }
        })
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_digest_is_told_how_to_make_one() {
        let digest = KeyDigest::EXAMPLE;
        let (short, _) = digest.split_at(63);
        let make = "`printf %s \"$KEY\" | sha256sum`";
        for wrong in ["my-api-key", "", short, &format!("{digest}0"), "a b"] {
            let told = KeyDigest::parse(wrong).unwrap_err();
            assert!(
                told.starts_with("must be a SHA-256 digest") && told.contains(make),
                "{told}"
            );
        }
        for behind in ["  -", " *key.txt", "  key.txt"] {
            let told = KeyDigest::parse(&format!("{digest}{behind}")).unwrap_err();
            assert!(told.contains("without the file name behind it"), "{told}");
        }
    }
}
