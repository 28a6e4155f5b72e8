//! Collects what is wrong with a configuration, and where.

use super::diagnostics::Diagnostics;
use super::path::KeyPath;
use super::text::{Place, Text};
use super::warning::Warning;

/// Something wrong, at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where.
    pub(super) place: Place,
    /// The key path it concerns.
    pub(super) key: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
    /// Another place that is part of the matter, with what it is.
    pub(super) also: Option<(Place, String)>,
}

impl Fault {
    /// Describes a fault of the value at `path`.
    pub(super) fn new(place: Place, path: &KeyPath, message: impl Into<String>) -> Self {
        Self {
            place,
            key: path.to_string(),
            message: message.into(),
            help: None,
            also: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub(super) fn also(mut self, place: Place, note: impl Into<String>) -> Self {
        self.also = Some((place, note.into()));
        self
    }
}

/// The texts read so far and the faults found in them.
#[derive(Default)]
pub(super) struct Report {
    texts: Vec<Text>,
    faults: Vec<Fault>,
    more: usize,
    /// What is no fault, and hardly meant.
    warnings: Vec<Fault>,
    tainted: Vec<KeyPath>,
}

impl Report {
    /// Takes in a text and returns its number.
    pub(super) fn add_text(&mut self, text: Text) -> usize {
        self.texts.push(text);
        self.texts.len() - 1
    }

    /// Returns the name of the text that `place` is in.
    pub(super) fn name(&self, place: Place) -> &str {
        self.texts.get(place.text).map_or("", Text::name)
    }

    /// Returns the names of all texts, in their order.
    pub(super) fn names(&self) -> Vec<String> {
        self.texts
            .iter()
            .map(|text| text.name().to_owned())
            .collect()
    }

    /// Hides what stands at `place` from every excerpt.
    pub(super) fn hide(&mut self, place: Place) {
        if let Some(text) = self.texts.get_mut(place.text) {
            text.hide(place);
        }
    }

    /// Adds a fault. Past [`MOST_FAULTS`] they are only counted.
    pub(super) fn add(&mut self, fault: Fault) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.faults.push(fault);
        }
    }

    /// Adds what is no fault, and hardly meant.
    pub(super) fn warn(&mut self, warning: Fault) {
        if self.warnings.len() < MOST_FAULTS {
            self.warnings.push(warning);
        }
    }

    /// Takes in what another report has found. What a text as a whole is blamed for is `named` here.
    pub(super) fn take_in(&mut self, other: Self, named: Place) {
        let Self {
            texts,
            faults,
            more,
            warnings,
            tainted: _,
        } = other;
        let before = self.texts.len();
        self.texts.extend(texts);
        for mut warning in warnings {
            warning.place.text += before;
            if let Some((place, _)) = &mut warning.also {
                place.text += before;
            }
            self.warn(warning);
        }
        for mut fault in faults {
            fault.place.text += before;
            if let Some((place, _)) = &mut fault.also {
                place.text += before;
            }
            if fault.place.line == 0 && fault.also.is_none() {
                fault = fault.also(named, "it is named here");
            }
            self.add(fault);
        }
        self.more += more;
    }

    /// Tells whether further faults are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.faults.len() >= MOST_FAULTS
    }

    /// Adds a fault of the value at `path`, which nothing else is concluded from.
    pub(super) fn add_tainting(&mut self, path: &KeyPath, fault: Fault) {
        self.taint(path);
        self.add(fault);
    }

    /// Marks the value at `path` as one that nothing is to be concluded from.
    pub(super) fn taint(&mut self, path: &KeyPath) {
        if self.tainted.len() < MOST_FAULTS {
            self.tainted.push(path.clone());
        }
    }

    /// Tells whether the value at `path`, or a part of it, is known to be wrong already.
    pub(super) fn is_tainted(&self, path: &KeyPath) -> bool {
        self.tainted.iter().any(|known| known.is_related(path))
    }

    /// Tells whether the value at `path` as a whole, or something around it, is known to be wrong.
    pub(super) fn is_lost(&self, path: &KeyPath) -> bool {
        self.tainted.iter().any(|known| known.leads_to(path))
    }

    /// Tells whether nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns everything that is wrong, in the order of the files and lines.
    pub(super) fn into_diagnostics(mut self) -> Diagnostics {
        self.faults.sort_by_key(|fault| fault.place);
        Diagnostics::new(self.texts, self.faults, self.more)
    }

    /// Returns what is no fault, and hardly meant, in that order.
    pub(super) fn into_warnings(mut self) -> Vec<Warning> {
        self.warnings.sort_by_key(|warning| warning.place);
        let texts = &self.texts;
        let all = self.warnings.into_iter().map(|warning| {
            let name = texts.get(warning.place.text).map_or("", Text::name);
            Warning {
                at: format!("{name}:{}", warning.place.line),
                key: warning.key,
                message: warning.message,
                help: warning.help.unwrap_or_default(),
            }
        });
        all.collect()
    }
}

/// More than anybody reads; a bound for texts that are no configuration at all.
const MOST_FAULTS: usize = 100;
