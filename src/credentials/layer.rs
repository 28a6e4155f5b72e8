//! The tower face of the stage.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::Settings;
use crate::aep::OwnedFields;
use crate::context::{Admitted, Authorized, Bearer, Credentialed, PerPlace, Received, Successors};
use crate::deadline;
use crate::error::{Error, Reason};
use crate::gate::{Gate, Trial};
use crate::ims::{Credentials, Hold};
use crate::stage::WaitingFuture;

/// The layer that attaches credentials.
#[derive(Clone, Debug)]
pub struct AttachCredentialsLayer {
    places: Rc<PerPlace<Rc<Held>>>,
}

impl AttachCredentialsLayer {
    /// Ties each place to its credential.
    ///
    /// # Errors
    /// [`Reason::Internal`] when a place names a credential that does not exist.
    pub fn new(settings: &Settings, credentials: &Credentials) -> Result<Self, Error> {
        let find = |id| -> Result<_, Error> {
            let missing = || {
                Error::new(
                    Reason::Internal,
                    "a place names a credential that does not exist",
                )
            };
            let credential = credentials.get(id).ok_or_else(missing)?;
            Ok(Rc::new(Held(credential.hold())))
        };
        let places: Result<_, _> = settings
            .places
            .iter()
            .map(|(_, id)| find(*id))
            .collect::<Result<Vec<_>, _>>();
        Ok(Self {
            places: Rc::new(places?.into_iter().collect()),
        })
    }
}

impl<S> Layer<S> for AttachCredentialsLayer {
    type Service = AttachCredentials<S>;

    fn layer(&self, inner: S) -> AttachCredentials<S> {
        AttachCredentials {
            places: Rc::clone(&self.places),
            inner,
        }
    }
}

/// Attaches the four fields. It waits only while there is no valid token at all.
#[derive(Clone, Debug)]
pub struct AttachCredentials<S> {
    places: Rc<PerPlace<Rc<Held>>>,
    inner: S,
}

impl<S, B> Service<Admitted<B>> for AttachCredentials<S>
where
    S: Service<Credentialed<B>, Error = Error> + Clone + 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = WaitingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        let Admitted {
            mut authorized,
            trial,
        } = admitted;
        let credential = match self.places.get(authorized.place) {
            Ok(credential) => credential,
            Err(error) => return WaitingFuture::waiting(async move { Err(error) }),
        };
        // The request began a moment ago.
        let now = authorized.routed.received.exchange.started;
        if let Some(bearer) = credential.0.bearer(now) {
            let future = self
                .inner
                .call(attach(authorized, trial, credential, bearer));
            return WaitingFuture::passed(future);
        }
        let credential = Rc::clone(credential);
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        WaitingFuture::waiting(async move {
            let routed = &mut authorized.routed;
            let Received { request, exchange } = &mut routed.received;
            routed.deadline = deadline::shorten(request.headers_mut(), exchange, routed.deadline)?;
            let bearer = credential.0.wait(routed.deadline).await?;
            inner
                .call(attach(authorized, trial, &credential, bearer))
                .await
        })
    }
}

fn attach<B>(
    authorized: Authorized<B>,
    trial: Option<Trial>,
    credential: &Rc<Held>,
    bearer: Bearer,
) -> Credentialed<B> {
    let Authorized {
        routed,
        place,
        sandbox,
        organization,
    } = authorized;
    Credentialed {
        routed,
        place,
        owned: OwnedFields {
            authorization: bearer.value,
            api_key: credential.0.api_key().clone(),
            organization,
            sandbox,
        },
        generation: bearer.generation,
        leave_by: bearer.leave_by,
        successors: Rc::<Held>::clone(credential),
        trial,
    }
}

/// A credential as one worker holds it, so that requests count their hold where no other thread does.
#[derive(Debug)]
struct Held(Hold);

impl Successors for Held {
    fn bearer(&self, now: Instant) -> Option<Bearer> {
        self.0.bearer(now)
    }

    fn echoed_in(&self, fields: &HeaderMap) -> Vec<HeaderName> {
        self.0.echoed_in(fields)
    }

    fn pauses(&self) -> &Arc<Gate> {
        self.0.pauses()
    }

    fn refuse(&self, generation: u64) {
        self.0.refuse(generation);
    }

    fn successor(
        &self,
        generation: u64,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Option<Bearer>> + '_>> {
        Box::pin(self.0.successor(generation, deadline))
    }
}
