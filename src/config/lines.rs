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
            node = node.and_then(|node| further(node, step));
        }
        let at = node.and_then(|node| {
            let file = self.files.get(node.place.text)?;
            Some(format!("{file}:{}", node.place.line))
        });
        Said { key, at }
    }
}

impl Lines {
    /// Tells whether there is a map at `steps`.
    pub fn is_map(&self, steps: &[&str]) -> bool {
        let node = self.node(steps);
        node.is_some_and(|node| matches!(node.content, Content::Map(_)))
    }

    /// Returns how many items the list at `steps` has: none where there is no list.
    pub fn items(&self, steps: &[&str]) -> usize {
        match self.node(steps).map(|node| &node.content) {
            Some(Content::List(items)) => items.len(),
            Some(Content::Broken | Content::Map(_) | Content::Scalar(_)) | None => 0,
        }
    }

    /// Returns the text at `steps`, where one is written.
    pub fn text(&self, steps: &[&str]) -> Option<&str> {
        match &self.node(steps)?.content {
            Content::Scalar(scalar) => Some(scalar.text()),
            Content::Broken | Content::List(_) | Content::Map(_) => None,
        }
    }

    fn node(&self, steps: &[&str]) -> Option<&Node> {
        let mut steps = steps.iter();
        steps.try_fold(&self.root, |node, step| further(node, step))
    }
}

/// Returns the value one step further in: a key, or a place in a list.
fn further<'a>(node: &'a Node, step: &str) -> Option<&'a Node> {
    let step = match node.content {
        Content::List(_) => Step::Index(step.parse().ok()?),
        Content::Broken | Content::Map(_) | Content::Scalar(_) => Step::Key(step.to_owned()),
    };
    node.child(&step)
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
