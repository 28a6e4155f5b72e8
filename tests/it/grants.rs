//! Both ways to get a token, against an IMS that checks what it is shown.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use profile_gateway::config::{self, Supplied};
use profile_gateway::connect::Dialer;
use profile_gateway::ims::answer::{Class, Failure, Minted, Refusal};
use profile_gateway::ims::mint::{Mint, TokenService};
use profile_gateway::simulator::{self, Fault, Place, PublicKey, Simulator, Tls, Wire};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::{Gateway, ROUTES};

const LOOKUP: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile\
    &entityId=janedoe@example.com&entityIdNS=email";

/// Adobe with a client that may use service accounts only, and whose public key it knows.
async fn adobe() -> Simulator {
    let key = PublicKey::from_pem(include_str!("../keys/rsa-public.pem"));
    let client = simulator::Client {
        public_key: Some(key.unwrap()),
        grants: vec![simulator::Grant::JwtExchange],
        ..simulator::Client::demo()
    };
    Simulator::start(simulator::Settings {
        clients: vec![client],
        ..simulator::Settings::default()
    })
    .await
    .unwrap()
}

fn files() -> Supplied {
    Supplied::default()
        .with_file("/keys/pkcs1.pem", include_str!("../keys/rsa-pkcs1.pem"))
        .with_file("/keys/pkcs8.pem", include_str!("../keys/rsa-pkcs8.pem"))
        .with_file("/keys/other.pem", include_str!("../keys/rsa-other.pem"))
}

fn service_account(key: &str) -> String {
    format!(
        "
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
    grant:
      jwt_exchange:
        technical_account: 1122334455667788990011AA@techacct.adobe.com
        private_key: ${{file:/keys/{key}.pem}}
        metascopes: [ent_dataservices_sdk]
"
    )
}

const CLIENT_CREDENTIALS: &str = "
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
    send_org_id: true
";

/// Makes one token call as the configuration says.
async fn mint(ims: &str, credentials: &str) -> Result<Minted, Failure> {
    mint_with(ims, credentials, &files()).await
}

async fn mint_with(ims: &str, credentials: &str, files: &Supplied) -> Result<Minted, Failure> {
    let text = format!("ims: {ims}\nsandboxes: {{ prod: {{}} }}\n{credentials}");
    let settings = config::parse("test.yaml", &text, files);
    let settings = settings.unwrap_or_else(|faults| panic!("{faults}")).ims;
    let mint = Mint::new(&settings, Dialer::new(settings.connect.clone()).unwrap());
    let credential = &settings.credentials[0];
    LocalSet::new()
        .run_until(mint.mint(credential, &credential.client_secrets[0]))
        .await
}

fn at(url: &str) -> String {
    format!("{{ url: '{url}' }}")
}

/// The claims of the assertions that were shown.
fn assertions(adobe: &Simulator) -> Vec<Value> {
    let shown = adobe.control().requests_of("ims.exchange");
    let claims = shown.iter().map(|seen| {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        let assertion = body.split("jwt_token=").nth(1).unwrap().to_owned();
        let claims = assertion.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    });
    claims.collect()
}

#[tokio::test]
async fn a_service_account_is_served_through_a_whole_gateway() {
    for key in ["pkcs1", "pkcs8"] {
        let adobe = adobe().await;
        let url = adobe.url();
        let more = format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{}{ROUTES}",
            service_account(key)
        );
        let gateway = Gateway::bare_with_files(&more, &files());
        let mut client = Client::connect(gateway.address, Speaks::H1).await;

        let lookup = request(Method::GET, LOOKUP, &[("host", "gateway")], "");
        let answer = client.send(lookup).await.unwrap();

        assert_eq!(answer.status, 200, "{key}");
        assert_eq!(assertions(&adobe).len(), 1);
        assert!(adobe.control().requests_of("ims.token").is_empty());
        // A day in milliseconds. Taken for seconds it would have been cut to two days.
        let mut admin = Client::connect(gateway.admin, Speaks::H1).await;
        let metrics = request(Method::GET, "/metrics", &[("host", "gateway")], "");
        let metrics = admin.send(metrics).await.unwrap();
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        let usable = metrics.lines().find_map(|line| {
            line.strip_prefix("profile_gateway_token_usable_seconds{credential=\"demo\"} ")
        });
        let usable: f64 = usable.unwrap().parse().unwrap();
        assert!((80_000.0..86_400.0).contains(&usable), "{usable}");
        tokio::task::spawn_blocking(move || drop(gateway))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_assertion_says_who_it_is_from_and_is_new_each_time() {
    let adobe = adobe().await;
    let (ims, account) = (at(&adobe.url()), service_account("pkcs8"));

    for _ in 0..3 {
        mint(&ims, &account).await.unwrap();
    }

    let assertions = assertions(&adobe);
    let ids: BTreeSet<_> = assertions.iter().map(|it| it["jti"].as_u64()).collect();
    assert_eq!(ids.len(), 3);
    let first = &assertions[0];
    assert_eq!(first["aud"], format!("{}/c/demo-client", adobe.url()));
    assert_eq!(
        first[format!("{}/s/ent_dataservices_sdk", adobe.url())],
        true
    );
    assert_eq!(
        first["exp"].as_u64().unwrap() - first["iat"].as_u64().unwrap(),
        300
    );
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused_for_good() {
    let adobe = adobe().await;

    let failure = mint(&at(&adobe.url()), &service_account("other"))
        .await
        .unwrap_err();

    assert_eq!(failure.refusal, Some(Refusal::InvalidSignature));
    assert!(failure.class.is_permanent());
    assert_eq!(assertions(&adobe).len(), 1);
}

#[tokio::test]
async fn an_assertion_found_stale_is_made_anew_once_and_then_the_clock_is_blamed() {
    let adobe = adobe().await;
    let (ims, account) = (at(&adobe.url()), service_account("pkcs8"));
    let stale = |times| {
        Fault::at(Place::Ims)
            .status(400)
            .body(json!({"error": "invalid_token", "error_description": "JWT token has expired."}))
            .header("date", "Tue, 14 Nov 2023 22:13:20 GMT")
            .header("x-debug-id", "abc-1")
            .times(times)
    };

    adobe.control().inject(stale(1)).unwrap();
    mint(&ims, &account).await.unwrap();
    let ids: BTreeSet<_> = assertions(&adobe)
        .iter()
        .map(|it| it["jti"].as_u64())
        .collect();
    assert_eq!(ids.len(), 2);

    adobe.control().inject(stale(2)).unwrap();
    let failure = mint(&ims, &account).await.unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    let said = failure.to_string();
    assert!(said.contains("JWT token has expired"), "{said}");
    assert!(
        said.contains("set this machine's clock") && said.contains("ahead of IMS's"),
        "{said}"
    );
    assert!(said.ends_with("(x-debug-id abc-1)"), "{said}");
    assert_eq!(assertions(&adobe).len(), 4);

    // Not when IMS asks for a pause, whatever else it says.
    adobe.control().inject(stale(1).status(429)).unwrap();
    let failure = mint(&ims, &account).await.unwrap_err();
    assert_eq!(failure.class, Class::Throttled);
    assert_eq!(assertions(&adobe).len(), 5);
}

#[tokio::test]
async fn only_a_service_account_asks_twice() {
    let adobe = Simulator::start(simulator::Settings::default())
        .await
        .unwrap();
    let refused = Fault::at(Place::Ims)
        .status(400)
        .body(json!({"error": "invalid_token"}));
    adobe.control().inject(refused).unwrap();

    assert!(mint(&at(&adobe.url()), CLIENT_CREDENTIALS).await.is_err());
    let minted = mint(&at(&adobe.url()), CLIENT_CREDENTIALS).await.unwrap();

    assert_eq!(minted.stated_s, Some(86_399.0));
    assert!(minted.debug_id.is_some());
    let calls = adobe.control().requests_of("ims.token");
    assert_eq!(calls.len(), 2);
    assert!(
        calls[0]
            .body
            .ends_with(b"&org_id=0A1B2C3D4E5F60718293A4B5%40AdobeOrg")
    );
}

#[tokio::test]
async fn whatever_comes_instead_of_a_token_is_named() {
    let adobe = Simulator::start(simulator::Settings::default())
        .await
        .unwrap();
    let fault = || Fault::at(Place::Ims);
    for (fault, class, message) in [
        (
            fault().body_bytes(10_000_000),
            Class::Answer,
            "the answer is larger than 64 KiB",
        ),
        (
            fault().wire(Wire::Truncate),
            Class::Answer,
            "the answer broke off",
        ),
        (
            fault().access_token("a\nb"),
            Class::Answer,
            "the access_token is empty or not a legal field value",
        ),
        (
            fault().access_token(""),
            Class::Answer,
            "the access_token is empty or not a legal field value",
        ),
        (
            fault().omit("access_token"),
            Class::Answer,
            "the answer has no access_token",
        ),
        (
            fault().html(),
            Class::Unwell,
            "IMS answered 502 and something that is not JSON",
        ),
        (
            fault().status(307).header("location", "/ims/token/v2"),
            Class::Answer,
            "IMS answered 307",
        ),
        (
            fault().status(429).retry_after(77),
            Class::Throttled,
            "IMS answered 429",
        ),
        (
            fault().status(500).body(json!({"error": "internal_error"})),
            Class::Unwell,
            "IMS answered 500 internal_error",
        ),
        (
            fault().status(404).body(json!({"message": "Not Found"})),
            Class::Configuration,
            "IMS answered 404 Not Found",
        ),
    ] {
        adobe.control().inject(fault).unwrap();

        let failure = mint(&at(&adobe.url()), CLIENT_CREDENTIALS)
            .await
            .unwrap_err();

        assert_eq!((failure.class, failure.message.as_str()), (class, message));
    }
    assert_eq!(adobe.control().requests_of("ims.token").len(), 10);
}

#[tokio::test]
async fn a_token_service_with_another_name_in_its_certificate_gets_nothing() {
    let adobe = Simulator::start(simulator::Settings {
        tls: Some(Tls::default()),
        ..simulator::Settings::default()
    })
    .await
    .unwrap();
    let files = Supplied::default().with_file("/ca.pem", adobe.certificate_pem().unwrap());
    let mint = async |host: &str| {
        let address = adobe.address();
        let ims = format!("{{ url: 'https://{host}', address: '{address}', ca_file: /ca.pem }}");
        mint_with(&ims, CLIENT_CREDENTIALS, &files).await
    };

    mint("localhost").await.unwrap();
    let failure = mint("ims-na1.adobelogin.com").await.unwrap_err();

    assert_eq!(failure.class, Class::Unreachable);
    assert!(
        failure.message.contains("certificate"),
        "{}",
        failure.message
    );
    assert_eq!(adobe.control().requests().len(), 1);
}

#[tokio::test]
async fn an_ims_that_repeats_what_it_was_shown_leaks_nothing() {
    // In the text and in its number, where a number should be.
    let adobe = Adobe::start(|seen| {
        let body = String::from_utf8(seen.body.clone()).unwrap();
        let assertion = body.split("jwt_token=").nth(1).unwrap().to_owned();
        let signature = assertion.rsplit('.').next().unwrap();
        let said = format!(
            r#"{{"error":"bad_request","error_description":"{assertion} {body} {signature}"}}"#
        );
        let length = said.len();
        Act::Answer(
            format!("HTTP/1.1 400 Bad Request\r\nx-debug-id: demo-secret\r\nContent-Length: {length}\r\n\r\n{said}")
                .into_bytes(),
        )
    });

    let failure = mint(&at(&adobe.url()), &service_account("pkcs8"))
        .await
        .unwrap_err();

    let seen = String::from_utf8(adobe.seen()[0].body.clone()).unwrap();
    let assertion = seen.split("jwt_token=").nth(1).unwrap();
    let shown = format!("{failure} {failure:?}");
    assert!(
        shown.contains("IMS answered 400 bad_request … client_id=demo-client"),
        "{shown}"
    );
    for part in assertion.split('.').chain(["demo-secret"]) {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(failure.debug_id, None);
}
