//! What tests and operators may do to a running simulator, in the process or over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::State;
use super::fault::{Fault, InvalidFault};
use super::journal::Seen;
use super::lock;

/// A handle on a running simulator's journal, faults, tokens and clock.
#[derive(Clone, Debug)]
pub struct Control {
    state: Arc<State>,
}

/// Counts of what has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many tokens each client was given.
    pub minted: BTreeMap<String, u64>,
    /// How many tokens would be accepted now.
    pub live_tokens: usize,
    /// How many requests came in, by operation.
    pub requests: BTreeMap<String, u64>,
    /// How many faults are still on order.
    pub faults: usize,
    /// The simulator's clock, in milliseconds since the epoch.
    pub now_ms: u64,
}

/// Why a client's secrets cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecrets {
    /// There is no such client.
    #[error("no client is named {0:?}")]
    Client(String),
    /// Adobe allows one or two.
    #[error("a client has one or two secrets, not {0}")]
    Number(usize),
}

impl Control {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Returns the last requests, oldest first, at most [`super::KEPT_REQUESTS`].
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.state.journal).requests()
    }

    /// Returns the last requests of one operation, such as `ims.token`, oldest first.
    pub fn requests_of(&self, operation: &str) -> Vec<Seen> {
        let mut requests = self.requests();
        requests.retain(|seen| seen.operation == operation);
        requests
    }

    /// Forgets the requests and their counts.
    pub fn forget_requests(&self) {
        lock(&self.state.journal).clear();
    }

    /// Orders a fault.
    ///
    /// # Errors
    /// A fault that HTTP has no form for.
    pub fn inject(&self, fault: Fault) -> Result<(), InvalidFault> {
        lock(&self.state.faults).inject(fault)
    }

    /// Returns the faults on order, each with the number of hits it has left.
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.state.faults).waiting()
    }

    /// Takes back every fault on order.
    pub fn clear_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// Makes every token handed out so far invalid.
    pub fn revoke_tokens(&self) {
        lock(&self.state.tokens).revoke_all();
    }

    /// Gives a client other secrets, as rotation does: one, or two that both work. Tokens it has stay valid.
    ///
    /// # Errors
    /// No such client, or a number of secrets that Adobe does not allow.
    pub fn set_secrets(&self, client: &str, secrets: Vec<String>) -> Result<(), InvalidSecrets> {
        if !(1..=2).contains(&secrets.len()) {
            return Err(InvalidSecrets::Number(secrets.len()));
        }
        let mut clients = lock(&self.state.clients);
        let known = clients
            .iter_mut()
            .find(|known| known.id.as_str() == client)
            .ok_or_else(|| InvalidSecrets::Client(client.to_owned()))?;
        known.secrets = secrets;
        Ok(())
    }

    /// Moves the simulator's clock ahead: tokens expire and jobs advance without waiting.
    pub fn advance(&self, by: Duration) {
        self.state.time.advance(by);
    }

    /// Returns counts of tokens and requests.
    pub fn counts(&self) -> Counts {
        let now_ms = self.state.time.now_ms();
        let (minted, live_tokens) = {
            let tokens = lock(&self.state.tokens);
            let minted = tokens.minted().iter();
            let minted = minted
                .map(|(client, count)| (client.to_string(), *count))
                .collect();
            (minted, tokens.live(now_ms))
        };
        let requests = {
            let journal = lock(&self.state.journal);
            let requests = journal.by_operation().iter();
            requests
                .map(|(operation, count)| ((*operation).to_owned(), *count))
                .collect()
        };
        Counts {
            minted,
            live_tokens,
            requests,
            faults: self.faults().len(),
            now_ms,
        }
    }

    /// Puts data, tokens, secrets, faults, journal and clock back to the start.
    pub fn reset(&self) {
        self.state.reset();
    }
}

/// How far to move the clock.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

/// The secrets a client is to have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    secrets: Vec<String>,
}

/// Returns the same over HTTP, below `/_simulator/`.
///
/// There is no authentication: whoever reaches the simulator may do all this.
pub(super) fn router(control: Control) -> Router {
    Router::new()
        .route(
            "/_simulator/requests",
            get(requests).delete(forget_requests),
        )
        .route(
            "/_simulator/faults",
            get(faults).post(inject).delete(clear_faults),
        )
        .route("/_simulator/tokens/revoke", post(revoke_tokens))
        .route("/_simulator/clients/{id}/secrets", post(set_secrets))
        .route("/_simulator/clock", post(advance))
        .route("/_simulator/state", get(state))
        .route("/_simulator/reset", post(reset))
        .route("/_simulator/{*rest}", any(unknown))
        .with_state(control)
}

async fn requests(Shared(control): Shared<Control>) -> Json<Value> {
    Json(control.requests().iter().map(Seen::to_json).collect())
}

async fn forget_requests(Shared(control): Shared<Control>) -> StatusCode {
    control.forget_requests();
    StatusCode::NO_CONTENT
}

async fn faults(Shared(control): Shared<Control>) -> Json<Vec<Fault>> {
    Json(control.faults())
}

async fn inject(
    Shared(control): Shared<Control>,
    Json(fault): Json<Fault>,
) -> (StatusCode, Json<Value>) {
    match control.inject(fault) {
        Ok(()) => (
            StatusCode::CREATED,
            Json(json!({"faults": control.faults().len()})),
        ),
        Err(error) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({"error": error.to_string()})),
        ),
    }
}

async fn clear_faults(Shared(control): Shared<Control>) -> StatusCode {
    control.clear_faults();
    StatusCode::NO_CONTENT
}

async fn revoke_tokens(Shared(control): Shared<Control>) -> StatusCode {
    control.revoke_tokens();
    StatusCode::NO_CONTENT
}

async fn set_secrets(
    Shared(control): Shared<Control>,
    Path(client): Path<String>,
    Json(body): Json<Secrets>,
) -> Result<StatusCode, (StatusCode, Json<Value>)> {
    match control.set_secrets(&client, body.secrets) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let status = match error {
                InvalidSecrets::Client(_) => StatusCode::NOT_FOUND,
                InvalidSecrets::Number(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Err((status, Json(json!({"error": error.to_string()}))))
        }
    }
}

async fn advance(Shared(control): Shared<Control>, Json(by): Json<Advance>) -> StatusCode {
    control.advance(Duration::from_millis(by.advance_ms));
    StatusCode::NO_CONTENT
}

async fn state(Shared(control): Shared<Control>) -> Json<Counts> {
    Json(control.counts())
}

async fn reset(Shared(control): Shared<Control>) -> StatusCode {
    control.reset();
    StatusCode::NO_CONTENT
}

async fn unknown() -> (StatusCode, Json<Value>) {
    let body = json!({"error": "no such control; see docs/simulator.md"});
    (StatusCode::NOT_FOUND, Json(body))
}
