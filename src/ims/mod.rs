//! The life of access tokens: minted at Adobe's token service, kept fresh in the background.

use std::time::Duration;

use crate::aep::{ClientId, OrgId};
use crate::connect;
use crate::secret::Secret;

/// The token service and the credentials it knows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the token service is reached.
    pub connect: connect::Settings,
    /// The path of the token call. Default `/ims/token/v3`.
    pub token_path: String,
    /// Time for one token call, connection included. Default 5 s.
    pub timeout: Duration,
    /// The credentials, in the order of the configuration.
    pub credentials: Vec<CredentialSettings>,
}

/// One OAuth server-to-server credential of a developer project.
#[derive(Clone, Debug)]
pub struct CredentialSettings {
    /// The name configuration gives it.
    pub name: String,
    /// The organisation it belongs to.
    pub organization: OrgId,
    /// The client id, which is also the API key.
    pub client_id: ClientId,
    /// One or two client secrets, tried in order.
    pub client_secrets: Vec<Secret>,
    /// The scopes, comma-separated as the developer console shows them.
    pub scopes: String,
}

/// The place of a credential in [`Settings::credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub usize);
