//! Who signs workload tokens: their keys, kept fresh on the control thread, and tokens verified with them on the workers.
//!
//! Whom a token's subject is here, and what that caller may do, is for others to say.

mod discovery;
mod fetch;
mod json;
mod keeper;
mod keepers;
pub mod keys;
mod metrics;
#[cfg(test)]
mod signer;
mod status;
mod supply;
mod token;
mod url;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::clock::{Clock, Moment};
use crate::connect::dial::SetupError;
use crate::connect::{self, Dialer};
use crate::secret::Secret;

pub use fetch::{Class, Failure};
pub use keepers::Keepers;
pub use keys::{InvalidKeys, KeySet};
pub use status::{State, Status};
pub use token::{Claims, Refusal};
pub use url::{InvalidUrl, Url};
pub use verifier::Verifier;

use supply::{Snapshot, Supply};

/// The issuers, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of which no two have the same `iss`.
    pub issuers: Vec<IssuerSettings>,
}

/// One issuer of workload tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The name configuration gives it.
    pub name: String,
    /// What its tokens have to be like.
    pub rules: Rules,
    /// Where its keys come from.
    pub source: Source,
    /// Whether the gateway is ready only while there are keys of it. Default true.
    pub required: bool,
}

/// What the tokens of an issuer have to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// Of which `aud` has to name one.
    pub audiences: Vec<String>,
    /// By how much clocks may differ. Default 10 s, at most 30 s.
    pub leeway: Duration,
    /// Whether tokens have to say from when on they count (`nbf`). Default: yes.
    pub require_nbf: bool,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the configuration, with which they change. They do not grow old.
    File(KeySet),
    /// From a server.
    Server(Box<Server>),
}

/// A server that publishes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The document that is asked for first.
    pub url: Url,
    /// Whether that is an OIDC discovery document, which names the one with the keys, or this itself.
    pub is_discovery: bool,
    /// How the server is reached, of which the origin is that of `url`.
    pub connect: connect::Settings,
    /// What is shown to the server. Another one, which a discovery document leads to, does not get to see it.
    pub bearer: Option<Secret>,
    /// Time for all of a fetch. Default 5 s.
    pub timeout: Duration,
    /// How often the keys are fetched. Default 5 min.
    pub refresh: Duration,
    /// The least time from one fetch to the next, however many tokens with unknown keys come. Default 10 s.
    pub min_refresh: Duration,
    /// How old keys may become when none can be fetched. Default 24 h.
    pub stale: Duration,
}

impl IssuerSettings {
    /// Tells whether its keys are those of `other`, now and later.
    fn keys_like(&self, other: &Self) -> bool {
        let same = self.name == other.name && self.rules.issuer == other.rules.issuer;
        same && match (&self.source, &other.source) {
            (Source::File(ours), Source::File(theirs)) => ours == theirs,
            (Source::Server(ours), Source::Server(theirs)) => {
                ours.url == theirs.url
                    && ours.is_discovery == theirs.is_discovery
                    && ours.connect.reached() == theirs.connect.reached()
            }
            (Source::File(_), Source::Server(_)) | (Source::Server(_), Source::File(_)) => false,
        }
    }
}

/// The place of an issuer in [`Settings::issuers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerId(pub usize);

/// What a token was refused for want of: keys of an issuer that are newer than those it was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    issuer: IssuerId,
    newer_than: Newer,
}

/// What newer keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Newer {
    /// Keys that have been fetched after this many fetches that brought some, be they the same.
    Fetch(u64),
    /// Other keys than those of this generation.
    Generation(u64),
}

impl Wanted {
    /// Returns whose keys.
    pub fn issuer(self) -> IssuerId {
        self.issuer
    }
}

/// An issuer of workload tokens.
#[derive(Debug)]
pub struct Issuer {
    settings: IssuerSettings,
    /// How its server is reached.
    dialer: Option<Dialer>,
    supply: Arc<Supply>,
}

impl Issuer {
    /// Returns the name configuration gives it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Tells whether the gateway is ready only while there are keys of it.
    pub fn is_required(&self) -> bool {
        self.settings.required
    }

    fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    fn keys(&self) -> &Supply {
        &self.supply
    }

    /// Returns its keys, unless they are too old at `now`.
    fn snapshot(&self, now: Moment) -> Option<Arc<Snapshot>> {
        self.supply.keys(self.stale(), now)
    }

    /// Returns which of its sets of keys it has, unless they are too old at `now`.
    fn generation(&self, now: Moment) -> Option<u64> {
        self.supply.usable(self.stale(), now)
    }

    fn stale(&self) -> Option<Duration> {
        match &self.settings.source {
            Source::File(_) => None,
            Source::Server(server) => Some(server.stale),
        }
    }
}

/// The issuers, in the order of the configuration. Clones are of the same ones.
#[derive(Clone, Debug, Default)]
pub struct Issuers(Arc<[Arc<Issuer>]>);

impl Issuers {
    /// Makes the issuers. Those with a server have no keys before [`Keepers`] have fetched them.
    ///
    /// # Errors
    /// When TLS with a server cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, NotReached> {
        Self::default().renewed(settings)
    }

    /// Makes the issuers of other settings. What has the same name, `iss` and server goes on with its keys.
    ///
    /// Nothing changes for those there are.
    ///
    /// # Errors
    /// When TLS with a server cannot be set up.
    pub fn renewed(&self, settings: &Settings) -> Result<Self, NotReached> {
        let mut made = Vec::new();
        for new in &settings.issuers {
            let mut all = self.0.iter();
            let same = all.find(|old| old.settings.keys_like(new));
            made.push(match same {
                Some(old) if old.settings == *new => Arc::clone(old),
                same => Arc::new(Issuer {
                    dialer: dialer(new, same.map(AsRef::as_ref))?,
                    supply: same.map_or_else(|| supply(new), |old| Arc::clone(&old.supply)),
                    settings: new.clone(),
                }),
            });
        }
        Ok(Self(made.into()))
    }

    /// Returns the issuer at `id`.
    pub fn get(&self, id: IssuerId) -> Option<&Issuer> {
        self.0.get(id.0).map(AsRef::as_ref)
    }

    /// Returns all issuers.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the issuer that calls itself `name`.
    fn issued_by(&self, name: &str) -> Option<(IssuerId, &Issuer)> {
        let mut all = self.iter().enumerate();
        let (place, issuer) = all.find(|(_, issuer)| issuer.rules().issuer == name)?;
        Some((IssuerId(place), issuer))
    }

    /// Waits for the keys that a token was refused for want of, at most until `deadline`: with everybody else who does, for
    /// one fetch. Tells whether there are other keys now, with which the token is worth another look.
    ///
    /// It does not wait when it would be in vain: keys were fetched a moment ago, fetches fail, or many wait already.
    ///
    /// # Cancel safety
    /// The fetch is not the waiter's: nothing is lost.
    pub async fn newer_keys(&self, wanted: Wanted, deadline: Instant) -> bool {
        match self.get(wanted.issuer) {
            Some(issuer) => issuer.supply.newer(wanted.newer_than, deadline).await,
            None => false,
        }
    }

    /// Waits until every issuer has keys, or the first fetch of its keys has failed, at most until `deadline`. Returns the
    /// names of those without any.
    pub async fn first_keys(&self, deadline: Instant) -> Vec<&str> {
        let mut without = Vec::new();
        for issuer in self.iter() {
            if !issuer.supply.newer(Newer::Fetch(0), deadline).await {
                without.push(issuer.name());
            }
        }
        without
    }

    /// Returns in how long keys are fetched the next time, for whoever was refused since there are none.
    pub fn retry_after(&self, wanted: Wanted, now: Instant) -> Duration {
        let issuer = self.get(wanted.issuer);
        issuer.map_or(Duration::ZERO, |issuer| issuer.supply.next_fetch(now))
    }
}

/// The server of an issuer cannot be reached over TLS, however it answers.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare connections to {origin}")]
pub struct NotReached {
    /// The server.
    pub origin: String,
    /// Why.
    pub source: SetupError,
}

/// Makes what reaches the server of an issuer, which may be what reached it before.
fn dialer(new: &IssuerSettings, old: Option<&Issuer>) -> Result<Option<Dialer>, NotReached> {
    let Source::Server(server) = &new.source else {
        return Ok(None);
    };
    let known = old.and_then(|old| old.dialer.as_ref());
    if let Some(known) = known.filter(|known| *known.settings() == server.connect) {
        return Ok(Some(known.clone()));
    }
    let made = Dialer::new(server.connect.clone());
    made.map(Some).map_err(|source| NotReached {
        origin: server.connect.origin.to_string(),
        source,
    })
}

fn supply(settings: &IssuerSettings) -> Arc<Supply> {
    let supply = Supply::new(settings.name.clone(), Clock::default());
    if let Source::File(keys) = &settings.source {
        supply.publish(keys.clone());
        supply.is_all();
    }
    Arc::new(supply)
}

/// The issuers that are in use now: others once a configuration with others is. Clones are of the same ones.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Issuers>>);

impl Current {
    /// Begins with these.
    pub fn new(issuers: Issuers) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(issuers)))
    }

    /// Returns those in use now.
    pub fn get(&self) -> Issuers {
        Issuers::clone(&self.0.load())
    }

    /// Puts others in their place.
    pub fn set(&self, issuers: Issuers) {
        self.0.store(Arc::new(issuers));
    }
}
