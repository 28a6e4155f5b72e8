//! Answers of IMS, as tables.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn answered(status: u16, body: &str) -> Result<Minted, Failure> {
    let head = Head::from(StatusCode::from_u16(status).unwrap());
    read(&head, body.as_bytes(), Unit::Seconds)
}

fn ok(body: &str) -> Result<Minted, Failure> {
    answered(200, body)
}

#[test]
fn a_token_answer_is_read_leniently() {
    let full = ok(r#"{"access_token":"abc","token_type":"bearer","expires_in":86399}"#).unwrap();
    let bare = ok(r#"{"access_token":"abc","expires_in":"3599","new":[1]}"#).unwrap();

    assert_eq!(full.bearer, "Bearer abc");
    assert!(full.bearer.is_sensitive());
    assert_eq!(full.lifetime, Duration::from_secs(86399));
    assert_eq!(bare.lifetime, Duration::from_secs(3599));
}

#[test]
fn strange_lifetimes_become_possible_ones() {
    let lifetime = |json: &str| {
        ok(&format!(r#"{{"access_token":"abc"{json}}}"#))
            .unwrap()
            .lifetime
            .as_secs_f64()
    };

    for (json, seconds) in [
        ("", 300.0),
        (r#","expires_in":null"#, 300.0),
        (r#","expires_in":"soon""#, 300.0),
        (r#","expires_in":0"#, 60.0),
        (r#","expires_in":-5"#, 60.0),
        (r#","expires_in":2"#, 2.0),
        (r#","expires_in":3599.5"#, 3599.5),
        (r#","expires_in":86399992"#, 172_800.0),
        (r#","expires_in":1e300"#, 172_800.0),
    ] {
        assert!((lifetime(json) - seconds).abs() < 0.001, "{json}");
    }
}

#[test]
fn the_unit_follows_the_endpoint_and_not_the_number() {
    let lifetime = |expires_in: Value, unit| {
        let body = json!({"access_token": "abc", "expires_in": expires_in}).to_string();
        let minted = read(&Head::from(StatusCode::OK), body.as_bytes(), unit).unwrap();
        (minted.lifetime.as_secs_f64(), minted.stated_s)
    };

    for (expires_in, unit, used, stated) in [
        (json!(86399), Unit::Seconds, 86_399.0, 86_399.0),
        (
            json!(86_399_992),
            Unit::Milliseconds,
            86_399.992,
            86_399.992,
        ),
        (
            json!("86399992"),
            Unit::Milliseconds,
            86_399.992,
            86_399.992,
        ),
        // Each read in the other one's unit: a strange lifetime, never a stretched one.
        (json!(86_399_992), Unit::Seconds, 172_800.0, 86_399_992.0),
        (json!(86399), Unit::Milliseconds, 86.399, 86.399),
        (json!(-1000), Unit::Milliseconds, 60.0, -1.0),
    ] {
        assert_eq!(lifetime(expires_in, unit), (used, Some(stated)));
    }
}

#[test]
fn an_error_that_is_none_keeps_no_token_back() {
    for error in ["null", r#""""#, "[]", "false", "0"] {
        let minted = ok(&format!(r#"{{"access_token":"abc","error":{error}}}"#));
        assert_eq!(minted.unwrap().bearer, "Bearer abc", "{error}");

        let failure = ok(&format!(r#"{{"error":{error}}}"#)).unwrap_err();
        assert_eq!(failure.class, Class::Answer, "{error}");
    }
    for error in [r#""invalid_scope""#, "{}"] {
        let failure = ok(&format!(r#"{{"access_token":"abc","error":{error}}}"#)).unwrap_err();
        assert_eq!(failure.class, Class::Configuration, "{error}");
    }
}

#[test]
fn what_is_said_in_the_place_of_a_token_is_told() {
    let failure = ok(r#"{"message":"Try again later"}"#).unwrap_err();

    assert_eq!(failure.class, Class::Answer);
    assert_eq!(
        failure.message,
        "the answer has no access_token: Try again later"
    );
}

#[test]
fn what_is_no_token_is_refused() {
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        r#"{"access_token":"abc""#,
        r#"{"access_token":""}"#,
        r#"{"access_token":null}"#,
        r#"{"access_token":17}"#,
        r#"{"access_token":"a\r\nx-sandbox-name: prod"}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"abc","token_type":"mac"}"#,
        r#"{"expires_in":86399}"#,
    ] {
        assert_eq!(ok(body).unwrap_err().class, Class::Answer, "{body}");
    }
}

#[test]
fn failures_are_told_apart() {
    for (status, body, class, refusal) in [
        (408, "", Class::Unwell, None),
        (
            400,
            r#"{"error":"invalid_client"}"#,
            Class::Client,
            Some(Refusal::InvalidClient),
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            Class::Client,
            Some(Refusal::InvalidClient),
        ),
        (
            200,
            r#"{"error":"invalid_client"}"#,
            Class::Client,
            Some(Refusal::InvalidClient),
        ),
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            Class::Configuration,
            Some(Refusal::InvalidScope),
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            Class::Configuration,
            Some(Refusal::UnauthorizedClient),
        ),
        (
            400,
            r#"{"error":"invalid_token"}"#,
            Class::Configuration,
            Some(Refusal::InvalidToken),
        ),
        (
            400,
            r#"{"error":"invalid_signature"}"#,
            Class::Configuration,
            Some(Refusal::InvalidSignature),
        ),
        (
            400,
            r#"{"error":"bad_request"}"#,
            Class::Configuration,
            Some(Refusal::BadRequest),
        ),
        (400, r#"{"error":"new_error"}"#, Class::Configuration, None),
        (400, r#"{"error":{"code":1}}"#, Class::Configuration, None),
        (
            404,
            r#"{"message":"Not Found"}"#,
            Class::Configuration,
            None,
        ),
        (404, "", Class::Configuration, None),
        (302, "", Class::Answer, None),
        (429, "", Class::Throttled, None),
        (503, "<html>", Class::Unwell, None),
        (
            500,
            r#"{"error":"internal_error"}"#,
            Class::Unwell,
            Some(Refusal::InternalError),
        ),
        (502, "<html>", Class::Unwell, None),
    ] {
        let failure = answered(status, body).unwrap_err();

        assert_eq!(
            (failure.class, failure.refusal),
            (class, refusal),
            "{status} {body}"
        );
    }
}

#[test]
fn a_failure_says_what_ims_said_in_all_its_forms() {
    for (status, body, message) in [
        (
            400,
            r#"{"error":"invalid_scope","error_description":"no such scope"}"#,
            "IMS answered 400 invalid_scope no such scope",
        ),
        (
            404,
            r#"{"message":"Not Found"}"#,
            "IMS answered 404 Not Found",
        ),
        (
            403,
            r#"{"error_code":"403000","message":"no"}"#,
            "IMS answered 403 403000 no",
        ),
        (
            502,
            "<html>",
            "IMS answered 502 and something that is not JSON",
        ),
        (503, "", "IMS answered 503"),
        (400, "[]", "IMS answered 400"),
    ] {
        assert_eq!(answered(status, body).unwrap_err().message, message);
    }
}

#[test]
fn what_the_head_says_goes_with_the_failure() {
    let head = Head {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(Duration::from_secs(38)),
        debug_id: Some("abc-1".to_owned()),
        clock_ahead_s: Some(-90),
    };

    let failure = read(&head, b"", Unit::Seconds).unwrap_err();

    assert_eq!(failure.to_string(), "IMS answered 429 (x-debug-id abc-1)");
    assert_eq!(failure.retry_after, head.retry_after);
    assert_eq!(failure.clock_ahead_s, Some(-90));
}

#[test]
fn an_answer_without_its_body_means_what_its_head_says() {
    for (status, class, message) in [
        (200, Class::Unreachable, "the end is missing"),
        (302, Class::Answer, "IMS answered 302; the end is missing"),
        (
            401,
            Class::Configuration,
            "IMS answered 401; the end is missing",
        ),
        (
            429,
            Class::Throttled,
            "IMS answered 429; the end is missing",
        ),
        (503, Class::Unwell, "IMS answered 503; the end is missing"),
    ] {
        let head = Head {
            retry_after: Some(Duration::from_secs(38)),
            debug_id: Some("abc-1".to_owned()),
            ..Head::from(StatusCode::from_u16(status).unwrap())
        };
        let broken = Failure::new(Class::Unreachable, "the end is missing");

        let failure = without_body(&head, broken);

        assert_eq!((failure.class, &*failure.message), (class, message));
        assert_eq!(failure.status, Some(head.status));
        assert_eq!(failure.retry_after, head.retry_after);
        assert_eq!(failure.debug_id, head.debug_id);
    }
}

/// JSON that often has the members of a token answer.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let member = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,20}".prop_map(Value::from),
        "-?[0-9]{1,25}(e[0-9]{1,3})?".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "access_token",
        "token_type",
        "expires_in",
        "error",
        "error_description",
        "message",
    ]);
    let object = prop::collection::btree_map(names, member, 0..6)
        .prop_map(|members| json!(members).to_string().into_bytes());
    prop_oneof![3 => object, 1 => any::<Vec<u8>>()]
}

proptest! {
    #[test]
    fn every_answer_is_a_legal_bearer_with_a_possible_lifetime_or_a_failure(
        status in prop_oneof![Just(200_u16), 100_u16..=999],
        body in answers(),
        seconds in any::<bool>(),
    ) {
        let head = Head::from(StatusCode::from_u16(status).unwrap());
        let unit = if seconds { Unit::Seconds } else { Unit::Milliseconds };

        if let Ok(minted) = read(&head, &body, unit) {
            let token = minted.bearer.as_bytes().strip_prefix(b"Bearer ").unwrap();
            prop_assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
            prop_assert!(minted.bearer.is_sensitive());
            prop_assert!(!minted.lifetime.is_zero() && minted.lifetime <= LONGEST);
        }
    }
}
