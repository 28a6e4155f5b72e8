//! What judging the bytes of a request head costs, before hyper reads them.

use std::time::Duration;

use gungraun::{library_benchmark, library_benchmark_group};
use profile_gateway::listener::{Limits, guard};

use crate::work::{Work, work};
use crate::{gateway, upstream};

#[library_benchmark(setup = prepare)]
#[bench::lookup()]
fn judge(mut work: Work) -> Work {
    work();
    work
}

fn prepare() -> Work {
    let limits = Limits {
        head_bytes: 32 * 1024,
        fields: 100,
        target_bytes: 16 * 1024,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_mins(1),
        connections: 4096,
    };
    let local = ([127, 0, 0, 1], 8080).into();
    let head = upstream::message(
        &format!("GET {} HTTP/1.1", gateway::TARGET),
        &gateway::fields(),
    );
    work(
        |_| (),
        move |()| {
            let judged = guard::check(&head, &limits, local).expect("the head may pass");
            judged.expect("the head is whole").bytes
        },
    )
}

library_benchmark_group!(name = head_group, benchmarks = judge);
