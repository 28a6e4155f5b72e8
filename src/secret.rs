//! Values that must never be printed.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// A client secret or token: erased from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Returns the text. Every call of this is a place to review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns `text` with the secret taken out, as it is and as a form spells it.
    pub fn taken_out_of(&self, text: &str) -> String {
        let spelled = utf8_percent_encode(self.expose(), UNRESERVED).to_string();
        [self.expose(), &spelled]
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// Returns `Bearer` and the secret as a field value marked sensitive, or `None` when it is not a legal one.
    pub fn to_bearer(&self) -> Option<HeaderValue> {
        let token = self.expose();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Compares in a time that tells nothing of where the two differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.expose().as_bytes(), other.expose().as_bytes());
        verify_slices_are_equal(ours, theirs).is_ok()
    }
}

impl Eq for Secret {}

/// Everything but the unreserved characters of RFC 3986 §2.3 has to be encoded in a form.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that need not be text: erased from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretBytes(SecretSlice<u8>);

impl SecretBytes {
    /// Takes `bytes` into custody, and erases what is left behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        // A vector with room to spare would be moved when it is cut to size, and its old place not be erased.
        let bytes = Zeroizing::new(bytes);
        Self(SecretSlice::new(bytes.as_slice().into()))
    }

    /// Returns the bytes. Every call of this is a place to review.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_of_the_secret() {
        let secret = Secret::new("p8e-hidden".to_owned());

        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let bearer = secret.to_bearer().unwrap();
        assert!(!format!("{bearer:?}").contains("hidden"));
        let bytes = SecretBytes::new(b"p8e-hidden".to_vec());
        assert_eq!(format!("{bytes:?}"), "SecretBytes(…)");
        assert_eq!(bytes.expose(), b"p8e-hidden");
    }

    #[test]
    fn a_secret_is_taken_out_in_both_spellings() {
        let secret = Secret::new("p8e+a/b".to_owned());

        assert_eq!(
            secret.taken_out_of("wrong p8e+a/b or p8e%2Ba%2Fb!"),
            "wrong … or …!"
        );
    }

    #[test]
    fn only_visible_text_becomes_a_bearer() {
        for wrong in ["", "a b", "a\r\nx-sandbox-name: prod", "é", "a\0"] {
            assert!(
                Secret::new(wrong.to_owned()).to_bearer().is_none(),
                "{wrong:?}"
            );
        }
    }
}
