//! The tree against the schema: every structural fault at once, and each scalar in the type the schema names.
//!
//! What is wrong is left out, or replaced by a stand-in where the file must have it, so that the cross-checks
//! can go on and tell what else is wrong.

use serde_json::{Map, Value};

use super::name::FORMATS;
use super::nearest::nearest;
use super::path::KeyPath;
use super::report::{Fault, Report};
use super::tree::{Content, Entry, Node, Scalar};

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
        if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
            return self.any_of(node, variants, path);
        }
        match &node.content {
            Content::Broken => None,
            Content::Scalar(scalar) if scalar.is_nothing() => {
                let fault = Fault::new(node.place, path, "has no value");
                let help =
                    "leave the key out for its default, or put the word in quotes if it is a text";
                self.wrong(path, fault.help(help))
            }
            Content::List(items) if kind(schema) == "array" => self.list(node, items, schema, path),
            Content::Map(entries) if kind(schema) == "object" => {
                Some(self.map(node, entries, schema, path))
            }
            Content::Scalar(scalar) => self.scalar(node, scalar, schema, path),
            Content::List(_) | Content::Map(_) => self.wrong_kind(node, kind(schema), path),
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
        let first_scalar = || {
            let mut scalars = variants.iter();
            scalars.find(|variant| !matches!(kind(variant), "array" | "object"))
        };
        let variant = variants.iter().find(fits).or_else(first_scalar)?;
        if let Content::Scalar(scalar) = &node.content
            && !scalar.is_nothing()
            && let Some(words) = variant.get("enum").and_then(Value::as_array)
            && !words.iter().any(|word| word == scalar.text())
        {
            let list: Vec<String> = variants.iter().rev().map(describe).collect();
            let list = list.join(" or ");
            let message = format!("must be {list}");
            return self.complain(
                node,
                scalar,
                path,
                &message,
                &format!("is not {list}"),
                None,
            );
        }
        self.value(node, variant, path)
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
                let free = known
                    .keys()
                    .filter(|key| entries.iter().all(|entry| entry.key != **key));
                let near = nearest(&entry.key, free.map(String::as_str));
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
            let written = entries.iter().any(|entry| entry.key == key);
            // A slip of the pen for this key has been reported, or the file that may hold it is broken.
            if !written && !self.report.is_tainted(&path) {
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

    fn scalar(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        schema: &Value,
        path: &KeyPath,
    ) -> Option<Value> {
        let text = scalar.text();
        if scalar.filled.is_some() && text.is_empty() {
            return self.complain(node, scalar, path, "is empty", "is empty", None);
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return self.word(node, scalar, words, path);
        }
        match kind(schema) {
            "string" => self.text(node, scalar, schema, path),
            "boolean" => match text {
                "true" | "false" if is_bare(scalar) => Some(Value::Bool(text == "true")),
                _ => self.complain(
                    node,
                    scalar,
                    path,
                    "must be true or false",
                    "is not true or false",
                    None,
                ),
            },
            "integer" => self.integer(node, scalar, schema, path),
            other => self.wrong_kind(node, other, path),
        }
    }

    fn word(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        words: &[Value],
        path: &KeyPath,
    ) -> Option<Value> {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        if words.contains(&scalar.text()) {
            return Some(Value::String(scalar.text().to_owned()));
        }
        let (last, others) = words.split_last()?;
        let list = if others.is_empty() {
            (*last).to_owned()
        } else {
            format!("{} or {last}", others.join(", "))
        };
        let near = nearest(scalar.text(), words.iter().copied());
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let message = format!("must be {list}");
        self.complain(
            node,
            scalar,
            path,
            &message,
            &format!("is not {list}"),
            help,
        )
    }

    fn text(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        schema: &Value,
        path: &KeyPath,
    ) -> Option<Value> {
        let format = schema.get("format").and_then(Value::as_str);
        if let Some(known) = FORMATS.iter().find(|known| Some(known.name) == format) {
            let magnitude = match (known.parse)(scalar.text()) {
                Ok(magnitude) => magnitude,
                Err(message) => {
                    let about = format!("is not {}", known.what);
                    return self.complain(node, scalar, path, &message, &about, None);
                }
            };
            let bound = |name| {
                let text = schema.get(name)?.as_str()?;
                Some((text, (known.parse)(text).ok()??))
            };
            if let (Some(value), Some((least, low)), Some((most, high))) =
                (magnitude, bound("x-minimum"), bound("x-maximum"))
                && !(low..=high).contains(&value)
            {
                return self.out_of_range(node, scalar, path, least, most);
            }
        }
        Some(Value::String(scalar.text().to_owned()))
    }

    fn integer(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        schema: &Value,
        path: &KeyPath,
    ) -> Option<Value> {
        let text = scalar.text();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        if !digits || !is_bare(scalar) {
            let help = (digits && !is_bare(scalar)).then(|| "take the quotes off".to_owned());
            return self.complain(
                node,
                scalar,
                path,
                "must be a whole number",
                "is not a whole number",
                help,
            );
        }
        let bound = |name| schema.get(name).and_then(Value::as_u64);
        let least = bound("minimum").unwrap_or(0);
        // What has no bound of its own is held in 32 bits.
        let most = bound("maximum").unwrap_or(u32::MAX.into());
        match text.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Some(Value::from(number)),
            _ => self.out_of_range(node, scalar, path, &least.to_string(), &most.to_string()),
        }
    }

    fn out_of_range(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        path: &KeyPath,
        least: &str,
        most: &str,
    ) -> Option<Value> {
        let message = format!("must be from {least} to {most}");
        let about = format!("is not from {least} to {most}");
        self.complain(node, scalar, path, &message, &about, None)
    }

    /// Reports a wrong scalar: by `message` when it stands in the file, and by `about` when it came from elsewhere, since
    /// the former may quote the value.
    fn complain(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        path: &KeyPath,
        message: &str,
        about: &str,
        help: Option<String>,
    ) -> Option<Value> {
        let mut fault = match &scalar.filled {
            None => Fault::new(node.place, path, message),
            Some(filled) => {
                let message = format!("the value with {} {about}", filled.references);
                Fault::new(node.place, path, message)
            }
        };
        fault.help = help.filter(|_| scalar.filled.is_none());
        self.wrong(path, fault)
    }

    fn wrong_kind(&mut self, node: &Node, kind: &str, path: &KeyPath) -> Option<Value> {
        let expected = match kind {
            "array" => "a list: [first, second]",
            "object" => "a map: keys with values",
            "integer" => "a whole number",
            "boolean" => "true or false",
            _ => "a text",
        };
        let message = format!("must be {expected}");
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

/// Says what one of several possible kinds of value is.
fn describe(schema: &Value) -> String {
    let words = schema.get("enum").and_then(Value::as_array);
    match (words, kind(schema)) {
        (Some(words), _) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            words.join(", ")
        }
        (None, "array") => "a list".to_owned(),
        (None, "integer") => "a whole number".to_owned(),
        (None, _) => "a text".to_owned(),
    }
}

/// Tells whether a scalar may be a number or boolean: quotes make it a text, unless a reference needs them.
fn is_bare(scalar: &Scalar) -> bool {
    scalar.plain || scalar.filled.is_some()
}

fn fits_scalar(schema: &Value, scalar: &Scalar) -> bool {
    let text = scalar.text();
    match kind(schema) {
        "integer" => is_bare(scalar) && text.bytes().all(|byte| byte.is_ascii_digit()),
        "boolean" => is_bare(scalar) && matches!(text, "true" | "false"),
        "string" => true,
        _ => false,
    }
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

/// Returns a legal value that stands in for a wrong one.
fn stand_in(schema: &Value) -> Value {
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
