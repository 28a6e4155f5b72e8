//! Logs and metrics.

use tracing::Level;

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
