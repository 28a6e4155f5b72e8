//! Legal values that stand in for wrong ones.

use serde_json::Value;

use super::{kind, required};

/// Returns a legal value that stands in for a wrong one.
pub(super) fn stand_in(schema: &Value) -> Value {
    if let Some(first) = schema
        .get("enum")
        .or(schema.get("examples"))
        .and_then(|it| it.get(0))
    {
        return first.clone();
    }
    if let Some(first) = schema.get("anyOf").and_then(|variants| variants.get(0)) {
        return stand_in(first);
    }
    match kind(schema) {
        "array" if schema.get("minItems").is_some() => {
            Value::Array(vec![stand_in(schema.get("items").unwrap_or(&Value::Null))])
        }
        "array" => Value::Array(Vec::new()),
        "boolean" => Value::Bool(false),
        "integer" => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
        "object" => {
            let inner = |key: &str| schema.get("properties").and_then(|known| known.get(key));
            let value = |key: &str| (key.to_owned(), stand_in(inner(key).unwrap_or(&Value::Null)));
            Value::Object(required(schema).map(value).collect())
        }
        _ => Value::Null,
    }
}
