//! The entities engine's cases.

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::simulator::Client;
use crate::simulator::time::millis;
use std::time::Duration;

const STEP: Duration = Duration::from_secs(1);
const NOW_MS: u64 = 1_800_000_000_000;

fn sandbox(name: &str) -> Sandbox {
    Sandbox::new(&Client::demo().organization, &name.parse().unwrap())
}

fn ask(
    sandbox: &mut Sandbox,
    method: &Method,
    query: &str,
    body: &str,
    now_ms: u64,
) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let target = format!("/data/core/ups/access/entities?{query}");
    let call = Call::new(method, &target, headers, Bytes::from(body.to_owned()));
    let answer = answer(&mut Scene {
        call: &call,
        sandbox,
        now_ms,
        step: STEP,
    });
    let Content::Bytes(body) = answer.content else {
        panic!("not a stored profile")
    };
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (answer.status.as_u16(), body)
}

fn get(sandbox: &mut Sandbox, query: &str) -> (u16, Value) {
    ask(sandbox, &Method::GET, query, "", NOW_MS)
}

const JANE: &str = "BVrqzwVv7o2p3naHvnsWpqZXv3KJgA";
const BY_EMAIL: &str =
    "schema.name=_xdm.context.profile&entityId=janedoe@example.com&entityIdNS=email";
const EVENTS_OF_JANE: &str = "schema.name=_xdm.context.experienceevent\
    &relatedSchema.name=_xdm.context.profile&relatedEntityId=janedoe%40example.com\
    &relatedEntityIdNS=email";

#[test]
fn a_profile_is_found_by_any_of_its_names() {
    let mut sandbox = sandbox("prod");
    let by_xid = format!("schema.name=_xdm.context.profile&entityId={JANE}");
    for query in [
        BY_EMAIL,
        "schema.name=_xdm.context.profile&entityId=crm-1001&entityIdNS=CRMID",
        &by_xid,
    ] {
        let (status, body) = get(&mut sandbox, query);

        assert_eq!(status, 200, "{query}");
        assert_eq!(body[JANE]["entity"]["person"]["name"]["firstName"], "Jane");
    }
}

#[test]
fn sandboxes_differ_in_one_field() {
    for (name, tier) in [("prod", "gold"), ("dev", "silver"), ("dev-2", "bronze")] {
        let (_, body) = get(&mut sandbox(name), BY_EMAIL);

        assert_eq!(body[JANE]["entity"]["loyalty"]["tier"], tier);
    }
}

#[test]
fn what_is_missing_is_named() {
    let cases = [
        ("", 400, "schema.name"),
        ("schema.name=_xdm.context.profile", 400, "entityId"),
        (
            "schema.name=_xdm.context.experienceevent&relatedEntityId=x",
            400,
            "relatedSchema.name",
        ),
    ];
    for (query, status, named) in cases {
        let (found, body) = get(&mut sandbox("prod"), query);

        assert_eq!(found, status);
        assert!(body["message"].as_str().unwrap().contains(named), "{body}");
    }
    let unknown = "schema.name=_xdm.context.profile&entityId=nobody&entityIdNS=email";
    let expected = (404, json!({"statusCode": "404"}));
    assert_eq!(get(&mut sandbox("prod"), unknown), expected);
}

#[test]
fn pages_of_events_end_in_an_empty_link() {
    let mut sandbox = sandbox("prod");
    let mut query = format!("{EVENTS_OF_JANE}&limit=5&orderby=-timestamp");
    let mut sizes = Vec::new();
    let mut last = u64::MAX;
    loop {
        let (status, page) = get(&mut sandbox, &query);
        assert_eq!(status, 200);
        let children = page["children"].as_array().unwrap();
        sizes.push(children.len());
        for child in children {
            let timestamp = child["timestamp"].as_u64().unwrap();
            assert!(timestamp < last);
            last = timestamp;
        }
        let link = page["_links"]["next"]["href"].as_str().unwrap();
        if link.is_empty() {
            assert_eq!(page["_page"]["next"], "");
            break;
        }
        query = link.strip_prefix("/entities?").unwrap().to_owned();
    }

    assert_eq!(sizes, [5, 5, 2]);
}

#[test]
fn events_are_filtered_by_time_and_property() {
    let mut sandbox = sandbox("prod");
    let cases = [
        ("property=eventType%3D%22order.placement%22", 4),
        ("startTime=1767312000000&endTime=1767398400000", 2),
        ("startTime=1767312000000&limit=3&orderby=+timestamp", 3),
    ];
    for (extra, expected) in cases {
        let (_, page) = get(&mut sandbox, &format!("{EVENTS_OF_JANE}&{extra}"));

        assert_eq!(page["_page"]["count"], expected, "{extra}");
    }
}

#[test]
fn several_identities_succeed_partly() {
    let identity = |id: &str| json!({"entityId": id, "entityIdNS": {"code": "email"}});
    let body = |ids: &[&str]| {
        let identities: Vec<Value> = ids.iter().map(|id| identity(id)).collect();
        json!({"schema": {"name": PROFILE}, "fields": ["person.name"], "identities": identities})
    };
    let mut sandbox = sandbox("prod");
    let mut post = |body: &Value| ask(&mut sandbox, &Method::POST, "", &body.to_string(), NOW_MS);

    let (status, both) = post(&body(&["janedoe@example.com", "johnsmith@example.com"]));
    assert_eq!((status, both.as_object().unwrap().len()), (200, 2));
    assert_eq!(
        both[JANE]["entity"],
        json!({"person": {"name": {"firstName": "Jane", "lastName": "Doe"}}})
    );

    let (status, some) = post(&body(&["janedoe@example.com", "nobody@example.com"]));
    assert_eq!((status, some.as_array().unwrap().len()), (207, 2));
    assert_eq!(some[0]["xid"], JANE);
    assert_eq!(some[1]["error"]["statusCode"], "404");

    let (status, _) = post(&body(&["nobody@example.com"]));
    assert_eq!(status, 404);
    let (status, _) = post(&json!({"schema": {"name": PROFILE}}));
    assert_eq!(status, 400);
}

#[test]
fn event_pages_are_followed_by_payload() {
    let mut sandbox = sandbox("prod");
    let mut body = json!({
        "schema": {"name": EVENT}, "relatedSchema": {"name": PROFILE}, "limit": 10,
        "identities": [{"relatedEntityId": JANE}],
    });
    let mut sizes = Vec::new();
    loop {
        let (_, pages) = ask(&mut sandbox, &Method::POST, "", &body.to_string(), NOW_MS);
        let page = &pages[JANE];
        sizes.push(page["children"].as_array().unwrap().len());
        let next = &page["_links"]["next"];
        if next["href"] == "" {
            break;
        }
        body = next["payload"].clone();
    }

    assert_eq!(sizes, [10, 2]);
}

#[test]
fn a_deletion_is_accepted_and_takes_effect_later() {
    let mut sandbox = sandbox("prod");
    let later = NOW_MS + millis(STEP);

    assert_eq!(
        ask(&mut sandbox, &Method::DELETE, BY_EMAIL, "", NOW_MS).0,
        202
    );
    assert_eq!(
        ask(&mut sandbox, &Method::GET, BY_EMAIL, "", later - 1).0,
        200
    );
    assert_eq!(ask(&mut sandbox, &Method::GET, BY_EMAIL, "", later).0, 404);
    assert_eq!(
        ask(&mut sandbox, &Method::DELETE, BY_EMAIL, "", later).0,
        404
    );
}

#[test]
fn large_ids_name_their_size() {
    let cases = [
        ("large-50MB@example.com", Some(50_000_000)),
        ("large-75kB", Some(75_000)),
        ("large-0MB", None),
        ("large-2000MB", None),
        ("large-50TB", None),
        ("large-MB", None),
        ("janedoe@example.com", None),
    ];
    for (id, expected) in cases {
        assert_eq!(large(id), expected, "{id}");
    }
}
