//! The operator's listener: liveness, readiness, credentials, issuers and metrics.

mod credentials;
mod issuers;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::ims::{Current, Status};
use crate::issuers::Issuer;

/// Where operators look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address. Default 127.0.0.1:9901. Port 0 takes a free one.
    pub address: SocketAddr,
}

/// The admin listener, with its address taken.
#[derive(Debug)]
pub struct Bound {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

/// What the pages tell about.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The credentials, whose tokens decide readiness.
    pub credentials: Current,
    /// Who signs the tokens of callers.
    pub issuers: crate::issuers::Current,
    /// Whether the gateway is stopping.
    pub stopping: watch::Receiver<bool>,
    /// The metrics.
    pub registry: Arc<Registry>,
}

impl Bound {
    /// Takes the address.
    ///
    /// # Errors
    /// The operating system's.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(settings.address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Returns the address taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until dropped, on the thread that runs it.
    ///
    /// # Errors
    /// When the socket cannot be used by the runtime.
    pub async fn serve(self, facts: Facts) -> io::Result<()> {
        let listener = TcpListener::from_std(self.socket)?;
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let pages = TowerToHyperService::new(pages(facts));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return Ok(());
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an admin connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), pages.clone());
            connections.spawn_local(async move {
                // Whoever cannot talk to this listener is not served by it; there is nothing to mend here.
                let _ = connection.await;
                drop(place);
            });
        }
    }
}

/// So that nobody takes the descriptors that callers need: an operator has a few probes and a scraper or two.
const MOST_CONNECTIONS: usize = 64;
/// For a head, and between two requests: longer than a scraper's interval would keep places from others.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

fn pages(facts: Facts) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route(
            "/credentials",
            get(async |State(facts): State<Facts>| {
                Json(credentials::page(&facts.credentials.get()))
            }),
        )
        .route(
            "/issuers",
            get(async |State(facts): State<Facts>| Json(issuers::page(&facts.issuers.get()))),
        )
        .route("/metrics", get(metrics))
        .with_state(facts)
}

/// Ready when every credential that is required has a token that may be used and every issuer that is required has keys,
/// and the gateway is not stopping.
///
/// The text says what is missing. An outage of IMS does not end readiness before a token has run out.
async fn readyz(State(facts): State<Facts>) -> Response {
    if *facts.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: draining\n").into_response();
    }
    let missing: Vec<Status> = facts
        .credentials
        .get()
        .iter()
        .map(|credential| credential.status())
        .filter(|status| status.usable_for.is_none())
        .collect();
    let unknown: Vec<_> = facts
        .issuers
        .get()
        .iter()
        .map(Issuer::status)
        .filter(|status| status.keys == 0)
        .collect();
    let ready = missing.iter().all(|status| !status.required)
        && unknown.iter().all(|status| !status.required);
    let mut text = String::new();
    if ready {
        text.push_str("ready\n");
    }
    for status in missing {
        text.push_str(&missing_line(&status));
    }
    for status in unknown {
        text.push_str(&issuers::missing_line(&status));
    }
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, text).into_response()
}

fn missing_line(status: &Status) -> String {
    let begins = if status.required {
        "not ready"
    } else {
        "not required"
    };
    let why = match &status.failure {
        Some(failure) => failure.to_string(),
        None => "a token call is under way".to_owned(),
    };
    format!(
        "{begins}: credential {} has no valid token: {why}\n",
        status.name
    )
}

async fn metrics(State(facts): State<Facts>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &facts.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Prometheus refuses a scrape whose type it does not know.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
