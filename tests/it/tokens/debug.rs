//! What `{:?}` shows of everything that holds secrets or tokens, also in the message of a panic.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use profile_gateway::aep::OwnedFields;
use profile_gateway::config::{self, Supplied};
use profile_gateway::connect::Dialer;
use profile_gateway::context::Bearer;
use profile_gateway::ims::answer::{Failure, Minted};
use profile_gateway::ims::mint::{Mint, TokenService};
use profile_gateway::ims::{CredentialSettings, Credentials, Fingerprints, Keeper};
use profile_gateway::run;
use profile_gateway::secret::Secret;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::support::hidden::Hidden;

const KEY: &str = include_str!("../../keys/rsa-pkcs8.pem");
const TOKEN: &str = "tok.never.to.be.seen";
const SECRETS: [&str; 4] = [
    "p8e-never-to-be-seen-1",
    "p8e-never-to-be-seen-2",
    "redis-never-to-be-seen",
    "bmV2ZXItdG8tYmUtc2Vlbi1uZXZlci10by1iZS1zZWU=",
];

fn files() -> Supplied {
    Supplied::default()
        .with_file("/key.pem", KEY)
        .with_variable("PASSWORD", SECRETS[2])
}

fn configuration() -> String {
    let [first, second, _, sealing] = SECRETS;
    format!(
        "
sandboxes: {{ dev-2: {{}} }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: ['{first}', '{second}']
  service:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: service-client
    client_secrets: ['{first}']
    grant:
      jwt_exchange:
        technical_account: 1122334455667788990011AA@techacct.adobe.com
        private_key: ${{file:/key.pem}}
        metascopes: [ent_dataservices_sdk]
routes: [{{ name: all, match: {{ path: '/data/core/{{*rest}}' }}, credential: demo, sandbox: dev-2 }}]
shared:
  redis:
    servers: ['127.0.0.1:6379']
    tls: false
    username: gateway
    password: ${{env:PASSWORD}}
    encryption_keys: [{{ id: k1, key: '{sealing}' }}]
"
    )
}

/// Gives everybody the same token.
#[derive(Debug)]
struct Willing;

impl TokenService for Willing {
    async fn mint(&self, _: &CredentialSettings, _: &Secret) -> Result<Minted, Failure> {
        Ok(minted())
    }
}

fn minted() -> Minted {
    let bearer = Secret::new(TOKEN.to_owned()).to_bearer().unwrap();
    Minted::new(bearer, Duration::from_hours(24))
}

#[tokio::test(start_paused = true)]
async fn nothing_that_holds_a_secret_shows_it_to_who_debugs_or_reads_a_panic() {
    let files = files();
    let settings = config::parse("test.yaml", &configuration(), &files);
    let settings = settings.unwrap_or_else(|faults| panic!("{faults}"));
    let credentials = Credentials::new(&settings.ims);
    let credential = Arc::clone(credentials.iter().next().unwrap());
    let fingerprints = Fingerprints::of_this_process();
    let keeper = || Keeper::new(Arc::clone(&credential), Willing, fingerprints.clone());
    let soon = Instant::now() + Duration::from_secs(1);
    let bearer = tokio::select! {
        () = keeper().run() => unreachable!("it keeps on"),
        bearer = credential.wait(soon) => bearer.unwrap(),
    };
    let owned = OwnedFields {
        authorization: bearer.value.clone(),
        api_key: credential.api_key().clone(),
        organization: http::HeaderValue::from_static("0A1B2C3D4E5F60718293A4B5@AdobeOrg"),
        sandbox: http::HeaderValue::from_static("dev-2"),
    };
    let dialer = Dialer::new(settings.ims.connect.clone()).unwrap();
    let mint = Mint::new(&settings.ims, dialer);
    let plan = run::plan(&settings, credentials.clone(), &mut Registry::default()).unwrap();

    let shown = [
        show(&settings),
        show(&credentials),
        show(&credential),
        show(&credential.status()),
        show(&bearer),
        show(&owned),
        show(&keeper()),
        show(&mint),
        show(&minted()),
        show(&plan),
        show(&files),
        show(&settings.shared),
        panic_with(&bearer),
        panic_with(&settings),
        panic_with(&credentials),
    ];

    let mut hidden = Hidden::default();
    hidden.add(TOKEN);
    hidden.add_key(KEY);
    for secret in SECRETS {
        hidden.add(secret);
    }
    for text in &shown {
        hidden.assert_absent("what is shown", text);
    }
    // They do show something.
    assert!(shown[0].contains("demo-client") && shown[4].contains("Sensitive"));
    assert!(shown[12].contains("no token: Bearer") && shown[13].contains("demo-client"));
}

/// Formats a value in both ways.
fn show(value: &dyn Debug) -> String {
    format!("{value:?}\n{value:#?}")
}

/// Returns the message of a panic that a value is part of.
fn panic_with<T: Debug>(value: &T) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        panic!("no token: {value:?}");
    }));
    *panicked.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_bearer_shows_its_generation_and_not_its_token() {
    let bearer = Bearer {
        value: Secret::new(TOKEN.to_owned()).to_bearer().unwrap(),
        generation: 7,
        leave_by: Instant::now(),
    };

    let shown = format!("{bearer:?}");

    assert!(
        shown.contains("generation: 7") && !shown.contains("never"),
        "{shown}"
    );
}
