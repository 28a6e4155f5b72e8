//! Everything that callers may do, and where, for whoever reviews it.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::terminal::{complain, print};
use crate::cli::{Exit, Output};
use crate::config::Settings;
use crate::context::{CallerId, RouteId};
use crate::explain::{Decider, Grant, Matrix};

/// Prints the matrix.
pub(super) fn print_all(decider: &Decider, settings: &Settings, output: Output) -> Exit {
    let matrix = match decider.matrix() {
        Ok(matrix) => matrix,
        Err(error) => {
            complain(&format!("profile-gateway: {}", error.chain()));
            return Exit::Failure;
        }
    };
    match output {
        Output::Human => print(in_words(&matrix, settings).trim_end()),
        Output::Json => print(&to_json(&matrix, settings).to_string()),
    }
    Exit::Success
}

fn in_words(matrix: &Matrix, settings: &Settings) -> String {
    let mut text = String::new();
    for (id, caller) in settings.identify.callers.iter() {
        let own: Vec<_> = of(matrix, id).collect();
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{}", caller.name);
        if own.is_empty() {
            let _ = writeln!(text, "  may do nothing\n");
            continue;
        }
        let sandboxes: BTreeSet<_> = own.iter().map(|grant| grant.sandbox.as_str()).collect();
        let mut rows = vec![
            ["operation", "kind"]
                .into_iter()
                .chain(sandboxes.iter().copied())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        ];
        let operations: BTreeSet<_> = own
            .iter()
            .map(|grant| (grant.kind, grant.operation))
            .collect();
        for (kind, operation) in operations {
            let mut row = vec![operation.to_owned(), kind.to_string()];
            row.extend(sandboxes.iter().map(|sandbox| {
                let mut own = own.iter();
                let is_it = |it: &&&Grant| (it.operation, it.kind) == (operation, kind);
                let grant = own.find(|it| is_it(it) && it.sandbox == **sandbox);
                grant.map_or_else(|| "-".to_owned(), |grant| by(grant, settings))
            }));
            rows.push(row);
        }
        for row in &rows {
            let _ = writeln!(text, "  {}", aligned(row, &rows).trim_end());
        }
        text.push('\n');
    }
    text.push_str("Each cell names the routes that let the operation through; - is refused.\n");
    text
}

fn of(matrix: &Matrix, caller: CallerId) -> impl Iterator<Item = &Grant> {
    let grants = matrix.grants.iter();
    grants.filter(move |grant| grant.caller == caller)
}

fn by(grant: &Grant, settings: &Settings) -> String {
    let names: Vec<_> = grant.routes.iter().map(|id| route(*id, settings)).collect();
    let names = names.join(" ");
    if grant.dry_run {
        format!("{names} (dry run)")
    } else {
        names
    }
}

fn route(id: RouteId, settings: &Settings) -> &str {
    let rule = settings.route.routes.get(id.0);
    rule.map_or("", |rule| rule.name.as_str())
}

/// Pads the cells of a row to the widest of their columns.
fn aligned(row: &[String], rows: &[Vec<String>]) -> String {
    let cells = row.iter().enumerate().map(|(column, cell)| {
        let widths = rows.iter().filter_map(|row| row.get(column));
        let width = widths.map(|cell| cell.chars().count()).max().unwrap_or(0);
        format!("{cell:width$}")
    });
    cells.collect::<Vec<_>>().join("  ")
}

fn to_json(matrix: &Matrix, settings: &Settings) -> Value {
    let name = |id: CallerId| {
        let caller = settings.identify.callers.get(id);
        caller.map_or("", |caller| caller.name.as_str())
    };
    let grant = |grant: &Grant| {
        let routes: Vec<_> = grant.routes.iter().map(|id| route(*id, settings)).collect();
        json!({
            "caller": name(grant.caller),
            "operation": grant.operation,
            "kind": grant.kind.as_str(),
            "sandbox": grant.sandbox,
            "routes": routes,
            "dry_run": grant.dry_run,
        })
    };
    json!({ "allowed": matrix.grants.iter().map(grant).collect::<Vec<_>>() })
}
