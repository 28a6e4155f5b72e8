//! What stands in a sandbox at the start.
//!
//! Every sandbox has the same people, with a marker of its own: Jane Doe's loyalty tier differs, so that an
//! answer shows which sandbox it came from.

use serde_json::{Map, Value, json};

use super::profiles::{Event, PROFILE, Profile};
use super::time::iso;
use super::world::{PRODUCTION, Sandbox};

/// 2026-01-01T00:00:00Z: when everything seeded was created.
const START_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 86_400_000;
/// How many events Jane Doe has.
const EVENTS: u64 = 12;

/// Fills an empty sandbox.
pub(super) fn fill(sandbox: &mut Sandbox) {
    people(sandbox);
    configuration(sandbox);
}

struct Person {
    xid: &'static str,
    email: &'static str,
    crm_id: &'static str,
    ecid: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    country: &'static str,
}

const PEOPLE: [Person; 3] = [
    Person {
        xid: "BVrqzwVv7o2p3naHvnsWpqZXv3KJgA",
        email: "janedoe@example.com",
        crm_id: "crm-1001",
        ecid: "89149270342662559642753730269986316601",
        first_name: "Jane",
        last_name: "Doe",
        country: "US",
    },
    Person {
        xid: "BVrqzwUk0dKjvRyTbT4nSKkBBBLlYw",
        email: "johnsmith@example.com",
        crm_id: "crm-1002",
        ecid: "89149270342662559642753730269986316602",
        first_name: "John",
        last_name: "Smith",
        country: "GB",
    },
    Person {
        xid: "BVrqzwTq2mWcNeVZ6oXhE3uRrPqDsQ",
        email: "a b@example.com",
        crm_id: "s 1/2",
        ecid: "89149270342662559642753730269986316604",
        first_name: "Aïda",
        last_name: "Łukasz",
        country: "PL",
    },
];

fn people(sandbox: &mut Sandbox) {
    let tier = match sandbox.facts.name.as_str() {
        PRODUCTION => "gold",
        "dev" => "silver",
        _ => "bronze",
    };
    let name = sandbox.facts.name.clone();
    for person in &PEOPLE {
        let identity = |id: &str, code: &str| json!({"id": id, "namespace": {"code": code}});
        let entity = json!({
            "_simulator": {"sandbox": name.as_str()},
            "identities": [
                identity(person.ecid, "ecid"),
                identity(person.email, "email"),
                identity(person.crm_id, "crmid"),
            ],
            "identityMap": {
                "ecid": [{"id": person.ecid}],
                "email": [{"id": person.email}],
                "crmid": [{"id": person.crm_id}],
            },
            "person": {"name": {"firstName": person.first_name, "lastName": person.last_name}},
            "workEmail": {
                "primary": true, "address": person.email, "type": "work", "status": "active",
            },
            "homeAddress": {"country": person.country},
            "loyalty": {"tier": tier, "points": 1200},
            "segmentMembership": {"ups": {
                "60ccea95-1435-4180-97a5-58af4aa285ab": {
                    "lastQualificationTime": iso(START_MS), "status": "realized",
                },
            }},
        });
        sandbox.profiles.push(Profile {
            schema: PROFILE,
            xid: person.xid.to_owned(),
            identities: vec![
                ("ECID".to_owned(), person.ecid.to_owned()),
                ("Email".to_owned(), person.email.to_owned()),
                ("CRMID".to_owned(), person.crm_id.to_owned()),
            ],
            entity,
            sources: vec!["5b7c86968f7b6501e21ba9df".to_owned()],
            last_modified: iso(START_MS),
            gone_at_ms: None,
        });
    }
    sandbox.profiles.push(account(name.as_str()));
    let jane = PEOPLE.first().map(|jane| jane.xid).unwrap_or_default();
    for number in 0..EVENTS {
        sandbox.events.push(event(jane, number));
    }
}

fn account(sandbox: &str) -> Profile {
    Profile {
        schema: "_xdm.context.account",
        xid: "GuQ-AUFjgjaeIw".to_owned(),
        identities: vec![("b2b_account".to_owned(), "2334262".to_owned())],
        entity: json!({
            "_simulator": {"sandbox": sandbox},
            "accountID": "2334262",
            "accountName": "Example Ltd",
            "identityMap": {"b2b_account": [{"id": "2334262"}]},
            "isDeleted": false,
        }),
        sources: vec!["er_m_attr".to_owned()],
        last_modified: iso(START_MS),
        gone_at_ms: None,
    }
}

fn event(related_xid: &str, number: u64) -> Event {
    let timestamp_ms = START_MS + number * DAY_MS;
    let kind = if number.is_multiple_of(3) {
        "order.placement"
    } else {
        "web.webpagedetails.pageViews"
    };
    Event {
        xid: format!("c8d11988-6b56-4571-a123-{number:012}"),
        related_xid: related_xid.to_owned(),
        timestamp_ms,
        entity: json!({
            "_id": format!("event-{number}"),
            "eventType": kind,
            "timestamp": iso(timestamp_ms),
            "endUserIDs": {"_experience": {"ecid": {
                "id": "89149270342662559642753730269986316601", "namespace": {"code": "ecid"},
            }}},
            "web": {"webPageDetails": {"name": format!("page {number}"), "pageViews": {"value": 1}}},
            "channel": {"_type": "web"},
            "placeContext": {"geo": {"countryCode": "US"}, "localTime": iso(timestamp_ms)},
        }),
        last_modified: iso(timestamp_ms + 60_000),
    }
}

fn configuration(sandbox: &mut Sandbox) {
    let name = sandbox.facts.name.to_string();
    let schema = json!({"name": PROFILE});
    let pql = json!({"type": "PQL", "format": "pql/text", "value": "homeAddress.country = \"US\""});
    let audience = "60ccea95-1435-4180-97a5-58af4aa285ab";
    put(
        sandbox,
        "mergePolicies",
        "10648288-cda5-11e8-a8d5-f2801f1b9fd1",
        json!({
            "name": "real-time-customer-profile-default", "schema": schema, "version": 1,
            "identityGraph": {"type": "pdg"}, "attributeMerge": {"type": "timestampOrdered"},
            "isActiveOnEdge": true, "default": true,
        }),
    );
    put(
        sandbox,
        "mergePolicies",
        "42d4a596-b1c6-46c0-994e-ca5ef1f85130",
        json!({
            "name": "crm-first", "schema": schema, "version": 1,
            "identityGraph": {"type": "none"},
            "attributeMerge": {"type": "dataSetPrecedence", "order": ["5b7c86968f7b6501e21ba9df"]},
            "isActiveOnEdge": false, "default": false,
        }),
    );
    put(
        sandbox,
        "audiences",
        audience,
        json!({
            "audienceId": audience, "name": format!("US customers of {name}"),
            "description": "Everyone with a home address in the US", "type": "SegmentDefinition",
            "originName": "REAL_TIME_CUSTOMER_PROFILE", "namespace": "AEPSegments",
            "lifecycleState": "published", "schema": schema, "profileInstanceId": "ups",
            "expression": pql, "labels": [], "dependents": [], "dependencies": [],
        }),
    );
    put(
        sandbox,
        "segment/definitions",
        audience,
        json!({
            "name": format!("US customers of {name}"), "schema": schema, "expression": pql,
            "profileInstanceId": "ups", "mergePolicyId": "10648288-cda5-11e8-a8d5-f2801f1b9fd1",
            "evaluationInfo": {
                "batch": {"enabled": true}, "continuous": {"enabled": false},
                "synchronous": {"enabled": false},
            },
        }),
    );
    put(
        sandbox,
        "schedules",
        "4e538382-dbd8-449e-988a-4ac639ebe72b",
        json!({
            "name": "profile-default", "type": "batch_segmentation", "state": "active",
            "properties": {"segments": ["*"]}, "schedule": "0 0 1 * * ?",
        }),
    );
    put(
        sandbox,
        "attributes",
        "2afcf410-450e-4a39-984d-2de99ab58877",
        json!({
            "type": "ComputedAttribute", "name": "ordersLastWeek",
            "displayName": "Orders of the last week", "description": "Counts orders",
            "expression": {"type": "PQL", "format": "pql/text", "value": "xEvent.count()"},
            "duration": {"count": 7, "unit": "DAYS"}, "mergeFunction": {"value": "SUM"},
            "keepCurrent": false, "status": "INITIALIZED", "schema": schema,
        }),
    );
}

fn put(sandbox: &mut Sandbox, collection: &'static str, id: &str, document: Value) {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(id));
    fields.insert(
        "imsOrgId".to_owned(),
        json!(sandbox.facts.organization.as_str()),
    );
    fields.insert("sandbox".to_owned(), sandbox.facts.to_json());
    if let Value::Object(document) = document {
        fields.extend(document);
    }
    fields.insert("createEpoch".to_owned(), json!(START_MS / 1000));
    fields.insert("updateEpoch".to_owned(), json!(START_MS / 1000));
    sandbox
        .collection(collection)
        .insert(id.to_owned(), START_MS, Value::Object(fields));
}
