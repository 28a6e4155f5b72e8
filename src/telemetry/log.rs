//! Where log lines go: standard output, through a thread of its own that may be slow without slowing requests.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use super::sink::{Sink, Stdout, Writing};
use super::{Format, Settings};

/// The process's log.
///
/// When standard output takes nothing more, lines are dropped and counted. What was accepted is written before
/// the log is dropped.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    json: bool,
    /// The level at the start.
    level: Level,
    /// Whether access lines are wanted by now.
    access: AtomicBool,
    /// The filter in use, if this log is the one that was installed.
    filter: OnceLock<reload::Handle<Targets, Registry>>,
    /// Kept to the end, so that the last lines are written.
    _writing: Writing,
}

impl Log {
    /// Opens the log on standard output.
    ///
    /// # Errors
    /// When the thread that writes it cannot be started.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let json = match settings.format {
            Format::Auto => !io::stdout().is_terminal(),
            Format::Human => false,
            Format::Json => true,
        };
        let (sink, writing) = Sink::start(Stdout)?;
        Ok(Self {
            sink,
            json,
            level: settings.level,
            access: AtomicBool::new(wants_access_lines(settings.level)),
            filter: OnceLock::new(),
            _writing: writing,
        })
    }

    /// Sends what the program tells through `tracing` here. The first caller in a process wins.
    pub fn install(&self) {
        let (level, handle) = reload::Layer::new(targets(self.level));
        let sink = self.sink.clone();
        let lines = fmt::layer()
            .with_writer(move || sink.clone())
            .with_target(false);
        let installed = if self.json {
            let lines = lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            tracing_subscriber::registry()
                .with(level)
                .with(lines)
                .try_init()
        } else {
            let lines = lines.with_ansi(io::stdout().is_terminal());
            tracing_subscriber::registry()
                .with(level)
                .with(lines)
                .try_init()
        };
        match installed {
            Ok(()) => drop(self.filter.set(handle)),
            Err(_) => {
                tracing::debug!("a log was installed before; this one writes access lines only");
            }
        }
    }

    /// Writes lines of this level and of more important ones from now on. Stacks that are made from now on write access
    /// lines, or do not.
    pub fn set_level(&self, level: Level) {
        self.access
            .store(wants_access_lines(level), Ordering::Relaxed);
        let Some(filter) = self.filter.get() else {
            return;
        };
        if let Err(error) = filter.reload(targets(level)) {
            tracing::error!(%error, "the log's level could not be changed");
        }
    }

    /// Returns where whole lines are put.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Tells whether lines are JSON objects.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether access lines are wanted: they are of level info.
    pub fn wants_access_lines(&self) -> bool {
        self.access.load(Ordering::Relaxed)
    }
}

fn wants_access_lines(level: Level) -> bool {
    level >= Level::INFO
}

/// Libraries could tell at their finest levels what must not be told; their warnings are welcome.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(level)))
}
