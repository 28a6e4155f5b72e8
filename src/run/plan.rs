//! From settings to what the workers' stacks are made from: at the start, and from one configuration to the next.

use std::num::NonZeroUsize;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::StartError;
use crate::authorize::Place;
use crate::config::Settings;
use crate::connect::{self, Dialer};
use crate::context::{PerCaller, PerPlace, PerRoute};
use crate::descriptors::Descriptors;
use crate::error::{Error, Reason};
use crate::forward;
use crate::gate::Gate;
use crate::gateway::{Plan, PlanError};
use crate::ims::{CredentialId, Credentials};
use crate::issuers::Issuers;
use crate::limit::Limit;
use crate::respond::InFlightLayer;
use crate::telemetry::{Labels, Metrics, Named};

/// Makes what the workers' stacks are made from, with metrics in `registry`.
///
/// # Errors
/// [`StartError::Connect`].
pub fn plan(
    settings: &Settings,
    credentials: Credentials,
    registry: &mut Registry,
) -> Result<Plan, StartError> {
    let metrics = Metrics::register(registry, &names(settings));
    let in_flight = metrics.in_flight().clone();
    let upstream = upstream(settings, settings.workers);
    warn_of_few_descriptors(&settings.upstream);
    let lasting = Lasting {
        echoes: forward::Echoes::register(registry),
        issuers: Issuers::new(&settings.issuers)?,
        in_flight: InFlightLayer::new(settings.in_flight.get(), in_flight),
        limit: Limit::new(&settings.limit, &pauses(settings, &credentials)?),
        retries: forward::retry::Counts::register(registry),
        metrics,
        upstream: dialer(upstream)?,
    };
    Ok(lasting.plan(settings, credentials, settings.workers))
}

/// Makes the plan of other settings. What has not changed goes on from `before`: connections to the upstream, what is
/// spent of quotas, what is in flight, and all counts.
///
/// # Errors
/// When it cannot be made; nothing has changed then.
pub(super) fn next(
    settings: &Settings,
    credentials: Credentials,
    before: &Plan,
    workers: NonZeroUsize,
) -> Result<Plan, StartError> {
    let upstream = upstream(settings, workers);
    let upstream = if upstream == *before.upstream.settings() {
        before.upstream.clone()
    } else {
        warn_of_few_descriptors(&settings.upstream);
        dialer(upstream)?
    };
    let lasting = Lasting {
        echoes: before.echoes.clone(),
        issuers: before.issuers.renewed(&settings.issuers)?,
        in_flight: before.in_flight.with_most(settings.in_flight.get()),
        limit: before
            .limit
            .renewed(&settings.limit, &pauses(settings, &credentials)?),
        retries: before.retries.clone(),
        metrics: before.metrics.clone(),
        upstream,
    };
    let plan = lasting.plan(settings, credentials, workers);
    plan.check()?;
    // Last, since it makes series that a plan which is refused must not leave behind.
    let metrics = before.metrics.renewed(&names(settings));
    Ok(Plan {
        identify: settings.identify.clone().after(&before.identify),
        metrics,
        ..plan
    })
}

/// What goes on from one plan to the next.
struct Lasting {
    echoes: forward::Echoes,
    in_flight: InFlightLayer,
    issuers: Issuers,
    limit: Limit,
    metrics: Metrics,
    retries: forward::retry::Counts,
    upstream: Dialer,
}

impl Lasting {
    fn plan(self, settings: &Settings, credentials: Credentials, workers: NonZeroUsize) -> Plan {
        let Self {
            echoes,
            in_flight,
            issuers,
            limit,
            metrics,
            retries,
            upstream,
        } = self;
        Plan {
            audit: settings.audit.clone(),
            authorize: settings.authorize.clone(),
            callers: callers(settings),
            credential_of: settings.credentials.clone(),
            echoes,
            forward: forward::Settings {
                retries: settings.forward.retries.divided(workers),
                ..settings.forward.clone()
            },
            identify: settings.identify.clone(),
            in_flight,
            issuers,
            limit,
            metrics,
            places: places(settings, &credentials),
            retries,
            routes: names(settings)
                .iter()
                .map(|(_, name)| Named::route(name.clone()))
                .collect(),
            route: settings.route.clone(),
            shadow: settings.shadow.clone(),
            upstream,
            credentials,
        }
    }
}

/// Returns the gates of the API keys that are used in the places.
fn pauses(
    settings: &Settings,
    credentials: &Credentials,
) -> Result<PerPlace<Arc<Gate>>, PlanError> {
    let gate = |id: CredentialId| -> Result<_, Error> {
        let missing = || {
            Error::new(
                Reason::Internal,
                "a place names a credential that does not exist",
            )
        };
        let credential = credentials.get(id).ok_or_else(missing)?;
        Ok(Arc::clone(credential.pauses()))
    };
    let places = settings.credentials.places.iter();
    Ok(places
        .map(|(_, id)| gate(*id))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect())
}

/// Returns the settings of one worker's connections to the upstream: all have no more than there are descriptors for, and each
/// has one.
fn upstream(settings: &Settings, workers: NonZeroUsize) -> connect::Settings {
    let most = Descriptors::of_process().for_upstream();
    let upstream = connect::Settings {
        connections: settings.upstream.connections.min(most),
        ..settings.upstream.clone()
    };
    upstream.divided(workers)
}

fn warn_of_few_descriptors(upstream: &connect::Settings) {
    let configured = upstream.connections;
    let most = Descriptors::of_process().for_upstream();
    if configured > most {
        tracing::warn!(
            %configured,
            %most,
            "the process may have too few open files for as many connections to the upstream; fewer are made"
        );
    }
}

fn callers(settings: &Settings) -> PerCaller<Named> {
    let callers = settings.identify.callers.iter();
    callers
        .map(|(_, caller)| Named::caller(caller.name.clone()))
        .collect()
}

fn places(settings: &Settings, credentials: &Credentials) -> PerPlace<Labels> {
    let places = settings.authorize.places.iter();
    let places = places.zip(settings.credentials.places.iter());
    let label = |((_, place), (_, credential)): ((_, &Place), (_, &CredentialId))| {
        let credential = credentials.get(*credential);
        let credential = credential.map(|credential| credential.name().to_owned());
        let organization = place.organization.as_str().to_owned();
        Labels::new(
            place.sandbox.clone(),
            credential.unwrap_or_default(),
            organization,
        )
    };
    places.map(label).collect()
}

fn names(settings: &Settings) -> PerRoute<String> {
    let rules = settings.route.routes.iter();
    rules.map(|rule| rule.name.clone()).collect()
}

pub(super) fn dialer(settings: connect::Settings) -> Result<Dialer, StartError> {
    let origin = settings.origin.to_string();
    Dialer::new(settings).map_err(|source| StartError::Connect { origin, source })
}
