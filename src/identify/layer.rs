//! The tower face of the stage.

use crate::context::{Identified, Received};
use crate::error::Error;
use crate::stage::{Stage, StageLayer};

/// The layer that identifies callers.
pub type IdentifyLayer = StageLayer<Identify>;

/// Identifies callers.
#[derive(Clone, Copy, Debug)]
pub struct Identify;

impl<B> Stage<Received<B>> for Identify {
    type Out = Identified<B>;

    fn pass(&self, received: Received<B>) -> Result<Identified<B>, Error> {
        let caller = super::identify(&received.exchange.connection)?;
        received.exchange.caller.set(Some(caller));
        Ok(Identified { received, caller })
    }
}
