//! `/external-audience`: audiences uploaded from elsewhere, with operations and runs that are polled.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Scene;
use super::jobs::{AUDIENCE_OPERATIONS, AUDIENCE_RUNS};
use super::kinds::EXTERNAL_AUDIENCES;
use super::resource::{Fields, object};
use crate::simulator::answer::Answer;
use crate::simulator::errors;

pub(super) fn answer(scene: &mut Scene<'_>, rest: &[&str]) -> Answer {
    let method = scene.call.method.clone();
    let answer = match (method, rest) {
        (Method::POST, [] | ["submit"]) => create(scene),
        (Method::GET, ["operations" | "task", id]) => {
            let shown = AUDIENCE_OPERATIONS.show_id(scene, id);
            shown.map(|operation| Answer::ok(&operation))
        }
        (Method::POST, [id, "runs" | "run"]) => start_run(scene, id),
        (Method::GET, [id, "runs" | "run"]) => return list_runs(scene, id),
        (Method::GET, [_, "runs" | "run", run]) => {
            let shown = AUDIENCE_RUNS.show_id(scene, run);
            shown.map(|run| Answer::ok(&run))
        }
        (Method::DELETE, [id]) => delete(scene, id),
        (Method::GET | Method::PATCH, [_]) => return known(EXTERNAL_AUDIENCES.answer(scene, rest)),
        _ => return errors::NO_SUCH_API.answer(),
    };
    known(answer.unwrap_or_else(|refusal| refusal))
}

fn create(scene: &mut Scene<'_>) -> Result<Answer, Answer> {
    let audience = EXTERNAL_AUDIENCES.store(scene, object(scene.call.json()?)?)?;
    let mut operation = Fields::new();
    operation.insert("audienceId".to_owned(), id_of(&audience));
    operation.insert("audienceDetails".to_owned(), audience);
    let operation = AUDIENCE_OPERATIONS.store(scene, operation)?;
    let id = id_of(&operation);
    Ok(Answer::json(
        StatusCode::ACCEPTED,
        &json!({"operationId": id, "taskId": id, "status": operation.get("status")}),
    ))
}

fn start_run(scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
    EXTERNAL_AUDIENCES.show_id(scene, id)?;
    let mut run = if scene.call.body.is_empty() {
        Fields::new()
    } else {
        object(scene.call.json()?)?
    };
    run.insert("audienceId".to_owned(), json!(id));
    let mut run = AUDIENCE_RUNS.store(scene, run)?;
    let run_id = id_of(&run);
    if let Some(fields) = run.as_object_mut() {
        fields.insert("runId".to_owned(), run_id);
    }
    Ok(Answer::ok(&run))
}

fn list_runs(scene: &mut Scene<'_>, id: &str) -> Answer {
    if let Err(refusal) = EXTERNAL_AUDIENCES.show_id(scene, id) {
        return known(refusal);
    }
    let mut call = scene.call.clone();
    call.query.push("property", &format!("audienceId={id}"));
    let mut narrowed = Scene {
        call: &call,
        sandbox: &mut *scene.sandbox,
        now_ms: scene.now_ms,
        step: scene.step,
    };
    AUDIENCE_RUNS.answer(&mut narrowed, &[])
}

fn delete(scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
    EXTERNAL_AUDIENCES.show_id(scene, id)?;
    let (now_ms, soon_ms) = (scene.now_ms, scene.soon_ms());
    let audiences = scene.sandbox.collection(EXTERNAL_AUDIENCES.name);
    audiences.remove(id, now_ms, soon_ms);
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

fn id_of(document: &Value) -> Value {
    document.get("id").cloned().unwrap_or(Value::Null)
}

/// This service has a code of its own for what it does not have.
fn known(answer: Answer) -> Answer {
    if answer.status == StatusCode::NOT_FOUND {
        errors::ais("100940-404", StatusCode::NOT_FOUND, "Not found")
    } else {
        answer
    }
}
