//! One fetch of an issuer's keys.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};

use super::discovery;
use super::keys::{InvalidKeys, KeySet, MOST_BYTES};
use super::{Server, Url};
use crate::aep;
use crate::clock;
use crate::connect::{self, Dialer, Pool, Times};
use crate::error::Reason;
use crate::secret::Secret;

/// Whoever has the keys of an issuer.
pub(super) trait Keyholder {
    /// Asks for the keys.
    ///
    /// # Errors
    /// [`Failure`].
    fn fetch(&mut self) -> impl Future<Output = Result<KeySet, Failure>>;
}

/// Why keys could not be fetched. Nothing in it is what a server said, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// What happened.
    pub message: String,
    /// How long the server wants to be left alone, if it says so.
    pub retry_after: Option<Duration>,
}

/// What is wrong when keys cannot be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// What was answered is no document with keys that can be used.
    Invalid,
    /// Another status than 200.
    Refused,
    /// There was no answer.
    Unreachable,
}

impl Class {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Invalid, Self::Refused, Self::Unreachable];

    /// Returns the word that metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Failure {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Fetches keys from a server. It follows no redirect.
#[derive(Debug)]
pub(super) struct Fetch {
    issuer: String,
    server: Server,
    dialer: Dialer,
    /// Reaches the other server that the discovery document led to.
    elsewhere: Option<Dialer>,
}

impl Keyholder for Fetch {
    async fn fetch(&mut self) -> Result<KeySet, Failure> {
        let time = self.server.timeout;
        timeout(time, self.attempt()).await.unwrap_or_else(|_| {
            Err(Failure::new(
                Class::Unreachable,
                format!("the keys did not come within {time:?}"),
            ))
        })
    }
}

impl Fetch {
    /// Prepares fetching the keys of `issuer` from the server that `dialer` reaches.
    pub(super) fn new(issuer: String, server: Server, dialer: Dialer) -> Self {
        Self {
            issuer,
            server,
            dialer,
            elsewhere: None,
        }
    }

    async fn attempt(&mut self) -> Result<KeySet, Failure> {
        let url = if self.server.is_discovery {
            let from = self.server.url.clone();
            let document = self.get(&from, &self.dialer).await?;
            discovery::keys_at(&document, &self.issuer, &from)
                .map_err(|error| invalid(&from, &error))?
        } else {
            self.server.url.clone()
        };
        let dialer = self.reaching(&url)?;
        let document = self.get(&url, &dialer).await?;
        KeySet::read(&document).map_err(|error| invalid(&url, &error))
    }

    /// Returns what reaches the server of `url`: in the same way as the first, but for the address if it is another.
    fn reaching(&mut self, url: &Url) -> Result<Dialer, Failure> {
        if url.origin() == self.server.url.origin() {
            return Ok(self.dialer.clone());
        }
        let known = self.elsewhere.as_ref();
        if let Some(known) = known.filter(|known| known.settings().origin == *url.origin()) {
            return Ok(known.clone());
        }
        let made = Dialer::new(connect::Settings {
            origin: url.origin().clone(),
            address: None,
            ..self.server.connect.clone()
        });
        let made = made.map_err(|error| {
            let message = format!("no TLS with {}: {error}", url.shown());
            Failure::new(Class::Unreachable, message)
        })?;
        Ok(self.elsewhere.insert(made).clone())
    }

    async fn get(&self, url: &Url, dialer: &Dialer) -> Result<Bytes, Failure> {
        let unreachable = |message: String| Failure::new(Class::Unreachable, message);
        let shown = url.shown();
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(url.target().as_str())
            .header(ACCEPT, "application/json, application/jwk-set+json");
        if let Some(bearer) = self.bearer_for(url) {
            let bearer = bearer.to_bearer();
            let bearer =
                bearer.ok_or_else(|| unreachable("the bearer is no field value".into()))?;
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request
            .body(Full::new(Bytes::new()))
            .map_err(|_| unreachable(format!("{shown} is no legal target")))?;
        // Fetches are minutes apart, so each has a connection of its own.
        let pool = Pool::new(dialer.clone(), Arc::default());
        let deadline = Instant::now() + self.server.timeout;
        let response = pool
            .send(&mut Some(request), &Times::until(deadline))
            .await
            .map_err(|unanswered| {
                let error = unanswered.error;
                if error.reason() == Reason::UpstreamTimeout {
                    let time = self.server.timeout;
                    unreachable(format!("{shown} did not answer within {time:?}"))
                } else {
                    unreachable(format!("{shown}: {}", error.story()))
                }
            })?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            let asked = head.headers.get(RETRY_AFTER);
            let hint = if head.status.is_redirection() {
                "; redirects are not followed"
            } else {
                ""
            };
            return Err(Failure {
                retry_after: asked.and_then(|value| aep::retry_after(value, clock::since_epoch())),
                ..Failure::new(
                    Class::Refused,
                    format!("{shown} answered {}{hint}", head.status.as_u16()),
                )
            });
        }
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                invalid(url, &InvalidKeys::TooLarge)
            } else {
                unreachable(format!("the answer of {shown} broke off"))
            }
        })?;
        Ok(body.to_bytes())
    }

    /// Returns what is shown where `url` is: nothing, unless it is the place that the configuration names.
    fn bearer_for(&self, url: &Url) -> Option<&Secret> {
        let is_ours = url.origin() == self.server.url.origin();
        self.server.bearer.as_ref().filter(|_| is_ours)
    }
}

fn invalid(url: &Url, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        Class::Invalid,
        format!("what {} answered {error}", url.shown()),
    )
}
