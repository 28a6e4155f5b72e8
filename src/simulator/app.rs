//! The way of one request through the simulator: noted, perhaps spoiled, answered.

use std::fmt;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;

use super::answer::Answer;
use super::body::Ending;
use super::call::Call;
use super::fault::{Fault, Wire};
use super::faults::Faults;
use super::gatekeeper::Gatekeeper;
use super::ims::{self, Ims, X_DEBUG_ID};
use super::journal::{self, Journal, Seen};
use super::platform::{self, Scene};
use super::socket::Connection;
use super::time::{Time, millis};
use super::tokens::Tokens;
use super::world::{Seed, World};
use super::{Client, Settings, lock};
use crate::aep::Operation;
use crate::aep::fields::X_REQUEST_ID;

/// Everything the simulator knows.
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) time: Time,
    pub(super) journal: Mutex<Journal>,
    pub(super) faults: Mutex<Faults>,
    pub(super) tokens: Mutex<Tokens>,
    /// The clients as they are now; `settings` has them as they were at the start.
    pub(super) clients: Mutex<Vec<Client>>,
    world: Mutex<World>,
    random: Mutex<fastrand::Rng>,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let mut random = settings
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            time: Time::default(),
            journal: Mutex::new(Journal::default()),
            faults: Mutex::new(Faults::new(random.fork())),
            tokens: Mutex::new(Tokens::new(random.fork())),
            clients: Mutex::new(settings.clients.clone()),
            world: Mutex::new(World::new(&Seed::of(
                &settings.clients,
                &settings.sandboxes,
            ))),
            random: Mutex::new(random),
            settings,
        }
    }

    /// Puts everything back to the start.
    pub(super) fn reset(&self) {
        lock(&self.journal).clear();
        lock(&self.faults).clear();
        lock(&self.tokens).reset();
        lock(&self.clients).clone_from(&self.settings.clients);
        *lock(&self.world) =
            World::new(&Seed::of(&self.settings.clients, &self.settings.sandboxes));
        self.time.reset();
    }

    /// Returns 32 random letters and digits, as Adobe makes for a request without an id.
    fn request_id(&self) -> String {
        let mut random = lock(&self.random);
        (0..32).map(|_| random.alphanumeric()).collect()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens and journal hold what clients use as secrets.
        f.debug_struct("State")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Answers one request to IMS or to the platform.
///
/// # Cancel safety
/// Dropping the future leaves a request in the journal that has no status.
pub(super) async fn serve(
    state: Arc<State>,
    connection: Option<Arc<Connection>>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    // A proxy may send the absolute form; what is asked for is path and query alone.
    let asked = head
        .uri
        .path_and_query()
        .map_or("/", |asked| asked.as_str())
        .to_owned();
    let path = head.uri.path().to_owned();
    let for_ims = path.starts_with("/ims/");
    let operation = if for_ims {
        ims::operation(&path)
    } else {
        Operation::of(&head.method, &path).name
    };
    let number = lock(&state.journal).open(Seen {
        number: 0,
        connection: connection
            .as_ref()
            .map_or(0, |connection| connection.number),
        received_at_ms: state.time.now_ms(),
        version: head.version,
        method: head.method.to_string(),
        target: target(&head, &asked),
        headers: journal::copy_headers(&head.headers),
        body: Bytes::new(),
        body_bytes: 0,
        body_complete: false,
        operation,
        remarks: journal::remarks(&head.headers),
        status: None,
    });
    let body = collect(body, state.settings.body_limit).await;
    lock(&state.journal).body(number, &body.bytes, body.length, body.complete);
    let request_id = head.headers.get(&X_REQUEST_ID).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&state.request_id()).expect("letters and digits are a header value")
    });

    let fault = lock(&state.faults).take(&path);
    if let Some(fault) = &fault {
        if fault.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        if let (Some(Wire::Reset), Some(connection)) = (fault.wire, &connection) {
            connection.reset();
            // The connection's task drops this future together with the socket.
            future::pending::<()>().await;
        }
    }
    let replacement = fault.as_ref().and_then(Fault::replacement);
    let answer = match replacement {
        Some(answer) => answer,
        None if body.too_large => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
        None => {
            let call = Call::new(&head.method, &asked, head.headers, body.bytes);
            genuine(&state, &call, for_ims, fault.as_ref())
        }
    };
    let answer = match &fault {
        Some(fault) => fault.adorn(answer),
        None => answer,
    };
    let ending = fault.as_ref().map_or(Ending::Whole, Fault::ending);
    let named = if for_ims { &X_DEBUG_ID } else { &X_REQUEST_ID };
    lock(&state.journal).answered(number, answer.status.as_u16());
    let mut response = answer.into_response(ending);
    keep(&mut response, named, request_id);
    response
}

/// Does what the request asks for.
fn genuine(state: &State, call: &Call, for_ims: bool, fault: Option<&Fault>) -> Answer {
    let now_ms = state.time.now_ms();
    if for_ims {
        let lifetime = millis(state.settings.token_lifetime);
        let answer = Ims {
            clients: &lock(&state.clients),
            tokens: &mut lock(&state.tokens),
            now_ms,
            lifetime_ms: fault
                .and_then(|fault| fault.token_lifetime_ms)
                .unwrap_or(lifetime),
        }
        .answer(call);
        return match fault {
            Some(fault) => fault.alter_token_answer(answer),
            None => answer,
        };
    }
    let mut world = lock(&state.world);
    let admitted = Gatekeeper {
        clients: &lock(&state.clients),
        tokens: &lock(&state.tokens),
        world: &world,
        now_ms,
    }
    .admit(call);
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = platform::refuse_unknown(call) {
        return refusal;
    }
    if state.settings.lenient {
        return Answer::ok(&serde_json::json!({}));
    }
    let sandbox = world
        .sandbox_mut(&admitted.organization, &admitted.sandbox)
        .expect("the gatekeeper admits to sandboxes that exist");
    platform::answer(&mut Scene {
        call,
        sandbox,
        now_ms,
        step: state.settings.job_step,
    })
}

/// Returns the request target as it was sent, apart from a fragment, which no request should carry.
fn target(head: &http::request::Parts, asked: &str) -> String {
    if head.version == Version::HTTP_2 {
        // HTTP/2 sends scheme and authority in fields of their own.
        asked.to_owned()
    } else {
        head.uri.to_string()
    }
}

/// A request body, as far as it came.
#[derive(Debug)]
struct Collected {
    bytes: Bytes,
    length: u64,
    complete: bool,
    too_large: bool,
}

/// Reads a body to its end, keeping at most `limit` bytes.
async fn collect(mut body: Body, limit: usize) -> Collected {
    let mut kept = BytesMut::new();
    let mut length: u64 = 0;
    let mut too_large = false;
    let complete = loop {
        match body.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                length += u64::try_from(data.len()).unwrap_or(u64::MAX);
                if kept.len() + data.len() > limit {
                    too_large = true;
                } else if !too_large {
                    kept.extend_from_slice(&data);
                }
            }
        }
    };
    Collected {
        bytes: kept.freeze(),
        length,
        complete,
        too_large,
    }
}

/// Sets a field unless a fault has set it already.
fn keep(response: &mut Response<Body>, name: &HeaderName, value: HeaderValue) {
    response.headers_mut().entry(name).or_insert(value);
}
