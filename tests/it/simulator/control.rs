//! How it is watched and run.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use profile_gateway::simulator::{Settings, Simulator, Tls};
use serde_json::{Value, json};

use super::{FORM, JANE, JSON, MINT, Stage, get};
use crate::support::client::{Client, Speaks, request};

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
async fn secrets_are_rotated_while_it_runs() {
    let mut stage = Stage::new().await;
    let post = |target: &str, body: &str| request(Method::POST, target, &[JSON], body.to_owned());
    let rotate = |body: &str| post("/_simulator/clients/demo-client/secrets", body);
    let second = MINT.replace("demo-secret", "second");
    let minted = |stage: &Stage| stage.simulator.control().counts().minted["demo-client"];

    let both = stage
        .send(rotate(r#"{"secrets":["demo-secret","second"]}"#))
        .await;
    stage.mint().await;
    let with_second = request(Method::POST, "/ims/token/v3", &[FORM], second);
    assert_eq!(stage.send(with_second).await.status, 200);
    assert_eq!((both.status.as_u16(), minted(&stage)), (204, 3));

    stage.send(rotate(r#"{"secrets":["second"]}"#)).await;
    let refused = stage.token_call(MINT).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    // A token outlives the secret it was minted with.
    assert_eq!(stage.get(JANE).await.status, 200);

    for (target, body, status) in [
        ("demo-client", r#"{"secrets":[]}"#, 422),
        ("demo-client", r#"{"secrets":["a","b","c"]}"#, 422),
        ("nobody", r#"{"secrets":["a"]}"#, 404),
    ] {
        let target = format!("/_simulator/clients/{target}/secrets");
        assert_eq!(stage.send(post(&target, body)).await.status, status);
    }
    stage.simulator.control().reset();
    stage.mint().await;
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
