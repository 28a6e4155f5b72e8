//! Everything that callers may do, and where, for whoever reviews it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use serde_json::{Value, json};

use super::doors;
use crate::config::Settings;
use crate::context::{CallerId, RouteId};
use crate::error::Error;
use crate::explain::{Decider, Door, Grant, Matrix, Way};

/// What callers may do, and where they are let in.
pub(super) struct Listing<'a> {
    settings: &'a Settings,
    callers: Vec<(&'a str, Vec<Door>, Vec<Grant>)>,
}

impl<'a> Listing<'a> {
    /// Makes the list, of one caller or of all.
    pub(super) fn of(
        decider: &Decider,
        settings: &'a Settings,
        only: Option<CallerId>,
    ) -> Result<Self, Error> {
        let Matrix { grants } = decider.matrix(only)?;
        let mut by_caller: BTreeMap<CallerId, Vec<Grant>> = BTreeMap::new();
        for grant in grants {
            by_caller.entry(grant.caller).or_default().push(grant);
        }
        let all = settings.identify.callers.iter();
        let wanted = all.filter(|(id, _)| only.is_none_or(|only| only == *id));
        let callers = wanted.map(|(id, caller)| {
            let grants = by_caller.remove(&id).unwrap_or_default();
            Ok((caller.name.as_str(), decider.doors(id)?, grants))
        });
        Ok(Self {
            callers: callers.collect::<Result<_, Error>>()?,
            settings,
        })
    }

    /// Lists it in tables. Callers who may do the same have one.
    pub(super) fn in_words(&self) -> String {
        let mut tables: Vec<(Vec<&str>, String)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (name, doors, grants) in &self.callers {
            let table = self.table(doors, grants);
            if let Some((names, _)) = known.get(&table).and_then(|at| tables.get_mut(*at)) {
                names.push(name);
            } else {
                known.insert(table.clone(), tables.len());
                tables.push((vec![name], table));
            }
        }
        let mut text = String::new();
        for (names, table) in tables {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "{}\n{table}", names.join(", "));
        }
        text.push_str("Each cell names the routes that let the operation through; - is refused.\n");
        text
    }

    fn table(&self, doors: &[Door], grants: &[Grant]) -> String {
        let mut text = String::new();
        if doors.is_empty() {
            text.push_str("  let in by no listener: all is refused with 401 caller_unknown\n");
        }
        if grants.is_empty() {
            text.push_str("  may do nothing\n");
            return text;
        }
        let sandboxes: BTreeSet<_> = grants.iter().map(|grant| grant.sandbox.as_str()).collect();
        let mut rows: BTreeMap<_, BTreeMap<&str, &Grant>> = BTreeMap::new();
        for grant in grants {
            let row = rows.entry((grant.kind, grant.operation)).or_default();
            row.insert(&grant.sandbox, grant);
        }
        let heads = ["operation", "kind"].into_iter();
        let heads = heads.chain(sandboxes.iter().copied()).map(str::to_owned);
        let rows = rows.into_iter().map(|((kind, operation), cells)| {
            let cell = |sandbox: &&str| {
                let grant = cells.get(sandbox);
                grant.map_or_else(|| "-".to_owned(), |grant| self.cell(grant))
            };
            let start = [operation.to_owned(), kind.to_string()];
            start
                .into_iter()
                .chain(sandboxes.iter().map(cell))
                .collect()
        });
        let rows: Vec<Vec<String>> = [heads.collect()].into_iter().chain(rows).collect();
        let mut widths = vec![0; sandboxes.len() + 2];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells = row.iter().zip(&widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
        }
        text
    }

    fn cell(&self, grant: &Grant) -> String {
        let ways = grant.ways.iter().map(|way| {
            let mark = if way.dry_run { " (dry run)" } else { "" };
            format!("{}{mark}", self.route(way.route))
        });
        ways.collect::<Vec<_>>().join(" ")
    }

    fn route(&self, id: RouteId) -> &str {
        let rule = self.settings.route.routes.get(id.0);
        rule.map_or("", |rule| rule.name.as_str())
    }

    pub(super) fn to_json(&self) -> Value {
        let way = |way: &Way| json!({ "name": self.route(way.route), "dry_run": way.dry_run });
        let grants = self.callers.iter().flat_map(|(name, _, grants)| {
            grants.iter().map(move |grant| {
                json!({
                    "caller": name,
                    "operation": grant.operation,
                    "kind": grant.kind.as_str(),
                    "sandbox": grant.sandbox,
                    "routes": grant.ways.iter().map(way).collect::<Vec<_>>(),
                })
            })
        });
        let callers = self.callers.iter().map(|(name, doors, _)| {
            let listeners = doors::to_json(doors, self.settings);
            json!({ "name": name, "listeners": listeners })
        });
        json!({
            "callers": callers.collect::<Vec<_>>(),
            "allowed": grants.collect::<Vec<_>>(),
        })
    }
}
