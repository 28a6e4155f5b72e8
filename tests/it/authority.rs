//! Which authority a request carries upstream: the configured one, whatever the caller sends.

use http::{HeaderName, Method};
use proptest::prelude::*;

use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{exchange, get, send};

/// Routes that let callers name sandboxes, and do not listen to them.
const DEAF: &str = "
routes:
  - name: lookups
    match: { path: /data/core/ups/access/entities, methods: [GET, POST, DELETE] }
    sandbox: { allow: [prod], on_mismatch: ignore }
  - name: trials
    match: { path: '/data/core/{*rest}' }
    sandbox: { allow: [dev-2], on_mismatch: ignore }
";

const LOOKUP: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=a";

#[test]
fn the_four_fields_are_ours_whatever_a_caller_sends() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), DEAF);

    for fields in [
        "",
        "Authorization: Bearer mine\r\nX-Api-Key: mine\r\nx-gw-ims-org-id: mine@AdobeOrg\r\nX-SANDBOX-NAME: mine\r\n",
        "x-sandbox-name: a\r\nx-sandbox-name: b\r\nX-Sandbox-Name: c\r\n",
        "x_sandbox_name: a\r\nX_Api_Key: b\r\nx-gw_ims-org_id: c\r\nauthorization: d\r\n",
        "x-sandbox-id: 1\r\nx-gw-ims-authorization: Bearer a\r\nx-user-token: Bearer b\r\nx_user_token: c\r\n",
        "Connection: keep-alive, x-private\r\nx-private: 1\r\n",
    ] {
        let answer = exchange(gateway.address, get(LOOKUP, fields));

        assert_eq!(answer.status, 200, "{fields}");
        let seen = adobe.seen().pop().unwrap();
        seen.assert_owned("prod");
        for name in [
            "x-sandbox-id",
            "x-gw-ims-authorization",
            "x-user-token",
            "x_user_token",
            "x-private",
            "connection",
        ] {
            assert!(seen.values(name).is_empty(), "{name} in {}", seen.head);
        }
    }
}

#[test]
fn nominating_an_owned_field_is_refused() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), ROUTES);

    for name in [
        "x-sandbox-name",
        "X-SANDBOX-NAME",
        "authorization",
        "x-api-key",
        "x-gw-ims-org-id",
        "x_sandbox_name",
    ] {
        let answer = exchange(
            gateway.address,
            get(LOOKUP, &format!("Connection: close, {name}\r\n")),
        );

        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (400, "malformed_request"),
            "{name}"
        );
    }
    assert!(adobe.seen().is_empty());
}

#[tokio::test]
async fn callers_of_http2_carry_ours_too() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), DEAF);
    let mut client = Client::connect(gateway.address, Speaks::H2).await;

    let target = format!("http://{}{LOOKUP}", gateway.address);
    let fields = [
        ("authorization", "Bearer mine"),
        ("x-sandbox-name", "a"),
        ("x-sandbox-name", "b"),
        ("x_api_key", "c"),
    ];
    let reply = client
        .send(request(Method::GET, &target, &fields, ""))
        .await
        .unwrap();

    assert_eq!(reply.status, 200);
    let seen = adobe.seen().pop().unwrap();
    assert_eq!(seen.request_line(), format!("GET {LOOKUP} HTTP/1.1"));
    seen.assert_owned("prod");
}

#[test]
fn the_key_parameter_is_taken_out_and_the_rest_of_the_query_is_not_touched() {
    let adobe = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), ROUTES);

    for (sent, arrives) in [
        ("?api_key=mine", ""),
        (
            "?a=+b%40x&API_KEY=mine&api%5fkey=2&mergePolicyId=",
            "?a=+b%40x&mergePolicyId=",
        ),
    ] {
        exchange(
            gateway.address,
            get(&format!("/data/core/ups/access/entities{sent}"), ""),
        );

        assert_eq!(
            adobe.seen().pop().unwrap().target(),
            format!("/data/core/ups/access/entities{arrives}")
        );
    }
}

#[test]
fn a_route_may_let_guarded_fields_through_by_name() {
    let adobe = Adobe::willing();
    let routes = "
routes:
  - name: old
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
    let_through: [x-user-token, api_key]
";
    let gateway = Gateway::start(&adobe.url(), routes);

    exchange(
        gateway.address,
        get(
            "/data/core/ups/x?api_key=1",
            "x-user-token: a\r\nx-sandbox-id: b\r\n",
        ),
    );

    let seen = adobe.seen().pop().unwrap();
    seen.assert_owned("dev-2");
    assert_eq!(seen.target(), "/data/core/ups/x?api_key=1");
    assert_eq!(seen.values("x-user-token"), ["a"]);
    assert!(seen.values("x-sandbox-id").is_empty());
}

#[test]
fn nothing_in_a_request_chooses_sandbox_organisation_credential_or_upstream() {
    let adobe = Adobe::willing();
    let stranger = Adobe::willing();
    let gateway = Gateway::start(&adobe.url(), DEAF);
    let elsewhere = stranger.url().replace("http://", "");

    for fields in [
        "x-sandbox-name: prod\r\nx-sandbox-id: 1\r\nx-gw-ims-org-id: other@AdobeOrg\r\n".to_owned(),
        format!(
            "X-Forwarded-Host: {elsewhere}\r\nForwarded: host={elsewhere}\r\nX-Original-URL: /x\r\nX-HTTP-Method-Override: DELETE\r\n"
        ),
    ] {
        let answer = exchange(
            gateway.address,
            get(
                "/data/core/ups/config/mergePolicies?x-sandbox-name=prod",
                &fields,
            ),
        );

        assert_eq!(answer.status, 200);
        let seen = adobe.seen().pop().unwrap();
        seen.assert_owned("dev-2");
        assert_eq!(seen.values("host"), [adobe.url().replace("http://", "")]);
        assert!(seen.request_line().starts_with("GET "));
        assert!(
            seen.values("x-http-method-override").is_empty()
                && seen.values("x-original-url").is_empty()
        );
    }
    let other_host = format!("GET /data/core/ups/x HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n");
    assert_eq!(exchange(gateway.address, other_host).status, 200);
    assert!(stranger.seen().is_empty());
}

#[test]
fn production_is_read_only_until_a_route_says_otherwise() {
    let adobe = Adobe::willing();
    let routes = "
routes:
  - name: production
    match: { path: '/data/core/ups/{*rest}' }
    sandbox: prod
  - name: jobs
    match: { path: '/data/core/ups/export/{*rest}' }
    sandbox: prod
    permit: [read, job]
";
    let gateway = Gateway::start(&adobe.url(), routes);

    for (method, path, status) in [
        ("GET", "/data/core/ups/access/entities?x=1", 200),
        ("POST", "/data/core/ups/access/entities", 200),
        ("POST", "/data/core/ups/config/mergePolicies/bulk-get", 200),
        ("POST", "/data/core/ups/segment/conversion", 200),
        ("POST", "/data/core/ups/export/jobs", 200),
        ("DELETE", "/data/core/ups/access/entities", 403),
        ("POST", "/data/core/ups/system/jobs", 403),
        ("POST", "/data/core/ups/system/jobs/", 403),
        ("POST", "/data/core/ups/SYSTEM/jobs", 403),
        ("POST", "/data/core/ups/segment/jobs", 403),
        ("POST", "/data/core/ups/config/mergePolicies", 403),
        ("PATCH", "/data/core/ups/config/mergePolicies/1", 403),
        ("PUT", "/data/core/ups/something/new", 403),
        ("DELETE", "/data/core/ups/export/jobs/1", 403),
    ] {
        let before = adobe.seen().len();
        let answer = exchange(gateway.address, send(method, path, "", "{}"));

        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(
            adobe.seen().len() - before,
            usize::from(status == 200),
            "{method} {path}"
        );
        if status == 403 {
            assert_eq!(answer.reason(), "production_read_only");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn generated_fields_never_change_the_four(
        fields in prop::collection::vec((name(), "[!-~]{0,12}"), 0..10),
        nominated in prop::collection::vec(name(), 0..3),
    ) {
        use std::sync::LazyLock;
        static PAIR: LazyLock<(Adobe, Gateway)> = LazyLock::new(|| {
            let adobe = Adobe::willing();
            let gateway = Gateway::start(&adobe.url(), DEAF);
            (adobe, gateway)
        });
        let (adobe, gateway) = &*PAIR;
        let mut lines: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        if !nominated.is_empty() {
            lines.push(format!("Connection: {}\r\n", nominated.join(", ")));
        }
        let lines = lines.concat();
        let before = adobe.seen().len();

        let answer = exchange(gateway.address, get(LOOKUP, &lines));

        let seen = adobe.seen();
        match answer.status {
            200 => {
                prop_assert_eq!(seen.len(), before + 1);
                seen.last().unwrap().assert_owned("prod");
            }
            400 => prop_assert_eq!(seen.len(), before),
            other => prop_assert!(false, "{} for {:?}", other, lines),
        }
    }
}

/// The names that matter in any case and with any underscores, and a few others.
fn name() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "authorization",
        "x-api-key",
        "x-gw-ims-org-id",
        "x-sandbox-name",
        "x-sandbox-id",
        "x-user-token",
        "connection",
        "x-request-id",
        "accept",
        "keep-alive",
    ]);
    (names, any::<u32>(), any::<u32>()).prop_map(|(name, upper, underscore)| {
        let spelled: String = name
            .chars()
            .enumerate()
            .map(|(index, character)| match character {
                '-' if underscore >> index & 1 == 1 => '_',
                other if upper >> index & 1 == 1 => other.to_ascii_uppercase(),
                other => other,
            })
            .collect();
        HeaderName::from_bytes(spelled.as_bytes())
            .map(|_| spelled)
            .unwrap()
    })
}
