//! A gateway's parts as one worker has them, made from a configuration with any number of routes.

use std::fmt::Write;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use profile_gateway::config::{self, Supplied};
use profile_gateway::connect::{Dialer, Pool};
use profile_gateway::context::{Accepts, Connection, Exchange, Inbound, Received};
use profile_gateway::explain::shadow;
use profile_gateway::gateway::{self, Plan};
use profile_gateway::ims::answer::{Failure, Minted};
use profile_gateway::ims::mint::TokenService;
use profile_gateway::ims::{Credential, CredentialSettings, Credentials, Fingerprints, Keeper};
use profile_gateway::run;
use profile_gateway::secret::Secret;
use profile_gateway::telemetry::{Lines, Recorder, Sink};
use prometheus_client::registry::Registry;
use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::time::Instant;
use tower::Service;

use crate::upstream;
use crate::work::{TIMES, WARM_UP, Work};

/// Prepares lookups by a gateway with `routes` routes, which are made one after the other.
pub(crate) fn lookups(routes: usize) -> Work {
    through(settings(routes))
}

/// The same with a shadow, whose rules are the same.
pub(crate) fn shadowed_lookups(routes: usize) -> Work {
    let mut settings = settings(routes);
    let (authorize, route) = (settings.authorize.clone(), settings.route.clone());
    let shadow = shadow::Settings::beside(&settings.authorize, authorize, route);
    settings.shadow = Some(Arc::new(shadow));
    through(settings)
}

/// Prepares lookups by a gateway with these settings.
fn through(settings: config::Settings) -> Work {
    let runtime = worker();
    let credentials = credentials(&settings);
    let mut registry = Registry::default();
    let plan = run::plan(&settings, credentials, &mut registry).expect("the settings are sound");
    let plan = Plan {
        upstream: Dialer::in_memory(settings.upstream, upstream::open),
        ..plan
    };
    let (sink, writing) = Sink::start(io::sink()).expect("a thread can be started");
    let recorder = Recorder::new(
        Some(Lines::new(sink)),
        true,
        plan.names(),
        plan.metrics.clone(),
    );
    let pool = Pool::new(plan.upstream.clone(), Arc::default());
    let mut stack = gateway::stack(&plan, pool, Rc::new(recorder)).expect("the plan fits together");
    let connection = Rc::new(connection());
    let inbound = |_| Inbound {
        request: Box::new(request()),
        connection: Rc::clone(&connection),
        refused: None,
    };
    let mut prepared = (0..WARM_UP + TIMES)
        .map(inbound)
        .collect::<Vec<_>>()
        .into_iter();
    let mut take = move |times| {
        let _ = &writing;
        runtime.block_on(async {
            for inbound in prepared.by_ref().take(times) {
                let Ok(answer) = stack.call(inbound).await;
                assert_eq!(answer.status(), StatusCode::OK);
                let mut body = pin!(answer.into_body());
                while let Some(frame) = body.frame().await {
                    frame.expect("the answer is whole");
                }
            }
        });
    };
    take(WARM_UP);
    Box::new(move || take(TIMES))
}

/// Makes a runtime as a worker has it.
pub(crate) fn worker() -> LocalRuntime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime can be made")
}

/// Makes the settings of a gateway with a route for lookups and others beside it, each with a limit of its own besides
/// the credential's quota. Ten thousand of them are written in fewer bytes than a file may have.
pub(crate) fn settings(routes: usize) -> config::Settings {
    let mut text = BEGINNING.to_owned();
    for index in 1..routes {
        write!(
            text,
            "
- {{name: s{index},match: {{path: '/data/core/ups/s{index}/{{*r}}'}},sandbox: dev-2,limits: [{{rate: 1000000/s}}]}}"
        )
        .expect("a string takes everything");
    }
    parsed(&text)
}

/// The same with routes that differ only by the hosts they are for.
pub(crate) fn settings_by_host(routes: usize) -> config::Settings {
    let path = "match: { path: /data/core/ups/access/entities, ";
    let mut text = BEGINNING.replace(path, &format!("{path}host: 127.0.0.1, "));
    for index in 1..routes {
        write!(
            text,
            "
- {{name: s{index},{path}host: s{index}.internal}},sandbox: dev-2}}"
        )
        .expect("a string takes everything");
    }
    parsed(&text)
}

fn parsed(text: &str) -> config::Settings {
    config::parse("bench.yaml", text, &Supplied::default())
        .unwrap_or_else(|faults| panic!("{faults}"))
}

const BEGINNING: &str = "
ims: { url: 'http://127.0.0.1:1' }
upstream: { url: 'http://127.0.0.1:1' }
sandboxes: { prod: {}, dev-2: {} }
credentials:
  loyalty:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
    client_secrets: [secret]
    quota: 100000000/s
routes:
- name: lookups
  match: { path: /data/core/ups/access/entities, methods: [GET, POST] }
  sandbox: { allow: [prod], on_mismatch: ignore }
  limits: [{ rate: 1000000/s }]";

/// The path of a lookup.
pub(crate) const PATH: &str = "/data/core/ups/access/entities";

/// The path with its query.
pub(crate) const TARGET: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile\
    &entityId=janedoe%40example.com&entityIdNS=email&mergePolicyId=0bf16e61-90e9-4204-b8fa-ad250360957b";

/// Returns the fields of a lookup, with credentials of the caller's own that must not get through.
pub(crate) fn fields() -> HeaderMap {
    [
        ("host", "127.0.0.1:8080"),
        ("user-agent", "profile-service/1.4"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("x-request-id", "4f7c8a52-9c1e-4b7a-8f55-2f6f3a1c9d10"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("authorization", "Bearer forged"),
        ("x-api-key", "forged"),
        ("x-gw-ims-org-id", "forged"),
        ("x-sandbox-name", "forged"),
    ]
    .into_iter()
    .map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    })
    .collect()
}

/// Makes a lookup without its record.
fn request() -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = TARGET.parse().expect("the target is legal");
    *request.headers_mut() = fields();
    request
}

/// Makes a lookup with its record.
pub(crate) fn received() -> Received<Empty<Bytes>> {
    let request = request();
    let id = request.headers()["x-request-id"].clone();
    let exchange = Exchange::new(Method::GET, Version::HTTP_11, id, Rc::new(connection()));
    Received {
        request: Box::new(request),
        exchange: Rc::new(exchange),
    }
}

fn connection() -> Connection {
    let address = |port| ([127, 0, 0, 1], port).into();
    Connection::new(address(40_000), address(8080), Accepts::anybody(true))
}

/// Makes the credentials, each with a token.
pub(crate) fn credentials(settings: &config::Settings) -> Credentials {
    let runtime = worker();
    let credentials = Credentials::new(&settings.ims);
    for credential in credentials.iter() {
        runtime.block_on(give_token(Arc::clone(credential)));
    }
    credentials
}

async fn give_token(credential: Arc<Credential>) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let fingerprints = Fingerprints::of_this_process();
    let keeper = Keeper::new(Arc::clone(&credential), DayLong, fingerprints);
    tokio::select! {
        () = keeper.run() => {}
        bearer = credential.wait(deadline) => { bearer.expect("a token comes at once"); }
    }
}

/// Gives a token of the length Adobe's have, for a day.
struct DayLong;

impl TokenService for DayLong {
    async fn mint(&self, _: &CredentialSettings, _: &Secret) -> Result<Minted, Failure> {
        Ok(Minted::new(bearer(), Duration::from_hours(24)))
    }
}

/// Returns `Bearer` and a token of 1,500 bytes.
pub(crate) fn bearer() -> HeaderValue {
    let token = Secret::new("t".repeat(1500));
    token.to_bearer().expect("the token is a legal value")
}
