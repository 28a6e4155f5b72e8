//! The tower face of the stage.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower::{Layer, Service};

use super::unknown::Unknown;
use super::{Fields, Known, Proofs, Settings};
use crate::clock::Clock;
use crate::context::{Identified, Received};
use crate::error::Error;
use crate::issuers::{Claims, Issuers, Refusal, Verifier, Wanted};
use crate::stage::WaitingFuture;

/// The layer that identifies callers.
#[derive(Clone, Debug)]
pub struct IdentifyLayer(Rc<Identify>);

impl IdentifyLayer {
    /// Prepares the callers; `issuers` are those that they may have tokens of.
    pub fn new(settings: &Settings, issuers: &Issuers) -> Self {
        Self(Rc::new(Identify {
            known: Known::new(settings),
            fields: Fields::new(&settings.fields),
            verifier: Verifier::new(issuers.clone()),
            clock: Clock::default(),
        }))
    }
}

impl<S> Layer<S> for IdentifyLayer {
    type Service = Identifying<S>;

    fn layer(&self, inner: S) -> Identifying<S> {
        Identifying {
            identify: Rc::clone(&self.0),
            inner,
        }
    }
}

/// Identifies callers, as one worker does.
#[derive(Debug)]
pub struct Identify {
    known: Known,
    /// The fields that may hold a proof at any listener.
    fields: Fields,
    verifier: Verifier,
    clock: Clock,
}

/// A request whose proofs have been taken out of it.
#[derive(Debug)]
struct Shown<B> {
    received: Received<B>,
    proofs: Proofs,
}

impl Identify {
    fn take<B>(&self, mut received: Received<B>) -> Result<Shown<B>, Error> {
        let accepts = &received.exchange.connection.accepts;
        let headers = received.request.headers_mut();
        let proofs = Proofs::take(headers, &self.fields, accepts)?;
        Ok(Shown { received, proofs })
    }

    /// Returns what the token says that is shown, if one is.
    fn claims<B>(&self, shown: &Shown<B>) -> Result<Option<Claims>, Unknown> {
        let Some(token) = &shown.proofs.token else {
            return Ok(None);
        };
        let token = token.bytes().ok_or(Unknown::Scheme)?;
        // The request began a moment ago.
        let now = self.clock.at(shown.received.exchange.started);
        Ok(Some(self.verifier.verify(token, now)?))
    }

    fn identify<B>(
        &self,
        shown: Shown<B>,
        claims: Result<Option<Claims>, Unknown>,
    ) -> Result<Identified<B>, Error> {
        let Shown { received, proofs } = shown;
        let connection = &received.exchange.connection;
        let claims = claims.map_err(|unknown| self.told(unknown, &received))?;
        let caller = self.known.identify(connection, &proofs, claims.as_ref())?;
        received.exchange.caller.set(Some(caller));
        Ok(Identified { received, caller })
    }

    /// Says why nobody is known. It may be the gateway that cannot tell.
    fn told<B>(&self, unknown: Unknown, received: &Received<B>) -> Error {
        if let Unknown::Token(refusal @ Refusal::NoKeys(wanted)) = unknown {
            let detail =
                "the gateway has no keys of the token's issuer, and cannot tell whether it is good";
            let wait = self.verifier.issuers().retry_after(wanted, Instant::now());
            return Error::new(refusal.reason(), detail)
                .because(refusal)
                .caused_by(refusal.word())
                .after(wait);
        }
        unknown.told(&received.exchange.connection.accepts)
    }

    /// Looks at the token once more when there are newer keys.
    async fn wait<B>(&self, shown: Shown<B>, wanted: Wanted) -> Result<Identified<B>, Error> {
        let deadline = Instant::now() + LONGEST_WAIT;
        self.verifier.newer_keys(wanted, deadline).await;
        let claims = self.claims(&shown);
        self.identify(shown, claims)
    }
}

/// Puts [`Identify`] in front of a service. It waits only for keys that a token may be signed with.
#[derive(Debug)]
pub struct Identifying<S> {
    identify: Rc<Identify>,
    inner: S,
}

impl<S: Clone> Clone for Identifying<S> {
    fn clone(&self) -> Self {
        Self {
            identify: Rc::clone(&self.identify),
            inner: self.inner.clone(),
        }
    }
}

impl<S, B> Service<Received<B>> for Identifying<S>
where
    S: Service<Identified<B>, Error = Error> + Clone + 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = WaitingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, received: Received<B>) -> Self::Future {
        let shown = match self.identify.take(received) {
            Ok(shown) => shown,
            Err(refusal) => return WaitingFuture::refused(refusal),
        };
        let claims = self.identify.claims(&shown);
        let wanted = match &claims {
            Err(Unknown::Token(refusal)) => refusal.wanted(),
            Err(_) | Ok(_) => None,
        };
        let Some(wanted) = wanted else {
            return match self.identify.identify(shown, claims) {
                Ok(identified) => WaitingFuture::passed(self.inner.call(identified)),
                Err(refusal) => WaitingFuture::refused(refusal),
            };
        };
        let identify = Rc::clone(&self.identify);
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        WaitingFuture::waiting(async move {
            let identified = identify.wait(shown, wanted).await?;
            inner.call(identified).await
        })
    }
}

/// How long a request waits for keys. They are fetched within that, or not soon.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
