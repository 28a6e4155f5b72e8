//! The whole path of a request on one page.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::{Service, ServiceBuilder};

use crate::authorize::{self, Authorize, AuthorizeLayer};
use crate::connect::{Dialer, Pool};
use crate::context::{Inbound, PerCaller, PerPlace, PerRoute};
use crate::credentials::{self, AttachCredentialsLayer};
use crate::error::{Error, Source};
use crate::explain::shadow::{self, ShadowLayer};
use crate::forward::{self, Forward, Upload};
use crate::identify::{self, IdentifyLayer};
use crate::ims::Credentials;
use crate::issuers::Issuers;
use crate::limit::{Limit, LimitLayer};
use crate::respond::{AccessLogLayer, CatchPanicLayer, InFlightLayer, ProblemsLayer};
use crate::route::{self, FindRoute, RouteLayer};
use crate::telemetry::{Labels, Metrics, Named, Names, Recorder, audit};

/// Everything the stack is made from. Workers share it and make a stack each.
///
/// Tables of one plan belong together: a [`crate::context::RouteId`] of one means nothing in another.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How requests are audited, if they are.
    pub audit: Option<audit::Settings>,
    /// What each route permits.
    pub authorize: authorize::Settings,
    /// Which credential is used in each place.
    pub credential_of: credentials::Settings,
    /// The credentials, kept fresh on the control thread.
    pub credentials: Credentials,
    /// What is counted of answers that gave a credential away, by all workers.
    pub echoes: forward::Echoes,
    /// How requests are passed on.
    pub forward: forward::Settings,
    /// The callers.
    pub identify: identify::Settings,
    /// The bound on requests in flight, shared by all workers.
    pub in_flight: InFlightLayer,
    /// Who signs the tokens of callers, with keys that are kept fresh on the control thread.
    pub issuers: Issuers,
    /// What callers are called in logs.
    pub callers: PerCaller<Named>,
    /// What places are called in logs.
    pub places: PerPlace<Labels>,
    /// What routes are called in logs.
    pub routes: PerRoute<Named>,
    /// The quotas, drawn on by all workers.
    pub limit: Limit,
    /// The metrics, counted into by all workers.
    pub metrics: Metrics,
    /// What is counted of requests that go out again, by all workers.
    pub retries: forward::retry::Counts,
    /// The routes.
    pub route: route::Settings,
    /// The rules that are only looked at, if there are any.
    pub shadow: Option<Arc<shadow::Settings>>,
    /// Opens connections to the upstream.
    pub upstream: Dialer,
}

impl Plan {
    /// Returns a worker's own copy of what callers and routes are called.
    pub fn names(&self) -> Names {
        Names {
            callers: Rc::new(self.callers.clone()),
            places: Rc::new(self.places.clone()),
            routes: Rc::new(self.routes.clone()),
            shadow: Rc::new(match &self.shadow {
                Some(shadow) => shadow.places.clone(),
                None => PerPlace::from_iter([]),
            }),
        }
    }

    /// Tells whether stacks can be made from it, which [`stack`] can say only where one is used.
    ///
    /// # Errors
    /// When the plan's tables do not fit together.
    pub fn check(&self) -> Result<(), PlanError> {
        FindRoute::new(self.route.clone())?;
        AttachCredentialsLayer::new(&self.credential_of, &self.credentials)?;
        ShadowLayer::new(self.shadow.as_deref())?;
        Ok(())
    }
}

/// Makes one worker's stack, outermost layer first.
///
/// Each stage takes the type the one above it makes, so a stage left out or moved does not compile:
///
/// ```
/// # use profile_gateway::{context::Identified, route::FindRoute, stage::Stage};
/// fn takes<In, T: Stage<In>>(_: &T) {}
/// fn after_identify(route: &FindRoute) {
///     takes::<Identified<()>, _>(route);
/// }
/// ```
/// ```compile_fail,E0277
/// # use profile_gateway::{context::Received, route::FindRoute, stage::Stage};
/// # fn takes<In, T: Stage<In>>(_: &T) {}
/// fn without_identify(route: &FindRoute) {
///     takes::<Received<()>, _>(route);
/// }
/// ```
///
/// # Errors
/// When the plan's tables do not fit together.
pub fn stack<B>(
    plan: &Plan,
    pool: Pool<Upload<B>>,
    recorder: Rc<Recorder>,
) -> Result<
    impl Service<
        Inbound<B>,
        Response = Response<impl Body<Data = Bytes, Error = Error> + use<B>>,
        Error = Infallible,
    > + Clone
    + use<B>,
    PlanError,
>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Source>,
{
    Ok(ServiceBuilder::new()
        // Outermost, so that every request has an id and a line in the log, and the line is written when the last
        // byte has gone: Inbound → Opened.
        .layer(AccessLogLayer::new(recorder))
        // Below here a failure is a value; here it becomes an answer: Opened → Received.
        .layer(ProblemsLayer)
        // A panic costs its own request and no other.
        .layer(CatchPanicLayer)
        // Before any work, since it protects what does the work; held until the answer's last byte.
        .layer(plan.in_flight.clone())
        // Who calls comes first: everything granted is granted to somebody. Received → Identified.
        .layer(IdentifyLayer::new(&plan.identify, &plan.issuers))
        // Before the path is rewritten, and with a caller to decide for: other rules decide too, and change nothing.
        .layer(ShadowLayer::new(plan.shadow.as_deref())?)
        // The canonical path decides the route, the operation and the deadline. Identified → Routed.
        .layer(RouteLayer::new(Rc::new(FindRoute::new(
            plan.route.clone(),
        )?)))
        // Before the limits: what is not permitted costs no quota. Routed → Authorized.
        .layer(AuthorizeLayer::new(Rc::new(Authorize::new(
            &plan.authorize,
        ))))
        // Before the credentials: what waits for a token has been admitted. Authorized → Admitted.
        .layer(LimitLayer::new(Rc::new(plan.limit.clone())))
        // Last, so that the token is as fresh as it can be. Admitted → Credentialed.
        .layer(AttachCredentialsLayer::new(
            &plan.credential_of,
            &plan.credentials,
        )?)
        // Strips what is not ours, checks the four fields once more, sends, and streams the answer back.
        .service(Forward::new(
            plan.forward.clone(),
            pool,
            Rc::new(plan.limit.clone()),
            plan.retries.clone(),
            plan.echoes.clone(),
        )))
}

/// A plan's tables do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Two routes match the same requests.
    #[error(transparent)]
    Tie(#[from] Box<route::Tie>),
    /// A route names what does not exist.
    #[error(transparent)]
    Missing(#[from] Error),
}
