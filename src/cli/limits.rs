//! What the process may use of the system.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process have as many descriptors as it may allow itself: what it is started with is often less, for the sake of
/// programs that cannot do with more.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    // More than the system lets any process have is refused, also where the hard limit is more.
    let of_system = fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let of_system = of_system.and_then(|number| number.trim().parse().ok());
    let candidates = [limit.maximum, of_system];
    let raised = candidates.into_iter().any(|current| {
        let rises = current > limit.current || current.is_none();
        rises && setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok()
    });
    if !raised {
        tracing::info!(limit = ?limit.current, "the limit on open files stays as it is");
    }
}
