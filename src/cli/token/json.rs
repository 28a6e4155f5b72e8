//! The outcome for programs. Keys are stable; a value that is not known is null.

use serde_json::{Value, json};

use super::diagnosis::diagnose;
use super::report::{Lifetime, Report, date};
use crate::ims::answer::{Failure, Minted};

/// Returns the report as one object.
pub(super) fn of(report: &Report<'_>) -> Value {
    let credential = report.credential;
    let attempt = &report.attempt;
    let (token, failure) = match &attempt.result {
        Ok(minted) => (token(report, minted), Value::Null),
        Err(failure) => (Value::Null, failed(report, failure)),
    };
    let (debug_id, clock_ahead_s) = match &attempt.result {
        Ok(minted) => (&minted.debug_id, minted.clock_ahead_s),
        Err(failure) => (&failure.debug_id, failure.clock_ahead_s),
    };
    json!({
        "credential": credential.name,
        "client_id": credential.client_id.as_str(),
        "organization": credential.organization.as_str(),
        "grant": credential.grant.as_str(),
        "endpoint": report.endpoint,
        "secrets_configured": credential.client_secrets.len(),
        "secrets_tried": attempt.tried,
        "secret_that_worked": attempt.result.is_ok().then_some(attempt.tried),
        "took_ms": u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
        "debug_id": debug_id,
        "clock_ahead_s": clock_ahead_s,
        "token": token,
        "failure": failure,
        "warnings": report.warnings(),
    })
}

fn token(report: &Report<'_>, minted: &Minted) -> Value {
    let lifetime = Lifetime::of(minted);
    let claims = report.claims(minted).map(|claims| {
        let ends = claims
            .created_at
            .zip(claims.lifetime)
            .and_then(|(at, lifetime)| at.checked_add(lifetime));
        json!({
            "client_id": claims.client_id,
            "user_id": claims.user_id,
            "environment": claims.environment,
            "scope": claims.scope,
            "created_at": claims.created_at.and_then(date),
            "expires_at": ends.and_then(date),
            "lifetime_s": claims.lifetime.map(|lifetime| lifetime.as_secs_f64()),
        })
    });
    json!({
        "lifetime_stated_s": minted.stated_s,
        "lifetime_s": lifetime.taken.as_secs_f64(),
        "renewed_after_s": lifetime.renewal.as_secs_f64(),
        "used_for_s": lifetime.last_use.as_secs_f64(),
        "claims": claims,
    })
}

fn failed(report: &Report<'_>, failure: &Failure) -> Value {
    let diagnosis = diagnose(failure, report);
    json!({
        "class": failure.class.as_str(),
        "error": failure.refusal.map(crate::ims::answer::Refusal::as_str),
        "status": failure.status.map(|status| status.as_u16()),
        "message": failure.message,
        "retry_after_s": failure.retry_after.map(|pause| pause.as_secs()),
        "side": diagnosis.side.as_str(),
        "meaning": diagnosis.meaning,
        "steps": diagnosis.steps,
    })
}
