//! What goes wrong with it on demand.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use profile_gateway::simulator::{Fault, Place, Wire};
use serde_json::json;

use super::{JANE, JSON, MINT, Stage};
use crate::support::client::{Client, Speaks, request};

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
async fn an_answer_may_be_large_and_mean_nothing() {
    let mut stage = Stage::new().await;
    stage.inject(Fault::at(Place::Ims).body_bytes(10_000_000));

    let answer = stage.token_call(MINT).await;

    assert_eq!(
        (answer.status.as_u16(), answer.body.len()),
        (200, 10_000_000)
    );
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
async fn every_fault_in_the_manual_is_one() {
    let mut stage = Stage::new().await;
    let manual = include_str!("../../../docs/simulator.md");
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
