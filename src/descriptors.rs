//! How many descriptors the process may have, and who gets how many, so that none takes those that others serve with.
//!
//! Of sixteen parts the process itself and its callers have seven. Connections to the upstream have four, and four more while
//! a new configuration replaces them. One is left for token calls, operators and files, and more than that where there are many.

use std::num::NonZeroUsize;
use std::os::fd::RawFd;

use rustix::process::{Resource, getrlimit};

/// The descriptors the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors(RawFd);

impl Descriptors {
    /// Asks the system.
    pub fn of_process() -> Self {
        Self::of(getrlimit(Resource::Nofile).current)
    }

    fn of(limit: Option<u64>) -> Self {
        let limit = limit.and_then(|limit| RawFd::try_from(limit).ok());
        Self(limit.unwrap_or(RawFd::MAX))
    }

    /// Returns the first number that a caller's socket should not have.
    ///
    /// The system gives out the lowest that is free, so that the number of the latest tells how many are in use.
    pub fn end_of_callers(self) -> RawFd {
        let Self(limit) = self;
        limit - (limit / 16 * 9).min(2 * MOST_UPSTREAM + OTHERS)
    }

    /// Returns how many callers a listener may have, whatever the others use.
    pub fn least_callers(self) -> usize {
        usize::try_from(self.0 / 8).unwrap_or_default().max(1)
    }

    /// Returns the most connections to the upstream.
    pub fn for_upstream(self) -> NonZeroUsize {
        let quarter = usize::try_from((self.0 / 4).min(MOST_UPSTREAM)).unwrap_or_default();
        NonZeroUsize::new(quarter).unwrap_or(NonZeroUsize::MIN)
    }
}

/// Connections to the upstream, however many descriptors there are.
const MOST_UPSTREAM: RawFd = 8192;

/// What callers leave to everybody but the upstream, where there are many.
const OTHERS: RawFd = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_the_upstream_its_connections_twice_and_something_to_everybody_else() {
        for (limit, end, least, upstream) in [
            (Some(1), 1, 1, 1),
            (Some(64), 28, 8, 16),
            (Some(1024), 448, 128, 256),
            (Some(65_536), 48_640, 8192, 8192),
            (Some(u64::MAX), RawFd::MAX - 16_896, 268_435_455, 8192),
            (None, RawFd::MAX - 16_896, 268_435_455, 8192),
        ] {
            let descriptors = Descriptors::of(limit);
            let shares = (
                descriptors.end_of_callers(),
                descriptors.least_callers(),
                descriptors.for_upstream().get(),
            );
            assert_eq!(shares, (end, least, upstream), "{limit:?}");
        }
    }
}
