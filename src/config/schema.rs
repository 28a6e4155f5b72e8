//! The JSON Schema of the configuration file.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::file::File;
use super::format::Format;
use super::name::{Account, FileMode};
use super::quantity::ByteSize;

/// Returns the JSON Schema (draft 2020-12) of the configuration file, for editors and linters.
///
/// Where a value is not a free text anyway, it also admits a text with a reference (`${env:NAME}`, `${file:/path}`), since
/// any value may come from one.
pub fn schema() -> Value {
    let mut schema = CHECKED.clone();
    publish(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!("profile-gateway configuration"));
    }
    schema
}

/// The schema as the types make it, without `$ref`, which the checker walks.
pub(super) static CHECKED: LazyLock<Value> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value();
    tidy(&mut schema);
    schema
});

/// Applies `change` to every schema inside `schema`.
fn each_inside(schema: &mut Map<String, Value>, change: fn(&mut Value)) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(change);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key) {
            change(inner);
        }
    }
    if let Some(variants) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        variants.iter_mut().for_each(change);
    }
}

/// Takes out what only says how this program holds a value.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.get("type").and_then(Value::as_str) == Some("integer") {
        object.remove("format");
    }
    // The comment on the type says less than the one on the key, which stays.
    if let Some(text) = object
        .get_mut("description")
        .filter(|text| text.is_string())
    {
        *text = json!(text.as_str().unwrap_or_default().replace('\n', " "));
    }
    each_inside(object, tidy);
}

/// Makes of the schema what a file may be held against before references are filled in.
fn publish(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    each_inside(object, publish);
    // No value is not a value a file may have.
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(defaults) = object.get_mut("default").and_then(Value::as_object_mut) {
        defaults.retain(|_, value| !value.is_null());
    }
    // YAML reads these as numbers when they are digits alone.
    let digits = [Account::NAME, ByteSize::NAME, FileMode::NAME];
    let format = object.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| digits.contains(&format)) {
        object.insert("type".to_owned(), json!(["string", "integer"]));
    }
    let kind = object.get("type").and_then(Value::as_str);
    if matches!(kind, Some("integer" | "boolean")) || object.contains_key("enum") {
        admit_reference(object);
    }
}

fn admit_reference(object: &mut Map<String, Value>) {
    let mut rule = Map::new();
    for key in ["type", "enum", "minimum", "maximum"] {
        if let Some(value) = object.remove(key) {
            rule.insert(key.to_owned(), value);
        }
    }
    let reference = json!({ "type": "string", "pattern": r"\$\{(env|file):" });
    object.insert("anyOf".to_owned(), json!([rule, reference]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(schema: &Value, path: &str, seen: &mut dyn FnMut(&str, &Value, bool)) {
        let required = schema.get("required").and_then(Value::as_array);
        for (key, inner) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = format!("{path}.{key}");
            let needed = required.is_some_and(|required| required.contains(&json!(key)));
            seen(&path, inner, needed);
            visit(inner, &path, seen);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(key) {
                visit(inner, path, seen);
            }
        }
        let variants = schema.get("anyOf").and_then(Value::as_array);
        for variant in variants.into_iter().flatten() {
            visit(variant, path, seen);
        }
    }

    #[test]
    fn every_key_has_a_description_and_a_default_or_is_required() {
        let mut keys = 0;
        visit(&CHECKED, "", &mut |path, schema, required| {
            keys += 1;
            let description = schema.get("description").and_then(Value::as_str);
            assert!(
                description.is_some_and(|text| text.ends_with('.')),
                "{path}"
            );
            assert_ne!(
                schema.get("default").is_some(),
                required,
                "{path}: {schema}"
            );
        });

        assert!(keys > 50, "{keys}");
    }

    #[test]
    fn every_map_is_closed_and_every_format_known() {
        fn walk(value: &Value) {
            if let Some(object) = value.as_object() {
                if object.contains_key("properties") && object.contains_key("type") {
                    assert_eq!(
                        object.get("additionalProperties"),
                        Some(&json!(false)),
                        "{value}"
                    );
                }
                if let Some(format) = object.get("format").and_then(Value::as_str) {
                    assert!(
                        crate::config::name::FORMATS
                            .iter()
                            .any(|known| known.name == format),
                        "{format}"
                    );
                }
                assert!(
                    !object.contains_key("$ref") && !object.contains_key("oneOf"),
                    "{value}"
                );
                let inner = object.iter().filter(|(key, _)| *key != "default");
                inner.for_each(|(_, value)| walk(value));
            } else if let Some(items) = value.as_array() {
                items.iter().for_each(walk);
            }
        }

        walk(&CHECKED);
    }

    #[test]
    fn a_number_may_come_from_the_environment() {
        let schema = schema();
        let in_flight = schema.pointer("/properties/in_flight/anyOf").unwrap();

        assert_eq!(in_flight[0]["type"], "integer");
        assert_eq!(in_flight[1]["pattern"], r"\$\{(env|file):");
    }
}
