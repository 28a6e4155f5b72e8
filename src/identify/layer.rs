//! The tower face of the stage.

use std::rc::Rc;

use http::HeaderName;

use super::{Known, Proofs, Settings};
use crate::context::{Identified, Received};
use crate::error::Error;
use crate::stage::{Stage, StageLayer};

/// The layer that identifies callers.
pub type IdentifyLayer = StageLayer<Identify>;

/// Identifies callers.
#[derive(Clone, Debug)]
pub struct Identify {
    known: Rc<Known>,
    /// The fields that may hold a proof at any listener.
    fields: Rc<[HeaderName]>,
}

impl Identify {
    /// Prepares the callers.
    pub fn new(settings: &Settings) -> Self {
        Self {
            known: Rc::new(Known::new(settings)),
            fields: settings.fields.iter().cloned().collect(),
        }
    }
}

impl<B> Stage<Received<B>> for Identify {
    type Out = Identified<B>;

    fn pass(&self, mut received: Received<B>) -> Result<Identified<B>, Error> {
        let connection = &received.exchange.connection;
        let headers = received.request.headers_mut();
        let proofs = Proofs::take(headers, &self.fields, &connection.accepts)?;
        let caller = self.known.identify(connection, &proofs)?;
        received.exchange.caller.set(Some(caller));
        Ok(Identified { received, caller })
    }
}
