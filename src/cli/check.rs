//! `check`: everything wrong with a configuration.

use std::path::Path;

use super::terminal::{complain, print};
use super::{Exit, Output};
use crate::config::{self, Process};

/// Checks the configuration at `path`.
pub(super) fn check(path: &Path, output: Output) -> Exit {
    let result = config::load(path, &Process);
    match (&result, output) {
        (Ok(settings), Output::Human) => print(&format!(
            "{}: {} routes, {} credentials: no faults",
            path.display(),
            settings.route.routes.len(),
            settings.ims.credentials.len(),
        )),
        (Ok(_), Output::Json) => print(r#"{"faults":[],"more":0}"#),
        (Err(faults), Output::Human) => complain(&faults.to_string()),
        (Err(faults), Output::Json) => print(&faults.to_json().to_string()),
    }
    if result.is_ok() {
        Exit::Success
    } else {
        Exit::Failure
    }
}
