//! What the quotas cost, by how many there are.
//!
//! Each route has a bucket of its own, and all share their credential's, so a request draws on two. Requests go through
//! the routes in turn. Counts do not see what many buckets cost in cache misses.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use gungraun::{library_benchmark, library_benchmark_group};
use http::HeaderValue;
use profile_gateway::aep::Operation;
use profile_gateway::context::{Authorized, Identity, PlaceId, RouteId, Routed};
use profile_gateway::gate::Gate;
use profile_gateway::limit::{Limit, Quota, Settings};
use profile_gateway::stage::Stage;
use tokio::time::Instant;

use crate::gateway;
use crate::work::{Work, work};

#[library_benchmark(setup = prepare)]
#[bench::buckets_1(1)]
#[bench::buckets_100(100)]
#[bench::buckets_100000(100_000)]
fn draw(mut work: Work) -> Work {
    work();
    work
}

fn prepare(buckets: usize) -> Work {
    let ample = NonZeroU32::new(1_000_000).expect("it is not zero");
    let second = Duration::from_secs(1);
    let route = |index| Quota::rate(format!("route {index}"), ample, second, ample);
    let shared = Quota::ceiling("credential loyalty".to_owned(), ample, second);
    let settings = Settings {
        quotas: (0..buckets).map(route).chain([shared]).collect(),
        routes: (0..buckets).map(|own| vec![own]).collect(),
        places: [Some(buckets)].into_iter().collect(),
    };
    let keys = [Arc::<Gate>::default()].into_iter().collect();
    let limit = Limit::new(&settings, &keys);
    let operation = Operation::of(&http::Method::GET, gateway::PATH);
    let authorized = move |index: usize| Authorized {
        routed: Routed {
            received: gateway::received(),
            caller: Identity::ANONYMOUS,
            // A stride that is prime to all the numbers of buckets.
            route: RouteId(index * 7919 % buckets),
            operation,
            segment: None,
            deadline: Instant::now(),
        },
        place: PlaceId(0),
        sandbox: HeaderValue::from_static("prod"),
        organization: HeaderValue::from_static("0A1B2C3D4E5F60718293A4B5@AdobeOrg"),
    };
    work(authorized, move |authorized| limit.pass(authorized))
}

library_benchmark_group!(name = limiter_group, benchmarks = draw);
