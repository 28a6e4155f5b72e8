//! `/access/entities`: profiles and their events, looked up and deleted.

use bytes::Bytes;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Scene;
use crate::simulator::answer::{Answer, Content};
use crate::simulator::call::Call;
use crate::simulator::errors;
use crate::simulator::filter::Filter;
use crate::simulator::profiles::{EVENT, Event, Identity, PROFILE, Profile};
use crate::simulator::world::{Sandbox, digest};

/// Adobe's page size when a request names none.
const DEFAULT_LIMIT: usize = 1000;
/// The most that a `large-…` profile may hold, in bytes.
const LARGEST: u64 = 1_000_000_000;

pub(super) fn answer(scene: &mut Scene<'_>) -> Answer {
    let call = scene.call;
    let answer = match call.method {
        Method::GET => look_up(scene),
        Method::POST => look_up_several(scene),
        Method::DELETE => delete(scene),
        _ => Ok(errors::method_not_allowed()),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

fn look_up(scene: &Scene<'_>) -> Result<Answer, Answer> {
    let call = scene.call;
    let schema = schema(call)?;
    let fields = split(call.query.get("fields").unwrap_or_default());
    if schema == EVENT {
        let query = EventQuery::of_query(call)?;
        let identity = identity(call, "relatedEntityId", "relatedEntityIdNS")
            .or_else(|| identity(call, "entityId", "entityIdNS"))
            .ok_or_else(|| required("relatedEntityId"))?;
        let owner =
            find(scene.sandbox, PROFILE, &identity, scene.now_ms).ok_or_else(errors::not_found)?;
        let page = query.page(&scene.sandbox.events, owner, &fields);
        let next = page.next.as_ref().map_or_else(String::new, |start| {
            format!("/entities?{}", query.link(call, start))
        });
        return Ok(Answer::ok(&page.to_json(&json!({"href": next}))));
    }
    let identity = identity(call, "entityId", "entityIdNS").ok_or_else(|| required("entityId"))?;
    if let Some(total) = large(&identity.id) {
        return Ok(large_profile(&identity, total));
    }
    let profile =
        find(scene.sandbox, schema, &identity, scene.now_ms).ok_or_else(errors::not_found)?;
    let mut body = Map::new();
    body.insert(profile.xid.clone(), profile.to_json(&fields));
    Ok(Answer::ok(&Value::Object(body)))
}

fn look_up_several(scene: &Scene<'_>) -> Result<Answer, Answer> {
    let body = scene.call.json()?;
    let schema = body
        .pointer("/schema/name")
        .and_then(Value::as_str)
        .ok_or_else(|| required("schema.name"))?;
    let wanted = body
        .get("identities")
        .and_then(Value::as_array)
        .filter(|wanted| !wanted.is_empty())
        .ok_or_else(|| required("identities"))?;
    let fields = strings(body.get("fields"));
    let mut found = Map::new();
    let mut missing = Vec::new();
    for item in wanted {
        let identity = identity_of(item, schema).ok_or_else(|| required("entityId"))?;
        let owner = if schema == EVENT { PROFILE } else { schema };
        match find(scene.sandbox, owner, &identity, scene.now_ms) {
            None => missing.push(identity),
            Some(profile) if schema == EVENT => {
                let query = EventQuery::of_body(&body, item);
                let page = query.page(&scene.sandbox.events, profile, &fields);
                let next = match &page.next {
                    Some(start) => json!({
                        "href": "/entities",
                        "payload": query.payload(&body, &profile.xid, start),
                    }),
                    None => json!({"href": ""}),
                };
                found.insert(profile.xid.clone(), page.to_json(&next));
            }
            Some(profile) => {
                let mut shown = profile.to_json(&fields);
                if let (Some(shown), Some(item)) = (shown.as_object_mut(), item.as_object()) {
                    let mut requested = item.clone();
                    requested.remove("start");
                    shown.insert("requestedIdentity".to_owned(), Value::Object(requested));
                }
                found.insert(profile.xid.clone(), shown);
            }
        }
    }
    Ok(match (found.is_empty(), missing.is_empty()) {
        (_, true) => Answer::ok(&Value::Object(found)),
        (true, false) => errors::not_found(),
        (false, false) => partial(found, &missing),
    })
}

/// Adobe publishes the items for what failed, `xid` and `error`; what was found takes the same form.
fn partial(found: Map<String, Value>, missing: &[Identity]) -> Answer {
    let found = found.into_iter().map(|(xid, shown)| {
        let mut item = shown;
        if let Some(item) = item.as_object_mut() {
            item.insert("xid".to_owned(), json!(xid));
        }
        item
    });
    let missing = missing.iter().map(|identity| {
        json!({
            "xid": xid_of(identity),
            "requestedIdentity": {
                "entityId": identity.id,
                "entityIdNS": {"code": identity.namespace},
            },
            "error": {"message": "XDM object not found", "statusCode": "404"},
        })
    });
    Answer::json(
        StatusCode::MULTI_STATUS,
        &Value::Array(found.chain(missing).collect()),
    )
}

fn delete(scene: &mut Scene<'_>) -> Result<Answer, Answer> {
    if schema(scene.call)? != PROFILE {
        let message = "UPS-400: Only _xdm.context.profile entities can be deleted";
        return Err(errors::profile(StatusCode::BAD_REQUEST, message));
    }
    let identity =
        identity(scene.call, "entityId", "entityIdNS").ok_or_else(|| required("entityId"))?;
    let (now_ms, gone_at_ms) = (scene.now_ms, scene.soon_ms());
    let profile = scene
        .sandbox
        .profiles
        .iter_mut()
        .find(|profile| profile.is(PROFILE, &identity, now_ms))
        .ok_or_else(errors::not_found)?;
    // A repeated delete does not put the deletion off.
    profile.gone_at_ms.get_or_insert(gone_at_ms);
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

/// What a query for events asks for.
#[derive(Debug)]
struct EventQuery {
    from_ms: u64,
    until_ms: u64,
    newest_first: bool,
    filters: Vec<Filter>,
    start: Option<String>,
    limit: usize,
}

/// One page of events.
#[derive(Debug)]
struct EventPage {
    children: Vec<Value>,
    start: String,
    /// The id of the event the next page starts with.
    next: Option<String>,
    order: &'static str,
}

impl EventQuery {
    fn of_query(call: &Call) -> Result<Self, Answer> {
        if call.query.get("relatedSchema.name").is_none() {
            return Err(required("relatedSchema.name"));
        }
        let time = |name| call.query.get(name).and_then(|text| text.parse().ok());
        Ok(Self {
            from_ms: time("startTime").unwrap_or(0),
            until_ms: time("endTime").unwrap_or(u64::MAX),
            newest_first: newest_first(call.query.get("orderby")),
            filters: call
                .query
                .all("property")
                .filter_map(Filter::parse)
                .collect(),
            start: call.query.get("start").map(str::to_owned),
            limit: limit(call.query.number("limit")),
        })
    }

    fn of_body(body: &Value, item: &Value) -> Self {
        let time = |pointer| body.pointer(pointer).and_then(Value::as_u64);
        let limit_of = |value: &Value| value.as_u64().and_then(|limit| usize::try_from(limit).ok());
        let order = body.get("orderby").or_else(|| body.get("orderBy"));
        Self {
            from_ms: time("/timeFilter/startTime").unwrap_or(0),
            until_ms: time("/timeFilter/endTime").unwrap_or(u64::MAX),
            newest_first: newest_first(order.and_then(Value::as_str)),
            filters: Vec::new(),
            start: item.get("start").and_then(Value::as_str).map(str::to_owned),
            limit: limit(body.get("limit").and_then(limit_of)),
        }
    }

    fn page(&self, events: &[Event], owner: &Profile, fields: &[String]) -> EventPage {
        let mut chosen: Vec<&Event> = events
            .iter()
            .filter(|event| event.related_xid == owner.xid)
            .filter(|event| (self.from_ms..=self.until_ms).contains(&event.timestamp_ms))
            .filter(|event| {
                self.filters
                    .iter()
                    .all(|filter| filter.matches(&event.entity))
            })
            .collect();
        chosen.sort_by_key(|event| event.timestamp_ms);
        if self.newest_first {
            chosen.reverse();
        }
        let mut rest = chosen
            .into_iter()
            .skip_while(|event| self.start.as_ref().is_some_and(|start| *start != event.xid));
        let page: Vec<&Event> = rest.by_ref().take(self.limit).collect();
        EventPage {
            start: page
                .first()
                .map_or_else(String::new, |event| event.xid.clone()),
            next: rest.next().map(|event| event.xid.clone()),
            children: page.iter().map(|event| event.to_json(fields)).collect(),
            order: if self.newest_first {
                "-timestamp"
            } else {
                "timestamp"
            },
        }
    }

    /// Returns the query of the next page: the same parameters with another start.
    fn link(&self, call: &Call, start: &str) -> String {
        let mut parts = vec![format!("start={start}"), format!("limit={}", self.limit)];
        for name in [
            "schema.name",
            "relatedSchema.name",
            "relatedEntityId",
            "relatedEntityIdNS",
            "entityId",
            "entityIdNS",
            "fields",
            "startTime",
            "endTime",
            "orderby",
            "property",
            "mergePolicyId",
        ] {
            for value in call.query.all(name) {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                parts.push(format!("{name}={value}"));
            }
        }
        parts.join("&")
    }

    /// Returns the body of the follow-up POST.
    fn payload(&self, body: &Value, xid: &str, start: &str) -> Value {
        let mut payload = body.clone();
        if let Some(payload) = payload.as_object_mut() {
            payload.insert(
                "identities".to_owned(),
                json!([{"relatedEntityId": xid, "start": start}]),
            );
            payload.insert("limit".to_owned(), json!(self.limit));
        }
        payload
    }
}

impl EventPage {
    fn to_json(&self, next: &Value) -> Value {
        json!({
            "_page": {
                "orderby": self.order,
                "start": self.start,
                "count": self.children.len(),
                "next": self.next.as_deref().unwrap_or_default(),
            },
            "children": self.children,
            "_links": {"next": next},
        })
    }
}

fn schema(call: &Call) -> Result<&str, Answer> {
    call.query
        .get("schema.name")
        .ok_or_else(|| required("schema.name"))
}

fn identity(call: &Call, id: &str, namespace: &str) -> Option<Identity> {
    Some(Identity {
        id: call.query.get(id)?.to_owned(),
        namespace: call.query.get(namespace).map(str::to_owned),
    })
}

fn identity_of(item: &Value, schema: &str) -> Option<Identity> {
    let (id, namespace) = if schema == EVENT && item.get("relatedEntityId").is_some() {
        ("relatedEntityId", "/relatedEntityIdNS/code")
    } else {
        ("entityId", "/entityIdNS/code")
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Identity {
        id: item.get(id).and_then(text)?,
        namespace: item.pointer(namespace).and_then(text),
    })
}

fn find<'a>(
    sandbox: &'a Sandbox,
    schema: &str,
    identity: &Identity,
    now_ms: u64,
) -> Option<&'a Profile> {
    let mut profiles = sandbox.profiles.iter();
    profiles.find(|profile| profile.is(schema, identity, now_ms))
}

/// Returns an id in the style of Adobe's for something that is not stored.
fn xid_of(identity: &Identity) -> String {
    let namespace = identity.namespace.as_deref().unwrap_or_default();
    format!(
        "BVr{:016x}",
        digest(&format!("{namespace}/{}", identity.id))
    )
}

fn required(parameter: &str) -> Answer {
    let message = format!("UPS-400: Required parameter '{parameter}' is not present");
    errors::profile(StatusCode::BAD_REQUEST, &message)
}

fn newest_first(order: Option<&str>) -> bool {
    order.is_some_and(|order| order.starts_with('-'))
}

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, DEFAULT_LIMIT)
}

fn split(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn strings(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Returns the size in bytes that an id such as `large-50MB@example.com` asks for.
fn large(id: &str) -> Option<u64> {
    let size = id.strip_prefix("large-")?;
    let digits = size.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = size.split_at_checked(digits)?;
    let unit = match unit.get(..2)? {
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        _ => return None,
    };
    let total = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1_000..=LARGEST).contains(&total).then_some(total)
}

/// Returns a profile of exactly `total` bytes, most of which is one long text.
fn large_profile(identity: &Identity, total: u64) -> Answer {
    let xid = xid_of(identity);
    let id = json!(identity.id);
    let namespace = json!(identity.namespace);
    let before = format!(
        "{{\"{xid}\":{{\"entityId\":\"{xid}\",\"sources\":[\"\"],\"requestedIdentity\":\
         {{\"entityId\":{id},\"entityIdNS\":{{\"code\":{namespace}}}}},\"entity\":{{\"notes\":\""
    );
    let content = Content::Filled {
        before: Bytes::from(before),
        after: Bytes::from_static(b"\"},\"lastModifiedAt\":\"2026-01-01T00:00:00Z\"}}"),
        total,
    };
    Answer::empty(StatusCode::OK).with_content("application/json", content)
}

#[cfg(test)]
mod tests;
