//! What becomes of a path on its way upstream, and how the upstream's references are led back.
//!
//! Only whole segments are taken off or put in, so that what was canonical before is so after.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The beginning of paths, in whole literal segments, such as `/crm`.
///
/// One trailing slash is dropped; `/` alone is the beginning of every path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// It does not begin with a slash.
    #[error("must begin with a slash, as /data/core does")]
    NotAPath,
    /// A segment is empty, `.` or `..`.
    #[error("has the segment `{0}`, which no request path may have")]
    Segment(String),
    /// It holds a character that does not stand for itself in a path.
    #[error("holds `{0}`; a prefix is made of literal segments")]
    Character(char),
    /// It holds a character that can be written otherwise.
    #[error(
        "holds `{0}`, which can be written as `%{code:02X}` too, so that callers could get around it; a prefix is of letters, digits and -._~ in whole segments",
        code = u32::from(*.0)
    )]
    Reserved(char),
}

impl Prefix {
    /// Returns it without a trailing slash: nothing for the beginning of every path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what follows in `path`, which is nothing or begins with a slash; `None` when it begins otherwise. The case of
    /// ASCII letters does not count.
    pub fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        let (beginning, rest) = path.split_at_checked(self.0.len())?;
        let same = beginning.eq_ignore_ascii_case(&self.0);
        (same && (rest.is_empty() || rest.starts_with('/'))).then_some(rest)
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if !text.starts_with('/') {
            return Err(InvalidPrefix::NotAPath);
        }
        for segment in trimmed.split('/').skip(1) {
            if matches!(segment, "" | "." | "..") {
                return Err(InvalidPrefix::Segment(segment.to_owned()));
            }
            if let Some(wrong) = segment.chars().find(|character| !is_literal(*character)) {
                return Err(if is_reserved(wrong) {
                    InvalidPrefix::Reserved(wrong)
                } else {
                    InvalidPrefix::Character(wrong)
                });
            }
        }
        Ok(Self(trimmed.to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// Characters that a canonical request path holds as themselves and no other way (RFC 3986 §2.3).
pub fn is_literal(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~".contains(character)
}

/// Characters that a canonical request path holds as themselves or encoded, which need not be the same (RFC 3986 §2.2).
pub fn is_reserved(character: char) -> bool {
    "!$&'()*+,=:@".contains(character)
}

/// One beginning of a path in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rewrite {
    /// What callers' paths begin with.
    pub from: Prefix,
    /// What the upstream's begin with instead.
    pub to: Prefix,
}

/// What becomes of the paths of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The place of the segment that is taken off, counted from 0.
    pub take_off: Option<usize>,
    /// What is put in the place of the beginning of what is left.
    pub rewrite: Option<Rewrite>,
}

/// A path as it goes upstream, and the segment that was taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The path.
    pub path: String,
    /// The segment, as the caller wrote it.
    pub segment: Option<Box<str>>,
}

impl Way {
    /// Tells whether paths stay as they are.
    pub fn is_plain(&self) -> bool {
        self.take_off.is_none() && self.rewrite.is_none()
    }

    /// Returns `path` as it goes upstream; `None` when it has no such segment or beginning.
    pub fn there(&self, path: &str) -> Option<Rewritten> {
        let (left, segment) = match self.take_off {
            Some(place) => {
                let (before, from) = path.split_at_checked(start_of(path, place)?)?;
                let segment = from.strip_prefix('/')?;
                let (segment, after) = match segment.find('/') {
                    Some(end) => segment.split_at_checked(end)?,
                    None => (segment, ""),
                };
                (format!("{before}{after}"), Some(segment.into()))
            }
            None => (path.to_owned(), None),
        };
        let path = match &self.rewrite {
            Some(rewrite) => format!("{}{}", rewrite.to.0, rewrite.from.strip(&left)?),
            None => left,
        };
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path
        };
        Some(Rewritten { path, segment })
    }
}

/// How the upstream's references come back to where a request came in.
#[derive(Clone, Debug)]
pub struct Back {
    /// The way that the request went.
    pub way: Arc<Way>,
    /// The segment that was taken off.
    pub segment: Option<Box<str>>,
}

impl Back {
    /// Returns the path that goes upstream as `path`, which may have a query or fragment; `None` when no path of this route
    /// does.
    pub fn path(&self, path: &str) -> Option<String> {
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let (path, more) = path.split_at_checked(end)?;
        let mut path = match &self.way.rewrite {
            Some(rewrite) => format!("{}{}", rewrite.from.0, rewrite.to.strip(path)?),
            None => path.to_owned(),
        };
        if let (Some(place), Some(segment)) = (self.way.take_off, &self.segment) {
            let at = start_of(&path, place).unwrap_or(path.len());
            let whole = path.split('/').skip(1).count();
            if whole < place || path.ends_with('/') && whole == place {
                return None;
            }
            path.insert_str(at, segment);
            path.insert(at, '/');
        }
        if path.is_empty() {
            path.push('/');
        }
        Some(path + more)
    }
}

/// Returns where the slash before the segment at `place` stands.
fn start_of(path: &str, place: usize) -> Option<usize> {
    let mut slashes = path.match_indices('/');
    slashes.nth(place).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn way(take_off: Option<usize>, rewrite: Option<(&str, &str)>) -> Arc<Way> {
        let prefix = |text: &str| text.parse().unwrap();
        Arc::new(Way {
            take_off,
            rewrite: rewrite.map(|(from, to)| Rewrite {
                from: prefix(from),
                to: prefix(to),
            }),
        })
    }

    #[test]
    fn whole_segments_are_put_in_the_place_of_others_and_the_rest_stays() {
        for (take_off, rewrite, path, there) in [
            (
                None,
                Some(("/crm", "/")),
                "/crm/data/core",
                Some("/data/core"),
            ),
            (
                None,
                Some(("/crm", "/")),
                "/crm/data/core/",
                Some("/data/core/"),
            ),
            (None, Some(("/crm", "/")), "/crm", Some("/")),
            (None, Some(("/crm", "/")), "/crm/", Some("/")),
            (None, Some(("/crm", "/")), "/crmx/data", None),
            (None, Some(("/crm", "/")), "/CRM/Data", Some("/Data")),
            (
                None,
                Some(("/crm", "/data/core")),
                "/crm/x%20y",
                Some("/data/core/x%20y"),
            ),
            (None, Some(("/", "/data")), "/core", Some("/data/core")),
            (Some(0), None, "/dev-2/data/core", Some("/data/core")),
            (Some(1), None, "/crm/dev-2", Some("/crm")),
            (Some(0), None, "/dev-2/", Some("/")),
            (Some(0), None, "/dev-2", Some("/")),
            (Some(2), None, "/a/b", None),
            (
                Some(1),
                Some(("/crm/x", "/data")),
                "/crm/dev-2/x/y",
                Some("/data/y"),
            ),
        ] {
            let way = way(take_off, rewrite);
            let found = way.there(path);
            assert_eq!(found.map(|it| it.path).as_deref(), there, "{path}");
        }
        let taken = way(Some(1), None).there("/crm/dev-2/x").unwrap();
        assert_eq!(taken.segment.as_deref(), Some("dev-2"));
    }

    #[test]
    fn what_is_no_path_of_the_route_has_no_way_back() {
        let back = |way: Arc<Way>| Back {
            way,
            segment: Some("dev-2".into()),
        };

        let replaced = back(way(None, Some(("/crm", "/data/core"))));
        assert_eq!(replaced.path("/data/core?a#b").as_deref(), Some("/crm?a#b"));
        assert_eq!(replaced.path("/data/other"), None);
        assert_eq!(replaced.path("/data/corex"), None);
        let stripped = back(way(Some(1), Some(("/crm", "/"))));
        assert_eq!(
            stripped.path("/x?y=/z").as_deref(),
            Some("/crm/dev-2/x?y=/z")
        );
        let inner = back(way(Some(2), None));
        assert_eq!(inner.path("/a/b").as_deref(), Some("/a/b/dev-2"));
        assert_eq!(inner.path("/a"), None);
        assert_eq!(inner.path("/a/"), None);
    }

    #[test]
    fn a_prefix_is_made_of_literal_segments() {
        for (text, shown) in [("/", "/"), ("/a/b/", "/a/b"), ("/a", "/a")] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown);
        }
        for wrong in [
            "", "a", "//", "/a//b", "/a/..", "/{id}", "/a%20b", "/a;b", "/a?b",
        ] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong:?}");
        }
        for reserved in "!$&'()*+,=:@".chars() {
            let wrong = format!("/a{reserved}b").parse::<Prefix>();
            assert_eq!(wrong, Err(InvalidPrefix::Reserved(reserved)));
        }
    }

    proptest! {
        #[test]
        fn who_goes_there_comes_back(
            path in "(/[a-c]{1,2}){1,5}/?",
            take_off in prop::option::of(0_usize..4),
            rewrite in prop::option::of(("/|(/[a-c]{1,2}){1,2}", "/|(/[a-c]{1,2}){1,2}")),
        ) {
            let rewrite = rewrite.as_ref().map(|(from, to)| (from.as_str(), to.as_str()));
            let way = way(take_off, rewrite);
            if let Some(there) = way.there(&path) {
                let back = Back { way, segment: there.segment };
                let trimmed = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
                if there.path != "/" {
                    let returned = back.path(&there.path).map(|path| trimmed(&path));
                    prop_assert_eq!(returned, Some(trimmed(&path)));
                }
            }
        }
    }
}
