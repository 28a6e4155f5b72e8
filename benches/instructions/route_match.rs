//! What finding the route costs, by the number of routes: the path's check, the match, and the operation's name. The routes
//! differ by their paths, or have one path and differ by their hosts.

use gungraun::{library_benchmark, library_benchmark_group};
use profile_gateway::config::Settings;
use profile_gateway::context::{Identified, Identity};
use profile_gateway::route::FindRoute;
use profile_gateway::stage::Stage;

use crate::gateway;
use crate::work::{Work, work};

#[library_benchmark(setup = prepare)]
#[bench::routes_1(1)]
#[bench::routes_10(10)]
#[bench::routes_1000(1000)]
#[bench::routes_10000(10_000)]
fn find(mut work: Work) -> Work {
    work();
    work
}

#[library_benchmark(setup = prepare_hosts)]
#[bench::routes_10(10)]
#[bench::routes_1000(1000)]
#[bench::routes_10000(10_000)]
fn find_by_host(mut work: Work) -> Work {
    work();
    work
}

fn prepare(routes: usize) -> Work {
    finds(gateway::settings(routes))
}

fn prepare_hosts(routes: usize) -> Work {
    finds(gateway::settings_by_host(routes))
}

fn finds(settings: Settings) -> Work {
    let find = FindRoute::new(settings.route).expect("no two routes are alike");
    let identified = |_| Identified {
        received: gateway::received(),
        caller: Identity::ANONYMOUS,
    };
    work(identified, move |identified| find.pass(identified))
}

library_benchmark_group!(name = route_match_group, benchmarks = [find, find_by_host]);
