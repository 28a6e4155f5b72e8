//! What it answers, and to whom.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use profile_gateway::simulator::Settings;
use serde_json::{Value, json};

use super::{JANE, JANE_XID, JSON, MINT, Stage};
use crate::support::client::request;

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
async fn the_absolute_form_of_a_target_is_understood() {
    let mut stage = Stage::new().await;
    let target = format!("http://platform.adobe.io{JANE}");

    let reply = stage.get(&target).await;

    assert_eq!(reply.status, 200);
    let seen = stage.simulator.control().requests().pop().unwrap();
    assert_eq!(seen.target, target);
}
