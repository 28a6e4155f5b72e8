//! The command `token`: the real binary in front of a simulated IMS.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use profile_gateway::simulator::{Client, Fault, Place, PublicKey, Settings, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::Process;

const SECRET: &str = "p8e-first-never-to-be-seen";
const OTHER: &str = "p8e-second-never-to-be-seen";

/// A simulated IMS with a client that has one secret, which no output may hold.
async fn ims(secret: &str) -> Simulator {
    let client = Client {
        secrets: vec![secret.to_owned()],
        public_key: PublicKey::from_pem(include_str!("../keys/rsa-public.pem")),
        ..Client::demo()
    };
    let settings = Settings {
        clients: vec![client],
        ..Settings::default()
    };
    Simulator::start(settings).await.unwrap()
}

fn configuration(url: &str, secrets: &str, more: &str) -> String {
    format!(
        "
ims: {{ url: '{url}' }}
credentials:
  loyalty:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [{secrets}]
{more}
sandboxes: {{ prod: {{}} }}
"
    )
}

/// Runs the command and returns its exit code and everything it printed.
async fn token(configuration: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, configuration).unwrap();
    fs::write(
        folder.path().join("key.pem"),
        include_str!("../keys/rsa-pkcs1.pem"),
    )
    .unwrap();
    fs::write(
        folder.path().join("other.pem"),
        include_str!("../keys/rsa-other.pem"),
    )
    .unwrap();
    let place = folder.path().to_str().unwrap();
    fs::write(&path, configuration.replace("$FOLDER", place)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let more: Vec<_> = more.iter().map(|argument| (*argument).to_owned()).collect();
    // The simulator answers on this thread meanwhile.
    let run = tokio::task::spawn_blocking(move || {
        let mut arguments = vec!["token", "--config", &path];
        arguments.extend(more.iter().map(String::as_str));
        Process::start(&arguments, &[]).finish()
    });
    run.await.unwrap()
}

fn parsed((code, printed): (Option<i32>, String)) -> (Option<i32>, Value) {
    let value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"));
    (code, value)
}

/// Checks that neither a token nor a part of one, nor a secret, was printed.
fn assert_discreet(printed: &str) {
    // Tokens are JWTs, whose header begins so.
    for hidden in [SECRET, OTHER, "eyJ", "Bearer"] {
        assert!(!printed.contains(hidden), "{hidden} in {printed}");
    }
    let longest =
        printed.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_+/=".contains(letter));
    let longest = longest.map(str::len).max().unwrap();
    assert!(longest < 60, "something that may be a signature: {printed}");
}

#[tokio::test]
async fn a_token_is_described_and_not_shown() {
    let ims = ims(SECRET).await;
    let text = configuration(&ims.url(), SECRET, "");

    let (code, printed) = token(&text, &[]).await;

    assert_eq!(code, Some(0), "{printed}");
    assert_discreet(&printed);
    for part in [
        "credential loyalty: IMS gave a token",
        "client id        demo-client",
        "grant            client_credentials",
        "client secret    the only one works",
        "lifetime         86399 s, as IMS says",
        "renews it after about 23h 49m 59s, uses it for 23h 59m 54s",
        "token user_id    1122334455667788990011AA@techacct.adobe.com",
        "token counts     for 1day until 20",
        &format!("endpoint         {}/ims/token/v3", ims.url()),
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    assert!(!printed.contains("warning"), "{printed}");
    assert_eq!(ims.control().counts().minted["demo-client"], 1);
}

#[tokio::test]
async fn the_secret_that_works_is_named_and_the_refused_one_too() {
    let ims = ims(OTHER).await;
    let text = configuration(&ims.url(), &format!("{SECRET}, {OTHER}"), "");

    let (code, printed) = token(&text, &["--credential", "loyalty"]).await;
    let (json_code, value) = parsed(token(&text, &["--format", "json"]).await);

    assert_eq!((code, json_code), (Some(0), Some(0)));
    assert!(
        printed.contains("the second of two works; IMS refused the first"),
        "{printed}"
    );
    assert_discreet(&printed);
    assert_discreet(&value.to_string());
    assert_eq!(value["secret_that_worked"], 2);
    assert_eq!(value["secrets_configured"], 2);
    assert_eq!(value["token"]["lifetime_stated_s"], 86_399.0);
    assert_eq!(value["token"]["claims"]["environment"], "ims-na1");
    assert_eq!(value["failure"], Value::Null);
    assert!(value["took_ms"].is_u64() && value["debug_id"].is_string());
    assert!(
        value["warnings"][0]
            .as_str()
            .unwrap()
            .contains("refused the first secret")
    );
}

#[tokio::test]
async fn a_service_account_is_tried_at_its_own_endpoint() {
    let ims = ims(SECRET).await;
    let account = |key: &str| {
        let grant = format!(
            "    grant: {{ jwt_exchange: {{ technical_account: 1122334455667788990011AA@techacct.adobe.com, \
             private_key: '${{file:$FOLDER/{key}.pem}}', metascopes: [ent_dataservices_sdk] }} }}"
        );
        configuration(&ims.url(), SECRET, &grant)
    };

    let (code, printed) = token(&account("key"), &[]).await;
    let (refused_code, refused) = token(&account("other"), &[]).await;

    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("/ims/exchange/jwt"), "{printed}");
    assert!(
        printed.contains("lifetime         86399.992 s, as IMS says"),
        "{printed}"
    );
    assert!(!printed.contains("warning"), "{printed}");
    assert_eq!(refused_code, Some(1));
    assert!(
        refused.contains("400 invalid_signature") && refused.contains("private_key"),
        "{refused}"
    );
    assert_discreet(&printed);
    assert_discreet(&refused);
}

#[tokio::test]
async fn a_failure_says_what_happened_whose_fault_it_is_and_what_to_do() {
    let ims = ims(OTHER).await;
    let text = configuration(&ims.url(), SECRET, "");

    let (code, printed) = token(&text, &[]).await;
    let (json_code, value) = parsed(token(&text, &["--format", "json"]).await);

    assert_eq!((code, json_code), (Some(1), Some(1)));
    for part in [
        "credential loyalty: no token",
        "what happened    IMS answered 400 invalid_client invalid client_secret parameter",
        "whose fault      the configuration's",
        "that means       IMS does not know this client id with this secret",
        "what to do       check that client_id is the one the console shows",
        "x-debug-id",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    assert_discreet(&printed);
    assert_discreet(&value.to_string());
    let failure = &value["failure"];
    assert_eq!(failure["class"], "invalid_client");
    assert_eq!(failure["error"], "invalid_client");
    assert_eq!(
        (&failure["status"], &failure["side"]),
        (&json!(400), &json!("configuration"))
    );
    assert!(failure["steps"][0].is_string());
    assert_eq!(
        (&value["token"], &value["secret_that_worked"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn what_is_strange_about_a_token_is_warned_of() {
    let ims = ims(SECRET).await;
    let text = configuration(&ims.url(), SECRET, "");
    // A token of another client, in the form that tokens have.
    let claims = json!({"client_id": "other-client\u{1b}[31m"}).to_string();
    let foreign = format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims));
    let fault = || Fault::at(Place::Ims);
    for (fault, part) in [
        (
            fault().expires_in(86_399_992),
            "IMS says that the token lives for 86399992 s, which cannot be; it is taken for 2days",
        ),
        (
            fault().expires_in(86),
            "the token says that it lives for 1day, and the gateway works with 1m 26s",
        ),
        (
            fault().omit("expires_in"),
            "IMS did not say how long the token lives; it is taken for 5m",
        ),
        (
            fault().access_token(&foreign),
            "the token is for the client other-client[31m, not for demo-client",
        ),
        (
            fault().access_token("opaque"),
            "opaque: it says nothing about itself",
        ),
        (
            fault().header("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            "ahead of IMS's: set it",
        ),
    ] {
        ims.control().inject(fault).unwrap();

        let (code, printed) = token(&text, &[]).await;

        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.contains(part), "{part} in {printed}");
        assert!(
            !printed.contains('\u{1b}') && !printed.contains("c2lnbmF0dXJl"),
            "{printed}"
        );
    }
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_a_wrong_configuration_with_78() {
    let two = "  segments: { organization: o@AdobeOrg, client_id: x, client_secrets: [y] }";
    let routes = "routes: [{ name: a, match: { path: /a }, credential: loyalty }]\n";
    let text = configuration("http://127.0.0.1:1", SECRET, two);
    let text = format!("{text}{routes}");

    let (unnamed, which) = token(&text, &[]).await;
    let (unknown, near) = token(&text, &["--credential", "loyality"]).await;
    let (broken, faults) = token("credentials: {}\n", &[]).await;
    let (broken_json, json) = parsed(token("credentials: {}\n", &["--format", "json"]).await);

    assert_eq!((unnamed, unknown), (Some(2), Some(2)));
    assert!(which.contains("--credential: loyalty, segments"), "{which}");
    assert!(
        near.contains("did you mean `loyalty`? There are: loyalty, segments"),
        "{near}"
    );
    assert_eq!((broken, broken_json), (Some(78), Some(78)));
    assert!(faults.contains("must have at least one entry"), "{faults}");
    assert!(
        json["faults"]
            .as_array()
            .is_some_and(|faults| !faults.is_empty())
    );
}

#[tokio::test]
async fn an_ims_that_is_not_there_is_the_networks_fault() {
    let text = configuration("http://127.0.0.1:1", SECRET, "");

    let (code, value) = parsed(token(&text, &["--format", "json"]).await);

    assert_eq!(code, Some(1));
    assert_eq!(value["failure"]["side"], "network");
    assert!(
        value["failure"]["meaning"]
            .as_str()
            .unwrap()
            .contains("nothing answers")
    );
}

#[tokio::test]
async fn the_example_in_the_readme_is_what_the_command_prints() {
    let ims = Simulator::start(Settings::default()).await.unwrap();
    let working = configuration(&ims.url(), "demo-secret", "");
    let failing = configuration(&ims.url(), "wrong", "");

    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for text in [working, failing] {
        let (_, printed) = token(&text, &[]).await;

        let printed = steady(&printed.replace(&ims.url(), "https://ims-na1.adobelogin.com"));
        assert!(steady(&readme).contains(&printed), "{printed}");
    }
}

/// Takes out what differs from run to run.
fn steady(text: &str) -> String {
    let changes = [
        "call took ",
        "x-debug-id ",
        "token made ",
        "for 1day until ",
    ];
    let lines = text.lines().map(|line| {
        let end = changes
            .iter()
            .find_map(|label| Some(line.find(label)? + label.len()));
        line.split_at(end.unwrap_or(line.len())).0
    });
    lines.collect::<Vec<_>>().join("\n")
}
