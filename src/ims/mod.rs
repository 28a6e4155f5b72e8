//! The life of access tokens: minted at Adobe's token service, kept fresh in the background.

pub mod answer;
pub mod assertion;
pub mod claims;
pub mod credential;
mod echo;
mod fingerprint;
pub mod fleet;
pub mod grant;
pub mod keeper;
mod keepers;
mod metrics;
pub mod mint;
mod minter;
pub mod refusals;
pub mod schedule;
mod status;
mod token;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::aep::{ClientId, OrgId};
use crate::connect;
use crate::secret::Secret;

pub use credential::{Credential, Hold};
pub use fingerprint::Fingerprints;
pub use fleet::Fleet;
pub use grant::{Grant, Paths};
pub use keeper::Keeper;
pub use keepers::Keepers;
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

impl Settings {
    /// Tells whether token calls go to the same place.
    pub fn asks_like(&self, other: &Self) -> bool {
        self.connect.reached() == other.connect.reached() && self.paths == other.paths
    }

    /// Tells whether token calls take the same way: through the same proxy, to the same address, with the same certificate.
    pub fn goes_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.connect, &other.connect);
        ours.proxy == theirs.proxy
            && ours.address == theirs.address
            && ours.client_certificate == theirs.client_certificate
    }

    /// Tells whether token calls are made in the same way.
    pub fn calls_like(&self, other: &Self) -> bool {
        let same = self.asks_like(other) && self.timeout == other.timeout;
        same && self.connect == other.connect
    }
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
    /// Tells whether both are of the same client in the same organisation.
    pub fn shares_key(&self, other: &Self) -> bool {
        self.client_id == other.client_id && self.organization == other.organization
    }

    /// Tells whether tokens are minted with these settings as with `other`.
    pub fn mints_like(&self, other: &Self) -> bool {
        self.client_secrets == other.client_secrets && self.grant == other.grant
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
        let mut made: Vec<Arc<Credential>> = Vec::new();
        for new in &settings.credentials {
            made.push(Credential::beside(&made, new.clone()));
        }
        Self(made.into())
    }

    /// Returns the credential at `id`.
    pub fn get(&self, id: CredentialId) -> Option<&Arc<Credential>> {
        self.0.get(id.0)
    }

    /// Returns all credentials.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.0.iter()
    }

    /// Makes the credentials of other settings. What is of the same name and client stays what it is, with its token, its
    /// counts and its pauses; what belongs to another client or organisation now is another credential, without a token.
    ///
    /// Nothing changes for those there are, see [`Self::update`].
    #[must_use]
    pub fn renewed(&self, settings: &Settings) -> Self {
        let same = |new: &CredentialSettings| {
            let mut all = self.0.iter();
            all.find(|it| it.name() == new.name && it.is_of_client(new))
        };
        let mut made: Vec<Arc<Credential>> = Vec::new();
        for new in &settings.credentials {
            made.push(match same(new) {
                Some(credential) => Arc::clone(credential),
                None => Credential::beside(self.0.iter().chain(&made), new.clone()),
            });
        }
        Self(made.into())
    }

    /// Takes new settings of the credentials there are. Those that differ in what a token is minted with get a new one.
    pub fn update(&self, settings: &Settings) {
        for (credential, new) in self.0.iter().zip(&settings.credentials) {
            if new.name == credential.name() && credential.is_of_client(new) {
                credential.update(new.clone());
            }
        }
    }
}

/// The credentials that are in use now: others once a configuration with others is. Clones are of the same ones.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Credentials>>);

impl Current {
    /// Begins with these.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(credentials)))
    }

    /// Returns those in use now.
    pub fn get(&self) -> Credentials {
        Credentials::clone(&self.0.load())
    }

    /// Puts others in their place.
    pub fn set(&self, credentials: Credentials) {
        self.0.store(Arc::new(credentials));
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
