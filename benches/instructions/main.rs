//! How many instructions the gateway spends: each benchmark does one thing a thousand times.
//!
//! `make bench-check` runs them and holds the counts against `benches/baseline.toml`.

#![expect(clippy::exit, reason = "gungraun's `main!` ends with a status")]
#![expect(
    clippy::panic,
    reason = "a benchmark that meets the unexpected should stop"
)]

mod access_line;
mod fields;
mod gateway;
mod head;
mod identify;
mod limiter;
mod route_match;
mod stack;
mod token;
mod upstream;
mod work;

use gungraun::main;
use tikv_jemallocator::Jemalloc;

use access_line::access_line_group;
use fields::fields_group;
use head::head_group;
use identify::identify_group;
use limiter::limiter_group;
use route_match::route_match_group;
use stack::stack_group;
use token::token_group;

/// That of the program.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

main!(
    library_benchmark_groups = [
        stack_group,
        head_group,
        identify_group,
        route_match_group,
        limiter_group,
        fields_group,
        access_line_group,
        token_group
    ]
);
