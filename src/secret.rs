//! Values that must never be printed.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// A client secret or token: erased from memory when dropped, printed as a placeholder.
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_a_placeholder() {
        let secret = Secret::new("p8e-hidden".to_owned());

        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let bearer = secret.to_bearer().unwrap();
        assert!(!format!("{bearer:?}").contains("hidden"));
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
