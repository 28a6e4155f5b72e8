//! Which operations requests of a route can mean.
//!
//! That is told from what the route and the operations are written as, without any request: none would stand for all. What
//! other routes take of it is not looked at, so that there may be too much of it, and never too little.

use std::collections::HashSet;

use http::Method;

use crate::aep::{Operation, Operations};
use crate::rewrite::Prefix;
use crate::route::{Rule, SANDBOX, Template};

/// Returns the operations that requests of a route can mean.
pub(super) fn reached(rule: &Rule, operations: &Operations) -> Vec<&'static Operation> {
    let paths = upstream(rule);
    let mut reached: Vec<&'static Operation> = Vec::new();
    for method in &rule.methods {
        for path in &paths {
            for operation in path.operations(method, rule.encoded_slashes, operations) {
                if takes(rule, operation) && !reached.iter().any(|it| std::ptr::eq(*it, operation))
                {
                    reached.push(operation);
                }
            }
        }
    }
    reached
}

fn takes(rule: &Rule, operation: &Operation) -> bool {
    let named = || rule.operations.iter().any(|it| it.takes(operation));
    (rule.operations.is_empty() || named())
        && (rule.kinds.is_empty() || rule.kinds.contains(&operation.kind))
}

/// What paths are like that requests of a route go upstream by.
fn upstream(rule: &Rule) -> Vec<Path> {
    let of_template = |template: &Template| {
        let take_off = rule.take_off.then(|| template.place_of(SANDBOX)).flatten();
        let segments = template.as_str().split('/').skip(1).enumerate();
        let left = segments.filter(|(place, _)| Some(*place) != take_off);
        Path::of(left.map(|(_, segment)| segment))
    };
    let of_prefix = |prefix: &Prefix| Path::of_prefix(prefix).with_more();
    let templates = rule.templates.iter().map(of_template);
    let paths = templates.chain(rule.prefixes.iter().map(of_prefix));
    match &rule.rewrite {
        None => paths.collect(),
        Some(rewrite) => paths
            .map(|path| path.rewritten(&rewrite.from, &rewrite.to))
            .collect(),
    }
}

/// What some paths are like, segment by segment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Path(Vec<Part>);

/// What stands in a place of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any segments, or none.
    Any,
    /// This segment, in lower case: operations are told whatever the case, and no spelling leads around a route.
    Literal(String),
    /// One segment.
    One,
}

impl Path {
    fn of<'a>(segments: impl Iterator<Item = &'a str>) -> Self {
        let mut parts = Vec::new();
        for segment in segments {
            match segment.as_bytes() {
                [b'{', b'*', ..] => parts.extend([Part::One, Part::Any]),
                [b'{', ..] => parts.push(Part::One),
                _ => parts.push(Part::Literal(segment.to_ascii_lowercase())),
            }
        }
        Self(parts)
    }

    fn of_prefix(prefix: &Prefix) -> Self {
        Self::of(prefix.as_str().split('/').skip(1))
    }

    fn with_more(mut self) -> Self {
        self.0.push(Part::Any);
        self
    }

    /// Puts one beginning in the place of another. Where paths may begin otherwise, anything may follow.
    fn rewritten(self, from: &Prefix, to: &Prefix) -> Self {
        let to = Self::of_prefix(to);
        match self.0.strip_prefix(Self::of_prefix(from).0.as_slice()) {
            Some(rest) => Self([to.0.as_slice(), rest].concat()),
            None => to.with_more(),
        }
    }

    /// Returns the one path that there is, if nothing in it may differ.
    fn only(&self) -> Option<String> {
        let segments = self.0.iter().map(|part| match part {
            Part::Literal(segment) => Some(segment.as_str()),
            Part::Any | Part::One => None,
        });
        let segments: Vec<_> = segments.collect::<Option<_>>()?;
        Some(format!("/{}", segments.join("/")))
    }

    /// Returns what these paths can mean with a method.
    fn operations(
        &self,
        method: &Method,
        encoded_slashes: bool,
        operations: &Operations,
    ) -> Vec<&'static Operation> {
        if let Some(path) = self.only() {
            return vec![operations.of(method, &path)];
        }
        let read = if encoded_slashes {
            self.read_decoded()
        } else {
            self.clone()
        };
        let mut covered = false;
        let mut found = Vec::new();
        for operation in operations.all().filter(|it| is_of(it, method)) {
            let template = Self::of(operation.template.split('/').skip(1));
            if meet(&read.0, &template.0, &mut HashSet::new()) {
                found.push(operation);
            }
            covered = covered || covers(&template.0, &self.0);
        }
        if !covered {
            // No operation is of the shortest path.
            found.push(operations.of(method, "/"));
        }
        found
    }

    /// Returns what a server may make of these paths that takes an encoded slash for a plain one: of one segment several.
    fn read_decoded(&self) -> Self {
        let mut parts = Vec::new();
        for part in &self.0 {
            parts.push(part.clone());
            if *part == Part::One {
                parts.push(Part::Any);
            }
        }
        Self(parts)
    }
}

/// Tells whether requests with a method can mean an operation. `HEAD` asks for what `GET` does.
fn is_of(operation: &Operation, method: &Method) -> bool {
    let read = |method: &Method| *method == Method::GET || *method == Method::HEAD;
    let of = operation.method.as_ref();
    of.is_some_and(|of| of == method || read(of) && read(method))
}

/// Tells whether one path can be like both. What did not lead to one before is in `failed`, as what is left of each.
fn meet(ours: &[Part], theirs: &[Part], failed: &mut HashSet<(usize, usize)>) -> bool {
    let left = (ours.len(), theirs.len());
    if failed.contains(&left) {
        return false;
    }
    let met = match (ours, theirs) {
        ([], []) => true,
        ([Part::Any, rest @ ..], _) => {
            let more = theirs.split_first();
            meet(rest, theirs, failed) || more.is_some_and(|(_, more)| meet(ours, more, failed))
        }
        (_, [Part::Any, rest @ ..]) => {
            let more = ours.split_first();
            meet(ours, rest, failed) || more.is_some_and(|(_, more)| meet(more, theirs, failed))
        }
        ([], _) | (_, []) => false,
        ([one, ours @ ..], [other, theirs @ ..]) => {
            let differ =
                matches!((one, other), (Part::Literal(one), Part::Literal(other)) if one != other);
            !differ && meet(ours, theirs, failed)
        }
    };
    if !met {
        failed.insert(left);
    }
    met
}

/// Tells whether every path that is like `path` is like `template`.
fn covers(template: &[Part], path: &[Part]) -> bool {
    match (template, path) {
        ([], []) => true,
        ([Part::One, Part::Any], path) => path.iter().any(|part| *part != Part::Any),
        ([], _) | (_, [] | [Part::Any, ..]) => false,
        ([wanted, template @ ..], [part, path @ ..]) => {
            (*wanted == Part::One || wanted == part) && covers(template, path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aep::Kind;
    use crate::rewrite::Rewrite;

    fn rule(template: &str, methods: &[Method]) -> Rule {
        Rule {
            templates: vec![template.parse().unwrap()],
            methods: methods.to_vec(),
            ..Rule::new("r".to_owned())
        }
    }

    fn names(rule: &Rule) -> Vec<&'static str> {
        let reached = reached(rule, Operations::built_in());
        let mut names: Vec<_> = reached.into_iter().map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn a_literal_of_one_meets_a_parameter_of_the_other_in_every_place() {
        let all = [Method::GET, Method::POST, Method::DELETE];
        let prefix = Rule {
            prefixes: vec!["/data/core/ups/export/jobs/77".parse().unwrap()],
            methods: vec![Method::DELETE],
            ..Rule::new("r".to_owned())
        };

        assert_eq!(names(&prefix), ["exports.delete", "unknown.delete"]);
        assert_eq!(
            names(&rule("/data/core/ups/{kind}/jobs/88", &all)),
            [
                "exports.delete",
                "exports.read",
                "segmentJobs.delete",
                "segmentJobs.read",
                "systemJobs.delete",
                "systemJobs.read",
                "unknown.delete",
                "unknown.read",
                "unknown.write",
            ]
        );
        let spelled = rule("/data/core/ups/SYSTEM/Jobs", &[Method::POST]);
        assert_eq!(names(&spelled), ["systemJobs.create"]);
    }

    #[test]
    fn what_a_known_operation_always_takes_is_not_unknown() {
        let id = "/data/core/ups/audiences/{id}";

        assert_eq!(names(&rule(id, &[Method::HEAD])), ["audiences.read"]);
        assert_eq!(
            names(&rule(id, &[Method::GET, Method::POST])),
            ["audiences.read", "unknown.write"]
        );
        assert_eq!(
            names(&rule("/data/core/ups/audiences", &[Method::PATCH])),
            ["unknown.write"]
        );
    }

    #[test]
    fn an_encoded_slash_makes_several_segments_of_one() {
        let plain = rule("/data/core/ups/{name}", &[Method::POST]);
        let passing = Rule {
            encoded_slashes: true,
            ..plain.clone()
        };

        assert!(!names(&plain).contains(&"systemJobs.create"));
        for name in [
            "systemJobs.create",
            "entities.read",
            "audiences.create",
            "unknown.write",
        ] {
            assert!(names(&passing).contains(&name), "{name}");
        }
    }

    #[test]
    fn paths_are_as_they_go_upstream() {
        let rewritten = Rule {
            take_off: true,
            rewrite: Some(Rewrite {
                from: "/crm".parse().unwrap(),
                to: "/data/core/ups".parse().unwrap(),
            }),
            ..rule("/crm/{sandbox}/system/{rest}", &[Method::POST])
        };

        assert_eq!(names(&rewritten), ["systemJobs.create", "unknown.write"]);
    }

    #[test]
    fn what_the_route_asks_of_operations_is_asked() {
        let of = |operations: &[&str], kinds: &[Kind]| {
            names(&Rule {
                operations: operations.iter().map(|it| it.parse().unwrap()).collect(),
                kinds: kinds.to_vec(),
                ..rule("/data/core/ups/{*rest}", &[Method::GET, Method::DELETE])
            })
        };

        assert_eq!(of(&["exports.*"], &[Kind::Delete]), ["exports.delete"]);
        assert_eq!(of(&["entities.read"], &[]), ["entities.read"]);
        assert!(of(&[], &[Kind::Delete]).contains(&"unknown.delete"));
    }

    #[test]
    fn many_parameters_are_held_against_many_in_no_time() {
        let ours = Path::of(["{a}"; 24].into_iter().chain(["x"])).read_decoded();
        let theirs = Path::of(["{b}"; 48].into_iter().chain(["y"]));

        assert!(!meet(&ours.0, &theirs.0, &mut HashSet::new()));
    }
}
