//! The cases of the engine for stored objects, with the kinds that use it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::simulator::Client;
use crate::simulator::answer::Content;
use crate::simulator::call::Call;
use crate::simulator::platform;
use crate::simulator::world::Sandbox;

const NOW_MS: u64 = 1_800_000_000_000;
const STEP_MS: u64 = 1000;

/// A sandbox and a clock.
struct Desk {
    sandbox: Sandbox,
    now_ms: u64,
}

impl Desk {
    fn new() -> Self {
        let name = "dev".parse().unwrap();
        Self {
            sandbox: Sandbox::new(&Client::demo().organization, &name),
            now_ms: NOW_MS,
        }
    }

    fn ask(&mut self, method: &Method, target: &str, body: &Value) -> (u16, Value) {
        self.ask_with(
            method,
            target,
            body,
            &[
                ("content-type", "application/json"),
                ("x-profile-instance-id", "ups"),
            ],
        )
    }

    fn ask_with(
        &mut self,
        method: &Method,
        target: &str,
        body: &Value,
        fields: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let call = Call::new(method, &format!("/data/core{target}"), headers, body);
        let answer = platform::answer(&mut Scene {
            call: &call,
            sandbox: &mut self.sandbox,
            now_ms: self.now_ms,
            step: Duration::from_millis(STEP_MS),
        });
        let Content::Bytes(body) = answer.content else {
            panic!("objects are not streamed")
        };
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (answer.status.as_u16(), body)
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        self.ask(&Method::GET, target, &Value::Null)
    }
}

fn policy() -> Value {
    json!({
        "name": "mine", "schema": {"name": "_xdm.context.profile"},
        "identityGraph": {"type": "none"}, "attributeMerge": {"type": "timestampOrdered"},
    })
}

#[test]
fn each_kind_answers_with_its_own_statuses() {
    let audience = json!({"name": "mine"});
    let schedule = json!({"name": "mine", "type": "batch_segmentation"});
    let attribute = json!({
        "name": "mine", "displayName": "Mine", "expression": {"type": "PQL"}, "duration": {"count": 1},
    });
    let segment = json!({"name": "mine", "expression": {"type": "PQL"}});
    let cases = [
        ("/ups/config/mergePolicies", policy(), 200, 200, 200, 404),
        ("/ups/audiences", audience, 201, 201, 204, 404),
        ("/ups/config/schedules", schedule, 200, 204, 204, 404),
        ("/ups/segment/definitions", segment, 200, 200, 200, 404),
        // A deletion that is accepted takes effect later.
        ("/ca/attributes", attribute, 200, 200, 202, 200),
        ("/ups/config/macros", json!({}), 200, 200, 200, 404),
    ];
    for (path, body, created, changed, deleted, after) in cases {
        let mut desk = Desk::new();

        let (status, object) = desk.ask(&Method::POST, path, &body);
        assert_eq!(status, created, "{path} {object}");
        let one = format!("{path}/{}", object["id"].as_str().unwrap());
        assert_eq!(desk.get(&one).1["id"], object["id"], "{path}");
        let patch = json!([{"op": "add", "path": "/description", "value": "new"}]);
        assert_eq!(desk.ask(&Method::PATCH, &one, &patch).0, changed, "{path}");
        assert_eq!(desk.get(&one).1["description"], "new", "{path}");
        assert_eq!(
            desk.ask(&Method::DELETE, &one, &Value::Null).0,
            deleted,
            "{path}"
        );
        assert_eq!(desk.get(&one).0, after, "{path}");
        desk.now_ms += STEP_MS;
        assert_eq!(desk.get(&one).0, 404, "{path}");
    }
}

#[test]
fn writing_a_merge_policy_needs_the_instance() {
    let mut desk = Desk::new();
    let json = [("content-type", "application/json")];

    let refused = desk.ask_with(&Method::POST, "/ups/config/mergePolicies", &policy(), &json);
    let read = desk.ask_with(&Method::GET, "/ups/config/mergePolicies", &Value::Null, &[]);

    assert_eq!((refused.0, read.0), (400, 200));
}

#[test]
fn replacing_keeps_the_id_and_raises_the_version() {
    let mut desk = Desk::new();
    let one = "/ups/config/mergePolicies/42d4a596-b1c6-46c0-994e-ca5ef1f85130";

    let (status, replaced) = desk.ask(&Method::PUT, one, &policy());

    assert_eq!(status, 200);
    assert_eq!(replaced["id"], "42d4a596-b1c6-46c0-994e-ca5ef1f85130");
    assert_eq!(
        (&replaced["name"], &replaced["version"]),
        (&json!("mine"), &json!(2))
    );
    assert_eq!(replaced.get("isActiveOnEdge"), None);
}

#[test]
fn bulk_reads_answer_for_each_id() {
    let mut desk = Desk::new();
    let known = "60ccea95-1435-4180-97a5-58af4aa285ab";
    let body = json!({"ids": [{"id": known}, {"id": "nobody"}]});

    let (status, answer) = desk.ask(&Method::POST, "/ups/audiences/bulk-get", &body);

    assert_eq!(status, 207);
    assert_eq!(answer["results"][known]["id"], known);
    assert_eq!(answer["results"]["nobody"]["statusCode"], "404");
}

#[test]
fn pages_end_in_an_empty_link() {
    let mut desk = Desk::new();
    for number in 0..4 {
        let body = json!({"name": format!("audience {number}")});
        desk.ask(&Method::POST, "/ups/audiences", &body);
        let export = json!({"destination": {}, "schema": {"name": "_xdm.context.profile"}});
        desk.ask(&Method::POST, "/ups/export/jobs", &export);
    }
    let lists = [
        (
            "/ups/audiences?limit=2",
            "/_links/next/href",
            "/children",
            vec![2, 2, 1],
        ),
        (
            "/ups/export/jobs/?limit=3",
            "/link/next",
            "/records",
            vec![3, 1],
        ),
        (
            "/ups/config/mergePolicies?limit=1",
            "/_links/next/href",
            "/children",
            vec![1, 1],
        ),
        (
            "/ups/segment/definitions",
            "/link/next",
            "/segments",
            vec![1],
        ),
        (
            "/ca/attributes?limit=100",
            "/_links/next/href",
            "/children",
            vec![1],
        ),
    ];
    for (first, link, items, expected) in lists {
        let (base, _) = first.rsplit_once('/').unwrap();
        let mut target = first.to_owned();
        let mut sizes = Vec::new();
        loop {
            let (_, page) = desk.get(&target);
            sizes.push(page.pointer(items).unwrap().as_array().unwrap().len());
            match page.pointer(link).unwrap().as_str().unwrap() {
                "" => break,
                next => {
                    let (_, query) = next.split_once('?').unwrap();
                    let list = first.split('?').next().unwrap();
                    assert!(list.starts_with(base));
                    target = format!("{list}?{query}");
                }
            }
        }
        assert_eq!(sizes, expected, "{first}");
    }
}

#[test]
fn computed_attributes_come_at_most_forty_at_a_time() {
    let mut desk = Desk::new();
    for number in 0..45 {
        let body = json!({
            "name": format!("attribute{number}"), "displayName": "x", "expression": {}, "duration": {},
        });
        assert_eq!(desk.ask(&Method::POST, "/ca/attributes", &body).0, 200);
    }

    let (_, page) = desk.get("/ca/attributes?limit=100");

    assert_eq!(page["_page"], json!({"totalCount": 46, "pageSize": 40}));
    assert_eq!(
        page["_links"]["next"]["href"],
        "/attributes?offset=40&limit=40"
    );
}

#[test]
fn lists_are_filtered_by_property() {
    let mut desk = Desk::new();
    let targets = [
        (
            "/ups/segment/definitions?property=evaluationInfo.batch.enabled%3Dtrue",
            "/segments",
            1,
        ),
        (
            "/ups/segment/definitions?property=evaluationInfo.continuous.enabled%3Dtrue",
            "/segments",
            0,
        ),
        (
            "/ups/audiences?property=audienceId==60ccea95-1435-4180-97a5-58af4aa285ab",
            "/children",
            1,
        ),
        ("/ups/config/mergePolicies?default=true", "/children", 1),
    ];
    for (target, items, expected) in targets {
        let (_, page) = desk.get(target);

        assert_eq!(
            page.pointer(items).unwrap().as_array().unwrap().len(),
            expected,
            "{target}"
        );
    }
}

#[test]
fn jobs_advance_with_time() {
    let export = json!({"destination": {}, "schema": {"name": "_xdm.context.profile"}});
    let segments = json!([{"segmentId": "60ccea95-1435-4180-97a5-58af4aa285ab"}]);
    let deletion = json!({"dataSetId": "5cf212ed73fbff145365d15d"});
    let cases = [
        (
            "/ups/export/jobs",
            export,
            ["NEW", "PROCESSING", "SUCCEEDED"],
        ),
        (
            "/ups/segment/jobs",
            segments,
            ["NEW", "PROCESSING", "SUCCEEDED"],
        ),
        (
            "/ups/system/jobs",
            deletion,
            ["NEW", "PROCESSING", "COMPLETED"],
        ),
    ];
    for (path, body, states) in cases {
        let mut desk = Desk::new();
        let (status, job) = desk.ask(&Method::POST, path, &body);
        assert_eq!((status, &job["status"]), (200, &json!(states[0])), "{path}");
        let id = job["id"].to_string();
        let one = format!("{path}/{}", id.trim_matches('"'));
        for state in states {
            assert_eq!(desk.get(&one).1["status"], state, "{path}");
            desk.now_ms += STEP_MS;
        }
    }
}

#[test]
fn a_second_deletion_of_the_same_data_is_refused() {
    let mut desk = Desk::new();
    let whole = json!({"dataSetId": "5cf212ed73fbff145365d15d"});
    let batch = json!({"datasetId": "5cf212ed73fbff145365d15d", "batchId": "8d075b5a"});

    assert_eq!(desk.ask(&Method::POST, "/ups/system/jobs", &whole).0, 200);
    assert_eq!(desk.ask(&Method::POST, "/ups/system/jobs", &batch).0, 200);
    let (status, refusal) = desk.ask(&Method::POST, "/ups/system/jobs", &whole);

    assert_eq!(status, 422);
    assert_eq!(refusal["errors"]["422"][0]["code"], "422");
    assert_eq!(
        desk.ask(&Method::POST, "/ups/system/jobs", &json!({})).0,
        400
    );
}

#[test]
fn segment_jobs_pile_up_only_so_far() {
    let mut desk = Desk::new();
    let body = json!([{"segmentId": "x"}]);
    for _ in 0..10 {
        assert_eq!(desk.ask(&Method::POST, "/ups/segment/jobs", &body).0, 200);
    }

    let (status, refusal) = desk.ask(&Method::POST, "/ups/segment/jobs", &body);
    assert_eq!((status, &refusal[0]["retryAfterMs"]), (429, &json!("1000")));

    desk.now_ms += 2 * STEP_MS;
    assert_eq!(desk.ask(&Method::POST, "/ups/segment/jobs", &body).0, 200);
    assert_eq!(
        desk.ask(&Method::POST, "/ups/segment/jobs", &json!([])).0,
        400
    );
    let all = json!({"schema": {"name": "_xdm.context.profile"}, "segments": [{"segmentId": "*"}]});
    assert_eq!(desk.ask(&Method::POST, "/ups/segment/jobs", &all).0, 200);
}

#[test]
fn projections_want_their_media_type_and_current_version() {
    let mut desk = Desk::new();
    let right = [(
        "content-type",
        "application/vnd.adobe.platform.projectionConfig+json;version=1",
    )];
    let wrong = [("content-type", "application/json")];
    let body = json!({"selector": "person", "destinationId": "x"});
    let path = "/ups/config/projections";

    assert_eq!(desk.ask_with(&Method::POST, path, &body, &wrong).0, 415);
    let (status, made) = desk.ask_with(&Method::POST, path, &body, &right);
    assert_eq!(status, 201);
    let link = made["_links"]["self"]["href"].as_str().unwrap();
    let one = link.strip_prefix("/data/core").unwrap();
    let replacement = json!({"selector": "emails", "destinationId": "x", "currentVersion": 1});
    assert_eq!(
        desk.ask_with(&Method::PUT, one, &replacement, &right).1["version"],
        2
    );
    assert_eq!(
        desk.ask_with(&Method::PUT, one, &replacement, &right).0,
        409
    );
    assert_eq!(
        desk.get(path).1["_embedded"]["projectionConfigs"][0]["selector"],
        "emails"
    );
}

#[test]
fn external_audiences_are_made_by_operations() {
    for (create, poll, run) in [
        ("/ais/external-audience/", "operations", "runs"),
        ("/ais/external-audience/submit", "task", "run"),
    ] {
        let mut desk = Desk::new();
        let (status, accepted) = desk.ask(&Method::POST, create, &json!({"name": "mine"}));
        assert_eq!(status, 202);
        let operation = format!(
            "/ais/external-audience/{poll}/{}",
            accepted["operationId"].as_str().unwrap()
        );
        assert_eq!(desk.get(&operation).1["status"], "NEW");
        assert_eq!(desk.get(&operation).1.get("audienceId"), None);
        desk.now_ms += 2 * STEP_MS;
        let (_, done) = desk.get(&operation);
        assert_eq!(done["status"], "SUCCESS");

        let audience = format!(
            "/ais/external-audience/{}",
            done["audienceId"].as_str().unwrap()
        );
        let runs = format!("{audience}/{run}");
        let filter = json!({"dataFilterStartTime": 764_245_635});
        let (status, started) = desk.ask(&Method::POST, &runs, &filter);
        assert_eq!((status, &started["status"]), (200, &json!("NEW")));
        assert_eq!(desk.ask(&Method::POST, &runs, &filter).0, 409);
        desk.now_ms += 2 * STEP_MS;
        let one = format!("{audience}/runs/{}", started["runId"].as_str().unwrap());
        assert_eq!(desk.get(&one).1["status"], "SUCCESS");
        assert_eq!(
            desk.get(&format!("{audience}/runs")).1["runs"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            desk.ask(&Method::PATCH, &audience, &json!({"description": "d"}))
                .0,
            200
        );
        assert_eq!(
            desk.ask(&Method::DELETE, &format!("{audience}/"), &Value::Null)
                .0,
            202
        );
        desk.now_ms += STEP_MS;
        assert_eq!(desk.get(&audience).1["error_code"], "100940-404");
    }
}

#[test]
fn previews_become_ready_and_estimate() {
    let mut desk = Desk::new();
    let query = json!({"predicateExpression": "true", "predicateType": "pql/text"});

    let (status, made) = desk.ask(&Method::POST, "/ups/preview", &query);
    assert_eq!((status, &made["state"]), (201, &json!("NEW")));
    let id = made["previewId"].as_str().unwrap().replace('=', "%3D");
    desk.now_ms += 2 * STEP_MS;
    let (_, ready) = desk.get(&format!("/ups/preview/{id}"));
    let (_, estimate) = desk.get(&format!("/ups/estimate/{id}"));

    assert_eq!(
        (&ready["state"], ready["results"].as_array().unwrap().len()),
        (&json!("RESULT_READY"), 3)
    );
    assert_eq!(estimate["estimatedSize"], 3);
    assert_eq!(
        desk.ask(&Method::DELETE, &format!("/ups/preview/{id}"), &Value::Null)
            .0,
        200
    );
    assert_eq!(desk.get(&format!("/ups/estimate/{id}")).0, 404);
}

#[test]
fn a_conversion_goes_there_and_back() {
    let mut desk = Desk::new();
    let text = json!({"name": "n", "expression": {"type": "PQL", "format": "pql/text", "value": "a = \"b\""}});

    let (_, tree) = desk.ask(&Method::POST, "/ups/segment/conversion", &text);
    let (_, back) = desk.ask(&Method::POST, "/ups/segment/conversion", &tree);

    assert_eq!(tree["expression"]["format"], "pql/json");
    assert_eq!(back, text);
}

#[test]
fn reports_exist_for_one_day() {
    let mut desk = Desk::new();
    for path in [
        "dataset",
        "dataset/overlap",
        "namespace",
        "namespace/overlap",
        "unstitchedProfiles",
    ] {
        let report = format!("/ups/previewsamplestatus/report/{path}");

        assert_eq!(desk.get(&report).0, 200, "{path}");
        assert_eq!(
            desk.get(&format!("{report}?date=2026-01-01")).0,
            200,
            "{path}"
        );
        assert_eq!(
            desk.get(&format!("{report}?date=2020-08-01")).0,
            404,
            "{path}"
        );
    }
    assert_eq!(
        desk.get("/ups/previewsamplestatus").1["status"],
        "TASK_FINISHED"
    );
}

#[test]
fn search_needs_its_parameters_and_knows_one_version() {
    let mut desk = Desk::new();
    let version = [("x-ups-search-version", "1.0")];
    let later = [("x-ups-search-version", "2.0")];
    let target =
        "/ups/search/entities?schemaClass=_xdm.context.segmentdefinition&namespace=AEPSegments";

    assert_eq!(desk.get(target).0, 200);
    assert_eq!(
        desk.ask_with(&Method::GET, target, &Value::Null, &later).0,
        400
    );
    let (status, found) = desk.ask_with(&Method::GET, target, &Value::Null, &version);
    assert_eq!(
        (status, found["entities"].as_array().unwrap().len()),
        (200, 1)
    );
    let (_, none) = desk.ask_with(
        &Method::GET,
        &format!("{target}&s=zzz"),
        &Value::Null,
        &version,
    );
    assert_eq!(none["page"]["totalCount"], 0);
    let short = "/ups/search/taxonomy?schema.name=x";
    assert_eq!(
        desk.ask_with(&Method::GET, short, &Value::Null, &version).0,
        400
    );
}

#[test]
fn every_operation_of_the_table_has_an_engine() {
    for operation in crate::aep::Operation::all() {
        let method = operation.method.clone().unwrap();
        let path = operation
            .template
            .replace("{id}", "x")
            .replace("{run}", "y");
        let target = path.strip_prefix("/data/core").unwrap();

        let (_, body) = Desk::new().ask(&method, target, &json!({}));

        assert_ne!(body["error_code"], "404003", "{method} {path}");
    }
}
