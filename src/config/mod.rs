//! From a file and the environment to each part's `Settings`.
//!
//! The way of a text: [`yaml`] reads it into a [`tree`], [`references`] fills in what comes from the environment
//! and from files, [`check`](mod@check) holds it against the [`schema`](mod@schema) made from [`file`](mod@file), and [`build`] makes the
//! settings and holds them against each other. Each step reports all it finds and goes on.

mod build;
mod check;
mod defaults;
pub mod diagnostics;
mod environment;
mod exposed;
mod file;
mod format;
mod lines;
mod load;
mod name;
pub(crate) mod nearest;
mod outline;
mod path;
mod quantity;
mod references;
mod report;
pub mod schema;
mod shadow;
pub mod sources;
mod text;
mod tree;
mod warning;
mod watch;
mod yaml;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::{
    admin, authorize, connect, credentials, explain, forward, identify, ims, issuers, limit,
    listener, route, shared, telemetry,
};

pub use diagnostics::Diagnostics;
pub use exposed::Exposed;
pub use lines::{Lines, Said};
pub use outline::Outline;
pub use schema::schema;
pub use sources::{Process, Sources, Supplied};
pub use warning::Warning;
pub use watch::Watch;

use file::File;
use path::KeyPath;
use report::{Fault, Report};
use tree::Node;

/// The settings of every part, checked against each other.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's listener.
    pub admin: admin::Settings,
    /// Where it is written down what somebody may have to account for. Default: nowhere.
    pub audit: Option<telemetry::audit::Settings>,
    /// What each route permits.
    pub authorize: authorize::Settings,
    /// Which credential each route uses.
    pub credentials: credentials::Settings,
    /// How the gateway stops.
    pub drain: Drain,
    /// Files with secrets that every user of the machine may read.
    pub exposed: Vec<Exposed>,
    /// How requests are passed on.
    pub forward: forward::Settings,
    /// The callers.
    pub identify: identify::Settings,
    /// The token service and its credentials.
    pub ims: ims::Settings,
    /// The most requests in flight, all listeners together. Default 1024.
    pub in_flight: NonZeroUsize,
    /// The quotas.
    pub limit: limit::Settings,
    /// Who signs the tokens of callers.
    pub issuers: issuers::Settings,
    /// The callers' listeners, at least one.
    pub listeners: Vec<listener::Settings>,
    /// How the gateway logs.
    pub log: telemetry::Settings,
    /// What all of it says, for comparing it with another.
    pub outline: Outline,
    /// The routes.
    pub route: route::Settings,
    /// Rules that are only looked at. Default: none.
    pub shadow: Option<Arc<explain::shadow::Settings>>,
    /// What replicas share, and where. Default: nothing.
    pub shared: Option<shared::Settings>,
    /// How the upstream is reached.
    pub upstream: connect::Settings,
    /// What can never come to anything.
    pub warnings: Vec<Warning>,
    /// The number of data workers. Default: one for each core the process may use.
    pub workers: NonZeroUsize,
}

impl Settings {
    /// Returns what of it says who may do what.
    pub fn explained(&self) -> explain::Settings<'_> {
        explain::Settings {
            authorize: &self.authorize,
            forward: &self.forward,
            identify: &self.identify,
            listeners: &self.listeners,
            route: &self.route,
        }
    }
}

/// How the gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long everything is served as usual after readiness has ended. Default 5 s.
    pub delay: Duration,
    /// How long requests in flight may take to finish after that. Default 30 s.
    pub timeout: Duration,
}

/// Loads the file at `path`, or all `*.yaml` and `*.yml` files of the folder, merged by section.
///
/// References and certificates are read through `sources`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(path: &Path, sources: &dyn Sources) -> Result<Settings, Diagnostics> {
    load_from(path, &Process, sources)
}

/// Loads from `files` what stands at `path`, and from `sources` what that refers to.
fn load_from(
    path: &Path,
    files: &dyn Sources,
    sources: &dyn Sources,
) -> Result<Settings, Diagnostics> {
    let mut report = Report::default();
    let root = load::read(path, files, &mut report);
    finish(root, sources, report).map(|(settings, _)| settings)
}

/// Loads as [`load()`] does, and returns besides where everything is said.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load_with_lines(
    path: &Path,
    sources: &dyn Sources,
) -> Result<(Settings, Lines), Diagnostics> {
    let mut report = Report::default();
    let root = load::read(path, &Process, &mut report);
    finish(root, sources, report)
}

/// Reads the configuration in `text`, which diagnostics call `name`.
///
/// It does nothing but ask `sources` for what the text refers to, and who may read that.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn parse(name: &str, text: &str, sources: &dyn Sources) -> Result<Settings, Diagnostics> {
    let mut report = Report::default();
    let root = yaml::read(name, text, &mut report);
    finish(root, sources, report).map(|(settings, _)| settings)
}

/// Tells whether `text`, read as a duration, a size and a rate, is what it says, if it is one: for the fuzzer.
#[cfg(fuzzing)]
pub fn quantities_read_back(text: &str) -> bool {
    quantity::reads_back::<Duration>(text)
        && quantity::reads_back::<quantity::ByteSize>(text)
        && quantity::reads_back::<quantity::Rate>(text)
}

fn finish(
    mut root: Node,
    sources: &dyn Sources,
    mut report: Report,
) -> Result<(Settings, Lines), Diagnostics> {
    match settle(&mut root, sources, Standing::Live, &mut report) {
        Some(settings) if report.is_clean() => {
            let lines = Lines::new(root, &report);
            let warnings = report.into_warnings();
            Ok((
                Settings {
                    warnings,
                    ..settings
                },
                lines,
            ))
        }
        Some(_) | None => Err(report.into_diagnostics()),
    }
}

/// What a configuration is to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It counts.
    Live,
    /// Its rules are only looked at.
    Shadow,
}

/// Makes settings of what was read. They count only when nothing was reported.
fn settle(
    root: &mut Node,
    sources: &dyn Sources,
    standing: Standing,
    report: &mut Report,
) -> Option<Settings> {
    references::fill(root, &KeyPath::default(), sources, report);
    let value = check::check(root, &schema::CHECKED, report);
    match File::deserialize(&value) {
        Ok(file) => {
            let noting = outline::Noting::new(sources);
            let mut holders = exposed::Holders::default();
            let mut settings = build::build(&file, root, &noting, &mut holders, report);
            let complete = serde_json::to_value(&file).unwrap_or_default();
            settings.outline = Outline::new(&complete, &value, &noting);
            holders.add_of(root, &complete, report);
            settings.exposed = holders.exposed(sources);
            shadow::add(&file, root, standing, sources, &mut settings, report);
            Some(settings)
        }
        Err(error) => {
            // The checker lets nothing through that the types refuse; a test holds the two together.
            let message = format!("the file cannot be read: {error}");
            report.add(Fault::new(root.place, &KeyPath::default(), message));
            None
        }
    }
}
