//! What operators are told about the issuers of callers' tokens, as JSON.

use serde_json::{Map, Value, json};

use super::words::{date, seconds};
use crate::issuers::{Issuer, Issuers, Status};

/// Returns the facts about all issuers.
pub(super) fn page(issuers: &Issuers) -> Value {
    let all: Vec<Value> = issuers.iter().map(Issuer::status).map(facts).collect();
    json!({ "issuers": all })
}

fn facts(status: Status) -> Value {
    let failed = status.failed.iter();
    let mut fetches: Map<String, Value> = failed
        .map(|(class, count)| (class.as_str().to_owned(), json!(count)))
        .collect();
    fetches.insert("fetched".to_owned(), json!(status.fetched));
    json!({
        "name": status.name,
        "issuer": status.issuer,
        "required": status.required,
        "state": status.state.as_str(),
        "keys": status.keys,
        "age_seconds": status.age.map(seconds),
        "next_fetch_in_seconds": status.next_fetch.map(seconds),
        "last_error": status.last_error.map(|(failure, at)| json!({
            "at": date(at),
            "class": failure.class.as_str(),
            "message": failure.message,
        })),
        "fetches": fetches,
    })
}

/// Says in readiness what is missing of an issuer without keys.
pub(super) fn missing_line(status: &Status) -> String {
    let begins = if status.required {
        "not ready"
    } else {
        "not required"
    };
    let why = match &status.failure {
        Some(failure) => failure.message.as_str(),
        None => "they are being fetched",
    };
    format!(
        "{begins}: there are no keys of issuer {}: {why}\n",
        status.name
    )
}
