//! What a lookup costs in the whole stack, by the number of routes, and with a shadow beside them.
//!
//! Everything between the caller's connection and the upstream's socket is in it: the stack of `gateway.rs`, the pool,
//! hyper's client and the access line. So is the stand-in for the upstream; `upstream_alone` shows its share.

use gungraun::{library_benchmark, library_benchmark_group};

use crate::gateway;
use crate::upstream;
use crate::work::Work;

#[library_benchmark(setup = gateway::lookups)]
#[bench::routes_1(1)]
#[bench::routes_10(10)]
#[bench::routes_1000(1000)]
fn lookup(mut work: Work) -> Work {
    work();
    work
}

#[library_benchmark(setup = gateway::shadowed_lookups)]
#[bench::routes_10(10)]
fn shadowed_lookup(mut work: Work) -> Work {
    work();
    work
}

#[library_benchmark(setup = upstream::calls)]
#[bench::raw_bytes()]
fn upstream_alone(mut work: Work) -> Work {
    work();
    work
}

library_benchmark_group!(
    name = stack_group,
    benchmarks = [lookup, shadowed_lookup, upstream_alone]
);
