//! What reading a token costs that is there already.

use std::sync::Arc;

use gungraun::{library_benchmark, library_benchmark_group};
use tokio::time::Instant;

use crate::gateway;
use crate::work::{Work, work};

#[library_benchmark(setup = prepare)]
#[bench::valid()]
fn read(mut work: Work) -> Work {
    work();
    work
}

fn prepare() -> Work {
    let credentials = gateway::credentials(&gateway::settings(1));
    let credential = Arc::clone(credentials.iter().next().expect("there is one"));
    work(|_| (), move |()| credential.bearer(Instant::now()))
}

library_benchmark_group!(name = token_group, benchmarks = read);
