//! Path templates: literal segments, `{name}` for one segment, `{*name}` for the rest.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::rewrite::{Prefix, is_literal, is_reserved};

/// A path template such as `/data/core/ups/{*rest}`.
///
/// One trailing slash is dropped: a template matches a path with and without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(String);

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not begin with a slash, or is only one.
    #[error("must be an absolute path such as /data/core/ups/access/entities")]
    NotAPath,
    /// A segment is empty, `.` or `..`.
    #[error("has the segment `{0}`, which no request path may have")]
    Segment(String),
    /// A literal segment holds a character that does not stand for itself in a path.
    #[error("holds `{0}`, which must not stand in a literal segment")]
    Character(char),
    /// A literal segment holds a character that can be written otherwise.
    #[error(
        "holds `{0}`, which callers can write as `%{code:02X}` too, and so get around a literal; put {instead} in the place of the segment",
        code = u32::from(*.0),
        instead = if *.0 == '*' { "{name}, or {*rest} for all that follows," } else { "{name}" }
    )]
    Reserved(char),
    /// A parameter is not a whole segment, or is unnamed.
    #[error(
        "has the parameter `{0}`; parameters are whole segments: {{name}}, or {{*name}} at the end"
    )]
    Parameter(String),
}

impl Template {
    /// Returns the template as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the place of the segment for which the parameter `name` stands, counted from 0.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let mut segments = self.0.split('/').skip(1);
        segments.position(|segment| {
            let inner = segment.strip_prefix('{');
            inner.and_then(|inner| inner.strip_suffix('}')) == Some(name)
        })
    }

    /// Tells whether every path that matches begins with `prefix`, the segment at `without` left out.
    pub fn begins_with(&self, prefix: &Prefix, without: Option<usize>) -> bool {
        let segments = self.0.split('/').skip(1).enumerate();
        let left = segments.filter(|(place, _)| Some(*place) != without);
        let mut left = left.map(|(_, segment)| segment);
        let mut wanted = prefix.as_str().split('/').skip(1);
        wanted.all(|segment| {
            let own = left.next();
            own.is_some_and(|own| own.eq_ignore_ascii_case(segment))
        })
    }

    /// Returns the template with its parameters renamed by position, and its literals in lower case.
    ///
    /// Two templates that match the same paths have the same shape.
    pub fn shape(&self) -> String {
        let mut shape = String::with_capacity(self.0.len());
        for (index, segment) in self.0.split('/').skip(1).enumerate() {
            shape.push('/');
            if segment.starts_with("{*") {
                shape.push_str("{*rest}");
            } else if segment.starts_with('{') {
                let _ = write!(shape, "{{p{index}}}");
            } else {
                shape.push_str(&segment.to_ascii_lowercase());
            }
        }
        shape
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let Some(path) = trimmed.strip_prefix('/') else {
            return Err(InvalidTemplate::NotAPath);
        };
        let last = path.split('/').count() - 1;
        for (index, segment) in path.split('/').enumerate() {
            if matches!(segment, "" | "." | "..") {
                return Err(InvalidTemplate::Segment(segment.to_owned()));
            }
            if segment.contains(['{', '}']) {
                parameter(segment, index == last)?;
            } else if let Some(wrong) = segment.chars().find(|character| !is_literal(*character)) {
                return Err(if is_reserved(wrong) {
                    InvalidTemplate::Reserved(wrong)
                } else {
                    InvalidTemplate::Character(wrong)
                });
            }
        }
        Ok(Self(trimmed.to_owned()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parameter(segment: &str, last: bool) -> Result<(), InvalidTemplate> {
    let wrong = || InvalidTemplate::Parameter(segment.to_owned());
    let name = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(wrong)?;
    let name = match name.strip_prefix('*') {
        Some(name) if last => name,
        Some(_) => return Err(wrong()),
        None => name,
    };
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if named { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_of_one_meaning_have_one_shape() {
        let shape = |text: &str| text.parse::<Template>().unwrap().shape();

        assert_eq!(shape("/a/{id}/b/"), shape("/a/{other}/b"));
        assert_eq!(shape("/a/{*rest}"), shape("/a/{*all}"));
        assert_eq!(shape("/A/{Id}/b"), shape("/a/{ID}/B"));
        assert_ne!(shape("/a/{id}"), shape("/a/{*id}"));
    }

    #[test]
    fn a_prefix_of_a_template_is_one_of_every_path_that_matches() {
        let begins = |template: &str, prefix: &str, without| {
            let template: Template = template.parse().unwrap();
            template.begins_with(&prefix.parse().unwrap(), without)
        };

        assert!(begins("/crm/data/{*rest}", "/crm", None));
        assert!(begins("/crm/data/{*rest}", "/", None));
        assert!(begins("/crm", "/crm", None));
        assert!(begins("/crm/{sandbox}/data", "/crm/data", Some(1)));
        assert!(!begins("/crm/{sandbox}/data", "/crm/data", None));
        assert!(begins("/CRM/data", "/crm", None));
        assert!(!begins("/crmx/data", "/crm", None));
        assert!(!begins("/{id}/data", "/crm", None) && !begins("/crm", "/crm/data", None));
        let template: Template = "/crm/{sandbox}/{*rest}".parse().unwrap();
        assert_eq!(template.place_of("sandbox"), Some(1));
        assert_eq!(
            (template.place_of("crm"), template.place_of("rest")),
            (None, None)
        );
    }

    #[test]
    fn what_can_be_written_otherwise_is_no_literal() {
        for reserved in "!$&'()*+,=:@".chars() {
            let wrong = format!("/segments{reserved}purge/{{id}}").parse::<Template>();
            assert_eq!(wrong, Err(InvalidTemplate::Reserved(reserved)));
        }
        let told = |text: &str| text.parse::<Template>().unwrap_err().to_string();
        assert_eq!(
            told("/segments:purge"),
            "holds `:`, which callers can write as `%3A` too, and so get around a literal; put {name} in the place of the segment"
        );
        assert!(told("/segments/*").contains("put {name}, or {*rest} for all that follows,"));
        assert!("/a-b_c.d~e/{id}".parse::<Template>().is_ok());
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for wrong in [
            "",
            "/",
            "a/b",
            "/a//b",
            "/a/../b",
            "/a/./b",
            "/a/%2e",
            "/a b",
            "/a;b",
            "/a?x",
            "/a/{",
            "/a/{}",
            "/a/x{id}",
            "/a/{id}x",
            "/a/{*rest}/b",
            "/a/{*}",
            "/a/{i d}",
            "/ä",
        ] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong:?}");
        }
    }
}
