//! What is no fault of a configuration, and hardly meant.

use std::fmt;

/// Something that can never come to anything. It only makes the configuration stricter than it looks, so that it is taken all
/// the same: who takes rights away in one place must not be held up by what is left of them in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file, and the line in it.
    pub at: String,
    /// The key.
    pub key: String,
    /// What is said there in vain.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            key,
            message,
            help: _,
        } = self;
        write!(f, "{key}: {message}\n --> {at}")
    }
}
