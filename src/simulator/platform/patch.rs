//! Changes to a stored document: Adobe's JSON Patch, or an object whose fields replace those of the same name.

use serde_json::Value;

use crate::simulator::profiles::put;

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatchError {
    /// The payload is neither an array nor an object.
    #[error("a patch must be a JSON Patch array or an object")]
    NotAPatch,
    /// An operation without `op`, `path` or the value it needs.
    #[error("an operation needs op, path and, to add or replace, value")]
    Incomplete,
    /// An operation other than add, replace and remove.
    #[error("unknown op {0}")]
    UnknownOperation(String),
}

/// Applies `patch` to `document`.
///
/// Paths begin with a slash; inside them a dot parts names just as a slash does, since Adobe's own sample
/// says `/identityGraph.type`. A `test` operation is not known, as at Adobe.
///
/// # Errors
/// The patch does not make sense; `document` may then hold its first operations.
pub(super) fn apply(document: &mut Value, patch: &Value) -> Result<(), PatchError> {
    if let Some(new) = patch.as_object() {
        for (name, value) in new {
            if let Some(fields) = document.as_object_mut() {
                fields.insert(name.clone(), value.clone());
            }
        }
        return Ok(());
    }
    let operations = patch.as_array().ok_or(PatchError::NotAPatch)?;
    for operation in operations {
        let text = |name| operation.get(name).and_then(Value::as_str);
        let (Some(name), Some(path)) = (text("op"), text("path")) else {
            return Err(PatchError::Incomplete);
        };
        let path = path.strip_prefix('/').unwrap_or(path).replace('/', ".");
        match name {
            "add" | "replace" => {
                let value = operation.get("value").ok_or(PatchError::Incomplete)?;
                put(document, &path, value.clone());
            }
            "remove" => remove(document, &path),
            other => return Err(PatchError::UnknownOperation(other.to_owned())),
        }
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) {
    let (parent, name) = match path.rsplit_once('.') {
        Some((parent, name)) => (Some(parent), name),
        None => (None, path),
    };
    let holder = match parent {
        None => Some(document),
        Some(parent) => parent
            .split('.')
            .try_fold(document, |value, name| value.get_mut(name)),
    };
    if let Some(fields) = holder.and_then(Value::as_object_mut) {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_follow_slashes_and_dots() {
        let mut document = json!({"identityGraph": {"type": "none"}, "a": {"b": 1}, "c": 2});
        let patch = json!([
            {"op": "add", "path": "/identityGraph.type", "value": "pdg"},
            {"op": "remove", "path": "/a/b"},
            {"op": "remove", "path": "/c"},
            {"op": "replace", "path": "/d", "value": [1]},
        ]);

        apply(&mut document, &patch).unwrap();

        assert_eq!(
            document,
            json!({"identityGraph": {"type": "pdg"}, "a": {}, "d": [1]})
        );
    }

    #[test]
    fn an_object_replaces_fields_by_name() {
        let mut document = json!({"a": {"b": 1}, "c": 2});

        apply(&mut document, &json!({"a": 1})).unwrap();

        assert_eq!(document, json!({"a": 1, "c": 2}));
    }

    #[test]
    fn nonsense_is_refused() {
        let cases = [
            (json!(1), PatchError::NotAPatch),
            (json!([{"op": "add", "path": "/a"}]), PatchError::Incomplete),
            (json!([{"path": "/a"}]), PatchError::Incomplete),
            (
                json!([{"op": "test", "path": "/a", "value": 1}]),
                PatchError::UnknownOperation("test".to_owned()),
            ),
        ];
        for (patch, expected) in cases {
            assert_eq!(apply(&mut json!({}), &patch), Err(expected));
        }
    }
}
