//! The gateway's metrics, with a handle ready for everything a request can count.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use super::operations;
use super::shadow::{Compared, Pair};
use crate::context::{PerRoute, RouteId};
use crate::error::Reason;

/// Metrics of requests. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    names: Vec<String>,
    routes: PerRoute<RouteHandles>,
    unrouted: RouteHandles,
    series: Series,
    operations: operations::Series,
    refusals: Vec<Counter>,
    adobe_errors: Family<AdobeLabels, Counter>,
    would_refuse: Family<DryRunLabels, Counter>,
    shadow: Vec<(Pair, Counter)>,
    in_flight: Gauge,
    connections: Gauge,
}

#[derive(Clone, Debug)]
struct RouteHandles {
    /// By the first digit of the status, and one for callers who went away.
    by_class: [Counter; CLASSES.len()],
    duration: Histogram,
}

/// The series that go by route, those of all plans.
#[derive(Clone, Debug)]
struct Series {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    /// The names of routes that are no more, the latest last. Written by whoever reloads, which is one at a time.
    gone: Arc<Mutex<VecDeque<String>>>,
}

/// Stands where a request took no route.
const UNROUTED: &str = "none";

/// How many routes that are no more keep their series.
pub const MOST_GONE: usize = 100;

/// Status classes; `gone` counts callers who did not wait for the answer's end.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gone"];

/// One of [`CLASSES`], by its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class(usize);

impl Class {
    /// Returns the class of a status; `None` when the caller went away first.
    pub(super) fn of(status: Option<StatusCode>) -> Self {
        // Whatever an upstream means by 600 and above, it is no success.
        let class = status.map_or(CLASSES.len(), |status| {
            usize::from(status.as_u16() / 100).min(5)
        });
        Self(class - 1)
    }

    /// Returns its place.
    pub(super) fn index(self) -> usize {
        self.0
    }

    /// Returns the word that metrics use.
    pub(super) fn as_str(self) -> &'static str {
        CLASSES.get(self.0).copied().unwrap_or(UNROUTED)
    }
}

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
struct DryRunLabels {
    reason: &'static str,
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
        let operations = operations::register(registry);
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
        let would_refuse = Family::<DryRunLabels, Counter>::default();
        registry.register(
            "profile_gateway_dry_run_refusals",
            "Requests let pass that their route would refuse if it were no dry run, by reason",
            would_refuse.clone(),
        );
        // From the beginning, so that the first one is an increase.
        for reason in [
            Reason::NotGranted,
            Reason::ProductionReadOnly,
            Reason::SandboxNotAllowed,
        ] {
            let reason = reason.meaning().code;
            would_refuse.get_or_create_owned(&DryRunLabels { reason });
        }
        let shadow = Family::<Pair, Counter>::default();
        registry.register(
            "profile_gateway_shadow_decisions",
            "Requests decided by a shadow's rules too, by what both sets of rules decided",
            shadow.clone(),
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
        let of_reason = |reason: &Reason| {
            let meaning = reason.meaning();
            refusals.get_or_create_owned(&RefusalLabels {
                reason: meaning.code,
                side: meaning.side.as_str(),
            })
        };
        let series = Series {
            requests,
            durations,
            gone: Arc::default(),
        };
        Self(Arc::new(Handles {
            names: routes.iter().map(|(_, name)| name.clone()).collect(),
            routes: series.handles_of(routes),
            unrouted: series.handles(UNROUTED),
            series,
            operations,
            refusals: Reason::ALL.iter().map(of_reason).collect(),
            adobe_errors,
            would_refuse,
            shadow: Pair::ALL
                .iter()
                .map(|pair| (*pair, shadow.get_or_create_owned(pair)))
                .collect(),
            in_flight,
            connections,
        }))
    }

    /// Returns the metrics of a plan with other routes, which count into the same ones.
    ///
    /// The series of routes that have gone stay until [`MOST_GONE`] others have gone after them: their last counts can be
    /// scraped, a route that comes back goes on counting, and however often names change, memory is bounded.
    #[must_use]
    pub fn renewed(&self, routes: &PerRoute<String>) -> Self {
        let Handles {
            names: before,
            routes: _,
            unrouted,
            series,
            operations,
            refusals,
            adobe_errors,
            would_refuse,
            shadow,
            in_flight,
            connections,
        } = &*self.0;
        let names: Vec<String> = routes.iter().map(|(_, name)| name.clone()).collect();
        let gone = before.iter().filter(|name| !names.contains(name));
        series.note_gone(gone, &names);
        Self(Arc::new(Handles {
            routes: series.handles_of(routes),
            names,
            unrouted: unrouted.clone(),
            series: series.clone(),
            operations: operations.clone(),
            refusals: refusals.clone(),
            adobe_errors: adobe_errors.clone(),
            would_refuse: would_refuse.clone(),
            shadow: shadow.clone(),
            in_flight: in_flight.clone(),
            connections: connections.clone(),
        }))
    }

    /// Returns the series by operation.
    pub(super) fn operations(&self) -> &operations::Series {
        &self.0.operations
    }

    /// Counts a request that has ended.
    pub(super) fn count(
        &self,
        route: Option<RouteId>,
        class: Class,
        reason: Option<Reason>,
        took: std::time::Duration,
    ) {
        let handles = route
            .and_then(|route| self.0.routes.get(route).ok())
            .unwrap_or(&self.0.unrouted);
        if let Some(counter) = handles.by_class.get(class.index()) {
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

    /// Counts a request that was let pass in a dry run, and would have been refused otherwise.
    pub fn count_dry_run(&self, reason: Reason) {
        let reason = reason.meaning().code;
        let labels = DryRunLabels { reason };
        self.0.would_refuse.get_or_create(&labels).inc();
    }

    /// Counts a request that a shadow's rules have decided too.
    pub(super) fn count_shadow(&self, compared: &Compared<'_>) {
        let pair = compared.pair();
        let mut all = self.0.shadow.iter();
        if let Some((_, counter)) = all.find(|(known, _)| *known == pair) {
            counter.inc();
        }
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

impl Series {
    fn handles_of(&self, routes: &PerRoute<String>) -> PerRoute<RouteHandles> {
        routes.iter().map(|(_, name)| self.handles(name)).collect()
    }

    fn handles(&self, route: &str) -> RouteHandles {
        RouteHandles {
            by_class: CLASSES
                .map(|status| self.requests.get_or_create_owned(&labels(route, status))),
            duration: self.durations.get_or_create_owned(&RouteLabels {
                route: route.to_owned(),
            }),
        }
    }

    /// Remembers the names of routes that have gone, forgets those that are there, and gives up what is too much.
    fn note_gone<'a>(&self, gone: impl Iterator<Item = &'a String>, there: &[String]) {
        let mut names = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| !there.contains(name));
        names.extend(gone.filter(|name| *name != UNROUTED).cloned());
        while names.len() > MOST_GONE {
            let Some(route) = names.pop_front() else {
                break;
            };
            for status in CLASSES {
                self.requests.remove(&labels(&route, status));
            }
            self.durations.remove(&RouteLabels { route });
        }
    }
}

fn labels(route: &str, status: &'static str) -> RequestLabels {
    RequestLabels {
        route: route.to_owned(),
        status,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(names: &[&str]) -> PerRoute<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn scraped(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn a_plan_counts_into_the_series_of_its_own_routes() {
        let mut registry = Registry::default();
        let old = Metrics::register(&mut registry, &names(&["a", "b"]));
        let new = old.renewed(&names(&["b", "c"]));
        let count = |metrics: &Metrics, route| {
            metrics.count(
                Some(RouteId(route)),
                Class::of(Some(StatusCode::OK)),
                None,
                Duration::ZERO,
            );
        };

        count(&old, 0);
        count(&old, 1);
        count(&new, 0);
        count(&new, 1);

        let text = scraped(&registry);
        for (route, counted) in [("a", 1), ("b", 2), ("c", 1)] {
            let sample = format!(
                "profile_gateway_requests_total{{route=\"{route}\",status=\"2xx\"}} {counted}\n"
            );
            assert!(text.contains(&sample), "{text}");
        }
    }

    #[test]
    fn however_often_routes_change_their_names_memory_is_bounded() {
        let mut registry = Registry::default();
        let mut metrics = Metrics::register(&mut registry, &names(&["stays", "first"]));
        for round in 0..3 * MOST_GONE {
            metrics = metrics.renewed(&names(&["stays", &format!("route-{round}")]));
        }

        let text = scraped(&registry);
        let series = text.matches("status=\"2xx\"").count();
        // Those that are there, the one for what has no route, and those that have gone.
        assert_eq!(series, 2 + 1 + MOST_GONE);
        assert!(!text.contains("first") && text.contains("route=\"stays\""));
        // One that comes back is not given up when others go.
        let back = format!("route-{}", 2 * MOST_GONE);
        for round in 0..MOST_GONE {
            metrics = metrics.renewed(&names(&[&back, &format!("other-{round}")]));
        }
        assert!(scraped(&registry).contains(&format!("route=\"{back}\"")));
    }
}
