//! One engine for everything that is listed, created, read, changed and deleted by id.
//!
//! What sets the kinds apart is data: statuses, required fields, the form of a list, what a new object is
//! given, how a job advances. The kinds are in [`super::kinds`].

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Scene, patch};
use crate::simulator::answer::Answer;
use crate::simulator::collection::{Collection, Entry};
use crate::simulator::errors;
use crate::simulator::filter::Filter;
use crate::simulator::time::millis;
use crate::simulator::world::{Facts, uuid};

/// The fields of a JSON object.
pub(super) type Fields = Map<String, Value>;

/// A kind of stored object.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// The name of its collection.
    pub(super) name: &'static str,
    /// Fields without which nothing is created, as dotted paths.
    pub(super) required: &'static [&'static str],
    /// Makes the fields of an object out of a payload.
    pub(super) accept: fn(Value) -> Result<Fields, Answer>,
    /// Refuses a new object that those in place rule out.
    pub(super) check: fn(&Collection, &Fields, &Moment<'_>) -> Result<(), Answer>,
    /// Gives a new object what the service adds.
    pub(super) complete: fn(&mut Fields, &Birth<'_>),
    /// Brings a job to where it is after a number of steps.
    pub(super) advance: fn(&mut Fields, &Progress),
    /// Makes a list.
    pub(super) list: fn(&Listing<'_>) -> Value,
    /// The query parameter that says where a page starts.
    pub(super) cursor: &'static str,
    /// Page size when a request names none, and the largest.
    pub(super) limits: (usize, usize),
    pub(super) created: StatusCode,
    /// The status of a change. With 204 the object is not sent back.
    pub(super) changed: StatusCode,
    pub(super) deleted: StatusCode,
    /// Whether the first copy of a payload's media type has to be this one.
    pub(super) media_type: Option<&'static str>,
    /// Whether writes need `x-profile-instance-id: ups`.
    pub(super) needs_instance_id: bool,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.name).finish()
    }
}

/// When a request is looked at.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub(super) now_ms: u64,
    pub(super) step_ms: u64,
    /// For refusals that name it.
    pub(super) request_id: &'a str,
}

/// What is known when an object is made.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub(super) id: &'a str,
    pub(super) now_ms: u64,
    pub(super) facts: &'a Facts,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whole steps since it was made: 0 is new, 1 is running, 2 and more is done.
    pub(super) steps: u64,
    pub(super) created_ms: u64,
    pub(super) step_ms: u64,
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    pub(super) items: Vec<Value>,
    pub(super) start: usize,
    pub(super) limit: usize,
    pub(super) total: usize,
    /// Where the next page starts.
    pub(super) next: Option<usize>,
    /// The path of the list, without a trailing slash.
    pub(super) path: &'a str,
}

impl Listing<'_> {
    /// Returns a link to the next page below `path`, and an empty text at the end.
    pub(super) fn next_link(&self, path: &str, cursor: &str) -> String {
        self.next.map_or_else(String::new, |next| {
            format!("{path}?{cursor}={next}&limit={}", self.limit)
        })
    }

    /// Returns where the next page starts as text, and an empty text at the end.
    pub(super) fn next_text(&self) -> String {
        self.next.map_or_else(String::new, |next| next.to_string())
    }
}

impl Kind {
    /// Answers a request for this kind; `rest` is what the path holds behind the kind's own part.
    pub(super) fn answer(&self, scene: &mut Scene<'_>, rest: &[&str]) -> Answer {
        let answer = match (scene.call.method.clone(), rest) {
            (Method::GET, []) => Ok(self.list_all(scene)),
            (Method::POST, []) => self.create(scene),
            (Method::POST, ["bulk-get"]) => self.read_several(scene),
            (Method::GET, [id]) => self.read(scene, id),
            (Method::PUT, [id]) => self.replace(scene, id),
            (Method::PATCH, [id]) => self.update(scene, id),
            (Method::DELETE, [id]) => self.delete(scene, id),
            _ => Ok(errors::NO_SUCH_API.answer()),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    /// Stores a new object and returns it.
    ///
    /// # Errors
    /// The refusal to send.
    pub(super) fn store(&self, scene: &mut Scene<'_>, fields: Fields) -> Result<Value, Answer> {
        let document = Value::Object(fields);
        if let Some(missing) = self
            .required
            .iter()
            .find(|path| crate::simulator::profiles::at(&document, path).is_none())
        {
            let message = format!("UPS-400: {missing} is required");
            return Err(errors::profile(StatusCode::BAD_REQUEST, &message));
        }
        let Value::Object(mut fields) = document else {
            return Err(errors::not_found());
        };
        let id = uuid(&mut scene.sandbox.random);
        let moment = Moment {
            now_ms: scene.now_ms,
            step_ms: millis(scene.step),
            request_id: &id,
        };
        (self.check)(scene.sandbox.collection(self.name), &fields, &moment)?;
        let birth = Birth {
            id: &id,
            now_ms: scene.now_ms,
            facts: &scene.sandbox.facts,
        };
        stamp(&mut fields, &birth);
        (self.complete)(&mut fields, &birth);
        // A kind may number its objects in its own way.
        let id = match fields.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(other) => other.to_string(),
            None => id,
        };
        let collection = scene.sandbox.collection(self.name);
        collection.insert(id.clone(), scene.now_ms, Value::Object(fields));
        self.show_id(scene, &id)
    }

    /// Returns one object as it is now.
    ///
    /// # Errors
    /// The refusal to send when there is none.
    pub(super) fn show_id(&self, scene: &mut Scene<'_>, id: &str) -> Result<Value, Answer> {
        let (now_ms, step_ms) = (scene.now_ms, millis(scene.step));
        scene
            .sandbox
            .collection(self.name)
            .get(id, now_ms)
            .map(|entry| self.show(entry, now_ms, step_ms))
            .ok_or_else(errors::not_found)
    }

    /// Returns an object as it is at `now_ms`.
    pub(super) fn show(&self, entry: &Entry, now_ms: u64, step_ms: u64) -> Value {
        let mut document = entry.document.clone();
        if let Some(fields) = document.as_object_mut() {
            let age_ms = now_ms.saturating_sub(entry.created_ms);
            let progress = Progress {
                steps: age_ms.checked_div(step_ms).unwrap_or(u64::MAX),
                created_ms: entry.created_ms,
                step_ms,
            };
            (self.advance)(fields, &progress);
        }
        document
    }

    fn list_all(&self, scene: &mut Scene<'_>) -> Answer {
        let query = &scene.call.query;
        let (default, most) = self.limits;
        let limit = query.number("limit").unwrap_or(default).clamp(1, most);
        let start = query.number(self.cursor).unwrap_or(0);
        let mut filters: Vec<Filter> = query.all("property").filter_map(Filter::parse).collect();
        // These kinds of lists take some conditions as parameters of their own.
        for name in ["name", "status", "schema.name", "default", "entityType"] {
            if let Some(value) = query.get(name) {
                filters.extend(Filter::parse(&format!("{name}={value}")));
            }
        }
        let (now_ms, step_ms) = (scene.now_ms, millis(scene.step));
        let chosen: Vec<Value> = scene
            .sandbox
            .collection(self.name)
            .present(now_ms)
            .map(|entry| self.show(entry, now_ms, step_ms))
            .filter(|document| filters.iter().all(|filter| filter.matches(document)))
            .collect();
        let total = chosen.len();
        let items: Vec<Value> = chosen.into_iter().skip(start).take(limit).collect();
        let end = start + items.len();
        let path = scene.call.path.as_str();
        Answer::ok(&(self.list)(&Listing {
            start,
            limit,
            total,
            next: (end < total && !items.is_empty()).then_some(end),
            path: path.strip_suffix('/').unwrap_or(path),
            items,
        }))
    }

    fn create(&self, scene: &mut Scene<'_>) -> Result<Answer, Answer> {
        self.may_write(scene)?;
        let fields = (self.accept)(scene.call.json()?)?;
        let document = self.store(scene, fields)?;
        Ok(Answer::json(self.created, &document))
    }

    fn read(&self, scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
        Ok(Answer::ok(&self.show_id(scene, id)?))
    }

    fn read_several(&self, scene: &mut Scene<'_>) -> Result<Answer, Answer> {
        let body = scene.call.json()?;
        let ids = body
            .get("ids")
            .and_then(Value::as_array)
            .ok_or_else(|| errors::profile(StatusCode::BAD_REQUEST, "UPS-400: ids is required"))?;
        let mut results = Map::new();
        for id in ids.iter().filter_map(|item| item.get("id")?.as_str()) {
            let document = self
                .show_id(scene, id)
                .unwrap_or_else(|_| json!({"statusCode": "404", "message": "Not found"}));
            results.insert(id.to_owned(), document);
        }
        Ok(Answer::json(
            StatusCode::MULTI_STATUS,
            &json!({"results": results}),
        ))
    }

    fn replace(&self, scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
        self.may_write(scene)?;
        let new = (self.accept)(scene.call.json()?)?;
        self.change(scene, id, |document| {
            // A body that names the version it replaces is refused when it comes too late.
            if let Some(expected) = new.get("currentVersion")
                && document.get("version") != Some(expected)
            {
                let message = "The version to replace is not the current one";
                return Err(errors::profile(StatusCode::CONFLICT, message));
            }
            let kept = [
                "id",
                "imsOrgId",
                "sandbox",
                "createEpoch",
                "creationTime",
                "version",
                "_links",
            ];
            if let Some(fields) = document.as_object_mut() {
                fields.retain(|name, _| kept.contains(&name.as_str()));
                let new = new.into_iter();
                fields.extend(new.filter(|(name, _)| {
                    !kept.contains(&name.as_str()) && name != "currentVersion"
                }));
            }
            Ok(())
        })
    }

    fn update(&self, scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
        self.may_write(scene)?;
        let body = scene.call.json()?;
        self.change(scene, id, |document| {
            patch::apply(document, &body).map_err(|error| {
                errors::profile(StatusCode::BAD_REQUEST, &format!("UPS-400: {error}"))
            })
        })
    }

    fn change(
        &self,
        scene: &mut Scene<'_>,
        id: &str,
        change: impl FnOnce(&mut Value) -> Result<(), Answer>,
    ) -> Result<Answer, Answer> {
        let now_ms = scene.now_ms;
        let entry = scene
            .sandbox
            .collection(self.name)
            .get_mut(id, now_ms)
            .ok_or_else(errors::not_found)?;
        let mut changed = entry.document.clone();
        change(&mut changed)?;
        if let Some(fields) = changed.as_object_mut() {
            fields.insert("updateEpoch".to_owned(), json!(now_ms / 1000));
            fields.insert("updateTime".to_owned(), json!(now_ms));
            if let Some(version) = fields.get("version").and_then(Value::as_u64) {
                fields.insert("version".to_owned(), json!(version + 1));
            }
        }
        entry.document = changed;
        if self.changed == StatusCode::NO_CONTENT {
            return Ok(Answer::empty(self.changed));
        }
        Ok(Answer::json(self.changed, &self.show_id(scene, id)?))
    }

    fn delete(&self, scene: &mut Scene<'_>, id: &str) -> Result<Answer, Answer> {
        let document = self.show_id(scene, id)?;
        let at_ms = if self.deleted == StatusCode::ACCEPTED {
            scene.soon_ms()
        } else {
            scene.now_ms
        };
        let now_ms = scene.now_ms;
        scene
            .sandbox
            .collection(self.name)
            .remove(id, now_ms, at_ms);
        Ok(if self.deleted == StatusCode::ACCEPTED {
            Answer::json(self.deleted, &document)
        } else {
            Answer::empty(self.deleted)
        })
    }

    fn may_write(&self, scene: &Scene<'_>) -> Result<(), Answer> {
        let call = scene.call;
        if self.needs_instance_id && call.header("x-profile-instance-id") != Some("ups") {
            let message = "UPS-400: Required header 'x-profile-instance-id' is not present";
            return Err(errors::profile(StatusCode::BAD_REQUEST, message));
        }
        if let Some(expected) = self.media_type {
            let same = |given: &str| without_blanks(given) == without_blanks(expected);
            if !call.header(CONTENT_TYPE).is_some_and(same) {
                return Err(errors::unsupported_media_type(expected));
            }
        }
        Ok(())
    }
}

/// Gives a new object what every kind of object carries.
fn stamp(fields: &mut Fields, birth: &Birth<'_>) {
    let seconds = birth.now_ms / 1000;
    fields.insert("id".to_owned(), json!(birth.id));
    fields.insert(
        "imsOrgId".to_owned(),
        json!(birth.facts.organization.as_str()),
    );
    fields.insert("sandbox".to_owned(), birth.facts.to_json());
    fields.insert("createEpoch".to_owned(), json!(seconds));
    fields.insert("updateEpoch".to_owned(), json!(seconds));
    fields.insert("creationTime".to_owned(), json!(birth.now_ms));
    fields.insert("updateTime".to_owned(), json!(birth.now_ms));
}

fn without_blanks(text: &str) -> String {
    let mut text = text.to_ascii_lowercase();
    text.retain(|character| character != ' ');
    text
}

/// Accepts a payload that is an object.
pub(super) fn object(payload: Value) -> Result<Fields, Answer> {
    match payload {
        Value::Object(fields) => Ok(fields),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            let message = "UPS-400: The request body must be a JSON object";
            Err(errors::profile(StatusCode::BAD_REQUEST, message))
        }
    }
}

#[cfg(test)]
mod tests;
