//! What arrives at Adobe and what comes back: byte for byte where it is the caller's, rebuilt where it is the connection's.

mod shapes;

mod requests;
mod fields;
mod answers;
mod links;
mod withheld;
mod streaming;
mod faults;
mod retries;
mod pauses;
mod breaker;
mod deadlines;
mod connections;
mod tls;

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::gateway::Gateway;

/// One route for everything, in a sandbox where everything is permitted.
const ROUTE: &str = "
routes:
  - name: all
    match: { path: '/data/core/{*rest}' }
    sandbox: dev-2
";

const PATH: &str = "/data/core/ups/config/mergePolicies";

fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Adobe, Gateway) {
    let adobe = Adobe::start(script);
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    (adobe, gateway)
}

/// Answers by the number in the target's query.
fn by_number(answers: &'static [&'static [u8]]) -> impl Fn(&Seen) -> Act + Send + Sync {
    move |seen| match number(seen).and_then(|number| answers.get(number)) {
        Some(answer) => Act::Answer(answer.to_vec()),
        None => Act::echo(seen),
    }
}

fn number(seen: &Seen) -> Option<usize> {
    seen.target().split_once("?answer=")?.1.parse().ok()
}

fn numbered(number: usize) -> String {
    format!("{PATH}?answer={number}")
}
