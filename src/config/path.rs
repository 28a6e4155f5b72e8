//! Where a value stands in the tree: the keys and positions that lead to it.

use std::fmt;

/// A key path such as `routes[1].match.path`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

/// One step into a map or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into the list, counted from 0.
    Index(usize),
    /// Into the map.
    Key(String),
}

impl KeyPath {
    /// Returns the path one key further.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// Returns the path one list position further.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// Returns the steps from the root on.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Tells whether one of the two leads through the other, or they are the same.
    pub(super) fn is_related(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(ours, theirs)| ours == theirs)
    }

    /// Tells whether this path leads to the other, or they are the same.
    pub(super) fn leads_to(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.is_related(other)
    }

    /// Tells whether what stands at the path is, or may be meant as, a secret: `client_secret` is an easy slip, so that
    /// every key that speaks of one counts.
    pub(super) fn is_secret(&self) -> bool {
        self.secret_step().is_some()
    }

    /// Returns the position of the key that speaks of a secret.
    fn secret_step(&self) -> Option<usize> {
        // A name of the operator's own says nothing about what stands below it.
        let own = match self.0.first() {
            Some(Step::Key(key)) if OWN_NAMES.contains(&key.as_str()) => Some(1),
            _ => None,
        };
        self.0
            .iter()
            .enumerate()
            .position(|(position, step)| match step {
                Step::Index(_) => false,
                Step::Key(key) => Some(position) != own && key != KEYS && speaks_of_secret(key),
            })
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// Maps whose keys are names of the operator's own.
const OWN_NAMES: [&str; 4] = ["callers", "credentials", "issuers", "sandboxes"];

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret_step();
        for (position, step) in self.0.iter().enumerate() {
            match step {
                // A key that could not be read.
                Step::Key(key) if key.is_empty() => {}
                // A secret with a colon in it makes a map.
                Step::Key(_) if secret.is_some_and(|secret| secret < position) => {
                    f.write_str(".…")?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Tells whether `text` mentions a secret, a password or a key, also one that ids are hashed with.
pub(super) fn speaks_of_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    // `api_key_header` is the name of a field.
    if text.ends_with("_header") {
        return false;
    }
    // A proxy's URL may have a password in it.
    [
        "bearer", "hash", "secret", "password", "key", "private", "proxy",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// The key of a list whose entries have a secret in them, and more that is none.
const KEYS: &str = "encryption_keys";

/// Returns the path of a key at the top of the file.
pub(super) fn top(key: &str) -> KeyPath {
    KeyPath::default().key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_operators_write_it() {
        let path = top("routes").index(1).key("match").key("path");

        assert_eq!(path.to_string(), "routes[1].match.path");
    }

    #[test]
    fn a_key_below_a_secret_is_not_shown() {
        let credential = top("credentials").key("secret-garden");

        assert_eq!(
            credential.key("scopes").to_string(),
            "credentials.secret-garden.scopes"
        );
        let secrets = credential.key("client_secret");
        assert_eq!(
            secrets.key("p8e").to_string(),
            "credentials.secret-garden.client_secret.…"
        );
        assert!(secrets.is_secret() && !credential.is_secret());
    }

    #[test]
    fn of_an_encryption_key_only_the_id_is_shown() {
        let keys = top("shared").key("redis").key("encryption_keys");
        let first = keys.index(0);

        assert!(!keys.is_secret() && !first.key("id").is_secret());
        assert!(first.key("key").is_secret() && first.key("keys").is_secret());
        let redis = top("shared").key("redis");
        assert!(redis.key("password").is_secret() && redis.key("encryption_key").is_secret());
    }

    #[test]
    fn paths_on_one_line_of_descent_are_related() {
        let route = top("routes").index(1);

        assert!(route.is_related(&route.key("match")) && route.key("match").is_related(&route));
        assert!(!route.is_related(&top("routes").index(2)));
        assert!(!top("ims").is_related(&top("upstream")));
    }
}
