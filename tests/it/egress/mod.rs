//! The way out: who is believed at its other end, what is shown of ourselves, and proxies on the way.

mod server;

mod certificates;
mod impostors;
mod proxies;

/// One route for everything, in a sandbox where everything is permitted.
const ROUTE: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

const PATH: &str = "/data/core/ups/config/mergePolicies";
