//! Profiles and their events, and how a request names them.

use serde_json::{Map, Value, json};

/// The schema of people.
pub(super) const PROFILE: &str = "_xdm.context.profile";
/// The schema of what people do.
pub(super) const EVENT: &str = "_xdm.context.experienceevent";

/// One entity: a person, or an account.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) schema: &'static str,
    /// Adobe's own id, an opaque text.
    pub(super) xid: String,
    /// Namespace code and id of each identity.
    pub(super) identities: Vec<(String, String)>,
    pub(super) entity: Value,
    pub(super) sources: Vec<String>,
    pub(super) last_modified: String,
    /// When a deletion that was accepted takes effect.
    pub(super) gone_at_ms: Option<u64>,
}

/// Something a person did.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) xid: String,
    /// The profile it belongs to.
    pub(super) related_xid: String,
    pub(super) timestamp_ms: u64,
    pub(super) entity: Value,
    pub(super) last_modified: String,
}

/// How a request names a profile: by an id in a namespace, or by Adobe's own id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) namespace: Option<String>,
}

impl Profile {
    /// Tells whether `identity` names this profile. Namespace codes are compared without case.
    pub(super) fn is(&self, schema: &str, identity: &Identity, now_ms: u64) -> bool {
        let named = match &identity.namespace {
            None => self.xid == identity.id,
            Some(namespace) => self
                .identities
                .iter()
                .any(|(code, id)| code.eq_ignore_ascii_case(namespace) && *id == identity.id),
        };
        named && self.schema == schema && self.is_present(now_ms)
    }

    pub(super) fn is_present(&self, now_ms: u64) -> bool {
        self.gone_at_ms.is_none_or(|gone_at_ms| now_ms < gone_at_ms)
    }

    /// Returns the profile as Adobe shows it, cut down to `fields` unless that is empty.
    pub(super) fn to_json(&self, fields: &[String]) -> Value {
        json!({
            "entityId": self.xid,
            "sources": self.sources,
            "entity": select(&self.entity, fields),
            "lastModifiedAt": self.last_modified,
        })
    }
}

impl Event {
    /// Returns the event as Adobe shows it, cut down to `fields` unless that is empty.
    pub(super) fn to_json(&self, fields: &[String]) -> Value {
        json!({
            "relatedEntityId": self.related_xid,
            "entityId": self.xid,
            "timestamp": self.timestamp_ms,
            "entity": select(&self.entity, fields),
            "lastModifiedAt": self.last_modified,
        })
    }
}

/// Returns only the dotted paths `fields` of an object; all of it when there are none.
fn select(entity: &Value, fields: &[String]) -> Value {
    if fields.is_empty() {
        return entity.clone();
    }
    let mut selected = Value::Object(Map::new());
    for field in fields {
        if let Some(value) = at(entity, field) {
            put(&mut selected, field, value.clone());
        }
    }
    selected
}

/// Returns what is at a dotted path.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// Puts `new` at a dotted path, making the objects on the way.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    match rest {
        None => {
            fields.insert(name.to_owned(), new);
        }
        Some(rest) => put(fields.entry(name).or_insert(Value::Null), rest, new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_dotted_paths() {
        let entity = json!({"person": {"name": {"firstName": "Jane", "lastName": "Doe"}}, "a": 1});
        let cases: [(&[&str], Value); 4] = [
            (&[], entity.clone()),
            (&["a"], json!({"a": 1})),
            (
                &["person.name.firstName", "a"],
                json!({"person": {"name": {"firstName": "Jane"}}, "a": 1}),
            ),
            (&["nothing.here"], json!({})),
        ];
        for (fields, expected) in cases {
            let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();

            assert_eq!(select(&entity, &fields), expected, "{fields:?}");
        }
    }
}
