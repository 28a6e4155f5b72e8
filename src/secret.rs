//! Values that must never be printed.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
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

    /// Returns `text` with the secret taken out, as it is, percent-encoded, and in base64.
    ///
    /// Percent-encoding is that of a form, in upper or lower case. Base64 is the standard or the URL's alphabet, and the
    /// secret may stand anywhere inside of what was encoded, as it does in Basic authentication.
    pub fn taken_out_of(&self, text: &str) -> String {
        let secret = self.expose();
        let upper = utf8_percent_encode(secret, UNRESERVED).to_string();
        let lower = lower_case_hex(&upper);
        let mut spellings = vec![secret.to_owned(), upper, lower];
        // What has been shortened so far could also be something else.
        if secret.len() >= LEAST_ENCODED_BYTES {
            spellings.extend([STANDARD.encode(secret), URL_SAFE.encode(secret)]);
            for before in 0..3 {
                spellings.extend(inside_base64(secret, before));
            }
        }
        spellings
            .iter()
            .filter(|spelling| !spelling.is_empty())
            .fold(text.to_owned(), |text, spelling| {
                text.replace(spelling, "…")
            })
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

/// Bytes. Fewer of them make base64 of a few characters, which ordinary words contain.
const LEAST_ENCODED_BYTES: usize = 6;

/// Returns the percent-encoded `text` with the letters of its escapes in lower case.
fn lower_case_hex(text: &str) -> String {
    let mut escaped = 0;
    text.chars()
        .map(|character| {
            let in_escape = escaped > 0;
            escaped = if character == '%' {
                2_u8
            } else {
                escaped.saturating_sub(1)
            };
            if in_escape {
                character.to_ascii_lowercase()
            } else {
                character
            }
        })
        .collect()
}

/// Returns those characters, in both alphabets, that depend on `secret` alone when `before` other bytes, give or take a
/// multiple of three, are encoded in front of it.
fn inside_base64(secret: &str, before: usize) -> [String; 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    // Six bits a character; those that share one with a neighbour's byte are left out.
    let begun = (before * 8).div_ceil(6);
    let ended = bytes.len() * 8 / 6;
    [&STANDARD, &URL_SAFE].map(|engine| {
        let encoded = engine.encode(&bytes);
        encoded.get(begun..ended).unwrap_or_default().to_owned()
    })
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns the first `count` of `bytes` in hexadecimal digits: enough of a hash to tell things apart.
pub fn digits(bytes: &[u8], count: usize) -> String {
    let mut digits = String::with_capacity(2 * count);
    for byte in bytes.iter().take(count) {
        for digit in [byte >> 4, byte & 15] {
            digits.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    digits
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
    fn a_secret_is_taken_out_in_every_spelling() {
        let secret = Secret::new("p8e+a/b?>~".to_owned());
        let standard = STANDARD.encode(secret.expose());
        let url_safe = URL_SAFE.encode(secret.expose());
        assert_ne!(standard, url_safe);

        for spelling in [
            "p8e+a/b?>~",
            "p8e%2Ba%2Fb%3F%3E~",
            "p8e%2ba%2fb%3f%3e~",
            &standard,
            &url_safe,
        ] {
            let said = format!("wrong {spelling}!");
            assert_eq!(secret.taken_out_of(&said), "wrong …!", "{spelling}");
        }
    }

    #[test]
    fn a_secret_is_taken_out_of_longer_base64_too() {
        let secret = Secret::new("p8e-0123456789".to_owned());
        for before in ["", "i", "id", "id:", "client:"] {
            let whole = STANDARD.encode(format!("{before}p8e-0123456789:after"));

            let left = secret.taken_out_of(&whole);

            // At most the character at either end, which the neighbours share, is left.
            assert!(
                left.contains('…') && left.len() < whole.len() - 14,
                "{left}"
            );
        }
    }

    #[test]
    fn a_short_secret_does_not_make_words_unreadable() {
        let secret = Secret::new("ab".to_owned());

        assert_eq!(secret.taken_out_of("YWI= YW a%62"), "YWI= YW a%62");
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
