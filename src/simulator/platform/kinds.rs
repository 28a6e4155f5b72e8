//! What sets the kinds of stored objects apart.
//!
//! # Source
//! Adobe's OpenAPI files for profile and segmentation and their guides, read 2026-11-23.

use http::StatusCode;
use serde_json::{Value, json};

use super::resource::{Birth, Fields, Kind, Listing, object};
use crate::simulator::errors;
use crate::simulator::world::digest;

pub(super) const PLAIN: Kind = Kind {
    name: "",
    required: &[],
    accept: object,
    check: |_, _, _| Ok(()),
    complete: |_, _| {},
    advance: |_, _| {},
    list: children,
    cursor: "start",
    limits: (20, 1000),
    created: StatusCode::OK,
    changed: StatusCode::OK,
    deleted: StatusCode::OK,
    media_type: None,
    needs_instance_id: false,
};

pub(super) const MERGE_POLICIES: Kind = Kind {
    name: "mergePolicies",
    required: &["schema.name", "identityGraph.type", "attributeMerge.type"],
    complete: |fields, _| {
        fields.insert("version".to_owned(), json!(1));
        fields.entry("default").or_insert(json!(false));
    },
    needs_instance_id: true,
    ..PLAIN
};

pub(super) const AUDIENCES: Kind = Kind {
    name: "audiences",
    required: &["name"],
    complete: |fields, birth| {
        fields.entry("audienceId").or_insert(json!(birth.id));
        fields.entry("type").or_insert(json!("SegmentDefinition"));
        fields.entry("lifecycleState").or_insert(json!("published"));
        fields.entry("labels").or_insert(json!([]));
        fields.insert("isSystem".to_owned(), json!(false));
        let etag = format!("\"{:016x}\"", digest(birth.id));
        fields.insert("_etag".to_owned(), json!(etag));
    },
    list: |page| {
        let total = page.total;
        let next = page.next.map_or_else(String::new, |next| {
            format!(
                "@/audiences?start={next}&limit={}&totalCount={total}",
                page.limit
            )
        });
        json!({
            "_page": {
                "totalCount": total, "totalPages": total.div_ceil(page.limit),
                "sortField": "name", "sort": "asc", "pageSize": page.items.len(),
                "limit": page.limit, "start": page.start, "next": page.next_text(),
            },
            "_links": {"next": {"href": next}},
            "children": page.items,
        })
    },
    created: StatusCode::CREATED,
    changed: StatusCode::CREATED,
    deleted: StatusCode::NO_CONTENT,
    ..PLAIN
};

pub(super) const SEGMENT_DEFINITIONS: Kind = Kind {
    name: "segment/definitions",
    required: &["name", "expression"],
    complete: |fields, _| {
        fields.entry("evaluationInfo").or_insert(json!({
            "batch": {"enabled": true}, "continuous": {"enabled": false},
            "synchronous": {"enabled": false},
        }));
    },
    list: |page| {
        let link = page.next_link("/segment/definitions", "start");
        json!({
            "page": {
                "totalCount": page.total, "totalPages": page.total.div_ceil(page.limit),
                "sortField": "creationTime", "sort": "desc", "pageSize": page.items.len(),
                "limit": page.limit,
            },
            "link": {"next": link},
            "segments": page.items,
        })
    },
    ..PLAIN
};

pub(super) const SCHEDULES: Kind = Kind {
    name: "schedules",
    required: &["name", "type"],
    complete: |fields, _| {
        fields.entry("state").or_insert(json!("inactive"));
    },
    list: counted_children,
    changed: StatusCode::NO_CONTENT,
    deleted: StatusCode::NO_CONTENT,
    ..PLAIN
};

pub(super) const COMPUTED_ATTRIBUTES: Kind = Kind {
    name: "attributes",
    required: &["name", "displayName", "expression", "duration"],
    check: |existing, new, moment| {
        let name = new.get("name");
        let taken = |document: &Value| document.get("name") == name;
        if existing
            .present(moment.now_ms)
            .any(|entry| taken(&entry.document))
        {
            let message =
                "Function with the same name already exists for the specified schema or definedOn";
            return Err(errors::profile(StatusCode::BAD_REQUEST, message));
        }
        Ok(())
    },
    complete: |fields, _| {
        fields.insert("type".to_owned(), json!("ComputedAttribute"));
        fields.entry("status").or_insert(json!("DRAFT"));
        fields
            .entry("schema")
            .or_insert(json!({"name": "_xdm.context.profile"}));
    },
    list: |page| {
        let link = page.next_link("/attributes", "offset");
        json!({
            "_page": {"totalCount": page.total, "pageSize": page.items.len()},
            "_links": {"next": {"href": link}},
            "children": page.items,
        })
    },
    cursor: "offset",
    limits: (20, 40),
    deleted: StatusCode::ACCEPTED,
    ..PLAIN
};

pub(super) const DESTINATIONS: Kind = Kind {
    name: "destinations",
    complete: versioned,
    list: |page| embedded("destinations", page),
    created: StatusCode::CREATED,
    deleted: StatusCode::NO_CONTENT,
    media_type: Some("application/vnd.adobe.platform.projectionDestination+json; version=1"),
    ..PLAIN
};

pub(super) const PROJECTIONS: Kind = Kind {
    name: "projections",
    required: &["selector", "destinationId"],
    complete: versioned,
    list: |page| embedded("projectionConfigs", page),
    created: StatusCode::CREATED,
    deleted: StatusCode::NO_CONTENT,
    media_type: Some("application/vnd.adobe.platform.projectionConfig+json; version=1"),
    ..PLAIN
};

pub(super) const LEGACY_COMPUTED_ATTRIBUTES: Kind = Kind {
    name: "config/computedAttributes",
    ..PLAIN
};
pub(super) const EVENT_TYPES: Kind = Kind {
    name: "config/eventTypes",
    ..PLAIN
};
pub(super) const MACROS: Kind = Kind {
    name: "config/macros",
    ..PLAIN
};

pub(super) const EXTERNAL_AUDIENCES: Kind = Kind {
    name: "external-audience",
    required: &["name"],
    ..PLAIN
};
fn children(page: &Listing<'_>) -> Value {
    json!({
        "_page": {"count": page.items.len(), "next": page.next_text()},
        "_links": {"next": {"href": page.next_link(page.path, "start")}},
        "children": page.items,
    })
}

pub(super) fn counted_children(page: &Listing<'_>) -> Value {
    json!({
        "_page": {"totalCount": page.total, "pageSize": page.items.len()},
        "_links": {"next": {"href": page.next_link(page.path, "start")}},
        "children": page.items,
    })
}

fn embedded(name: &str, page: &Listing<'_>) -> Value {
    let mut lists = Fields::new();
    lists.insert(name.to_owned(), Value::Array(page.items.clone()));
    json!({
        "_links": {"self": {"href": page.path, "templated": false}},
        "_embedded": lists,
    })
}

fn versioned(fields: &mut Fields, birth: &Birth<'_>) {
    let list = if fields.contains_key("selector") {
        "projections"
    } else {
        "destinations"
    };
    let link = format!("/data/core/ups/config/{list}/{}", birth.id);
    fields.insert("version".to_owned(), json!(1));
    fields.insert(
        "_links".to_owned(),
        json!({"self": {"href": link, "templated": false}}),
    );
}
