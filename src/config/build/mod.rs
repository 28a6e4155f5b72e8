//! From the file to each part's `Settings`, checked against each other.

mod acceptance;
mod audit;
mod callers;
mod certificates;
mod credentials;
mod found;
mod granted;
mod grants;
mod issuers;
mod listeners;
mod matching;
mod named;
mod operations;
mod origins;
mod places;
mod proxies;
mod quotas;
mod routes;
mod shared;
mod ties;
mod vain;

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use super::exposed::Holders;
use super::file::{self, File, LogFormat, LogLevel, Workers};
use super::path::{KeyPath, top};
use super::report::{Fault, Report};
use super::sources::Sources;
use super::text::Place;
use super::tree::{Content, Node};
use super::{Drain, Outline, Settings};
use crate::{admin, telemetry};

/// Makes the settings of every part. They count only when nothing was reported.
pub(super) fn build(
    file: &File,
    root: &Node,
    sources: &dyn Sources,
    holders: &mut Holders,
    report: &mut Report,
) -> Settings {
    let mut cross = Cross {
        holders,
        root,
        report,
        sources,
    };
    let credentials = credentials::build(file, &mut cross);
    let callers = callers::build(file, &mut cross);
    let routes = routes::build(file, &callers, &credentials, &mut cross);
    Settings {
        admin: admin::Settings {
            address: file.admin.address.0,
        },
        audit: file
            .audit
            .as_ref()
            .and_then(|audit| audit::build(audit, &mut cross)),
        authorize: routes.authorize,
        credentials: routes.credentials,
        drain: drain(&file.drain),
        exposed: Vec::new(),
        warnings: Vec::new(),
        forward: routes.forward,
        listeners: listeners::build(file, &callers, &mut cross),
        identify: callers.settings,
        ims: origins::ims(&file.ims, credentials, &mut cross),
        in_flight: file.in_flight,
        issuers: issuers::build(&file.issuers, &mut cross),
        limit: routes.limit,
        log: telemetry::Settings {
            format: match file.log.format {
                LogFormat::Auto => telemetry::Format::Auto,
                LogFormat::Human => telemetry::Format::Human,
                LogFormat::Json => telemetry::Format::Json,
            },
            level: match file.log.level {
                LogLevel::Debug => tracing::Level::DEBUG,
                LogLevel::Error => tracing::Level::ERROR,
                LogLevel::Info => tracing::Level::INFO,
                LogLevel::Trace => tracing::Level::TRACE,
                LogLevel::Warn => tracing::Level::WARN,
            },
        },
        outline: Outline::default(),
        route: routes.route,
        // Added by who reads the other configuration.
        shadow: None,
        shared: file
            .shared
            .as_ref()
            .and_then(|shared| shared::build(&shared.redis, &mut cross)),
        upstream: origins::upstream(&file.upstream, &mut cross),
        workers: match file.workers {
            Workers::Auto(_) => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Workers::Count(count) => count,
        },
    }
}

fn drain(drain: &file::Drain) -> Drain {
    match drain {
        file::Drain::Times(times) => Drain {
            delay: times.delay.0,
            timeout: times.timeout.0,
        },
        file::Drain::Timeout(timeout) => Drain {
            delay: Duration::ZERO,
            timeout: timeout.0,
        },
    }
}

/// What the cross-checks need: the tree for places, and where faults go.
struct Cross<'a> {
    /// Takes the names of files with private keys.
    holders: &'a mut Holders,
    root: &'a Node,
    report: &'a mut Report,
    sources: &'a dyn Sources,
}

impl Cross<'_> {
    /// Reports a fault of the value at `path`, unless that value, or one it `rests_on`, is known to be wrong already: what
    /// stands there is then a stand-in, and the fault would be of our own making.
    fn fault(
        &mut self,
        path: &KeyPath,
        rests_on: &[&KeyPath],
        message: impl Into<String>,
        finish: impl FnOnce(Fault) -> Fault,
    ) {
        self.fault_at(self.root.place_of(path), path, rests_on, message, finish);
    }

    /// Reports a fault of the key at `path`, as [`Cross::fault`] does one of its value.
    fn fault_of_key(
        &mut self,
        path: &KeyPath,
        rests_on: &[&KeyPath],
        message: impl Into<String>,
        finish: impl FnOnce(Fault) -> Fault,
    ) {
        self.fault_at(
            self.root.place_of_key(path),
            path,
            rests_on,
            message,
            finish,
        );
    }

    fn fault_at(
        &mut self,
        place: Place,
        path: &KeyPath,
        rests_on: &[&KeyPath],
        message: impl Into<String>,
        finish: impl FnOnce(Fault) -> Fault,
    ) {
        if self.is_sound(path, rests_on) {
            self.report.add(finish(Fault::new(place, path, message)));
        }
    }

    /// Tells of something that comes to nothing at `path`, and takes nothing from the configuration's soundness.
    fn warn(
        &mut self,
        place: Place,
        path: &KeyPath,
        rests_on: &[&KeyPath],
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_sound(path, rests_on) {
            self.report
                .warn(Fault::new(place, path, message).help(help));
        }
    }

    fn is_sound(&self, path: &KeyPath, rests_on: &[&KeyPath]) -> bool {
        let mut all = rests_on.iter().chain([&path]);
        !all.any(|path| self.report.is_tainted(path))
    }

    /// Returns the scalar at `path` as it stands in the file, since its value may have come from elsewhere.
    fn written(&self, path: &KeyPath) -> &str {
        match self.root.at(path).map(|node| &node.content) {
            Some(Content::Scalar(scalar)) => &scalar.written,
            Some(Content::Broken | Content::List(_) | Content::Map(_)) | None => "",
        }
    }

    /// Returns the names in the map at the top-level key `key`, in the order they are written.
    fn names(&self, key: &str) -> Vec<String> {
        let map = self.root.at(&top(key));
        map.into_iter()
            .flat_map(Node::keys)
            .map(str::to_owned)
            .collect()
    }
}
