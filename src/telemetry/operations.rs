//! What is counted by operation, with a handle ready for each one that has been asked for.

use std::cell::RefCell;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metrics::{CLASSES, Class};
use crate::aep::Operation;

/// The series by operation, those of all workers. There is one for each operation and status class that has been counted:
/// how many there can be is for the configurations to say, not for callers.
pub(super) type Series = Family<Labels, Counter>;

/// The labels of one series.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Labels {
    operation: &'static str,
    kind: &'static str,
    status: &'static str,
}

/// Registers the series.
pub(super) fn register(registry: &mut Registry) -> Series {
    let series = Series::default();
    registry.register(
        "profile_gateway_operations",
        "Requests that took a route, by operation and status class; gone: the caller left before the end",
        series.clone(),
    );
    series
}

/// Counts by operation, for one worker.
#[derive(Debug)]
pub(super) struct Operations {
    series: Series,
    /// Few operations are asked for, so that looking through all of them takes less time than a hash.
    handles: RefCell<Vec<(&'static Operation, ByClass)>>,
}

type ByClass = [Option<Counter>; CLASSES.len()];

impl Operations {
    /// Counts into `series`.
    pub(super) fn new(series: Series) -> Self {
        Self {
            series,
            handles: RefCell::default(),
        }
    }

    /// Counts a request that has ended.
    pub(super) fn count(&self, operation: &'static Operation, class: Class) {
        let mut handles = self.handles.borrow_mut();
        let known = handles.iter_mut();
        let mut same = known.filter(|(known, _)| std::ptr::eq(*known, operation));
        if let Some((_, handles)) = same.next() {
            self.handle(operation, class, handles);
        } else {
            let mut new = ByClass::default();
            self.handle(operation, class, &mut new);
            handles.push((operation, new));
        }
    }

    fn handle(&self, operation: &'static Operation, class: Class, handles: &mut ByClass) {
        let Some(handle) = handles.get_mut(class.index()) else {
            return;
        };
        let labels = || Labels {
            operation: operation.name,
            kind: operation.kind.as_str(),
            status: class.as_str(),
        };
        let counter = handle.get_or_insert_with(|| self.series.get_or_create_owned(&labels()));
        counter.inc();
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    #[test]
    fn workers_count_operations_together_and_rows_of_one_name_by_what_they_do() {
        let mut registry = Registry::default();
        let series = register(&mut registry);
        let workers = [Operations::new(series.clone()), Operations::new(series)];
        let jobs = "/data/core/ups/export/jobs/1";
        for (method, status) in [
            (Method::GET, Some(StatusCode::OK)),
            (Method::GET, Some(StatusCode::NOT_FOUND)),
            (Method::DELETE, None),
        ] {
            for worker in &workers {
                worker.count(Operation::of(&method, jobs), Class::of(status));
            }
        }

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();

        for (labels, counted) in [
            ("operation=\"exports.read\",kind=\"read\",status=\"2xx\"", 2),
            ("operation=\"exports.read\",kind=\"read\",status=\"4xx\"", 2),
            (
                "operation=\"exports.delete\",kind=\"delete\",status=\"gone\"",
                2,
            ),
        ] {
            let sample = format!("profile_gateway_operations_total{{{labels}}} {counted}\n");
            assert!(text.contains(&sample), "{text}");
        }
        assert_eq!(text.matches("operations_total{").count(), 3);
    }
}
