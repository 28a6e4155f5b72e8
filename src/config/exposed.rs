//! Files that hold a secret, and which of them every user of the machine may read.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::outline::HIDDEN;
use super::report::Report;
use super::sources::Sources;
use super::tree::{Content, Node};

/// A file that holds a secret, and that every user of the machine may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits; those of what a symbolic link leads to.
    pub mode: u32,
}

impl Exposed {
    /// What to do about it.
    pub const HELP: &'static str = "take the right to read from others, as `chmod o-r` does; in a Secret volume of Kubernetes with \
         `defaultMode: 0440`, and the pod's `fsGroup` so that the gateway can read it";
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode } = self;
        write!(
            f,
            "{}: the file holds a secret, and everybody may read it (mode {mode:04o})",
            path.display()
        )
    }
}

/// The files that hold a secret, each once.
#[derive(Default)]
pub(super) struct Holders(BTreeSet<PathBuf>);

impl Holders {
    /// Adds a file.
    pub(super) fn add(&mut self, file: &Path) {
        self.0.insert(file.to_owned());
    }

    /// Adds the files that the secrets among the values stand in: those that are referred to, and the configuration's own
    /// where something of a secret is written there. `complete` has the values as they are shown, by which secrets are known.
    pub(super) fn add_of(&mut self, node: &Node, complete: &Value, report: &Report) {
        match &node.content {
            Content::Broken => {}
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let complete = complete.get(index).unwrap_or(&Value::Null);
                    self.add_of(item, complete, report);
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    let complete = complete.get(&entry.key).unwrap_or(&Value::Null);
                    self.add_of(&entry.value, complete, report);
                }
            }
            Content::Scalar(scalar) => {
                let shown = complete.as_str().filter(|it| it.contains(HIDDEN));
                let Some(shown) = shown else { return };
                let stands_here = match &scalar.filled {
                    Some(filled) => {
                        self.0.extend(filled.files.iter().cloned());
                        let secret = secret_in(&filled.text, shown);
                        let overlaps =
                            |own: &Range<usize>| own.start < secret.end && secret.start < own.end;
                        filled.own.iter().any(overlaps)
                    }
                    None => true,
                };
                if stands_here {
                    self.add(Path::new(report.name(node.place)));
                }
            }
        }
    }

    /// Returns those that everybody may read, in the order of their names.
    pub(super) fn exposed(self, sources: &dyn Sources) -> Vec<Exposed> {
        let exposed = |path: PathBuf| {
            let mode = sources.mode_if_open_to_all(&path)?;
            Some(Exposed { path, mode })
        };
        self.0.into_iter().filter_map(exposed).collect()
    }
}

/// Returns which part of a text is secret, of which all is shown but that: the whole, or in a URL the password, or else the
/// user.
fn secret_in(text: &str, shown: &str) -> Range<usize> {
    let whole = 0..text.len();
    if shown == HIDDEN {
        return whole;
    }
    let login = || {
        let (_, rest) = text.split_once("://")?;
        let (login, _) = rest.rsplit_once('@')?;
        let end = text.len() - (rest.len() - login.len());
        let secret = login
            .split_once(':')
            .map_or(login, |(_, password)| password);
        Some(end - secret.len()..end)
    };
    login().unwrap_or(whole)
}
