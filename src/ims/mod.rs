//! The life of access tokens: minted at Adobe's token service, kept fresh in the background.

pub mod answer;
pub mod assertion;
pub mod claims;
pub mod grant;
pub mod keeper;
mod metrics;
pub mod mint;
pub mod schedule;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

use crate::aep::{ClientId, OrgId};
use crate::connect::{self, Dialer};
use crate::secret::Secret;

pub use grant::{Grant, Paths};
pub use keeper::{Bearer, Credential, Status};

/// The token service and the credentials it knows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the token service is reached.
    pub connect: connect::Settings,
    /// Where token calls go.
    pub paths: Paths,
    /// Time for one token call, connection included. Default 5 s.
    pub timeout: Duration,
    /// The credentials, in the order of the configuration.
    pub credentials: Vec<CredentialSettings>,
}

/// One credential of a developer project.
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
    /// How it gets tokens. Default: client credentials.
    pub grant: Grant,
    /// Whether the gateway is ready only while this credential has a usable token. Default true.
    pub required: bool,
}

/// The place of a credential in [`Settings::credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub usize);

/// The credentials, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<[Arc<Credential>]>);

impl Credentials {
    /// Makes the credentials, none of which has a token yet.
    pub fn new(settings: &Settings) -> Self {
        Self(
            settings
                .credentials
                .iter()
                .cloned()
                .map(Credential::new)
                .collect(),
        )
    }

    /// Returns the credential at `id`.
    pub fn get(&self, id: CredentialId) -> Option<&Arc<Credential>> {
        self.0.get(id.0)
    }

    /// Returns all credentials.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.0.iter()
    }

    /// Starts a task for each credential that keeps its token fresh, on the thread of `local`.
    ///
    /// The tasks end when the set is dropped. Each has connections of its own, so that a credential whose calls
    /// hang delays no other.
    pub fn keep_fresh(
        &self,
        settings: &Settings,
        dialer: &Dialer,
        local: &LocalSet,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for credential in self.0.iter() {
            let mint = mint::Mint::new(settings, dialer.clone());
            tasks.spawn_local_on(Arc::clone(credential).keep_fresh(mint), local);
        }
        tasks
    }
}

/// Returns the first `most` characters of `text` that a terminal shows and does not obey.
fn printable(text: &str, most: usize) -> String {
    text.chars()
        .filter(|character| !character.is_control() && !is_direction(*character))
        .take(most)
        .collect()
}

/// Tells whether a character changes the direction of what is written after it, by which a text can look like another.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
