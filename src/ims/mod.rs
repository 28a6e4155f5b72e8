//! The life of access tokens: minted at Adobe's token service, kept fresh in the background.

pub mod answer;
pub mod assertion;
pub mod claims;
pub mod credential;
mod fingerprint;
pub mod fleet;
pub mod grant;
pub mod keeper;
mod metrics;
pub mod mint;
mod minter;
pub mod refusals;
pub mod schedule;
mod status;
mod token;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::aep::{ClientId, OrgId};
use crate::connect::{self, Dialer};
use crate::secret::Secret;
use crate::shared::Store;

pub use credential::Credential;
pub use fingerprint::Fingerprints;
pub use fleet::Fleet;
pub use grant::{Grant, Paths};
pub use keeper::Keeper;
pub use status::{State, Status};

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

impl CredentialSettings {
    /// Tells whether tokens are minted with these settings as with `other`.
    pub fn mints_like(&self, other: &Self) -> bool {
        self.client_secrets == other.client_secrets && self.grant == other.grant
    }

    /// Takes out what [`CredentialSettings::mints_like`] compares.
    pub fn forget_minting(&mut self) {
        self.client_secrets.clear();
        self.grant = Grant::ClientCredentials {
            scopes: String::new(),
            send_org_id: false,
        };
    }
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

    /// Takes new settings of the credentials there are. Those that differ in what a token is minted with get a new one.
    ///
    /// A credential that has gone, or belongs to another client or organisation now, keeps its settings.
    pub fn update(&self, settings: &Settings) {
        for credential in self.0.iter() {
            let mut all = settings.credentials.iter();
            match all.find(|new| new.name == credential.name()) {
                Some(new) if credential.is_of_client(new) => credential.update(new.clone()),
                Some(_) | None => tracing::warn!(
                    credential = credential.name(),
                    "the credential belongs to another client now, or to none; that takes effect at the next start"
                ),
            }
        }
    }

    /// Starts a task for each credential that keeps its token fresh, on the thread of `local`.
    ///
    /// The tasks end when the set is dropped. Each has connections of its own, so that a credential whose calls
    /// hang delays no other; and one that panics is begun again. With a `store`, replicas have one token together.
    pub fn keep_fresh(
        &self,
        settings: &Settings,
        dialer: &Dialer,
        store: Option<&Store>,
        local: &LocalSet,
    ) -> JoinSet<()> {
        let fingerprints = store
            .cloned()
            .map_or_else(Fingerprints::of_this_process, Fingerprints::of_all_replicas);
        let mut tasks = JoinSet::new();
        for credential in self.0.iter() {
            let (credential, fingerprints) = (Arc::clone(credential), fingerprints.clone());
            let (settings, dialer, store) = (settings.clone(), dialer.clone(), store.cloned());
            let keep = move || {
                let mint = mint::Mint::new(&settings, dialer.clone());
                let keeper = Keeper::new(Arc::clone(&credential), mint, fingerprints.clone());
                let present = credential.settings.borrow();
                match &store {
                    Some(store) => keeper
                        .sharing(Fleet::new(store.clone(), &settings, &present))
                        .run(),
                    None => keeper.run(),
                }
            };
            tasks.spawn_local_on(again_and_again(keep), local);
        }
        tasks
    }
}

/// Runs a task that should never end, and begins it anew when it does.
async fn again_and_again<F: Future<Output = ()> + 'static>(mut begin: impl FnMut() -> F) {
    loop {
        let mut task = JoinSet::new();
        task.spawn_local(begin());
        let ended = task.join_next().await;
        tracing::error!(
            ?ended,
            "the task that renews tokens ended; it is begun again"
        );
        sleep(Duration::from_secs(1)).await;
    }
}

/// Returns `text` without the characters that a terminal obeys or does not show.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control() && !is_unseen(*character))
        .collect()
}

/// Tells whether a character is not seen, or changes the direction of what comes after it: a text with one in it can look
/// like another.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}
