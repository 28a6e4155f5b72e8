//! Attaches the four fields: token, API key, organisation, sandbox.

mod layer;

pub use layer::{AttachCredentials, AttachCredentialsLayer};

use crate::context::PerRoute;
use crate::ims::CredentialId;

/// Which credential each route uses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One credential a route.
    pub routes: PerRoute<CredentialId>,
}
