//! The simulated Adobe over real sockets.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use profile_gateway::simulator::{Fault, Place, Settings, Simulator, Tls, Wire};
use serde_json::{Value, json};

use crate::support::client::{Client, Reply, Speaks, request};

const JANE: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile\
    &entityId=janedoe@example.com&entityIdNS=email";
const JANE_XID: &str = "BVrqzwVv7o2p3naHvnsWpqZXv3KJgA";
const MINT: &str = "grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret\
    &scope=openid%2CAdobeID";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const ORGANIZATION: &str = "0A1B2C3D4E5F60718293A4B5@AdobeOrg";

/// A simulator, one HTTP/1.1 connection to it, and a token.
struct Stage {
    simulator: Simulator,
    client: Client,
    bearer: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let simulator = Simulator::start(settings).await.unwrap();
        let client = Client::connect(simulator.address(), Speaks::H1).await;
        let mut stage = Self {
            simulator,
            client,
            bearer: String::new(),
        };
        stage.mint().await;
        stage
    }

    async fn mint(&mut self) {
        let reply = self.token_call(MINT).await;
        assert_eq!(reply.status, 200);
        let answer = reply.json();
        self.bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    }

    async fn token_call(&mut self, body: &'static str) -> Reply {
        self.send(request(Method::POST, "/ims/token/v3", &[FORM], body))
            .await
    }

    /// Sends on the stage's connection, or on a new one when that is closed.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Reply {
        if self.client.is_closed() {
            self.client = Client::connect(self.simulator.address(), Speaks::H1).await;
        }
        self.client.send(request).await.unwrap()
    }

    /// The four headers for a sandbox.
    fn owned<'a>(&'a self, sandbox: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("authorization", &self.bearer),
            ("x-api-key", "demo-client"),
            ("x-gw-ims-org-id", ORGANIZATION),
            ("x-sandbox-name", sandbox),
        ]
    }

    async fn call(&mut self, method: Method, target: &str, body: &Value) -> Reply {
        let mut headers = self.owned("dev").to_vec();
        let body = if body.is_null() {
            String::new()
        } else {
            headers.extend([JSON, ("x-profile-instance-id", "ups")]);
            body.to_string()
        };
        let request = request(method, target, &headers, body);
        self.send(request).await
    }

    async fn get(&mut self, target: &str) -> Reply {
        self.call(Method::GET, target, &Value::Null).await
    }

    fn inject(&self, fault: Fault) {
        self.simulator.control().inject(fault).unwrap();
    }
}

#[tokio::test]
async fn tokens_are_minted_for_the_right_secret_only() {
    let mut stage = Stage::new().await;

    let right = stage.token_call(MINT).await;
    let wrong = stage
        .token_call(
            "grant_type=client_credentials&client_id=demo-client&client_secret=x&scope=openid",
        )
        .await;

    assert_eq!(right.json()["expires_in"], 86_399);
    assert_eq!(
        right.header("content-type"),
        "application/json;charset=UTF-8"
    );
    assert!(!right.header("x-debug-id").is_empty());
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["error"], "invalid_client");
    let counts = stage.simulator.control().counts();
    assert_eq!(counts.minted["demo-client"], 2);
    assert_eq!(counts.live_tokens, 2);
    assert_eq!(counts.requests["ims.token"], 3);
}

#[tokio::test]
async fn each_of_the_four_headers_is_checked() {
    let mut stage = Stage::new().await;
    let cases = [
        ("x-api-key", 403, "403000"),
        ("authorization", 403, "403010"),
        ("x-gw-ims-org-id", 400, "400003"),
    ];
    for (left_out, status, code) in cases {
        let mut headers = stage.owned("dev").to_vec();
        headers.retain(|(name, _)| *name != left_out);
        let request = request(Method::GET, JANE, &headers, "");

        let reply = stage.send(request).await;

        assert_eq!(reply.status, status, "{left_out}");
        assert_eq!(reply.json()["error_code"], code, "{left_out}");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("x-request-id").len(), 32);
    }
}

#[tokio::test]
async fn a_missing_sandbox_header_reads_production() {
    let mut stage = Stage::new().await;
    let mut tiers = Vec::new();
    for keep in [4, 3] {
        let headers: Vec<_> = stage.owned("dev-2")[..keep].to_vec();
        let request = request(Method::GET, JANE, &headers, "");

        let reply = stage.send(request).await;

        tiers.push(reply.json()[JANE_XID]["entity"]["loyalty"]["tier"].clone());
    }

    assert_eq!(tiers, ["bronze", "gold"]);
}

#[tokio::test]
async fn other_sandboxes_stand_beside_production() {
    let mut stage = Stage::with(Settings {
        sandboxes: vec!["trial".parse().unwrap()],
        ..Settings::default()
    })
    .await;
    let mut found = Vec::new();
    for keep in [4, 3] {
        let headers = stage.owned("trial")[..keep].to_vec();
        let request = request(Method::GET, JANE, &headers, "");

        let reply = stage.send(request).await;

        found.push(reply.json()[JANE_XID]["entity"]["_simulator"]["sandbox"].clone());
    }

    assert_eq!(found, ["trial", "prod"]);
}

#[tokio::test]
async fn an_unknown_sandbox_is_refused() {
    let mut stage = Stage::new().await;
    let request = request(Method::GET, JANE, &stage.owned("dev-3"), "");

    let reply = stage.send(request).await;

    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn expired_and_revoked_tokens_are_not_valid() {
    let mut stage = Stage::new().await;
    assert_eq!(stage.get(JANE).await.status, 200);

    stage.simulator.control().advance(Duration::from_hours(24));
    let expired = stage.get(JANE).await;
    stage.mint().await;
    let fresh = stage.get(JANE).await;
    stage.simulator.control().revoke_tokens();
    let revoked = stage.get(JANE).await;

    let invalid = json!({"error_code": "401013", "message": "Oauth token is not valid"});
    assert_eq!(
        (expired.status.as_u16(), expired.json()),
        (401, invalid.clone())
    );
    assert_eq!(fresh.status, 200);
    assert_eq!((revoked.status.as_u16(), revoked.json()), (401, invalid));
}

#[tokio::test]
async fn the_journal_keeps_raw_targets_and_every_copy() {
    let mut stage = Stage::new().await;
    let target =
        "/data/core/ups/access/entities/?entityId=a+b%40x.com&orderby=+timestamp&x=&x={|}^";
    let mut headers = stage.owned("dev").to_vec();
    headers.extend([
        ("x-sandbox-name", "prod"),
        ("x-trace", "1"),
        ("x-trace", "2"),
        JSON,
    ]);
    let request = request(Method::POST, target, &headers, "not json \u{00ff}");

    let reply = stage.send(request).await;

    assert_eq!(reply.status, 400);
    let seen = stage.simulator.control().requests().pop().unwrap();
    assert_eq!(seen.target, target);
    assert_eq!(seen.values("x-sandbox-name"), ["dev", "prod"]);
    assert_eq!(seen.values("x-trace"), ["1", "2"]);
    assert_eq!(seen.operation, "entities.read");
    assert_eq!(seen.remarks.len(), 1);
    assert_eq!(seen.body, "not json \u{00ff}");
    assert_eq!((seen.body_bytes, seen.body_complete), (11, true));
    assert_eq!(seen.status, Some(400));
    let shown = stage.send(get("/_simulator/requests")).await.json();
    assert_eq!(shown[1]["target"], target);
    assert_eq!(shown[1]["headers"][3], json!(["x-sandbox-name", "dev"]));
}

#[tokio::test]
async fn request_ids_are_kept_and_made() {
    let mut stage = Stage::new().await;
    let mut headers = stage.owned("dev").to_vec();
    headers.push(("x-request-id", "mine"));
    let request = request(Method::GET, JANE, &headers, "");

    assert_eq!(stage.send(request).await.header("x-request-id"), "mine");
    let made = stage.get(JANE).await;
    assert_eq!(made.header("x-request-id").len(), 32);
    assert_ne!(
        made.header("x-request-id"),
        stage.get(JANE).await.header("x-request-id")
    );
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let mut stage = Stage::new().await;
    let get = stage.get(JANE).await;

    let head = stage.call(Method::HEAD, JANE, &Value::Null).await;

    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[tokio::test]
async fn a_large_profile_streams() {
    let mut stage = Stage::new().await;
    let target = JANE.replace("janedoe", "large-50MB");
    let request = request(Method::GET, &target, &stage.owned("dev"), "");

    let response = stage.client.begin(request).await.unwrap();

    assert_eq!(response.headers()["content-length"], "50000000");
    let mut body = response.into_body();
    let (mut total, mut ends) = (0, (0, 0));
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        if total == 0 {
            ends.0 = data[0];
        }
        ends.1 = data[data.len() - 1];
        total += data.len();
    }
    assert_eq!(total, 50_000_000);
    assert_eq!(ends, (b'{', b'}'));
}

#[tokio::test]
async fn a_large_profile_is_json() {
    let mut stage = Stage::new().await;

    let reply = stage.get(&JANE.replace("janedoe", "large-200kB")).await;

    assert_eq!(reply.body.len(), 200_000);
    let profiles = reply.json();
    let profile = profiles.as_object().unwrap().values().next().unwrap();
    assert!(profile["entity"]["notes"].as_str().unwrap().len() > 199_000);
}

#[tokio::test]
async fn faults_replace_answers_and_wear_off() {
    let mut stage = Stage::new().await;
    stage.inject(
        Fault::at(Place::Platform)
            .status(429)
            .body(json!({"error_code": "429050", "message": "Too many requests"}))
            .retry_after(38),
    );
    stage.inject(Fault::at(Place::Path("/data/core/ups/access".to_owned())).html());

    let limited = stage.get(JANE).await;
    let page = stage.get(JANE).await;
    let genuine = stage.get(JANE).await;

    assert_eq!(
        (limited.status.as_u16(), limited.header("retry-after")),
        (429, "38")
    );
    assert_eq!(limited.json()["error_code"], "429050");
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (502, "text/html")
    );
    assert_eq!(genuine.status, 200);
}

#[tokio::test]
async fn token_answers_can_be_altered() {
    let mut stage = Stage::new().await;
    let at = || Fault::at(Place::Ims);
    let faults = [
        at().expires_in("1000"),
        at().expires_in(-5),
        at().omit("expires_in").omit("token_type"),
        at().access_token(""),
    ];
    for fault in faults {
        stage.inject(fault);
    }

    assert_eq!(stage.token_call(MINT).await.json()["expires_in"], "1000");
    assert_eq!(stage.token_call(MINT).await.json()["expires_in"], -5);
    let bare = stage.token_call(MINT).await.json();
    assert_eq!(bare.as_object().unwrap().len(), 1);
    assert_eq!(stage.token_call(MINT).await.json()["access_token"], "");
}

#[tokio::test]
async fn a_token_can_really_live_shorter_than_announced() {
    let mut stage = Stage::new().await;
    stage.inject(
        Fault::at(Place::Ims)
            .token_lifetime(Duration::ZERO)
            .expires_in(86_399),
    );

    stage.mint().await;

    assert_eq!(stage.get(JANE).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_the_head() {
    let mut stage = Stage::new().await;
    stage.inject(Fault::at(Place::Platform).delay(Duration::from_secs(40)));
    let before = tokio::time::Instant::now();

    let reply = stage.get(JANE).await;

    assert_eq!(reply.status, 200);
    assert!(before.elapsed() >= Duration::from_secs(40));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let mut stage = Stage::new().await;
    stage.inject(Fault::at(Place::Platform).wire(Wire::Reset));
    let jane = request(Method::GET, JANE, &stage.owned("dev"), "");

    let error = stage.client.send(jane).await.unwrap_err();

    let mut source = std::error::Error::source(&error);
    let mut kind = None;
    while let Some(error) = source {
        kind = kind.or(error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind));
        source = error.source();
    }
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    let seen = stage.simulator.control().requests().pop().unwrap();
    assert_eq!((seen.operation, seen.status), ("entities.read", None));
    assert_eq!(stage.get(JANE).await.status, 200);
}

#[tokio::test]
async fn a_truncated_answer_ends_halfway() {
    for speaks in [Speaks::H1, Speaks::H2] {
        let mut stage = Stage::new().await;
        let whole = stage.get(JANE).await.body.len();
        stage.inject(Fault::at(Place::Platform).wire(Wire::Truncate));
        let mut client = Client::connect(stage.simulator.address(), speaks).await;
        let target = format!("{}{JANE}", stage.simulator.url());
        let target = if speaks == Speaks::H1 { JANE } else { &target };

        let response = client
            .begin(request(Method::GET, target, &stage.owned("dev"), ""))
            .await
            .unwrap();

        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], whole.to_string());
        let mut body = response.into_body();
        let half = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(half.len(), whole / 2, "{speaks:?}");
        assert!(body.frame().await.unwrap().is_err(), "{speaks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_answer_sends_half_and_nothing_more() {
    let mut stage = Stage::new().await;
    stage.inject(
        Fault::at(Place::Platform)
            .status(200)
            .body("0123456789")
            .wire(Wire::Stall),
    );

    let response = stage
        .client
        .begin(request(Method::GET, JANE, &[], ""))
        .await
        .unwrap();

    let mut body = response.into_body();
    let half = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(half, "01234");
    let more = tokio::time::timeout(Duration::from_hours(1), body.frame()).await;
    assert!(more.is_err());
}

#[tokio::test]
async fn tls_works_with_its_own_certificate_over_both_versions() {
    let settings = Settings {
        tls: Some(Tls {
            names: vec!["platform.adobe.io".to_owned()],
        }),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await.unwrap();
    let pem = simulator.certificate_pem().unwrap();
    assert!(simulator.url().starts_with("https://127.0.0.1:"));
    for (speaks, name) in [
        (Speaks::H1, "localhost"),
        (Speaks::H2, "127.0.0.1"),
        (Speaks::H2, "platform.adobe.io"),
    ] {
        let mut client = Client::connect_tls(simulator.address(), pem, name, speaks)
            .await
            .unwrap();
        let target = match speaks {
            Speaks::H1 => "/ims/token/v3".to_owned(),
            Speaks::H2 => format!("{}/ims/token/v3", simulator.url()),
        };

        let reply = client
            .send(request(Method::POST, &target, &[FORM], MINT))
            .await
            .unwrap();

        assert_eq!(reply.status, 200, "{speaks:?} {name}");
    }
    let versions: Vec<String> = simulator
        .control()
        .requests()
        .iter()
        .map(|seen| format!("{:?} {}", seen.version, seen.target))
        .collect();
    assert_eq!(
        versions,
        [
            "HTTP/1.1 /ims/token/v3",
            "HTTP/2.0 /ims/token/v3",
            "HTTP/2.0 /ims/token/v3"
        ]
    );
    let stranger = Client::connect_tls(simulator.address(), pem, "example.org", Speaks::H1).await;
    assert!(stranger.is_err());
}

#[tokio::test]
async fn the_control_endpoint_does_what_the_handle_does() {
    let mut stage = Stage::new().await;
    let post = |target: &str, body: &str| request(Method::POST, target, &[JSON], body.to_owned());

    let fault =
        json!({"where": "platform", "status": 503, "body": {"error_code": "503010"}, "times": 2});
    let ordered = stage
        .send(post("/_simulator/faults", &fault.to_string()))
        .await;
    let wrong = stage
        .send(post(
            "/_simulator/faults",
            "{\"where\":\"ims\",\"status\":5}",
        ))
        .await;
    assert_eq!((ordered.status.as_u16(), wrong.status.as_u16()), (201, 422));
    assert_eq!(stage.get(JANE).await.status, 503);
    assert_eq!(
        stage.send(get("/_simulator/faults")).await.json()[0]["times"],
        1
    );
    assert_eq!(
        stage
            .send(request(Method::DELETE, "/_simulator/faults", &[], ""))
            .await
            .status,
        204
    );
    assert_eq!(stage.get(JANE).await.status, 200);

    assert_eq!(
        stage.send(get("/_simulator/state")).await.json()["live_tokens"],
        1
    );
    let clock = post("/_simulator/clock", "{\"advance_ms\":86400000}");
    assert_eq!(stage.send(clock).await.status, 204);
    assert_eq!(
        stage.send(get("/_simulator/state")).await.json()["live_tokens"],
        0
    );
    stage.mint().await;
    assert_eq!(
        stage
            .send(post("/_simulator/tokens/revoke", ""))
            .await
            .status,
        204
    );
    assert_eq!(stage.get(JANE).await.status, 401);

    let state = stage.send(get("/_simulator/state")).await.json();
    assert_eq!(state["minted"]["demo-client"], 2);
    assert_eq!(
        state["requests"],
        json!({"entities.read": 3, "ims.token": 2})
    );
    let forgotten = stage
        .send(request(Method::DELETE, "/_simulator/requests", &[], ""))
        .await;
    assert_eq!(forgotten.status, 204);
    assert_eq!(
        stage.send(get("/_simulator/requests")).await.json(),
        json!([])
    );
    assert_eq!(stage.send(post("/_simulator/reset", "")).await.status, 204);
    assert_eq!(
        stage.send(get("/_simulator/state")).await.json()["minted"],
        json!({})
    );
    assert_eq!(stage.send(get("/_simulator/else")).await.status, 404);
}

#[tokio::test]
async fn every_fault_in_the_manual_is_one() {
    let mut stage = Stage::new().await;
    let manual = include_str!("../../docs/simulator.md");
    let in_tables = manual
        .split('`')
        .filter(|text| text.starts_with("{\"where\""));
    let in_commands = manual
        .split("-d '")
        .filter(|text| {
            text.trim_start_matches(['{', ' ', '\n'])
                .starts_with("\"where\"")
        })
        .map(|text| text.split('\'').next().unwrap());
    let faults: Vec<&str> = in_tables.chain(in_commands).collect();
    assert!(faults.len() > 8, "{faults:?}");
    for fault in faults {
        let order = request(
            Method::POST,
            "/_simulator/faults",
            &[JSON],
            fault.to_owned(),
        );

        assert_eq!(stage.send(order).await.status, 201, "{fault}");
    }
}

#[tokio::test]
async fn the_absolute_form_of_a_target_is_understood() {
    let mut stage = Stage::new().await;
    let target = format!("http://platform.adobe.io{JANE}");

    let reply = stage.get(&target).await;

    assert_eq!(reply.status, 200);
    let seen = stage.simulator.control().requests().pop().unwrap();
    assert_eq!(seen.target, target);
}

#[tokio::test]
async fn debug_prints_hold_no_token_and_no_secret() {
    let stage = Stage::new().await;

    let printed = format!("{:?}", stage.simulator);

    let token = stage.bearer.strip_prefix("Bearer ").unwrap();
    assert!(printed.contains("demo-client"));
    assert!(!printed.contains(token) && !printed.contains("demo-secret"));
}

#[tokio::test]
async fn reset_brings_deleted_data_back() {
    let mut stage = Stage::new().await;
    assert_eq!(
        stage.call(Method::DELETE, JANE, &Value::Null).await.status,
        202
    );
    stage.simulator.control().advance(Duration::from_secs(1));
    assert_eq!(stage.get(JANE).await.status, 404);

    stage.simulator.control().reset();
    stage.mint().await;

    assert_eq!(stage.get(JANE).await.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_differently() {
    let mut stage = Stage::new().await;

    let path = stage.get("/data/core/ups/nothing/here").await;
    let method = stage.call(Method::PUT, JANE, &json!({})).await;

    assert_eq!(
        (path.status.as_u16(), &path.json()["error_code"]),
        (404, &json!("404003"))
    );
    assert_eq!(method.status, 405);
}

#[tokio::test]
async fn a_payload_needs_a_content_type() {
    let mut stage = Stage::new().await;
    let request = request(
        Method::POST,
        "/data/core/ups/access/entities",
        &stage.owned("dev"),
        "{}",
    );

    let reply = stage.send(request).await;

    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["message"],
        "A valid content-type must be specified"
    );
}

#[tokio::test]
async fn a_lenient_simulator_takes_any_body_but_not_any_header() {
    let mut stage = Stage::with(Settings {
        lenient: true,
        ..Settings::default()
    })
    .await;
    let target = "/data/core/ups/access/entities";
    let mut headers = stage.owned("dev").to_vec();
    headers.push(JSON);
    let broken = request(Method::POST, target, &headers, "{\"a\" \"b\"}");
    let bare = request(Method::POST, target, &[], "");

    assert_eq!(stage.send(broken).await.status, 200);
    assert_eq!(stage.send(bare).await.status, 403);
}

#[tokio::test]
async fn stopping_lets_an_open_request_finish() {
    let mut stage = Stage::new().await;
    let request = request(
        Method::GET,
        &JANE.replace("janedoe", "large-5MB"),
        &stage.owned("dev"),
        "",
    );
    let response = stage.client.begin(request).await.unwrap();
    let address = stage.simulator.address();

    let (body, ()) = tokio::join!(response.into_body().collect(), stage.simulator.stop());

    assert_eq!(body.unwrap().to_bytes().len(), 5_000_000);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

fn get(target: &str) -> Request<Full<Bytes>> {
    request(Method::GET, target, &[], "")
}
