//! Logs and metrics.

pub mod audit;
pub mod histogram;
mod json;
pub mod line;
pub mod lines;
pub mod log;
pub mod metrics;
mod operations;
pub mod recorder;
pub mod reloads;
pub mod seldom;
pub mod shadow;
pub mod sink;

use tracing::Level;

pub use line::{Labels, Named};
pub use lines::Lines;
pub use log::Log;
pub use metrics::Metrics;
pub use recorder::{Blame, Names, Outcome, Recorder};
pub use reloads::{Outcome as ReloadOutcome, Reloads};
pub use seldom::Seldom;
pub use shadow::Counterpart;
pub use sink::Sink;

/// How the gateway logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of the lines. Default: [`Format::Auto`].
    pub format: Format,
    /// The least important level that is written. Default: info.
    pub level: Level,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
