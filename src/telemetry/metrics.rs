//! The gateway's metrics, with a handle ready for everything a request can count.

use std::sync::Arc;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use crate::context::{PerRoute, RouteId};
use crate::error::Reason;

/// Metrics of requests. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    routes: PerRoute<RouteHandles>,
    unrouted: RouteHandles,
    refusals: Vec<Counter>,
    adobe_errors: Family<AdobeLabels, Counter>,
    in_flight: Gauge,
    connections: Gauge,
}

#[derive(Debug)]
struct RouteHandles {
    /// By the first digit of the status, and one for callers who went away.
    by_class: [Counter; CLASSES.len()],
    duration: Histogram,
}

/// Status classes; `gone` counts callers who did not wait for the answer's end.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gone"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
    side: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AdobeLabels {
    side: &'static str,
    status: &'static str,
}

impl Metrics {
    /// Registers the metrics, with labels for the routes named.
    pub fn register(registry: &mut Registry, routes: &PerRoute<String>) -> Self {
        registry.register(
            "profile_gateway_build",
            "The version that is running",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register(
            "profile_gateway_requests",
            "Requests answered, by route and status class; gone: the caller left before the end",
            requests.clone(),
        );
        let durations = Family::<RouteLabels, Histogram>::default();
        registry.register(
            "profile_gateway_request_duration_seconds",
            "From the end of the request head to the end of the answer",
            durations.clone(),
        );
        let refusals = Family::<RefusalLabels, Counter>::default();
        registry.register(
            "profile_gateway_failures",
            "Requests that did not get Adobe's whole answer, by reason and side at fault",
            refusals.clone(),
        );
        let adobe_errors = Family::<AdobeLabels, Counter>::default();
        registry.register(
            "profile_gateway_adobe_errors",
            "Error answers passed on, by the part of Adobe they came from",
            adobe_errors.clone(),
        );
        let in_flight = Gauge::default();
        registry.register(
            "profile_gateway_requests_in_flight",
            "Requests whose answer has not ended",
            in_flight.clone(),
        );
        let connections = Gauge::default();
        registry.register(
            "profile_gateway_connections",
            "Open connections from callers",
            connections.clone(),
        );

        let handles = |route: &str| RouteHandles {
            by_class: CLASSES.map(|status| {
                requests.get_or_create_owned(&RequestLabels {
                    route: route.to_owned(),
                    status,
                })
            }),
            duration: durations.get_or_create_owned(&RouteLabels {
                route: route.to_owned(),
            }),
        };
        let of_reason = |reason: &Reason| {
            let meaning = reason.meaning();
            refusals.get_or_create_owned(&RefusalLabels {
                reason: meaning.code,
                side: meaning.side.as_str(),
            })
        };
        Self(Arc::new(Handles {
            routes: routes.iter().map(|(_, name)| handles(name)).collect(),
            unrouted: handles("none"),
            refusals: Reason::ALL.iter().map(of_reason).collect(),
            adobe_errors,
            in_flight,
            connections,
        }))
    }

    /// Counts a request that has ended. `status` is `None` when the caller went away first.
    pub fn count(
        &self,
        route: Option<RouteId>,
        status: Option<StatusCode>,
        reason: Option<Reason>,
        took: std::time::Duration,
    ) {
        let handles = route
            .and_then(|route| self.0.routes.get(route).ok())
            .unwrap_or(&self.0.unrouted);
        // Whatever an upstream means by 600 and above, it is no success.
        let class = status.map_or(CLASSES.len(), |status| {
            usize::from(status.as_u16() / 100).min(5)
        }) - 1;
        if let Some(counter) = handles.by_class.get(class) {
            counter.inc();
        }
        handles.duration.observe(took);
        if let Some(counter) = reason.and_then(|reason| self.0.refusals.get(reason.index())) {
            counter.inc();
        }
    }

    /// Counts an error answer of Adobe's. These are rare enough to look their counter up.
    pub fn count_blame(&self, side: &'static str, status: Option<StatusCode>) {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        let status = CLASSES
            .get(class.wrapping_sub(1))
            .copied()
            .unwrap_or("none");
        self.0
            .adobe_errors
            .get_or_create(&AdobeLabels { side, status })
            .inc();
    }

    /// Returns the gauge of requests in flight.
    pub fn in_flight(&self) -> &Gauge {
        &self.0.in_flight
    }

    /// Returns the gauge of open connections.
    pub fn connections(&self) -> &Gauge {
        &self.0.connections
    }
}
