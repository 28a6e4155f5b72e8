//! What is computed about a sandbox and never written: sample status, its reports, search.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Scene;
use crate::simulator::answer::Answer;
use crate::simulator::call::Call;
use crate::simulator::errors;

const REPORTED_AT: &str = "2026-01-01T02:00:00.000";
/// The only day with reports besides "the latest".
const REPORT_DATE: &str = "2026-01-01";
const DATASET: &str = "5b7c86968f7b6501e21ba9df";

/// `/previewsamplestatus` and its reports.
pub(super) fn preview_sample(scene: &Scene<'_>, rest: &[&str]) -> Answer {
    if scene.call.method != Method::GET {
        return errors::method_not_allowed();
    }
    let people = scene.sandbox.profiles.len();
    let events = scene.sandbox.events.len();
    let report = match rest {
        [] => {
            return Answer::ok(&json!({
                "numRowsToRead": people.to_string(), "sampleJobRunning": {
                    "status": false, "submissionTimestamp": "2026-01-01 02:00:00.0",
                },
                "docCount": people, "totalFragmentCount": people + events,
                "lastSuccessfulBatchTimestamp": "2026-01-01 01:55:00.0", "streamingDriven": false,
                "totalRows": people.to_string(), "lastBatchId": "8d075b5a178e48389126b9289dcfd0ac",
                "status": "TASK_FINISHED", "samplingRatio": 1.0,
                "mergeStrategy": "timestampOrdered_auto",
                "lastSampledTimestamp": "2026-01-01 02:00:00.0",
            }));
        }
        ["report", "dataset"] => json!([{
            "value": DATASET, "name": "CRM Profiles", "description": "Profiles from the CRM.",
            "fullIDsCount": people, "fullIDsPercentage": 100.0, "sampleCount": people,
            "samplePercentage": 100.0, "createdUser": "simulator", "streamingIngestionEnabled": "false",
            "reportTimestamp": REPORTED_AT,
        }]),
        ["report", "namespace"] => json!([
            namespace("4", "ECID", people),
            namespace("6", "Email", people),
        ]),
        ["report", "dataset", "overlap"] => overlap(DATASET, people),
        ["report", "namespace", "overlap"] => overlap("ECID,Email", people),
        ["report", "unstitchedProfiles"] => json!({
            "totalNumberOfProfiles": people, "totalNumberOfEvents": events,
            "unstitchedProfiles": {"value": 0, "countsByTimeRange": [
                {"timeRange": "7D", "count": 0}, {"timeRange": "30D", "count": 0},
            ]},
        }),
        _ => return errors::NO_SUCH_API.answer(),
    };
    match scene.call.query.get("date") {
        None | Some(REPORT_DATE) => {
            Answer::ok(&json!({"data": report, "reportTimestamp": REPORTED_AT}))
        }
        Some(_) => errors::not_found(),
    }
}

/// `/search/…`.
pub(super) fn search(scene: &mut Scene<'_>, what: &str) -> Answer {
    let version = scene.call.header("x-ups-search-version");
    if version.is_some_and(|version| version != "1.0") {
        let message = "UPS-400: x-ups-search-version must be 1.0";
        return errors::profile(StatusCode::BAD_REQUEST, message);
    }
    let needed: &[&str] = match what {
        "namespaces" => &["schema.name"],
        "entities" => &["schema.name", "namespace"],
        _ => &["schema.name", "namespace", "entityId"],
    };
    if let Some(missing) = needed.iter().find(|name| !has(scene.call, name)) {
        let message = format!("UPS-400: Required parameter '{missing}' is not present");
        return errors::profile(StatusCode::BAD_REQUEST, &message);
    }
    let now_ms = scene.now_ms;
    let text = scene.call.query.get("s").unwrap_or_default().to_lowercase();
    let wanted = scene.call.query.get("entityId").map(str::to_owned);
    let audiences: Vec<Value> = scene
        .sandbox
        .collection("audiences")
        .present(now_ms)
        .filter(|entry| name_of(&entry.document).to_lowercase().contains(&text))
        .map(|entry| json!({"id": entry.id, "name": name_of(&entry.document)}))
        .collect();
    Answer::ok(&match what {
        "namespaces" => json!({
            "namespaces": [{"namespace": "AEPSegments", "displayName": "AEPSegments", "count": audiences.len()}],
            "totalCount": audiences.len(), "status": {"message": "Success"},
        }),
        "entities" => json!({
            "namespace": {"namespace": "AEPSegments", "displayName": "AEPSegments"},
            "entities": audiences,
            "page": {"totalCount": audiences.len(), "totalPages": 1, "pageOffset": "0", "pageSize": 10},
            "status": {"message": "Success"},
        }),
        _ => {
            let known = audiences
                .iter()
                .find(|audience| audience.get("id").and_then(Value::as_str) == wanted.as_deref());
            json!({
                "taxonomy": known.into_iter().collect::<Vec<_>>(),
                "status": {"message": "Success"},
            })
        }
    })
}

/// Adobe's guide says `schema.name`, one page of it `schemaClass`; both count.
fn has(call: &Call, name: &str) -> bool {
    call.query.get(name).is_some()
        || (name == "schema.name" && call.query.get("schemaClass").is_some())
}

fn name_of(document: &Value) -> &str {
    document
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn namespace(value: &str, code: &str, people: usize) -> Value {
    json!({
        "value": value, "code": code, "fullIDsFragmentCount": people, "fullIDsCount": people,
        "fullIDsPercentage": 100.0, "sampleCount": people, "samplePercentage": 100.0,
        "reportTimestamp": REPORTED_AT,
    })
}

fn overlap(of: &str, people: usize) -> Value {
    let mut overlaps = serde_json::Map::new();
    overlaps.insert(of.to_owned(), json!(people));
    Value::Object(overlaps)
}
