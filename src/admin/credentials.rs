//! What operators are told about the credentials, as JSON.

use serde_json::{Map, Value, json};

use super::words::{date, seconds};
use crate::ims::{Credentials, Status};

/// Returns the facts about all credentials.
pub(super) fn page(credentials: &Credentials) -> Value {
    let all: Vec<Value> = credentials
        .iter()
        .map(|credential| facts(&credential.status()))
        .collect();
    json!({ "credentials": all })
}

fn facts(status: &Status) -> Value {
    let mut calls: Map<String, Value> = status
        .failed
        .iter()
        .map(|(class, count)| (class.as_str().to_owned(), json!(count)))
        .collect();
    calls.insert("minted".to_owned(), json!(status.minted));
    calls.insert("taken".to_owned(), json!(status.taken));
    json!({
        "name": status.name,
        "required": status.required,
        "state": status.state.as_str(),
        "generation": status.generation,
        "fingerprint": status.fingerprint,
        "age_seconds": status.age.map(seconds),
        "usable_for_seconds": status.usable_for.map(seconds),
        "next_call_in_seconds": status.next_call.map(seconds),
        "quiet_for_seconds": status.quiet_for.map(seconds),
        "last_success": status.last_success.map(date),
        "last_error": status.last_error.as_ref().map(|(failure, at)| json!({
            "at": date(*at),
            "class": failure.class.as_str(),
            "message": failure.message,
            "debug_id": failure.debug_id,
        })),
        "client_secret": status.secret,
        "token_calls": calls,
        "refusals": status.refusals,
        "replacements": status.replacements,
    })
}
