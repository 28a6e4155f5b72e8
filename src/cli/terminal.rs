//! What commands print. Log lines go their own way.

use std::error::Error;
use std::io::Write;

/// Prints to standard output. A reader that has gone away is no fault of the command.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints an error and everything below it on one line.
pub(super) fn complain_of(error: &dyn Error) {
    let mut line = format!("profile-gateway: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    complain(&line);
}
