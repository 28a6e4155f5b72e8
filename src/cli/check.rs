//! `check`: everything wrong with a configuration, and what is no fault and should be otherwise.

use std::path::Path;

use serde_json::{Value, json};

use super::terminal::{complain, print};
use super::{Exit, Output};
use crate::config::{self, Exposed, Process, Warning};

/// Checks the configuration at `path`.
pub(super) fn check(path: &Path, output: Output) -> Exit {
    let result = config::load(path, &Process);
    match (&result, output) {
        (Ok(settings), Output::Human) => {
            for exposed in &settings.exposed {
                complain(&format!(
                    "warning: {exposed}\n  = help: {}\n",
                    Exposed::HELP
                ));
            }
            for warning in &settings.warnings {
                complain(&format!("warning: {warning}\n  = help: {}\n", warning.help));
            }
            print(&format!(
                "{}: {} routes, {} credentials: no faults",
                path.display(),
                settings.route.routes.len(),
                settings.ims.credentials.len(),
            ));
        }
        (Ok(settings), Output::Json) => {
            let exposed = settings.exposed.iter().map(of_exposed);
            let warnings: Vec<_> = exposed
                .chain(settings.warnings.iter().map(of_key))
                .collect();
            print(&json!({ "faults": [], "more": 0, "warnings": warnings }).to_string());
        }
        (Err(faults), Output::Human) => complain(&faults.to_string()),
        (Err(faults), Output::Json) => print(&faults.to_json().to_string()),
    }
    if result.is_ok() {
        Exit::Success
    } else {
        Exit::Failure
    }
}

fn of_key(warning: &Warning) -> Value {
    let Warning {
        at,
        key,
        message,
        help,
    } = warning;
    json!({ "at": at, "key": key, "message": message, "help": help })
}

fn of_exposed(exposed: &Exposed) -> Value {
    json!({
        "file": exposed.path.to_string_lossy(),
        "message": exposed.to_string(),
        "help": Exposed::HELP,
    })
}
