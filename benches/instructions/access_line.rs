//! What writing a request down costs: its metrics and its line in the access log, in both forms.

use std::io;
use std::rc::Rc;

use gungraun::{library_benchmark, library_benchmark_group};
use http::StatusCode;
use profile_gateway::aep::Operation;
use profile_gateway::context::{Identity, PerPlace, PerRoute, PlaceId, RouteId};
use profile_gateway::telemetry::{Labels, Lines, Metrics, Named, Names, Outcome, Recorder, Sink};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::gateway;
use crate::work::{Work, work};

#[library_benchmark(setup = prepare)]
#[bench::json(true)]
#[bench::text(false)]
fn record(mut work: Work) -> Work {
    work();
    work
}

fn prepare(json: bool) -> Work {
    let names = ["lookups".to_owned()].into_iter().collect::<PerRoute<_>>();
    let (sink, writing) = Sink::start(io::sink()).expect("a thread can be started");
    let recorder = Recorder::new(
        Some(Lines::new(sink)),
        json,
        Names {
            callers: only(Named::caller("anonymous".to_owned())),
            routes: only(Named::route("lookups".to_owned())),
            places: only(Labels::new(
                "prod".to_owned(),
                "loyalty".to_owned(),
                String::new(),
            )),
            shadow: Rc::new(PerPlace::from_iter([])),
        },
        Metrics::register(&mut Registry::default(), &names),
    );
    let outcome = Outcome {
        status: Some(StatusCode::OK),
        response_bytes: 1021,
        complete: true,
        blame: None,
    };
    let operation = Operation::of(&http::Method::GET, gateway::PATH);
    let ended = move |_| {
        let exchange = gateway::received().exchange;
        exchange.caller.set(Some(Identity::ANONYMOUS));
        exchange.route.set(Some(RouteId(0)));
        exchange.place.set(Some(PlaceId(0)));
        exchange.operation.set(Some(operation));
        exchange.upstream_head.set(Some(Instant::now()));
        exchange
    };
    work(ended, move |exchange| {
        recorder.record(&exchange, &outcome);
        let _ = &writing;
        exchange
    })
}

library_benchmark_group!(name = access_line_group, benchmarks = record);

/// Makes a table of one entry.
fn only<T, Table: FromIterator<T>>(entry: T) -> Rc<Table> {
    Rc::new([entry].into_iter().collect())
}
