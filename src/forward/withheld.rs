//! What callers do not get of an answer's fields: those that the operator lists, and those that give a credential away.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::fields::remove_where;
use crate::context::Successors;
use crate::telemetry::Seldom;

/// Fields of answers that callers do not get: one by its name, or all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerField {
    /// The names begin so. What an answer cannot be read without is not among them.
    Beginning(String),
    /// The name.
    Named(HeaderName),
}

/// A text names no field of answers that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswerField {
    /// It is something else.
    #[error(
        "must be the name of a field such as server, or the beginning of names such as x-internal-*"
    )]
    Name,
    /// Nobody could read the answer.
    #[error("is a field that an answer cannot be read without")]
    Needed,
}

impl FromStr for AnswerField {
    type Err = InvalidAnswerField;

    fn from_str(text: &str) -> Result<Self, InvalidAnswerField> {
        let (name, is_beginning) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (text, false),
        };
        // A name may have one of these too, but nobody means it.
        if name.contains('*') {
            return Err(InvalidAnswerField::Name);
        }
        let name: HeaderName = name.parse().map_err(|_| InvalidAnswerField::Name)?;
        if is_beginning {
            Ok(Self::Beginning(name.as_str().to_owned()))
        } else if is_needed(name.as_str()) {
            Err(InvalidAnswerField::Needed)
        } else {
            Ok(Self::Named(name))
        }
    }
}

impl fmt::Display for AnswerField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
            Self::Named(name) => f.write_str(name.as_str()),
        }
    }
}

fn is_needed(name: &str) -> bool {
    matches!(
        name,
        "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "transfer-encoding"
    )
}

/// What is kept from callers, as one worker needs it.
#[derive(Debug)]
pub(super) struct Withheld {
    listed: Vec<AnswerField>,
    echoes: Echoes,
}

impl Withheld {
    pub(super) fn new(listed: Vec<AnswerField>, echoes: Echoes) -> Self {
        Self { listed, echoes }
    }

    /// Takes out of fields what callers do not get. `successors` know what gives the request's credential away.
    pub(super) fn take_out_of(
        &self,
        fields: &mut HeaderMap,
        successors: &dyn Successors,
        place: Place,
    ) {
        for listed in &self.listed {
            match listed {
                AnswerField::Beginning(beginning) => remove_where(fields, |name| {
                    name.starts_with(beginning.as_str()) && !is_needed(name)
                }),
                AnswerField::Named(name) => {
                    fields.remove(name);
                }
            }
        }
        for name in successors.echoed_in(fields) {
            // A field that comes more than once is named as often.
            if fields.remove(&name).is_some() {
                self.echoes.note(&name, place);
            }
        }
    }
}

/// Where in an answer a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Trailers,
}

impl Place {
    const ALL: [Self; 2] = [Self::Head, Self::Trailers];

    fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Trailers => "trailers",
        }
    }
}

/// What is counted of fields that gave a credential away. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Echoes {
    counts: Family<Labels, Counter>,
    told: Arc<Seldom>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    place: &'static str,
}

impl Echoes {
    /// Makes counts that `registry` shows, each from the beginning.
    pub fn register(registry: &mut Registry) -> Self {
        let counts = Family::default();
        for place in Place::ALL {
            drop(counts.get_or_create(&Labels::from(place)));
        }
        registry.register(
            "profile_gateway_echoed_credentials",
            "Fields of answers that were taken out since a token or a client secret was in them",
            counts.clone(),
        );
        Self {
            counts,
            told: Arc::default(),
        }
    }

    fn note(&self, name: &HeaderName, place: Place) {
        self.counts.get_or_create(&Labels::from(place)).inc();
        if self.told.is_due() {
            // The upstream chooses the name, and how long it is.
            let field: String = name.as_str().chars().take(64).collect();
            tracing::warn!(
                field,
                place = place.as_str(),
                "an answer of the upstream showed a token or a client secret; the field was taken out"
            );
        }
    }
}

impl From<Place> for Labels {
    fn from(place: Place) -> Self {
        Self {
            place: place.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_whole_or_by_their_beginning() {
        for (text, shown) in [
            ("server", "server"),
            ("X-Internal-*", "x-internal-*"),
            ("Content-*", "content-*"),
        ] {
            let field: AnswerField = text.parse().unwrap();
            assert_eq!(field.to_string(), shown);
            assert_eq!(field.to_string().parse(), Ok(field));
        }
        for text in ["", "*", "x-*-a", "**", "a b", ":status", "a:", "ä"] {
            let read: Result<AnswerField, _> = text.parse();
            assert_eq!(read, Err(InvalidAnswerField::Name), "{text}");
        }
        for text in ["Content-Length", "content-type", "transfer-encoding"] {
            let read: Result<AnswerField, _> = text.parse();
            assert_eq!(read, Err(InvalidAnswerField::Needed), "{text}");
        }
    }
}
