//! The tree against the schema: every structural fault at once, and each scalar in the type the schema names.
//!
//! What is wrong is left out, or replaced by a stand-in where the file must have it, so that the cross-checks
//! can go on and tell what else is wrong.

mod scalar;
mod stand_in;

use serde_json::{Map, Value};

use super::name::FORMATS;
use super::nearest::nearest;
use super::path::KeyPath;
use super::report::{Fault, Report};
use super::tree::{Content, Entry, Node};
use scalar::{describe, fits_scalar, words};
use stand_in::stand_in;

/// Checks `root` against `schema` and returns it as a value that the schema's type deserializes from.
pub(super) fn check(root: &Node, schema: &Value, report: &mut Report) -> Value {
    let path = KeyPath::default();
    Checker { report }
        .value(root, schema, &path)
        .unwrap_or_else(|| stand_in(schema))
}

struct Checker<'a> {
    report: &'a mut Report,
}

impl Checker<'_> {
    /// Returns the value, or `None` when it is wrong and reported.
    fn value(&mut self, node: &Node, schema: &Value, path: &KeyPath) -> Option<Value> {
        match &node.content {
            Content::Broken => return None,
            Content::Scalar(scalar) if scalar.is_nothing() => {
                let fault = Fault::new(node.place, path, "has no value");
                let help =
                    "leave the key out for its default, or put the word in quotes if it is a text";
                return self.wrong(path, fault.help(help));
            }
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {}
        }
        if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
            return self.any_of(node, variants, path);
        }
        match &node.content {
            Content::Broken => None,
            Content::List(items) if kind(schema) == "array" => self.list(node, items, schema, path),
            Content::Map(entries) if kind(schema) == "object" => {
                Some(self.map(node, entries, schema, path))
            }
            Content::Scalar(scalar) => self.scalar(node, scalar, schema, path),
            Content::List(_) | Content::Map(_) => self.wrong_kind(node, schema, path),
        }
    }

    /// Takes the variant that is of the kind of the node, and lets it complain.
    fn any_of(&mut self, node: &Node, variants: &[Value], path: &KeyPath) -> Option<Value> {
        let fits = |variant: &&Value| match &node.content {
            Content::Broken => false,
            Content::List(_) => kind(variant) == "array",
            Content::Map(_) => kind(variant) == "object",
            Content::Scalar(scalar) => fits_scalar(variant, scalar),
        };
        if let Some(variant) = variants.iter().find(fits) {
            return self.value(node, variant, path);
        }
        let list: Vec<String> = variants.iter().rev().map(describe).collect();
        let list = list.join(" or ");
        let message = format!("must be {list}");
        match &node.content {
            Content::Scalar(scalar) => self.complain(
                node,
                scalar,
                path,
                &message,
                &format!("is not {list}"),
                None,
            ),
            Content::Broken | Content::List(_) | Content::Map(_) => {
                self.wrong(path, Fault::new(node.place, path, message))
            }
        }
    }

    fn list(
        &mut self,
        node: &Node,
        items: &[Node],
        schema: &Value,
        path: &KeyPath,
    ) -> Option<Value> {
        let bound = |name| {
            schema
                .get(name)
                .and_then(Value::as_u64)
                .and_then(|it| usize::try_from(it).ok())
        };
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(usize::MAX);
        if items.len() < least {
            return self.wrong(
                path,
                Fault::new(node.place, path, "must have at least one entry"),
            );
        }
        if items.len() > most {
            let message = format!("has {} entries; at most {most} are possible", items.len());
            return self.wrong(path, Fault::new(node.place, path, message));
        }
        let schema_of_items = schema.get("items").unwrap_or(&Value::Null);
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut values: Vec<Value> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = path.index(index);
            let value = match self.value(item, schema_of_items, &path) {
                Some(value) => value,
                // The entry stays, so that the ones after it keep their places.
                None => stand_in(schema_of_items),
            };
            if unique && values.contains(&value) && !self.report.is_tainted(&path) {
                self.wrong(
                    &path,
                    Fault::new(item.place, &path, "stands in the list twice"),
                );
            }
            values.push(value);
        }
        Some(Value::Array(values))
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: &Value, path: &KeyPath) -> Value {
        let none = Map::new();
        let known = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let written = |key: &str| entries.iter().any(|entry| entry.key == key);
        let free: Vec<&str> = known
            .keys()
            .map(String::as_str)
            .filter(|key| !written(key))
            .collect();
        let mut values = Map::new();
        for entry in entries {
            let path_of_entry = path.key(&entry.key);
            if let Some(inner) = known.get(&entry.key) {
                if let Some(value) = self.value(&entry.value, inner, &path_of_entry) {
                    values.insert(entry.key.clone(), value);
                }
            } else if let Some(inner) = schema
                .get("additionalProperties")
                .filter(|it| it.is_object())
            {
                self.name(entry, schema, &path_of_entry);
                let value = self.value(&entry.value, inner, &path_of_entry);
                values.insert(entry.key.clone(), value.unwrap_or_else(|| stand_in(inner)));
            } else {
                // Past the bound nobody reads the hint, and a hostile file would make it costly.
                let names = free.iter().copied().filter(|_| !self.report.is_full());
                let near = nearest(&entry.key, names);
                if let Some(near) = near {
                    self.report.taint(&path.key(near));
                }
                let fault = Fault::new(entry.place, &path_of_entry, "there is no such key here");
                let keys = || {
                    known
                        .keys()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let help = near.map_or_else(
                    || format!("the keys here are {}", keys()),
                    |near| format!("did you mean `{near}`?"),
                );
                self.wrong(&path_of_entry, fault.help(help));
            }
        }
        if values.len() < least(schema) {
            self.wrong(
                path,
                Fault::new(node.place, path, "must have at least one entry"),
            );
        }
        for key in required(schema) {
            let inner = known.get(key).unwrap_or(&Value::Null);
            let path = path.key(key);
            // A slip of the pen for this key has been reported, or the file that may hold it is broken.
            if !written(key) && !self.report.is_tainted(&path) {
                let fault = Fault::new(node.place, &path, "is missing");
                self.wrong(&path, add_description(fault, inner));
            }
            values.entry(key).or_insert_with(|| stand_in(inner));
        }
        Value::Object(values)
    }

    /// Checks a name that the operator chose.
    fn name(&mut self, entry: &Entry, schema: &Value, path: &KeyPath) {
        let format = schema
            .pointer("/propertyNames/format")
            .and_then(Value::as_str);
        let known = format.and_then(|format| FORMATS.iter().find(|known| known.name == format));
        if let Some(Err(message)) = known.map(|known| (known.parse)(&entry.key)) {
            let message = format!("the name {message}");
            self.wrong(path, Fault::new(entry.place, path, message));
        }
    }

    fn wrong_kind(&mut self, node: &Node, schema: &Value, path: &KeyPath) -> Option<Value> {
        let words = schema.get("items").and_then(words);
        let message = match (kind(schema), words) {
            ("array", Some(_)) => format!("must be {}", describe(schema)),
            ("array", None) => "must be a list: [first, second]".to_owned(),
            ("object", _) => "must be a map: keys with values".to_owned(),
            ("integer", _) => "must be a whole number".to_owned(),
            ("boolean", _) => "must be true or false".to_owned(),
            _ => "must be a text".to_owned(),
        };
        self.wrong(path, Fault::new(node.place, path, message))
    }

    fn wrong(&mut self, path: &KeyPath, fault: Fault) -> Option<Value> {
        self.report.add_tainting(path, fault);
        None
    }
}

fn kind(schema: &Value) -> &str {
    schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn least(schema: &Value) -> usize {
    let least = schema.get("minProperties").and_then(Value::as_u64);
    least
        .and_then(|least| usize::try_from(least).ok())
        .unwrap_or(0)
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().filter_map(Value::as_str)
}

/// Adds what the missing value is, with an example.
fn add_description(fault: Fault, schema: &Value) -> Fault {
    let description = schema.get("description").and_then(Value::as_str);
    let first = description.and_then(|text| text.split_inclusive(". ").next());
    match first {
        Some(first) => fault.help(first.trim_end().trim_end_matches('.')),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::CHECKED;
    use crate::config::yaml;

    /// Every schema within `schema`, with where it stands.
    fn all<'a>(schema: &'a Value, at: &str, into: &mut Vec<(String, &'a Value)>) {
        into.push((at.to_owned(), schema));
        let inner = schema.get("properties").and_then(Value::as_object);
        for (key, inner) in inner.into_iter().flatten() {
            all(inner, &format!("{at}.{key}"), into);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
                all(inner, &format!("{at}.{key}"), into);
            }
        }
        let variants = schema.get("anyOf").and_then(Value::as_array);
        for inner in variants.into_iter().flatten() {
            all(inner, at, into);
        }
    }

    #[test]
    fn whatever_kind_of_value_a_key_has_it_is_taken_or_told() {
        let mut schemas = Vec::new();
        all(&CHECKED, "", &mut schemas);
        assert!(schemas.len() > 300, "{}", schemas.len());

        for (at, schema) in schemas {
            for text in [
                "read", "7", "true", "''", "[~]", "[x]", "{}", "{ x: y }", "~",
            ] {
                let mut report = Report::default();
                let node = yaml::read("test.yaml", text, &mut report);
                let path = KeyPath::default();

                let taken = Checker {
                    report: &mut report,
                }
                .value(&node, schema, &path);

                assert!(taken.is_some() || !report.is_clean(), "{at}: {text}");
            }
        }
    }
}
