//! The IMS engine's cases.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::*;
use crate::simulator::answer::Content;

const NOW_MS: u64 = 1_700_000_000_000;
const RIGHT: &str = "grant_type=client_credentials&client_id=demo-client\
    &client_secret=demo-secret&scope=openid%2C%20AdobeID";

fn ask(clients: &[Client], tokens: &mut Tokens, target: &str, body: &str) -> (u16, Value) {
    let body = Bytes::from(body.to_owned());
    let call = Call::new(&Method::POST, target, HeaderMap::new(), body);
    let answer = Ims {
        clients,
        tokens,
        now_ms: NOW_MS,
        lifetime_ms: 86_400_000,
    }
    .answer(&call);
    let Content::Bytes(body) = answer.content else {
        panic!("IMS streams nothing")
    };
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (answer.status.as_u16(), body)
}

fn tokens() -> Tokens {
    Tokens::new(fastrand::Rng::with_seed(1))
}

#[test]
fn every_token_path_mints() {
    let clients = [Client::demo()];
    let mut tokens = tokens();
    for path in [
        "/ims/token/v2",
        "/ims/token/v3",
        "/ims/token/v4",
        "/ims/token/v3/",
    ] {
        let (status, body) = ask(&clients, &mut tokens, path, RIGHT);

        assert_eq!(status, 200, "{path}");
        assert_eq!(body["expires_in"], 86_399);
        assert_eq!(body["token_type"], "bearer");
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(
            tokens.valid(token, NOW_MS).unwrap().claims["scope"],
            "openid,AdobeID"
        );
    }
    assert_eq!(tokens.live(NOW_MS), 4);
}

#[test]
fn refusals_are_those_of_ims() {
    let jwt_only = Client {
        id: "jwt-only".parse().unwrap(),
        grants: vec![Grant::JwtExchange],
        ..Client::demo()
    };
    let clients = [Client::demo(), jwt_only];
    let cases = [
        (RIGHT.replace("demo-secret", "wrong"), "invalid_client"),
        (RIGHT.replace("demo-client", "nobody"), "invalid_client"),
        (
            RIGHT.replace("demo-client", "jwt-only"),
            "unauthorized_client",
        ),
        (
            RIGHT.replace("client_credentials", "password"),
            "unsupported_grant_type",
        ),
        (RIGHT.replace("grant_type", "type"), "invalid_request"),
        (RIGHT.replace("AdobeID", "everything"), "invalid_scope"),
        (RIGHT.replace("scope", "scopes"), "invalid_scope"),
        (format!("{RIGHT}&org_id=FFFF%40AdobeOrg"), "invalid_request"),
    ];
    let mut tokens = tokens();
    for (body, expected) in cases {
        let (status, answer) = ask(&clients, &mut tokens, "/ims/token/v3", &body);

        assert_eq!(
            (status, answer["error"].as_str()),
            (400, Some(expected)),
            "{body}"
        );
        assert!(answer["error_description"].is_string());
    }
    assert_eq!(tokens.live(NOW_MS), 0);
}

#[test]
fn the_exchange_answers_in_milliseconds() {
    let jwt = assertion::tests::assertion(&assertion::tests::claims(NOW_MS));
    let body = format!("client_id=demo-client&client_secret=demo-secret&jwt_token={jwt}");
    for path in [
        "/ims/exchange/jwt",
        "/ims/exchange/jwt/",
        "/ims/exchange/v1/jwt",
    ] {
        let (status, answer) = ask(&[Client::demo()], &mut tokens(), path, &body);

        assert_eq!(
            (status, &answer["expires_in"]),
            (200, &json!(86_399_992)),
            "{path}"
        );
    }
}

#[test]
fn validation_follows_revocation() {
    let clients = [Client::demo()];
    let mut tokens = tokens();
    let (_, minted) = ask(&clients, &mut tokens, "/ims/token/v3", RIGHT);
    let token = minted["access_token"].as_str().unwrap();
    let question = format!("type=access_token&client_id=demo-client&token={token}");

    let (_, before) = ask(&clients, &mut tokens, "/ims/validate_token/v1", &question);
    let (status, _) = ask(
        &clients,
        &mut tokens,
        "/ims/revoke",
        &format!("token={token}"),
    );
    let (_, after) = ask(&clients, &mut tokens, "/ims/validate_token/v1", &question);

    assert_eq!(before["valid"], true);
    assert_eq!(before["expires_at"], NOW_MS + 86_400_000);
    assert_eq!(before["token"]["client_id"], "demo-client");
    assert_eq!(status, 200);
    assert_eq!(after["valid"], false);
}
