//! What callers get back: the outer layers, which see every request and every answer.

mod access;
mod blame;
mod in_flight;
mod panic;
mod problem;
mod request_id;

pub use access::{AccessLog, AccessLogLayer, Observed};
pub use in_flight::{InFlight, InFlightLayer, Place};
pub use panic::{CatchPanic, CatchPanicLayer};
pub use problem::{Problems, ProblemsLayer, problem};
