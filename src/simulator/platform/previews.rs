//! Previews and estimates of an audience: a short query that is polled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::Scene;
use super::jobs::PREVIEWS;
use crate::simulator::answer::Answer;
use crate::simulator::errors;
use crate::simulator::profiles::PROFILE;

/// Returns the id of a preview: base64 of a text with colons, so it may end in `=`.
pub(super) fn preview_id(query_id: &str) -> String {
    STANDARD.encode(format!("0:0:{query_id}:0"))
}

pub(super) fn preview(scene: &mut Scene<'_>, rest: &[&str]) -> Answer {
    let [id] = rest else {
        return PREVIEWS.answer(scene, rest);
    };
    if scene.call.method != Method::GET {
        return PREVIEWS.answer(scene, rest);
    }
    match PREVIEWS.show_id(scene, id) {
        Ok(query) => Answer::ok(&results(scene, &query)),
        Err(refusal) => refusal,
    }
}

pub(super) fn estimate(scene: &mut Scene<'_>, id: &str) -> Answer {
    let query = match PREVIEWS.show_id(scene, id) {
        Ok(query) => query,
        Err(refusal) => return refusal,
    };
    let people = people(scene).len();
    let ready = is_ready(&query);
    let read = if ready { people } else { 0 };
    Answer::ok(&json!({
        "estimatedSize": read, "numRowsToRead": people, "totalRows": people,
        "state": query.get("state"), "profilesReadSoFar": read, "profilesMatchedSoFar": read,
        "standardError": 0, "confidenceInterval": "95%",
        "error": {"description": "", "traceback": ""},
        "estimatedNamespaceDistribution": [{"namespaceId": "4", "profilesMatchedSoFar": read}],
        "_links": {"preview": format!("https://platform.adobe.io/data/core/ups/preview/{id}")},
    }))
}

pub(super) fn convert(scene: &Scene<'_>) -> Answer {
    let mut definition = match scene.call.json() {
        Ok(definition) => definition,
        Err(refusal) => return refusal,
    };
    let format = definition
        .pointer("/expression/format")
        .and_then(Value::as_str);
    let converted = match format {
        Some("pql/text") => "pql/json",
        Some("pql/json") => "pql/text",
        _ => {
            let message = "UPS-400: expression.format must be pql/text or pql/json";
            return errors::profile(http::StatusCode::BAD_REQUEST, message);
        }
    };
    let value = definition.pointer("/expression/value").cloned();
    let value = value.unwrap_or(Value::Null);
    // The simulator has no PQL parser: the text travels inside the JSON form and back unchanged.
    let value = match (converted, &value) {
        ("pql/json", text) => json!(json!({"nodeType": "simulated", "text": text}).to_string()),
        (_, Value::String(tree)) => serde_json::from_str::<Value>(tree)
            .ok()
            .and_then(|tree| tree.get("text").cloned())
            .unwrap_or_else(|| value.clone()),
        _ => value,
    };
    if let Some(expression) = definition
        .get_mut("expression")
        .and_then(Value::as_object_mut)
    {
        expression.insert("format".to_owned(), json!(converted));
        expression.insert("value".to_owned(), value);
    }
    Answer::ok(&definition)
}

fn results(scene: &Scene<'_>, query: &Value) -> Value {
    let people = if is_ready(query) {
        people(scene)
    } else {
        Vec::new()
    };
    let link = |xid: &str| {
        format!(
            "https://platform.adobe.io/data/core/ups/access/entities?entityId={xid}&schema.name={PROFILE}"
        )
    };
    let results: Vec<Value> = people
        .iter()
        .map(|xid| json!({"objectId": xid, "_href": link(xid), "relatedObjects": []}))
        .collect();
    json!({
        "state": query.get("state"),
        "results": results,
        "page": {"offset": 0, "size": people.len()},
        "link": {"next": ""},
    })
}

fn people(scene: &Scene<'_>) -> Vec<String> {
    let people = scene.sandbox.profiles.iter();
    people
        .filter(|profile| profile.schema == PROFILE && profile.is_present(scene.now_ms))
        .map(|profile| profile.xid.clone())
        .collect()
}

fn is_ready(query: &Value) -> bool {
    query.get("state").and_then(Value::as_str) == Some("RESULT_READY")
}
