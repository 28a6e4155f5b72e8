//! Texts with a grammar: each kind of value has a name in the schema, a description and a parser.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// A value that configuration writes as a text with a grammar.
pub(super) trait Format: Sized {
    /// The name of the grammar, the `format` of the schema.
    const NAME: &'static str;
    /// What it is, with an example: `a duration such as 250ms, 30s or 24h`.
    const WHAT: &'static str;
    /// A legal text.
    const EXAMPLE: &'static str;

    /// Parses `text`.
    ///
    /// # Errors
    /// What the text must be or must not have, to be read after the words "the value". It may quote `text`.
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes the value as [`Format::parse`] takes it.
    fn show(&self) -> String;

    /// Returns the number that bounds compare, for values that have one.
    fn magnitude(&self) -> Option<u128> {
        None
    }
}

/// A value of the file that is parsed by its [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written<T>(pub(super) T);

impl<T: Format> Written<T> {
    /// Parses a text of this program.
    pub(super) fn known(text: &str) -> Self {
        Self(T::parse(text).expect("defaults are legal texts"))
    }
}

impl<'de, T: Format> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The reason may quote the value, which may be a secret; the checker has already told it.
        T::parse(&text)
            .map(Self)
            .map_err(|_| D::Error::custom(format_args!("not {}", T::WHAT)))
    }
}

impl<T: Format> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.show())
    }
}

impl<T: Format> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": T::NAME, "examples": [T::EXAMPLE] })
    }
}

/// A format as the checker finds it by its name in the schema.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The name.
    pub(super) name: &'static str,
    /// What it is, with an example.
    pub(super) what: &'static str,
    /// Parses a text and returns its magnitude.
    pub(super) parse: fn(&str) -> Result<Option<u128>, String>,
}

impl Known {
    /// Describes the format of `T`.
    pub(super) const fn of<T: Format>() -> Self {
        Self {
            name: T::NAME,
            what: T::WHAT,
            parse: |text| T::parse(text).map(|value| value.magnitude()),
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
