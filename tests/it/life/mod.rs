//! The life of the process: other configurations while it serves, and how it stops.

mod credentials;
mod exposed;
mod faults;
mod limits;
mod logs;
mod routes;
mod start;
mod stop;
mod stress;
mod upstream;

use crate::support::running::CREDENTIAL;

/// A configuration in front of `url`, which plays both IMS and the platform, with `more`.
fn configuration(url: &str, more: &str) -> String {
    format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{CREDENTIAL}{more}")
}

/// One route for everything, in a sandbox where everything is permitted.
const ALL: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
";

/// A path that [`ALL`] takes.
const PATH: &str = "/data/core/ups/config/mergePolicies";
