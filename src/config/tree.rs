//! The tree of a configuration, whose every key and value knows its place.

use std::ops::Range;
use std::path::PathBuf;

use super::path::{KeyPath, Step};
use super::text::Place;

/// A value and its place.
pub(super) struct Node {
    /// Where it stands. For a map or list that is a value in a map: where its key stands.
    pub(super) place: Place,
    /// What it is.
    pub(super) content: Content,
}

/// What a node is.
pub(super) enum Content {
    /// Something that was refused, with its fault reported.
    Broken,
    /// A list.
    List(Vec<Node>),
    /// A map, its keys unique.
    Map(Vec<Entry>),
    /// A scalar.
    Scalar(Scalar),
}

/// A key with its value.
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Place,
    /// The value.
    pub(super) value: Node,
}

/// A scalar.
pub(super) struct Scalar {
    /// The text as it stands in the file, quotes and escapes resolved.
    pub(super) written: String,
    /// Whether it stands without quotes, so that it may be a number, a boolean or nothing.
    pub(super) plain: bool,
    /// What the references in it gave, if there are any.
    pub(super) filled: Option<Filled>,
}

/// The text of a scalar with its references replaced.
pub(super) struct Filled {
    /// The text. It may be a secret.
    pub(super) text: String,
    /// The references, as they stand in the file.
    pub(super) references: String,
    /// The files that they name.
    pub(super) files: Vec<PathBuf>,
    /// The parts of the text that stand in the configuration itself: what is around the references, and defaults.
    pub(super) own: Vec<Range<usize>>,
}

impl Entry {
    /// Puts a key and its value together. A map or list is shown by its key from then on.
    pub(super) fn new(key: String, place: Place, mut value: Node) -> Self {
        if matches!(value.content, Content::List(_) | Content::Map(_)) {
            value.place = place;
        }
        Self { key, place, value }
    }
}

impl Scalar {
    /// Returns the text that counts.
    pub(super) fn text(&self) -> &str {
        self.filled
            .as_ref()
            .map_or(&self.written, |filled| &filled.text)
    }

    /// Tells whether it is one of the spellings of no value at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.plain && matches!(self.written.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// Stands for something that was refused.
    pub(super) fn broken(place: Place) -> Self {
        Self {
            place,
            content: Content::Broken,
        }
    }

    /// Returns the value one step further in.
    pub(super) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.content, step) {
            (Content::List(items), Step::Index(index)) => items.get(*index),
            (Content::Map(entries), Step::Key(key)) => entries
                .iter()
                .find(|entry| entry.key == *key)
                .map(|entry| &entry.value),
            _ => None,
        }
    }

    /// Returns the value at `path`, or `None` when the file leaves it to its default.
    pub(super) fn at(&self, path: &KeyPath) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |node, step| node.child(step))
    }

    /// Returns the place of the value at `path`, or of the nearest thing around it that is written.
    pub(super) fn place_of(&self, path: &KeyPath) -> Place {
        let mut node = self;
        for step in path.steps() {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.place
    }

    /// Returns the place of the key at `path`, or of the nearest thing around it that is written.
    pub(super) fn place_of_key(&self, path: &KeyPath) -> Place {
        if let Some((Step::Key(key), around)) = path.steps().split_last()
            && let Some(map) = around.iter().try_fold(self, |node, step| node.child(step))
            && let Content::Map(entries) = &map.content
            && let Some(entry) = entries.iter().find(|entry| entry.key == *key)
        {
            return entry.place;
        }
        self.place_of(path)
    }

    /// Returns the keys of a map in the order they are written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.content {
            Content::Map(entries) => entries.as_slice(),
            Content::Broken | Content::List(_) | Content::Scalar(_) => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }
}
