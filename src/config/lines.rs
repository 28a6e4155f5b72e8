//! Where what a configuration says stands in its files.

use std::fmt::{self, Write};

use super::report::Report;
use super::tree::{Content, Node};
use crate::config::path::Step;

/// Where what a configuration says stands in its files.
pub struct Lines {
    root: Node,
    /// The names of the files, by the texts that places are in.
    files: Vec<String>,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The key path, such as `routes[1].match.host`.
    pub key: String,
    /// The file and line, such as `gateway.yaml:17`. `None`: it is not written, and the default holds.
    pub at: Option<String>,
}

impl Lines {
    pub(super) fn new(root: Node, report: &Report) -> Self {
        Self {
            root,
            files: report.names(),
        }
    }

    /// Returns where the value at `steps` is said: keys, and places in lists, counted from 0.
    pub fn of(&self, steps: &[&str]) -> Said {
        let mut key = String::new();
        let mut node = Some(&self.root);
        for step in steps {
            let in_list = node.is_some_and(|node| matches!(node.content, Content::List(_)));
            let is_index = in_list || (node.is_none() && step.parse::<usize>().is_ok());
            // Writing to memory cannot fail.
            if is_index {
                let _ = write!(key, "[{step}]");
            } else {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(step);
            }
            node = node.and_then(|node| match (in_list, step.parse()) {
                (true, Ok(index)) => node.child(&Step::Index(index)),
                (true, Err(_)) => None,
                (false, _) => node.child(&Step::Key((*step).to_owned())),
            });
        }
        let at = node.and_then(|node| {
            let file = self.files.get(node.place.text)?;
            Some(format!("{file}:{}", node.place.line))
        });
        Said { key, at }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
