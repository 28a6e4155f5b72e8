//! Kinds of objects that are work: they go from new to done while time passes.
//!
//! # Source
//! Adobe's OpenAPI files for profile and segmentation and their guides, read 2026-11-23.

use http::StatusCode;
use serde_json::{Value, json};

use super::kinds::{PLAIN, counted_children};
use super::resource::{Fields, Kind, Moment, Progress, object};
use crate::simulator::answer::Answer;
use crate::simulator::collection::Collection;
use crate::simulator::errors;
use crate::simulator::world::digest;

pub(super) const SYSTEM_JOBS: Kind = Kind {
    name: "system/jobs",
    accept: |payload| {
        let fields = object(payload)?;
        // A whole data set is spelled `dataSetId`, a batch `batchId` with or without its `datasetId`.
        if fields.contains_key("dataSetId") || fields.contains_key("batchId") {
            return Ok(fields);
        }
        let message = "dataSetId or batchId is required";
        Err(errors::system_job(StatusCode::BAD_REQUEST, "", message))
    },
    check: refuse_duplicate_deletion,
    complete: |fields, _| {
        fields.insert("jobType".to_owned(), json!("DELETE"));
        for unknown in ["sandbox", "creationTime", "updateTime"] {
            fields.remove(unknown);
        }
    },
    advance: |fields, progress| {
        advance_seconds(fields, progress);
        let status = progress.state(["NEW", "PROCESSING", "COMPLETED"]);
        fields.insert("status".to_owned(), json!(status));
        if progress.steps > 0 {
            let records = if progress.is_done() { 727_109 } else { 0 };
            let seconds = progress.steps.min(2) * progress.step_ms / 1000;
            let metrics = json!({"recordsProcessed": records, "timeTakenInSec": seconds});
            // A JSON text inside JSON, as Adobe sends it.
            fields.insert("metrics".to_owned(), json!(metrics.to_string()));
        }
    },
    ..PLAIN
};

pub(super) const EXPORT_JOBS: Kind = Kind {
    name: "export/jobs",
    required: &["destination", "schema"],
    complete: |fields, birth| {
        // Export jobs have numbers for ids.
        fields.insert("id".to_owned(), json!(digest(birth.id) % 1_000_000));
        fields.insert("jobType".to_owned(), json!("BATCH"));
        fields.entry("profileInstanceId").or_insert(json!("ups"));
        fields.insert("requestId".to_owned(), json!(birth.id));
        fields.insert(
            "computeGatewayJobId".to_owned(),
            json!({"exportJob": format!("export-{}", birth.id)}),
        );
    },
    advance: advance_batch_job,
    list: |page| {
        let link = page.next_link("/export/jobs/", "offset");
        json!({
            "page": {
                "sortField": "createdTime", "sort": "desc", "pageOffset": page.start.to_string(),
                "pageSize": page.items.len(),
            },
            "link": {"next": link},
            "records": page.items,
        })
    },
    cursor: "offset",
    ..PLAIN
};

pub(super) const SEGMENT_JOBS: Kind = Kind {
    name: "segment/jobs",
    accept: |payload| {
        let mut fields = Fields::new();
        let segments = match payload {
            Value::Array(segments) => segments,
            // The object form is for "all of them".
            Value::Object(mut given) => match given.remove("segments") {
                Some(Value::Array(segments)) => {
                    fields = given;
                    segments
                }
                _ => Vec::new(),
            },
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        if segments.is_empty() || segments.iter().any(|one| one.get("segmentId").is_none()) {
            let message = "UPS-400: The request body must be an array of {\"segmentId\"}";
            return Err(errors::profile(StatusCode::BAD_REQUEST, message));
        }
        let infos = segments.into_iter().map(|one| {
            let id = one.get("segmentId").cloned().unwrap_or(Value::Null);
            json!({"segmentId": id, "segment": {"id": id, "version": 1}})
        });
        fields.insert("segments".to_owned(), infos.collect());
        Ok(fields)
    },
    check: |existing, _, moment| {
        let finished_ms = moment.step_ms.saturating_mul(2);
        let running = existing
            .present(moment.now_ms)
            .filter(|entry| moment.now_ms.saturating_sub(entry.created_ms) < finished_ms)
            .count();
        if running < MOST_SEGMENT_JOBS {
            return Ok(());
        }
        let body = json!([{
            "message": "Too many requests",
            "cause": "{\"Errors\":[\"Too many segment jobs are queued\"]}",
            "retryAfterMs": moment.step_ms.to_string(),
            "statusCode": "429",
        }]);
        Err(Answer::json(StatusCode::TOO_MANY_REQUESTS, &body))
    },
    complete: |fields, birth| {
        fields.insert("profileInstanceId".to_owned(), json!("ups"));
        fields.insert("source".to_owned(), json!("api"));
        fields.insert("batchId".to_owned(), json!(birth.id));
        fields.insert("requestId".to_owned(), json!(birth.id));
        fields.insert("errors".to_owned(), json!([]));
        fields.insert("modelName".to_owned(), json!("_xdm.context.profile"));
    },
    advance: advance_batch_job,
    list: counted_children,
    deleted: StatusCode::NO_CONTENT,
    ..PLAIN
};

pub(super) const AUDIENCE_OPERATIONS: Kind = Kind {
    name: "external-audience/operations",
    advance: |fields, progress| {
        let status = progress.state(["NEW", "PROCESSING", "SUCCESS"]);
        fields.insert("status".to_owned(), json!(status));
        if !progress.is_done() {
            // The audience has no id before the operation is over.
            fields.remove("audienceId");
        }
    },
    ..PLAIN
};
pub(super) const AUDIENCE_RUNS: Kind = Kind {
    name: "external-audience/runs",
    check: |existing, new, moment| {
        let audience = new.get("audienceId");
        let running = existing.present(moment.now_ms).any(|entry| {
            let age_ms = moment.now_ms.saturating_sub(entry.created_ms);
            entry.document.get("audienceId") == audience
                && age_ms < moment.step_ms.saturating_mul(2)
        });
        if running {
            let title = "An ingestion of this audience is running already";
            return Err(errors::ais("100950-409", StatusCode::CONFLICT, title));
        }
        Ok(())
    },
    advance: |fields, progress| {
        let status = progress.state(["NEW", "PROCESSING", "SUCCESS"]);
        fields.insert("status".to_owned(), json!(status));
    },
    list: |page| {
        let link = page.next_link(page.path, "offset");
        json!({
            "_page": {"totalCount": page.total, "pageSize": page.items.len()},
            "_links": {"next": {"href": link}},
            "runs": page.items,
        })
    },
    cursor: "offset",
    limits: (20, 40),
    ..PLAIN
};

pub(super) const PREVIEWS: Kind = Kind {
    name: "previews",
    required: &["predicateExpression", "predicateType"],
    complete: |fields, birth| {
        for unknown in [
            "imsOrgId",
            "sandbox",
            "createEpoch",
            "updateEpoch",
            "creationTime",
            "updateTime",
        ] {
            fields.remove(unknown);
        }
        let id = super::previews::preview_id(birth.id);
        fields.insert("previewQueryId".to_owned(), json!(birth.id));
        fields.insert("previewId".to_owned(), json!(id));
        fields.insert("previewExecutionId".to_owned(), json!(0));
        fields.insert("id".to_owned(), json!(id));
    },
    advance: |fields, progress| {
        let state = progress.state(["NEW", "RUNNING", "RESULT_READY"]);
        fields.insert("state".to_owned(), json!(state));
        fields.insert("previewQueryStatus".to_owned(), json!(state));
    },
    created: StatusCode::CREATED,
    ..PLAIN
};

impl Progress {
    pub(super) fn is_done(&self) -> bool {
        self.steps >= 2
    }

    fn state(&self, [new, running, done]: [&'static str; 3]) -> &'static str {
        match self.steps {
            0 => new,
            1 => running,
            _ => done,
        }
    }
}

fn refuse_duplicate_deletion(
    existing: &Collection,
    new: &Fields,
    moment: &Moment<'_>,
) -> Result<(), Answer> {
    let same = |name: &str, document: &Value| document.get(name) == new.get(name);
    let duplicate = existing.present(moment.now_ms).any(|entry| {
        ["dataSetId", "datasetId", "batchId"]
            .iter()
            .all(|name| same(name, &entry.document))
    });
    if duplicate {
        let message = "A delete request for this data exists already";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(errors::system_job(status, moment.request_id, message));
    }
    Ok(())
}

fn advance_batch_job(fields: &mut Fields, progress: &Progress) {
    advance_seconds(fields, progress);
    let status = progress.state(["NEW", "PROCESSING", "SUCCEEDED"]);
    fields.insert("status".to_owned(), json!(status));
    let end_ms = progress.created_ms + 2 * progress.step_ms;
    let time = if progress.is_done() {
        json!({
            "startTimeInMs": progress.created_ms, "endTimeInMs": end_ms,
            "totalTimeInMs": 2 * progress.step_ms,
        })
    } else {
        json!({"startTimeInMs": progress.created_ms})
    };
    fields.insert("metrics".to_owned(), json!({"totalTime": time}));
}

fn advance_seconds(fields: &mut Fields, progress: &Progress) {
    let changed_ms = progress.created_ms + progress.steps.min(2) * progress.step_ms;
    fields.insert("updateEpoch".to_owned(), json!(changed_ms / 1000));
}

/// How many segment jobs may run at once in a sandbox.
const MOST_SEGMENT_JOBS: usize = 10;
