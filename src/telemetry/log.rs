//! Where log lines go: standard output, through a thread of its own that may be slow without slowing requests.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::sink::{Sink, Writing};
use super::{Format, Settings};

/// The process's log.
///
/// When standard output takes nothing more, lines are dropped and counted. What was accepted is written before
/// the log is dropped.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    json: bool,
    level: Level,
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
        let (sink, writing) = Sink::start(io::stdout())?;
        Ok(Self {
            sink,
            json,
            level: settings.level,
            _writing: writing,
        })
    }

    /// Sends what the program tells through `tracing` here. The first caller in a process wins.
    pub fn install(&self) {
        // Libraries could tell at their finest levels what must not be told; their warnings are welcome.
        let level = Targets::new()
            .with_target(env!("CARGO_CRATE_NAME"), self.level)
            .with_default(LevelFilter::WARN.min(LevelFilter::from_level(self.level)));
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
        if installed.is_err() {
            tracing::debug!("a log was installed before; this one writes access lines only");
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
        self.level >= Level::INFO
    }
}
