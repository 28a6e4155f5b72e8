//! The operations of the Profile API: which path does what, and what it may cost to send one twice.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use http::Method;

use crate::path_tree::PathTree;

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
#[derive(Debug)]
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
}

impl Operation {
    /// Returns the operation that `method` and the raw `path` mean at Adobe.
    ///
    /// One trailing slash is ignored, since Adobe documents several paths in both forms. A `HEAD` counts as
    /// the `GET` it mirrors. A path that differs from a known one only by case counts as the known one, so
    /// that spelling cannot turn a delete into something milder. Everything else is classed by its method.
    pub fn of(method: &Method, path: &str) -> &'static Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        if let Some(known) = TABLE.at(method, path) {
            return known;
        }
        if let Some(known) = TABLE.folded(method, &path.to_ascii_lowercase()) {
            return known;
        }
        match *method {
            Method::GET => &UNKNOWN_READ,
            Method::DELETE => &UNKNOWN_DELETE,
            _ => &UNKNOWN_WRITE,
        }
    }

    /// Tells whether the path is one of Adobe's documented ones.
    pub fn is_known(&self) -> bool {
        self.method.is_some()
    }

    /// Returns every known operation.
    pub fn all() -> &'static [Self] {
        &TABLE.rows
    }
}

static UNKNOWN_READ: Operation = unknown("unknown.read", Kind::Read, true);
static UNKNOWN_WRITE: Operation = unknown("unknown.write", Kind::Write, false);
static UNKNOWN_DELETE: Operation = unknown("unknown.delete", Kind::Delete, false);

const fn unknown(name: &'static str, kind: Kind, replay_safe: bool) -> Operation {
    Operation {
        name,
        method: None,
        template: "",
        kind,
        replay_safe,
    }
}

/// The rows with a matcher a method, once as written and once in lower case.
struct Table {
    rows: Vec<Operation>,
    exact: Matchers,
    folded: Matchers,
}

type Matchers = Vec<(Method, PathTree<usize>)>;

impl Table {
    fn new(rows: Vec<Operation>) -> Self {
        let exact = matchers(&rows, str::to_owned);
        let folded = matchers(&rows, str::to_ascii_lowercase);
        Self {
            rows,
            exact,
            folded,
        }
    }

    fn at(&self, method: &Method, path: &str) -> Option<&Operation> {
        find(&self.exact, method, path).and_then(|row| self.rows.get(row))
    }

    fn folded(&self, method: &Method, path: &str) -> Option<&Operation> {
        find(&self.folded, method, path).and_then(|row| self.rows.get(row))
    }
}

fn matchers(rows: &[Operation], spell: impl Fn(&str) -> String) -> Matchers {
    let mut matchers = Matchers::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(method) = &row.method else { continue };
        let position = matchers
            .iter()
            .position(|(known, _)| known == method)
            .unwrap_or_else(|| {
                matchers.push((method.clone(), PathTree::default()));
                matchers.len() - 1
            });
        if let Some((_, tree)) = matchers.get_mut(position) {
            tree.insert(&spell(row.template), index)
                .expect("the table has no two rows of one meaning");
        }
    }
    matchers
}

fn find(matchers: &Matchers, method: &Method, path: &str) -> Option<usize> {
    let (_, tree) = matchers.iter().find(|(known, _)| known == method)?;
    tree.find(path).copied()
}

fn row(
    name: &'static str,
    method: Method,
    template: &'static str,
    kind: Kind,
    replay_safe: bool,
) -> Operation {
    Operation {
        name,
        method: Some(method),
        template,
        kind,
        replay_safe,
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(rows()));

/// # Source
/// Adobe's OpenAPI files for profile, segmentation, computed attributes and external audiences, and their
/// guides, read 2026-11-23. `POST /system/jobs` deletes a whole data set or batch, hence its kind.
#[rustfmt::skip]
fn rows() -> Vec<Operation> {
    vec![
        row("entities.read", Method::GET, "/data/core/ups/access/entities", Kind::Read, true),
        row("entities.read", Method::POST, "/data/core/ups/access/entities", Kind::Read, true),
        row("entities.delete", Method::DELETE, "/data/core/ups/access/entities", Kind::Delete, true),
        row("mergePolicies.list", Method::GET, "/data/core/ups/config/mergePolicies", Kind::Read, true),
        row("mergePolicies.create", Method::POST, "/data/core/ups/config/mergePolicies", Kind::Write, false),
        row("mergePolicies.read", Method::GET, "/data/core/ups/config/mergePolicies/{id}", Kind::Read, true),
        row("mergePolicies.replace", Method::PUT, "/data/core/ups/config/mergePolicies/{id}", Kind::Write, true),
        row("mergePolicies.update", Method::PATCH, "/data/core/ups/config/mergePolicies/{id}", Kind::Write, false),
        row("mergePolicies.delete", Method::DELETE, "/data/core/ups/config/mergePolicies/{id}", Kind::Delete, true),
        row("mergePolicies.read", Method::POST, "/data/core/ups/config/mergePolicies/bulk-get", Kind::Read, true),
        row("previewSample.read", Method::GET, "/data/core/ups/previewsamplestatus", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/dataset", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/dataset/overlap", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/namespace", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/namespace/overlap", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/unstitchedProfiles", Kind::Read, true),
        row("systemJobs.list", Method::GET, "/data/core/ups/system/jobs", Kind::Read, true),
        row("systemJobs.create", Method::POST, "/data/core/ups/system/jobs", Kind::Delete, false),
        row("systemJobs.read", Method::GET, "/data/core/ups/system/jobs/{id}", Kind::Read, true),
        row("systemJobs.delete", Method::DELETE, "/data/core/ups/system/jobs/{id}", Kind::Delete, true),
        row("exports.list", Method::GET, "/data/core/ups/export/jobs", Kind::Read, true),
        row("exports.create", Method::POST, "/data/core/ups/export/jobs", Kind::Job, false),
        row("exports.read", Method::GET, "/data/core/ups/export/jobs/{id}", Kind::Read, true),
        row("exports.delete", Method::DELETE, "/data/core/ups/export/jobs/{id}", Kind::Delete, true),
        row("destinations.list", Method::GET, "/data/core/ups/config/destinations", Kind::Read, true),
        row("destinations.create", Method::POST, "/data/core/ups/config/destinations", Kind::Write, false),
        row("destinations.read", Method::GET, "/data/core/ups/config/destinations/{id}", Kind::Read, true),
        row("destinations.replace", Method::PUT, "/data/core/ups/config/destinations/{id}", Kind::Write, false),
        row("destinations.delete", Method::DELETE, "/data/core/ups/config/destinations/{id}", Kind::Delete, true),
        row("projections.list", Method::GET, "/data/core/ups/config/projections", Kind::Read, true),
        row("projections.create", Method::POST, "/data/core/ups/config/projections", Kind::Write, false),
        row("projections.read", Method::GET, "/data/core/ups/config/projections/{id}", Kind::Read, true),
        row("projections.replace", Method::PUT, "/data/core/ups/config/projections/{id}", Kind::Write, false),
        row("projections.delete", Method::DELETE, "/data/core/ups/config/projections/{id}", Kind::Delete, true),
        row("legacyComputedAttributes.list", Method::GET, "/data/core/ups/config/computedAttributes", Kind::Read, true),
        row("legacyComputedAttributes.create", Method::POST, "/data/core/ups/config/computedAttributes", Kind::Write, false),
        row("legacyComputedAttributes.read", Method::GET, "/data/core/ups/config/computedAttributes/{id}", Kind::Read, true),
        row("legacyComputedAttributes.update", Method::PATCH, "/data/core/ups/config/computedAttributes/{id}", Kind::Write, false),
        row("legacyComputedAttributes.delete", Method::DELETE, "/data/core/ups/config/computedAttributes/{id}", Kind::Delete, true),
        row("eventTypes.list", Method::GET, "/data/core/ups/config/eventTypes", Kind::Read, true),
        row("eventTypes.create", Method::POST, "/data/core/ups/config/eventTypes", Kind::Write, false),
        row("eventTypes.read", Method::GET, "/data/core/ups/config/eventTypes/{id}", Kind::Read, true),
        row("eventTypes.replace", Method::PUT, "/data/core/ups/config/eventTypes/{id}", Kind::Write, true),
        row("eventTypes.update", Method::PATCH, "/data/core/ups/config/eventTypes/{id}", Kind::Write, false),
        row("eventTypes.delete", Method::DELETE, "/data/core/ups/config/eventTypes/{id}", Kind::Delete, true),
        row("macros.list", Method::GET, "/data/core/ups/config/macros", Kind::Read, true),
        row("macros.create", Method::POST, "/data/core/ups/config/macros", Kind::Write, false),
        row("macros.read", Method::GET, "/data/core/ups/config/macros/{id}", Kind::Read, true),
        row("macros.replace", Method::PUT, "/data/core/ups/config/macros/{id}", Kind::Write, true),
        row("macros.update", Method::PATCH, "/data/core/ups/config/macros/{id}", Kind::Write, false),
        row("macros.delete", Method::DELETE, "/data/core/ups/config/macros/{id}", Kind::Delete, true),
        row("audiences.list", Method::GET, "/data/core/ups/audiences", Kind::Read, true),
        row("audiences.create", Method::POST, "/data/core/ups/audiences", Kind::Write, false),
        row("audiences.read", Method::GET, "/data/core/ups/audiences/{id}", Kind::Read, true),
        row("audiences.replace", Method::PUT, "/data/core/ups/audiences/{id}", Kind::Write, true),
        row("audiences.update", Method::PATCH, "/data/core/ups/audiences/{id}", Kind::Write, false),
        row("audiences.delete", Method::DELETE, "/data/core/ups/audiences/{id}", Kind::Delete, true),
        row("audiences.read", Method::POST, "/data/core/ups/audiences/bulk-get", Kind::Read, true),
        row("segmentDefinitions.list", Method::GET, "/data/core/ups/segment/definitions", Kind::Read, true),
        row("segmentDefinitions.create", Method::POST, "/data/core/ups/segment/definitions", Kind::Write, false),
        row("segmentDefinitions.read", Method::GET, "/data/core/ups/segment/definitions/{id}", Kind::Read, true),
        row("segmentDefinitions.update", Method::PATCH, "/data/core/ups/segment/definitions/{id}", Kind::Write, false),
        row("segmentDefinitions.delete", Method::DELETE, "/data/core/ups/segment/definitions/{id}", Kind::Delete, true),
        row("segmentDefinitions.read", Method::POST, "/data/core/ups/segment/definitions/bulk-get", Kind::Read, true),
        row("segments.convert", Method::POST, "/data/core/ups/segment/conversion", Kind::Read, true),
        row("segmentJobs.list", Method::GET, "/data/core/ups/segment/jobs", Kind::Read, true),
        row("segmentJobs.create", Method::POST, "/data/core/ups/segment/jobs", Kind::Job, false),
        row("segmentJobs.read", Method::GET, "/data/core/ups/segment/jobs/{id}", Kind::Read, true),
        row("segmentJobs.delete", Method::DELETE, "/data/core/ups/segment/jobs/{id}", Kind::Delete, true),
        row("segmentJobs.read", Method::POST, "/data/core/ups/segment/jobs/bulk-get", Kind::Read, true),
        row("previews.create", Method::POST, "/data/core/ups/preview", Kind::Job, false),
        row("previews.read", Method::GET, "/data/core/ups/preview/{id}", Kind::Read, true),
        row("previews.delete", Method::DELETE, "/data/core/ups/preview/{id}", Kind::Delete, true),
        row("estimates.read", Method::GET, "/data/core/ups/estimate/{id}", Kind::Read, true),
        row("schedules.list", Method::GET, "/data/core/ups/config/schedules", Kind::Read, true),
        row("schedules.create", Method::POST, "/data/core/ups/config/schedules", Kind::Write, false),
        row("schedules.read", Method::GET, "/data/core/ups/config/schedules/{id}", Kind::Read, true),
        row("schedules.update", Method::PATCH, "/data/core/ups/config/schedules/{id}", Kind::Write, false),
        row("schedules.delete", Method::DELETE, "/data/core/ups/config/schedules/{id}", Kind::Delete, true),
        row("segments.search", Method::GET, "/data/core/ups/search/namespaces", Kind::Read, true),
        row("segments.search", Method::GET, "/data/core/ups/search/entities", Kind::Read, true),
        row("segments.search", Method::GET, "/data/core/ups/search/taxonomy", Kind::Read, true),
        row("computedAttributes.list", Method::GET, "/data/core/ca/attributes", Kind::Read, true),
        row("computedAttributes.create", Method::POST, "/data/core/ca/attributes", Kind::Write, false),
        row("computedAttributes.read", Method::GET, "/data/core/ca/attributes/{id}", Kind::Read, true),
        row("computedAttributes.update", Method::PATCH, "/data/core/ca/attributes/{id}", Kind::Write, false),
        row("computedAttributes.delete", Method::DELETE, "/data/core/ca/attributes/{id}", Kind::Delete, true),
        row("externalAudiences.create", Method::POST, "/data/core/ais/external-audience", Kind::Job, false),
        row("externalAudiences.create", Method::POST, "/data/core/ais/external-audience/submit", Kind::Job, false),
        row("externalAudiences.operation", Method::GET, "/data/core/ais/external-audience/operations/{id}", Kind::Read, true),
        row("externalAudiences.operation", Method::GET, "/data/core/ais/external-audience/task/{id}", Kind::Read, true),
        row("externalAudiences.read", Method::GET, "/data/core/ais/external-audience/{id}", Kind::Read, true),
        row("externalAudiences.update", Method::PATCH, "/data/core/ais/external-audience/{id}", Kind::Write, false),
        row("externalAudiences.delete", Method::DELETE, "/data/core/ais/external-audience/{id}", Kind::Delete, true),
        row("externalAudiences.run", Method::POST, "/data/core/ais/external-audience/{id}/runs", Kind::Job, false),
        row("externalAudiences.run", Method::POST, "/data/core/ais/external-audience/{id}/run", Kind::Job, false),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/runs", Kind::Read, true),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/runs/{run}", Kind::Read, true),
    ]
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
}
