//! Who calls: the first question, answered before anything is looked up.
//!
//! Callers show nothing of who they are so far, so a listener either trusts whoever reaches it or serves nobody.

mod layer;

pub use layer::{Identify, IdentifyLayer};

use crate::context::{Connection, Identity, PerCaller};
use crate::error::{Error, Reason};

/// The callers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What they are called. The first is whoever shows nothing.
    pub callers: PerCaller<String>,
}

/// Returns who calls over `connection`.
///
/// # Errors
/// [`Reason::CallerUnknown`] when the listener serves no anonymous callers.
pub fn identify(connection: &Connection) -> Result<Identity, Error> {
    if connection.anonymous {
        Ok(Identity::ANONYMOUS)
    } else {
        Err(Error::new(
            Reason::CallerUnknown,
            "this listener serves no anonymous callers",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_that_says_so_serves_anonymous_callers() {
        let address = ([127, 0, 0, 1], 1).into();
        let connection = |anonymous| Connection::new(address, address, anonymous);

        assert_eq!(identify(&connection(true)).unwrap(), Identity::ANONYMOUS);
        assert_eq!(
            identify(&connection(false)).unwrap_err().reason(),
            Reason::CallerUnknown
        );
    }
}
