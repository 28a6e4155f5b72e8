//! How many descriptors the process may have, and who gets how many, so that none takes those that others serve with.

use std::num::NonZeroUsize;
use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
        self.0 - RESERVED.min(self.0 / 2)
    }

    /// Returns the most connections to the upstream: a quarter, so that token calls, operators and files have some left.
    pub fn for_upstream(self) -> NonZeroUsize {
        let quarter = usize::try_from(self.0 / 4).unwrap_or_default();
        NonZeroUsize::new(quarter).unwrap_or(NonZeroUsize::MIN)
    }
}

/// Lets the process have as many descriptors as it may allow itself: what it is started with is often less, for the sake of
/// programs that cannot do with more.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

/// What callers leave to everybody else, unless it were more than half.
const RESERVED: RawFd = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_few_and_most_of_many_are_for_callers_and_a_quarter_for_the_upstream() {
        for (limit, callers, upstream) in [
            (Some(1), 1, 1),
            (Some(64), 32, 16),
            (Some(1024), 512, 256),
            (Some(65_536), 65_024, 16_384),
            (Some(u64::MAX), RawFd::MAX - 512, 536_870_911),
            (None, RawFd::MAX - 512, 536_870_911),
        ] {
            let descriptors = Descriptors::of(limit);
            let shares = (
                descriptors.end_of_callers(),
                descriptors.for_upstream().get(),
            );
            assert_eq!(shares, (callers, upstream), "{limit:?}");
        }
    }
}
