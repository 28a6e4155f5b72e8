//! An operation of the Profile API: what it does, and what it may cost to send it twice.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::Method;

use super::operations::Operations;

/// What an operation does to data, which is what routes grant by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Removes data, whether at once or by a job.
    Delete,
    /// Starts work that runs on after the answer.
    Job,
    /// Changes nothing.
    Read,
    /// Creates or changes configuration or data.
    Write,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Delete, Self::Job, Self::Read, Self::Write];

    /// Returns the word that configuration, logs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Job => "job",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of read, write, job, delete")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

/// One operation of the Profile API, or of a path this gateway does not know.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Stable name such as `entities.read`, for logs, metrics and rules.
    pub name: &'static str,
    /// The method, or `None` for an operation of an unknown path.
    pub method: Option<Method>,
    /// The path template, without a trailing slash. Empty for an unknown path.
    pub template: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Whether sending it twice does no harm.
    pub replay_safe: bool,
    /// Whether it takes a payload, which needs a `Content-Type` then.
    pub payload: bool,
    /// How much it takes of each quota. Default 1, as all that are built in.
    pub cost: NonZeroU32,
}

/// What an operator says of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The method; `HEAD` counts as `GET`.
    pub method: Method,
    /// The path template, as it goes upstream.
    pub template: String,
    /// What it does.
    pub kind: Kind,
    /// Whether sending it twice does no harm.
    pub replay_safe: bool,
    /// Whether it takes a payload.
    pub payload: bool,
    /// How much it takes of each quota.
    pub cost: NonZeroU32,
}

impl Row {
    /// Returns the operation, the same one for rows that say the same.
    ///
    /// It stays for the life of the process, so that requests can refer to it whatever becomes of the configuration. A
    /// process keeps one for each different row it was ever given.
    pub fn interned(self) -> &'static Operation {
        static INTERNED: LazyLock<Mutex<HashMap<Row, &'static Operation>>> =
            LazyLock::new(Mutex::default);
        // An entry is written whole, so what a panic left behind is as good as any.
        let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
        interned.entry(self).or_insert_with_key(|row| {
            Box::leak(Box::new(Operation {
                name: row.name.clone().leak(),
                method: Some(row.method.clone()),
                template: row.template.clone().leak(),
                kind: row.kind,
                replay_safe: row.replay_safe,
                payload: row.payload,
                cost: row.cost,
            }))
        })
    }
}

impl Operation {
    /// Returns the operation that `method` and the raw `path` mean at Adobe, see [`Operations::of`].
    pub fn of(method: &Method, path: &str) -> &'static Self {
        Operations::built_in().of(method, path)
    }

    /// Tells whether a request with this method can be one of it.
    pub fn comes_with(&self, method: &Method) -> bool {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        match (&self.method, self.kind) {
            (Some(own), _) => own == method,
            (None, Kind::Read) => method == Method::GET,
            (None, Kind::Delete) => method == Method::DELETE,
            (None, Kind::Job | Kind::Write) => method != Method::GET && method != Method::DELETE,
        }
    }

    /// Tells whether the path is one of Adobe's documented ones, or one that the operator described.
    pub fn is_known(&self) -> bool {
        self.method.is_some()
    }

    /// Returns every operation that is built in.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        Operations::built_in().all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, path: &str) -> (&'static str, Kind, bool) {
        let operation = Operation::of(method, path);
        (operation.name, operation.kind, operation.replay_safe)
    }

    #[test]
    fn post_to_entities_reads_and_post_to_system_jobs_deletes() {
        let entities = of(&Method::POST, "/data/core/ups/access/entities");
        let system_jobs = of(&Method::POST, "/data/core/ups/system/jobs");

        assert_eq!(entities, ("entities.read", Kind::Read, true));
        assert_eq!(system_jobs, ("systemJobs.create", Kind::Delete, false));
    }

    #[test]
    fn a_trailing_slash_or_another_case_changes_nothing() {
        for path in [
            "/data/core/ups/system/jobs/",
            "/data/core/ups/SYSTEM/jobs",
            "/Data/Core/ups/system/Jobs/",
        ] {
            assert_eq!(of(&Method::POST, path).1, Kind::Delete, "{path}");
        }
        assert_eq!(
            of(&Method::GET, "/data/core/ups/config/mergepolicies").0,
            "mergePolicies.list"
        );
        assert_eq!(
            of(&Method::GET, "/data/core/ups/export/jobs/").0,
            "exports.list"
        );
        assert_eq!(
            of(&Method::GET, "/data/core/ups/export/jobs/A-b").0,
            "exports.read"
        );
    }

    #[test]
    fn an_unknown_path_is_classed_by_its_method() {
        let path = "/data/core/ups/new/thing";

        assert_eq!(of(&Method::GET, path).1, Kind::Read);
        assert_eq!(of(&Method::HEAD, path).1, Kind::Read);
        assert_eq!(of(&Method::POST, path).1, Kind::Write);
        assert_eq!(of(&Method::PATCH, path).1, Kind::Write);
        assert_eq!(of(&Method::DELETE, path).1, Kind::Delete);
    }

    #[test]
    fn an_operation_comes_with_the_methods_by_which_it_is_known() {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            for path in ["/data/core/ups/new", "/data/core/ups/system/jobs"] {
                assert!(Operation::of(&method, path).comes_with(&method), "{method}");
            }
            let unknown = Operation::of(&method, "/new");
            let others = [Method::GET, Method::POST, Method::DELETE];
            let others = others.iter().filter(|other| unknown.comes_with(other));
            assert_eq!(others.count(), 1, "{method}");
        }
    }

    #[test]
    fn bulk_reads_win_over_the_id_beside_them() {
        let bulk = of(
            &Method::POST,
            "/data/core/ups/config/mergePolicies/bulk-get",
        );

        assert_eq!(bulk, ("mergePolicies.read", Kind::Read, true));
    }

    #[test]
    fn every_row_is_found_by_its_own_template() {
        for row in Operation::all() {
            let method = row.method.clone().unwrap();
            let found = Operation::of(&method, &row.template.replace(['{', '}'], ""));

            assert_eq!(
                (found.name, found.kind),
                (row.name, row.kind),
                "{} {}",
                method,
                row.template
            );
        }
    }

    #[test]
    fn rows_that_say_the_same_are_one_operation() {
        let row = |name: &str| Row {
            name: name.to_owned(),
            method: Method::GET,
            template: "/data/core/ups/consents/{id}".to_owned(),
            kind: Kind::Read,
            replay_safe: true,
            payload: false,
            cost: NonZeroU32::MIN,
        };

        let first = row("consents.read").interned();
        assert!(std::ptr::eq(first, row("consents.read").interned()));
        assert!(!std::ptr::eq(first, row("consents.list").interned()));
        assert_eq!(first.name, "consents.read");
    }
}
