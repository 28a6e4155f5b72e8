//! How many descriptors the process may have, and who gets how many, so that none takes those that others serve with.
//!
//! Callers leave what connections to the upstream take, twice, since a new configuration may replace them, and something for
//! token calls, operators and files. Of few descriptors callers and the process itself have seven parts of sixteen, and the
//! upstream twice four.

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

    /// Returns the first number that a caller's socket should not have, where there are `upstream` connections to the upstream.
    ///
    /// The system gives out the lowest that is free, so that the number of the latest tells how many are in use.
    pub fn end_of_callers(self, upstream: usize) -> RawFd {
        let Self(limit) = self;
        let upstream = RawFd::try_from(upstream)
            .unwrap_or(RawFd::MAX)
            .min(limit / 4);
        limit - (limit / 16 * 9).min((2 * upstream).saturating_add(OTHERS))
    }

    /// Returns how many callers a listener may have, whatever the others use.
    pub fn least_callers(self) -> usize {
        usize::try_from(self.0 / 8).unwrap_or_default().max(1)
    }

    /// Returns the most connections to the upstream.
    pub fn for_upstream(self) -> NonZeroUsize {
        let quarter = usize::try_from(self.0 / 4).unwrap_or_default();
        NonZeroUsize::new(quarter).unwrap_or(NonZeroUsize::MIN)
    }
}

/// What callers leave to everybody but the upstream, where there are many.
const OTHERS: RawFd = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_the_upstream_its_connections_twice_and_something_to_everybody_else() {
        for (limit, configured, end, least, upstream) in [
            (Some(1), 256, 1, 1, 1),
            (Some(64), 256, 28, 8, 16),
            (Some(1024), 256, 448, 128, 256),
            (Some(4096), 1000, 1792, 512, 1024),
            (Some(20_000), 256, 18_976, 2500, 5000),
            (Some(65_536), usize::MAX, 32_256, 8192, 16_384),
            (
                Some(u64::MAX),
                256,
                RawFd::MAX - 1024,
                268_435_455,
                536_870_911,
            ),
            (None, 256, RawFd::MAX - 1024, 268_435_455, 536_870_911),
        ] {
            let descriptors = Descriptors::of(limit);
            let shares = (
                descriptors.end_of_callers(configured),
                descriptors.least_callers(),
                descriptors.for_upstream().get(),
            );
            assert_eq!(shares, (end, least, upstream), "{limit:?}");
        }
    }
}
