//! The outcome for people.

use std::fmt::Write;

use super::diagnosis::diagnose;
use super::report::{Lifetime, Report, date, span};
use crate::ims::answer::{Failure, Minted};
use crate::ims::claims::Claims;

/// Writes the report.
pub(super) fn of(report: &Report<'_>) -> String {
    let mut table = Table::default();
    let credential = report.credential;
    let debug_id = match &report.attempt.result {
        Ok(minted) => minted.debug_id.as_deref(),
        Err(failure) => failure.debug_id.as_deref(),
    };
    table.row("client id", credential.client_id.as_str());
    table.row("organisation", credential.organization.as_str());
    table.row("grant", credential.grant.as_str());
    table.row("endpoint", &report.endpoint);
    table.row("client secret", &report.secrets());
    table.row(
        "call took",
        &format!("{} ms", report.attempt.took.as_millis()),
    );
    if let Some(id) = debug_id {
        table.row("x-debug-id", id);
    }
    let headline = match &report.attempt.result {
        Ok(minted) => {
            minted_rows(report, minted, &mut table);
            "IMS gave a token"
        }
        Err(failure) => {
            failed_rows(report, failure, &mut table);
            "no token"
        }
    };
    for warning in report.warnings() {
        table.row("warning", &warning);
    }
    format!("credential {}: {headline}\n{}", credential.name, table.0)
}

fn minted_rows(report: &Report<'_>, minted: &Minted, table: &mut Table) {
    let lifetime = Lifetime::of(minted);
    let stated = match minted.stated_s {
        Some(stated_s) => format!("{stated_s} s, as IMS says"),
        None => "IMS does not say".to_owned(),
    };
    table.row("lifetime", &stated);
    table.row(
        "the gateway",
        &format!(
            "renews it after about {}, uses it for {}",
            span(lifetime.renewal),
            span(lifetime.last_use)
        ),
    );
    match report.claims(minted) {
        Some(claims) => claimed_rows(&claims, table),
        None => table.row("token", "opaque: it says nothing about itself"),
    }
}

fn claimed_rows(claims: &Claims, table: &mut Table) {
    for (label, value) in [
        ("token client_id", &claims.client_id),
        ("token user_id", &claims.user_id),
        ("token as", &claims.environment),
        ("token scope", &claims.scope),
    ] {
        table.row(label, value.as_deref().unwrap_or("none"));
    }
    let made = claims.created_at.and_then(date);
    table.row("token made", made.as_deref().unwrap_or("it does not say"));
    if let Some(lifetime) = claims.lifetime {
        let until = claims.created_at.and_then(|at| at.checked_add(lifetime));
        let until = until.and_then(date).unwrap_or_default();
        table.row(
            "token counts",
            format!("for {} until {until}", span(lifetime)).trim_end_matches(" until "),
        );
    }
}

fn failed_rows(report: &Report<'_>, failure: &Failure, table: &mut Table) {
    let diagnosis = diagnose(failure, report);
    table.row("what happened", &failure.message);
    table.row("whose fault", diagnosis.side.described());
    table.row("that means", &diagnosis.meaning);
    for step in &diagnosis.steps {
        table.row("what to do", step);
    }
}

/// Rows of a label and a value, the values under each other. A label that repeats is written once.
#[derive(Default)]
struct Table(String, &'static str);

impl Table {
    fn row(&mut self, label: &'static str, value: &str) {
        let shown = if self.1 == label { "" } else { label };
        self.1 = label;
        // Writing to a text cannot fail.
        let _ = write!(self.0, "\n  {shown:16} {value}");
    }
}
