//! What happens to a process, and that it goes on: the real binary, where nothing else is said.

mod descriptors;
mod disk;
mod log;
mod memory;
mod panics;
mod processor;
mod upstream;

use crate::support::running::CREDENTIAL;

/// A configuration in front of `url`, which plays both IMS and the platform, with `more`.
fn in_front_of(url: &str, more: &str) -> String {
    format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{CREDENTIAL}{more}")
}
