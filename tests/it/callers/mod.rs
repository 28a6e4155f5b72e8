//! Who calls, and where that lets them work.

mod audit;
mod certificates;
mod confined;
mod forged;
mod keys;
mod sandboxes;
mod shadow;
mod tokens;

use profile_gateway::identify::KeyDigest;

use crate::support::adobe::Adobe;
use crate::support::raw::{Answer, exchange, get};
use crate::support::running::{CREDENTIAL, LOOKUP, Running};

/// Starts a process in front of `adobe` with `more` configuration.
fn running(adobe: &Adobe, more: &str) -> Running {
    Running::start(&configuration(adobe, more), &[])
}

fn configuration(adobe: &Adobe, more: &str) -> String {
    let url = adobe.url();
    format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{CREDENTIAL}{more}")
}

/// Asks with more fields, again while there is no token yet.
fn ask(running: &Running, fields: &str) -> Answer {
    loop {
        let answer = exchange(running.address, get(LOOKUP, fields));
        if answer.status != 503 {
            return answer;
        }
    }
}

fn digest(key: &str) -> String {
    KeyDigest::of(key.as_bytes()).to_string()
}
