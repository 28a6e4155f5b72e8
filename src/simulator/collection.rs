//! A list of JSON documents with ids: what every configuration object and job is stored as.

use std::collections::VecDeque;

use serde_json::Value;

/// How many documents one collection keeps; beyond that the oldest goes.
const KEPT: usize = 10_000;

/// One stored document.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) created_ms: u64,
    /// When a deletion that was accepted takes effect.
    pub(super) gone_at_ms: Option<u64>,
    pub(super) document: Value,
}

/// Documents in the order they were stored.
#[derive(Debug, Default)]
pub(super) struct Collection {
    entries: VecDeque<Entry>,
}

impl Collection {
    pub(super) fn insert(&mut self, id: String, now_ms: u64, document: Value) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            id,
            created_ms: now_ms,
            gone_at_ms: None,
            document,
        });
    }

    /// Returns the documents that exist at `now_ms`.
    pub(super) fn present(&self, now_ms: u64) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.is_present(now_ms))
    }

    pub(super) fn get(&self, id: &str, now_ms: u64) -> Option<&Entry> {
        self.present(now_ms).find(|entry| entry.id == id)
    }

    pub(super) fn get_mut(&mut self, id: &str, now_ms: u64) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.id == id && entry.is_present(now_ms))
    }

    /// Has a document be gone at `at_ms`; tells whether there was one.
    pub(super) fn remove(&mut self, id: &str, now_ms: u64, at_ms: u64) -> bool {
        if at_ms > now_ms {
            return self
                .get_mut(id, now_ms)
                .map(|entry| entry.gone_at_ms = Some(at_ms))
                .is_some();
        }
        let found = self.get(id, now_ms).is_some();
        self.entries
            .retain(|entry| entry.id != id && entry.is_present(now_ms));
        found
    }
}

impl Entry {
    fn is_present(&self, now_ms: u64) -> bool {
        self.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_later_removal_takes_effect_later() {
        let mut collection = Collection::default();
        collection.insert("a".to_owned(), 0, json!({}));
        collection.insert("b".to_owned(), 0, json!({}));

        assert!(collection.remove("a", 0, 0));
        assert!(!collection.remove("a", 0, 0));
        assert!(collection.remove("b", 0, 10));

        assert!(collection.get("a", 0).is_none());
        assert!(collection.get("b", 9).is_some());
        assert!(collection.get("b", 10).is_none());
    }

    #[test]
    fn the_oldest_document_makes_room() {
        let mut collection = Collection::default();
        for number in 0..=KEPT {
            collection.insert(number.to_string(), 0, json!({}));
        }

        assert_eq!(collection.present(0).count(), KEPT);
        assert!(collection.get("0", 0).is_none());
        assert!(collection.get("1", 0).is_some());
    }
}
