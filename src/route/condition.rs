//! What a request has to be like besides its path and method: host, fields, operation.

use std::fmt;
use std::str::FromStr;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::aep::Operation;

/// A host, or all below one: `profile.internal`, `*.internal`, `10.0.0.5`, `[::1]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One or more labels before this one, which has no dot in front.
    Below(String),
    /// This one, in lower case and without a port or trailing dot.
    Exact(String),
}

/// A text that is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a host such as profile.internal, without a port, or all below one such as *.internal"
)]
pub struct InvalidHost;

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.to_ascii_lowercase();
        if let Some(address) = text.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or(InvalidHost)?;
            let known = address.parse::<std::net::Ipv6Addr>();
            return known.map(|_| Self::Exact(text)).map_err(|_| InvalidHost);
        }
        let name = text.strip_suffix('.').unwrap_or(&text);
        let (below, name) = match name.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let label = |label: &str| !label.is_empty() && label.bytes().all(legal);
        if !name.split('.').all(label) {
            return Err(InvalidHost);
        }
        Ok(if below {
            Self::Below(name.to_owned())
        } else {
            Self::Exact(name.to_owned())
        })
    }
}

impl HostPattern {
    /// Tells whether a host is meant that is written in lower case, without a port or trailing dot.
    pub fn takes(&self, host: &str) -> bool {
        match self {
            Self::Below(name) => {
                let labels = host.strip_suffix(name.as_str());
                let labels = labels.and_then(|labels| labels.strip_suffix('.'));
                labels.is_some_and(|labels| !labels.is_empty())
            }
            Self::Exact(name) => name == host,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

/// What a field has to be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderCondition {
    /// Which field.
    pub name: HeaderName,
    /// How. Of a field that is repeated each value has to be so.
    pub expected: Expected,
}

/// How a field has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Not there.
    Absent,
    /// There, with this value.
    Exact(String),
    /// There, with a value that begins so.
    Prefix(String),
    /// There.
    Present,
}

impl HeaderCondition {
    /// Tells whether the condition holds.
    pub fn holds(&self, headers: &HeaderMap) -> bool {
        let all = |fits: &dyn Fn(&HeaderValue) -> bool| {
            headers.contains_key(&self.name) && headers.get_all(&self.name).iter().all(fits)
        };
        match &self.expected {
            Expected::Absent => !headers.contains_key(&self.name),
            Expected::Exact(text) => all(&|value| value.as_bytes() == text.as_bytes()),
            Expected::Prefix(text) => all(&|value| value.as_bytes().starts_with(text.as_bytes())),
            Expected::Present => headers.contains_key(&self.name),
        }
    }

    /// Tells whether one request can meet both conditions.
    pub fn goes_with(&self, other: &Self) -> bool {
        use Expected::{Absent, Exact, Prefix, Present};
        if self.name != other.name {
            return true;
        }
        match (&self.expected, &other.expected) {
            (Absent, expected) | (expected, Absent) => *expected == Absent,
            (Present, _) | (_, Present) => true,
            (Exact(one), Exact(other)) => one == other,
            (Exact(value), Prefix(prefix)) | (Prefix(prefix), Exact(value)) => {
                value.starts_with(prefix)
            }
            (Prefix(one), Prefix(other)) => one.starts_with(other) || other.starts_with(one),
        }
    }
}

/// An operation by its name, such as `entities.read`, or all of a group, such as `exports.*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OperationPattern {
    /// Those whose name begins so, up to the dot.
    Group(String),
    /// Those of this name.
    Name(String),
}

/// A text that names no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of an operation such as entities.read, or a group of them such as exports.*"
)]
pub struct InvalidOperation;

impl OperationPattern {
    /// Tells whether an operation is meant.
    pub fn takes(&self, operation: &Operation) -> bool {
        match self {
            Self::Group(group) => {
                let rest = operation.name.strip_prefix(group.as_str());
                rest.is_some_and(|rest| rest.starts_with('.'))
            }
            Self::Name(name) => operation.name == name,
        }
    }
}

impl FromStr for OperationPattern {
    type Err = InvalidOperation;

    fn from_str(text: &str) -> Result<Self, InvalidOperation> {
        match text.strip_suffix(".*") {
            Some(group) if is_operation_name(group) && !group.contains('.') => {
                Ok(Self::Group(group.to_owned()))
            }
            None if is_operation_name(text) => Ok(Self::Name(text.to_owned())),
            Some(_) | None => Err(InvalidOperation),
        }
    }
}

impl fmt::Display for OperationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "{group}.*"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Tells whether a text may be the name of an operation: one word or two, with a dot between them.
pub fn is_operation_name(text: &str) -> bool {
    let word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && word.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let later =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.split_once('.') {
        Some((first, second)) => word(first) && later(second),
        None => word(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_of_a_field_has_to_meet_its_condition() {
        let holds = |expected: Expected, values: &[&'static str]| {
            let name = HeaderName::from_static("x-team");
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            HeaderCondition { name, expected }.holds(&headers)
        };
        let exact = || Expected::Exact("crm".to_owned());
        let prefix = || Expected::Prefix("cr".to_owned());

        assert!(holds(exact(), &["crm"]) && holds(exact(), &["crm", "crm"]));
        assert!(
            !holds(exact(), &[]) && !holds(exact(), &["crm", "ops"]) && !holds(exact(), &["CRM"])
        );
        assert!(holds(prefix(), &["crm", "cr"]));
        assert!(!holds(prefix(), &["crm", "c"]) && !holds(prefix(), &[]));
        assert!(holds(Expected::Present, &[""]) && !holds(Expected::Present, &[]));
        assert!(holds(Expected::Absent, &[]) && !holds(Expected::Absent, &[""]));
    }

    #[test]
    fn two_conditions_go_together_where_a_field_meets_both() {
        use Expected::{Absent, Exact, Prefix, Present};
        let name = HeaderName::from_static("x-team");
        let of = |expected: &Expected| HeaderCondition {
            name: name.clone(),
            expected: expected.clone(),
        };
        let text = str::to_owned;
        let all = [
            Absent,
            Present,
            Exact(text("cr")),
            Exact(text("crm")),
            Prefix(text("cr")),
            Prefix(text("crm")),
            Prefix(text("x")),
        ];
        let mut fields = vec![HeaderMap::new()];
        fields.extend(
            ["c", "cr", "crm", "crm-2", "x"].map(|value| {
                HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))])
            }),
        );

        for one in &all {
            for other in &all {
                let (one, other) = (of(one), of(other));
                let mut fields = fields.iter();
                let both = fields.any(|fields| one.holds(fields) && other.holds(fields));
                assert_eq!(one.goes_with(&other), both, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn operations_are_named_alone_or_by_their_group() {
        let takes = |pattern: &str, path: &str| {
            let pattern: OperationPattern = pattern.parse().unwrap();
            assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
            pattern.takes(Operation::of(&http::Method::GET, path))
        };

        assert!(takes("exports.read", "/data/core/ups/export/jobs/1"));
        assert!(takes("exports.*", "/data/core/ups/export/jobs/1"));
        assert!(!takes("exports.list", "/data/core/ups/export/jobs/1"));
        assert!(!takes("export.*", "/data/core/ups/export/jobs/1"));
        assert!(takes("unknown.*", "/data/core/ups/new"));
        for wrong in [
            "", ".", "*", "a.", ".a", "a.b.c", "a.b.*", "1a", "a-b", "a.*b", "a*",
        ] {
            assert!(wrong.parse::<OperationPattern>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_pattern_of_hosts_is_a_name_or_an_address() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap().to_string();
        assert_eq!(pattern("Profile.Internal."), "profile.internal");
        assert_eq!(pattern("*.Internal"), "*.internal");
        assert_eq!(pattern("[::1]"), "[::1]");
        let takes = |text: &str, host| text.parse::<HostPattern>().unwrap().takes(host);
        assert!(takes("a.b", "a.b") && !takes("a.b", "x.a.b"));
        assert!(takes("*.b", "a.b") && takes("*.b", "x.a.b"));
        assert!(!takes("*.b", "b") && !takes("*.b", "ab") && !takes("*.b", ".b"));
        for wrong in [
            "", "*", "*.", "a..b", "a:80", "a.*.b", "[::1", "a/b", "*a.b", ".",
        ] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong:?}");
        }
    }
}
