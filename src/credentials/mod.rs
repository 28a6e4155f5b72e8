//! Attaches the four fields: token, API key, organisation, sandbox.

mod layer;

pub use layer::{AttachCredentials, AttachCredentialsLayer};

use crate::context::PerPlace;
use crate::ims::CredentialId;

/// Which credential is used in each place.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One credential a place.
    pub places: PerPlace<CredentialId>,
}
