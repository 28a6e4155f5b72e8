//! Which operation a method and path mean: Adobe's own, and those that an operator adds or describes otherwise.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use http::Method;

use super::operation::Row;
use super::{Kind, Operation, known};
use crate::path_tree::PathTree;

/// The operations of the Profile API by method and path, those of one operator added.
#[derive(Clone, Debug)]
pub struct Operations {
    /// A tree a method.
    methods: Vec<(Method, PathTree<&'static Operation>)>,
}

impl Operations {
    /// Returns those that are built in, without any of an operator's.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Returns those that are built in, with each of `rows` added, or in the place of the one with its method and path.
    #[must_use]
    pub fn with(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut operations = BUILT_IN.clone();
        for row in rows {
            operations.put(row.interned());
        }
        operations
    }

    /// Returns the operation that `method` and the raw `path` mean at Adobe.
    ///
    /// One trailing slash is ignored, since Adobe documents several paths in both forms. A `HEAD` counts as
    /// the `GET` it mirrors. A path that differs from a known one only by case counts as the known one, so
    /// that spelling cannot turn a delete into something milder. Everything else is classed by its method.
    pub fn of(&self, method: &Method, path: &str) -> &'static Operation {
        let path = path.strip_suffix('/').unwrap_or(path);
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let tree = self.methods.iter().find(|(known, _)| known == method);
        if let Some(known) = tree.and_then(|(_, tree)| tree.find(path)) {
            return known;
        }
        match *method {
            Method::GET => &UNKNOWN_READ,
            Method::DELETE => &UNKNOWN_DELETE,
            _ => &UNKNOWN_WRITE,
        }
    }

    /// Returns the operation that the path means for a server that takes an encoded slash for a plain one, if there is a
    /// known one, so that the encoding hides none; else that of the path as it is.
    pub fn of_encoded(&self, method: &Method, path: &str) -> &'static Operation {
        let decoded = self.of(method, &decoded_slashes(path));
        if decoded.is_known() {
            decoded
        } else {
            self.of(method, path)
        }
    }

    /// Returns every known operation.
    pub fn all(&self) -> impl Iterator<Item = &'static Operation> {
        let mut all = Vec::new();
        for (_, tree) in &self.methods {
            tree.for_each(&mut |operation: &&'static Operation| all.push(*operation));
        }
        all.into_iter()
    }

    /// Returns every operation, known or classed by its method.
    pub fn all_and_unknown(&self) -> impl Iterator<Item = &'static Operation> {
        let unknown = [&UNKNOWN_READ, &UNKNOWN_WRITE, &UNKNOWN_DELETE];
        self.all().chain(unknown)
    }

    fn put(&mut self, operation: &'static Operation) {
        let Some(method) = &operation.method else {
            return;
        };
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let place = self.methods.iter().position(|(known, _)| known == method);
        let place = place.unwrap_or_else(|| {
            self.methods.push((method.clone(), PathTree::default()));
            self.methods.len() - 1
        });
        if let Some((_, tree)) = self.methods.get_mut(place) {
            *tree.template(operation.template) = Some(operation);
        }
    }
}

/// Returns the path that a server sees which takes encoded slashes for plain ones.
pub fn decoded_slashes(path: &str) -> String {
    path.replace("%2f", "/").replace("%2F", "/")
}

/// Tells whether requests with this method have a payload as a rule.
pub fn brings_payload(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::DELETE].contains(method)
}

static BUILT_IN: LazyLock<Operations> = LazyLock::new(|| {
    let mut operations = Operations {
        methods: Vec::new(),
    };
    for operation in known::rows() {
        operations.put(Box::leak(Box::new(operation)));
    }
    operations
});

static UNKNOWN_READ: Operation = unknown("unknown.read", Kind::Read, true);
static UNKNOWN_WRITE: Operation = unknown("unknown.write", Kind::Write, false);
static UNKNOWN_DELETE: Operation = unknown("unknown.delete", Kind::Delete, false);

/// It may take a payload, whatever its method.
const fn unknown(name: &'static str, kind: Kind, replay_safe: bool) -> Operation {
    Operation {
        name,
        method: None,
        template: "",
        kind,
        replay_safe,
        payload: true,
        cost: NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, method: Method, template: &str, kind: Kind) -> Row {
        Row {
            name: name.to_owned(),
            payload: brings_payload(&method),
            method,
            template: template.to_owned(),
            kind,
            replay_safe: false,
            cost: NonZeroU32::MIN,
        }
    }

    fn of(operations: &Operations, method: &Method, path: &str) -> (&'static str, Kind) {
        let operation = operations.of(method, path);
        (operation.name, operation.kind)
    }

    #[test]
    fn an_operators_row_is_added_or_takes_the_place_of_the_one_with_its_method_and_path() {
        let operations = Operations::with([
            row(
                "consents.read",
                Method::GET,
                "/data/core/ups/consents/{id}",
                Kind::Read,
            ),
            row(
                "purges.create",
                Method::POST,
                "/data/core/ups/System/Jobs",
                Kind::Job,
            ),
            row(
                "audiences.list",
                Method::GET,
                "/data/core/ups/audiences/{other}",
                Kind::Read,
            ),
        ]);

        let consents = "/data/core/ups/consents/7";
        assert_eq!(
            of(&operations, &Method::GET, consents),
            ("consents.read", Kind::Read)
        );
        assert_eq!(
            of(&operations, &Method::HEAD, consents),
            ("consents.read", Kind::Read)
        );
        assert_eq!(
            of(&operations, &Method::PUT, consents),
            ("unknown.write", Kind::Write)
        );
        let jobs = "/data/core/ups/system/jobs";
        assert_eq!(
            of(&operations, &Method::POST, jobs),
            ("purges.create", Kind::Job)
        );
        let audience = "/data/core/ups/audiences/7";
        assert_eq!(
            of(&operations, &Method::GET, audience),
            ("audiences.list", Kind::Read)
        );
        let built_in = Operations::built_in();
        assert_eq!(
            of(built_in, &Method::POST, jobs),
            ("systemJobs.create", Kind::Delete)
        );
        assert_eq!(operations.all().count(), built_in.all().count() + 1);
    }

    #[test]
    fn an_operators_parameter_hides_no_literal_that_is_spelled_otherwise() {
        let operations = Operations::with([row(
            "systems.touch",
            Method::POST,
            "/data/core/ups/System/{id}",
            Kind::Read,
        )]);

        for spelled in ["System/jobs", "system/Jobs", "SYSTEM/JOBS/"] {
            let path = format!("/data/core/ups/{spelled}");
            assert_eq!(
                of(&operations, &Method::POST, &path).1,
                Kind::Delete,
                "{path}"
            );
        }
        let other = of(&operations, &Method::POST, "/data/core/ups/sYstem/other");
        assert_eq!(other, ("systems.touch", Kind::Read));
    }

    #[test]
    fn an_encoded_slash_hides_no_operation() {
        let operations = Operations::built_in();
        let of = |path| operations.of_encoded(&Method::POST, path).name;

        assert_eq!(of("/data/core/ups/system%2Fjobs"), "systemJobs.create");
        assert_eq!(of("/data/core/ups%2fsystem%2Fjobs"), "systemJobs.create");
        assert_eq!(of("/data/core/ups/system%2Fothers"), "unknown.write");
    }

    #[test]
    fn a_payload_comes_with_what_creates_changes_or_asks_for_several_or_is_unknown() {
        let operations = Operations::built_in();
        let payload = |method, path: &str| operations.of(&method, path).payload;

        assert!(payload(Method::POST, "/data/core/ups/access/entities"));
        assert!(payload(Method::PATCH, "/data/core/ups/audiences/7"));
        assert!(payload(Method::DELETE, "/data/core/ups/access/entities"));
        assert!(payload(Method::PUT, "/data/core/ups/new") && payload(Method::DELETE, "/new"));
        assert!(!payload(Method::DELETE, "/data/core/ups/audiences/7"));
        assert!(!payload(Method::GET, "/data/core/ups/access/entities"));
        assert!(payload(Method::GET, "/data/core/ups/new"), "who knows");
    }
}
