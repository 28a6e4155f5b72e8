//! Everything wrong with a configuration, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use super::report::Fault;
use super::text::{Place, Text};

/// Everything wrong with a configuration, in the order of the files and lines.
///
/// Values that came from the environment or from other files are never part of it, and what stands under
/// `client_secrets` and `private_key` is starred out. `Display` is for people: each fault with its line and a caret under
/// what is meant.
pub struct Diagnostics {
    texts: Vec<Text>,
    faults: Vec<Fault>,
    more: usize,
}

impl Diagnostics {
    pub(super) fn new(texts: Vec<Text>, faults: Vec<Fault>, more: usize) -> Self {
        Self {
            texts,
            faults,
            more,
        }
    }

    /// Returns the number of faults.
    pub fn count(&self) -> usize {
        self.faults.len() + self.more
    }

    /// Returns the faults as JSON.
    ///
    /// `faults` holds one object each, with `file`, `line` and `column` (from 1; absent when the fault concerns
    /// the file as a whole), `key`, `message`, and where there is one `help` and `also`: another place with a
    /// `message`. `more` counts those left out after the first hundred.
    pub fn to_json(&self) -> Value {
        let faults: Vec<Value> = self
            .faults
            .iter()
            .map(|fault| {
                let mut object = self.json_place(fault.place, &fault.message);
                put(
                    &mut object,
                    "key",
                    (!fault.key.is_empty()).then(|| json!(fault.key)),
                );
                put(
                    &mut object,
                    "help",
                    fault.help.as_ref().map(|help| json!(help)),
                );
                let also = fault.also.as_ref();
                put(
                    &mut object,
                    "also",
                    also.map(|(place, note)| self.json_place(*place, note)),
                );
                object
            })
            .collect();
        json!({ "faults": faults, "more": self.more })
    }

    fn json_place(&self, place: Place, message: &str) -> Value {
        let mut object = json!({ "file": self.name(place), "message": message });
        put(
            &mut object,
            "line",
            (place.line > 0).then(|| json!(place.line)),
        );
        put(
            &mut object,
            "column",
            (place.line > 0).then(|| json!(place.column)),
        );
        object
    }

    fn name(&self, place: Place) -> &str {
        self.texts.get(place.text).map_or("", Text::name)
    }

    fn show_place(
        &self,
        f: &mut fmt::Formatter<'_>,
        place: Place,
        gutter: usize,
        arrow: &str,
    ) -> fmt::Result {
        write!(f, "{:gutter$}{arrow} {}", "", self.name(place))?;
        if place.line > 0 {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        writeln!(f)?;
        let excerpt = self
            .texts
            .get(place.text)
            .and_then(|text| text.excerpt(place));
        if let Some(excerpt) = excerpt {
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{:>gutter$} | {}", place.line, excerpt.line)?;
            let carets = "^".repeat(excerpt.width);
            writeln!(
                f,
                "{:gutter$} | {:indent$}{carets}",
                "",
                "",
                indent = excerpt.indent
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let also_line = fault.also.as_ref().map_or(0, |(place, _)| place.line);
            let gutter = fault.place.line.max(also_line).to_string().len();
            if index > 0 {
                writeln!(f)?;
            }
            if fault.key.is_empty() {
                writeln!(f, "error: {}", fault.message)?;
            } else {
                writeln!(f, "error: {}: {}", fault.key, fault.message)?;
            }
            self.show_place(f, fault.place, gutter, "-->")?;
            if let Some((place, note)) = &fault.also {
                writeln!(f, "{:gutter$} = {note}", "")?;
                self.show_place(f, *place, gutter, "-->")?;
            }
            if let Some(help) = &fault.help {
                writeln!(f, "{:gutter$} = help: {help}", "")?;
            }
        }
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "\nand {more} more"),
        }
    }
}

/// Shows what [`fmt::Display`] shows: the texts may hold secrets.
impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Diagnostics {}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}
