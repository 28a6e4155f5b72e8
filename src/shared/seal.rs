//! Records that only replicas with the key can read, and that mean nothing under another name.
//!
//! A record is the text `v1.<key id>.<base64url of nonce and ciphertext>`, sealed with AES-256-GCM under a random nonce of
//! 96 bits. Prefix, name and fence go into the tag, so that a record that was moved does not open.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::{
    STANDARD_PAD_INDIFFERENT, URL_SAFE_NO_PAD, URL_SAFE_PAD_INDIFFERENT,
};
use secrecy::zeroize::Zeroizing;

use crate::secret::{SecretBytes, digits};

/// The keys that replicas share: the first seals, every one opens.
///
/// A key is replaced in three steps, each rolled out to all replicas before the next: the new key is added as the second,
/// it is made the first, the old one is taken out.
#[derive(Clone)]
pub struct Keyring(Arc<[Key]>);

/// A key of 256 bits.
///
/// As text it is base64 of either alphabet, with or without padding, or 64 hexadecimal digits.
#[derive(Clone, Debug)]
pub struct SealingKey(SecretBytes);

/// The text is not a key. It does not say more, since the text is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 bytes in base64, or 64 hexadecimal digits")]
pub struct InvalidKey;

/// What a record belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) prefix: &'a str,
    pub(super) name: &'a str,
    pub(super) fence: u64,
}

/// Why a record was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It was sealed with another key, for another place, or was changed.
    #[error("it was not sealed for this name with the key {0}, or was changed")]
    Content(String),
    /// It is none of ours.
    #[error("it is not of the form that this version writes")]
    Form,
    /// No key has the id.
    #[error("no key is named {0}")]
    Key(String),
}

/// The operating system gives no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record could not be encrypted")]
pub(super) struct SealFailed;

struct Key {
    id: String,
    sealing: RandomizedNonceKey,
    fingerprints: hmac::Key,
}

/// By ids and keys, in their order.
impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        let proof = |key: &Key| hmac::sign(&key.fingerprints, b"the same key");
        let same = |(ours, theirs): (&Key, &Key)| {
            ours.id == theirs.id && proof(ours).as_ref() == proof(theirs).as_ref()
        };
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(same)
    }
}

impl Eq for Keyring {}

impl Keyring {
    /// Makes a keyring of keys with their ids, or `None` of no key. Of keys with the same id the first one counts.
    pub fn new(keys: impl IntoIterator<Item = (String, SealingKey)>) -> Option<Self> {
        let keys: Arc<[Key]> = keys
            .into_iter()
            .map(|(id, key)| Key::new(id, &key))
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Returns 16 hexadecimal digits by which everyone with the same first key can tell whether two texts are the same,
    /// and nobody without it can tell what the text is.
    pub fn fingerprint(&self, text: &[u8]) -> String {
        let tag = hmac::sign(&self.sealing().fingerprints, text);
        digits(tag.as_ref(), FINGERPRINT_BYTES)
    }

    /// Seals `plain` with the first key.
    ///
    /// # Errors
    /// [`SealFailed`].
    pub(super) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<String, SealFailed> {
        let key = self.sealing();
        // With room for the tag, so that the plain text is encrypted where it is and nothing is left behind.
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        let nonce = key
            .sealing
            .seal_in_place_append_tag(Aad::from(place.bound()), &mut sealed)
            .map_err(|_| SealFailed)?;
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!(
            "{VERSION}.{}.{}",
            key.id,
            URL_SAFE_NO_PAD.encode(whole)
        ))
    }

    /// Opens what any of the keys has sealed for `place`.
    ///
    /// # Errors
    /// [`Unreadable`], whatever `sealed` is.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretBytes, Unreadable> {
        let (id, whole) = parse(sealed).ok_or(Unreadable::Form)?;
        let key = self.0.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| Unreadable::Key(shown(id)))?;
        let (nonce, rest) = whole
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Unreadable::Form)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let plain = key
            .sealing
            .open_in_place(Nonce::from(nonce), Aad::from(place.bound()), &mut rest)
            .map_err(|_| Unreadable::Content(shown(id)))?;
        Ok(SecretBytes::new(plain.to_vec()))
    }

    fn sealing(&self) -> &Key {
        self.0.first().expect("a keyring has at least one key")
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}

impl Key {
    fn new(id: String, key: &SealingKey) -> Self {
        let bytes = key.0.expose();
        // The key itself has one use, so fingerprints get one that is derived from it.
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derived = hmac::sign(&root, FINGERPRINT_LABEL);
        Self {
            id,
            sealing: RandomizedNonceKey::new(&AES_256_GCM, bytes)
                .expect("a sealing key has as many bytes as the cipher takes"),
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
        }
    }
}

impl FromStr for SealingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = from_hex(text)
            .or_else(|| STANDARD_PAD_INDIFFERENT.decode(text).ok())
            .or_else(|| URL_SAFE_PAD_INDIFFERENT.decode(text).ok())
            .map(SecretBytes::new)
            .ok_or(InvalidKey)?;
        if bytes.expose().len() == AES_256_GCM.key_len() {
            Ok(Self(bytes))
        } else {
            Err(InvalidKey)
        }
    }
}

impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.expose(), other.0.expose()).is_ok()
    }
}

impl Eq for SealingKey {}

impl Place<'_> {
    /// Returns what the tag covers besides the content. Lengths keep the parts apart.
    fn bound(&self) -> Vec<u8> {
        let mut bound = Vec::new();
        for part in [VERSION, self.prefix, self.name] {
            bound.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bound.extend_from_slice(part.as_bytes());
        }
        bound.extend_from_slice(&self.fence.to_be_bytes());
        bound
    }
}

/// Returns the id of the key, and nonce and ciphertext.
fn parse(sealed: &[u8]) -> Option<(&str, Vec<u8>)> {
    let text = std::str::from_utf8(sealed).ok()?;
    let rest = text.strip_prefix(VERSION)?.strip_prefix('.')?;
    let (id, whole) = rest.rsplit_once('.')?;
    Some((id, URL_SAFE_NO_PAD.decode(whole).ok()?))
}

/// Returns an id as a log may show it: it comes from outside.
fn shown(id: &str) -> String {
    id.chars()
        .take(MOST_SHOWN)
        .flat_map(char::escape_default)
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * AES_256_GCM.key_len() {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok())
        .collect()
}

const VERSION: &str = "v1";
const FINGERPRINT_BYTES: usize = 8;
const FINGERPRINT_LABEL: &[u8] = b"profile-gateway fingerprint v1";
/// Characters.
const MOST_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> SealingKey {
        STANDARD.encode([byte; 32]).parse().unwrap()
    }

    fn ring(keys: &[(&str, u8)]) -> Keyring {
        Keyring::new(keys.iter().map(|(id, byte)| ((*id).to_owned(), key(*byte)))).unwrap()
    }

    fn place(name: &str, fence: u64) -> Place<'_> {
        Place {
            prefix: "profile-gateway",
            name,
            fence,
        }
    }

    #[test]
    fn keys_are_read_in_every_spelling() {
        let bytes: Vec<u8> = (0..32).map(|byte| 255 - byte * 3).collect();
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = digits.concat();
        let standard = STANDARD.encode(&bytes);
        let url_safe = URL_SAFE.encode(&bytes);
        assert!(standard.contains(['+', '/']) && url_safe.contains(['-', '_']));

        for text in [
            &hex,
            &hex.to_uppercase(),
            &standard,
            &url_safe,
            standard.trim_end_matches('='),
            url_safe.trim_end_matches('='),
        ] {
            assert_eq!(text.parse::<SealingKey>().unwrap().0.expose(), bytes);
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for wrong in [
            String::new(),
            "hello".to_owned(),
            STANDARD.encode([1; 16]),
            STANDARD.encode([1; 33]),
            "0".repeat(63),
            "0".repeat(66),
            format!("{}x", "0".repeat(63)),
            format!(" {}", STANDARD.encode([1; 32])),
        ] {
            assert_eq!(wrong.parse::<SealingKey>(), Err(InvalidKey), "{wrong}");
        }
    }

    #[test]
    fn an_old_key_opens_what_it_sealed_after_a_new_one_came() {
        let old = ring(&[("k1", 1)]);
        let both = ring(&[("k2", 2), ("k1", 1)]);
        let new = ring(&[("k2", 2)]);
        let by_old = old.seal(place("a", 1), b"plain").unwrap();
        let by_both = both.seal(place("a", 1), b"plain").unwrap();

        assert!(by_old.starts_with("v1.k1.") && by_both.starts_with("v1.k2."));
        let opened = both.open(place("a", 1), by_old.as_bytes()).unwrap();
        assert_eq!(opened.expose(), b"plain");
        assert!(new.open(place("a", 1), by_both.as_bytes()).is_ok());
        assert_eq!(
            new.open(place("a", 1), by_old.as_bytes()).unwrap_err(),
            Unreadable::Key("k1".to_owned())
        );
    }

    #[test]
    fn another_key_of_the_same_id_opens_nothing() {
        let sealed = ring(&[("k1", 1)]).seal(place("a", 1), b"plain").unwrap();

        let error = ring(&[("k1", 2)])
            .open(place("a", 1), sealed.as_bytes())
            .unwrap_err();

        assert_eq!(error, Unreadable::Content("k1".to_owned()));
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same_record() {
        let ring = ring(&[("k1", 1)]);

        let one = ring.seal(place("a", 1), b"plain").unwrap();
        let other = ring.seal(place("a", 1), b"plain").unwrap();

        assert_ne!(one, other);
    }

    #[test]
    fn parts_of_a_place_do_not_run_into_each_other() {
        let of = |prefix, name| {
            Place {
                prefix,
                name,
                fence: 1,
            }
            .bound()
        };

        assert_ne!(of("a", "bc"), of("ab", "c"));
    }

    #[test]
    fn fingerprints_are_the_same_for_all_who_seal_with_the_same_key() {
        let print = |keys: &[(&str, u8)], text: &[u8]| ring(keys).fingerprint(text);

        let one = print(&[("k1", 1)], b"token");
        assert_eq!(one.len(), 16);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(print(&[("other", 1), ("k2", 2)], b"token"), one);
        assert_ne!(print(&[("k2", 2), ("k1", 1)], b"token"), one);
        assert_ne!(print(&[("k1", 1)], b"token!"), one);
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let shown = format!("{:?} {:?}", ring(&[("k1", 1)]), key(1));

        assert_eq!(shown, "[\"k1\"] SealingKey(SecretBytes(…))");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_as_the_same(plain: Vec<u8>, name in ".*", fence: u64, id in "[a-z.]{1,8}") {
            let ring = ring(&[(id.as_str(), 1)]);

            let sealed = ring.seal(place(&name, fence), &plain).unwrap();
            let opened = ring.open(place(&name, fence), sealed.as_bytes()).unwrap();

            prop_assert_eq!(opened.expose(), plain.as_slice());
        }

        #[test]
        fn under_another_name_or_fence_nothing_opens(
            plain: Vec<u8>, name in "[a-c]{0,3}", other in "[a-c]{0,3}", fence in 0_u64..3, later in 0_u64..3,
        ) {
            prop_assume!((&name, fence) != (&other, later));
            let ring = ring(&[("k1", 1)]);

            let sealed = ring.seal(place(&name, fence), &plain).unwrap();
            let opened = ring.open(place(&other, later), sealed.as_bytes());

            prop_assert_eq!(opened.unwrap_err(), Unreadable::Content("k1".to_owned()));
            let elsewhere = Place { prefix: "other", ..place(&name, fence) };
            prop_assert!(ring.open(elsewhere, sealed.as_bytes()).is_err());
        }

        #[test]
        fn a_record_with_any_byte_changed_does_not_open(plain: Vec<u8>, at: prop::sample::Index, to: u8) {
            let ring = ring(&[("k1", 1)]);
            let mut sealed = ring.seal(place("a", 1), &plain).unwrap().into_bytes();
            let byte = at.index(sealed.len());
            prop_assume!(sealed[byte] != to);

            sealed[byte] = to;

            prop_assert!(ring.open(place("a", 1), &sealed).is_err());
        }

        #[test]
        fn no_record_panics(record: Vec<u8>, rest in "[A-Za-z0-9_.-]{0,64}") {
            let ring = ring(&[("k1", 1)]);

            prop_assert!(ring.open(place("a", 1), &record).is_err());
            let formed = format!("v1.k1.{rest}");
            prop_assert!(ring.open(place("a", 1), formed.as_bytes()).is_err());
        }

        #[test]
        fn no_key_text_panics(text in ".*") {
            let _ = text.parse::<SealingKey>();
        }
    }
}
