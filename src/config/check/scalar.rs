//! One scalar against the schema that it must meet.

use serde_json::Value;

use super::{Checker, kind, required};
use crate::config::format::Known;
use crate::config::name::FORMATS;
use crate::config::nearest::nearest;
use crate::config::path::KeyPath;
use crate::config::report::Fault;
use crate::config::tree::{Node, Scalar};

impl Checker<'_> {
    /// Returns the scalar in the type that `schema` names, or `None` when it is wrong and reported.
    pub(super) fn scalar(
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
        if let Some(words) = words(schema) {
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
            _ => self.wrong_kind(node, schema, path),
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
        if let Some(known) = format_of(schema) {
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
    pub(super) fn complain(
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
}

/// Returns the words that a schema allows, if it lists them.
pub(super) fn words(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("enum").and_then(Value::as_array)
}

fn joined(words: &[Value]) -> String {
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    words.join(", ")
}

fn format_of(schema: &Value) -> Option<&'static Known> {
    let format = schema.get("format").and_then(Value::as_str)?;
    FORMATS.iter().find(|known| known.name == format)
}

/// Says what one of several possible kinds of value is.
pub(super) fn describe(schema: &Value) -> String {
    match (words(schema), kind(schema)) {
        (Some(words), _) => joined(words),
        (None, "array") => match schema.get("items").and_then(words) {
            Some(words) => format!("a list of {}", joined(words)),
            None => "a list".to_owned(),
        },
        (None, "integer") => "a whole number".to_owned(),
        (None, "object") => match required(schema).collect::<Vec<_>>().join(", ") {
            keys if keys.is_empty() => "a map".to_owned(),
            keys => format!("a map with {keys}"),
        },
        (None, _) => format_of(schema)
            .map_or("a text", |known| known.what)
            .to_owned(),
    }
}

/// Tells whether a scalar may be a number or boolean: quotes make it a text, unless a reference needs them.
fn is_bare(scalar: &Scalar) -> bool {
    scalar.plain || scalar.filled.is_some()
}

/// Tells whether a scalar is of the kind that `schema` names.
pub(super) fn fits_scalar(schema: &Value, scalar: &Scalar) -> bool {
    let text = scalar.text();
    match kind(schema) {
        "integer" => is_bare(scalar) && text.bytes().all(|byte| byte.is_ascii_digit()),
        "boolean" => is_bare(scalar) && matches!(text, "true" | "false"),
        "string" => words(schema).is_none_or(|words| words.iter().any(|word| word == text)),
        _ => false,
    }
}
