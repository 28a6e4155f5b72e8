//! Tests over real sockets, one module a part.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop, also inside its helpers"
)]

mod support;

mod authority;
mod callers;
mod doors;
mod egress;
mod explain;
mod faults;
mod forwarding;
mod grants;
mod hostile;
mod issuers;
mod life;
mod limits;
mod matrix;
mod metrics;
mod process;
mod routing;
mod shared;
mod simulator;
mod token;
mod tokens;
