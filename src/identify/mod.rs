//! Who calls: the first question, answered before anything is looked up.
//!
//! What a request or its connection shows decides, and what is shown and wrong is refused, whatever else there is: nobody
//! becomes somebody else by a slip. What only surrounds a connection, such as its network, counts where nothing is shown.

mod digest;
mod known;
mod layer;
mod proof;
mod unknown;

use http::HeaderName;
use ipnet::IpNet;

pub use digest::{InvalidDigest, KeyDigest};
pub use known::Known;
pub use layer::{Identify, IdentifyLayer, Identifying};
pub use proof::{Fields, Proofs, Token};

use crate::context::PerCaller;
use crate::issuers::IssuerId;
use crate::peer::UnixPeer;

/// The callers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All of them. The first is whoever shows nothing, and is known by nothing.
    pub callers: PerCaller<Caller>,
    /// The fields in which proofs may be shown, at any listener, and may have been shown before.
    pub fields: Vec<HeaderName>,
}

impl Settings {
    /// Adds the fields of the configuration before: callers who have not changed yet still send proofs in them that are good.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let gone = before.fields.iter();
        let gone: Vec<_> = gone.filter(|it| !self.fields.contains(it)).collect();
        self.fields.extend(gone.into_iter().cloned());
        self
    }
}

/// A caller, and by what it is known: by any of it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Digests of its API keys.
    pub api_keys: Vec<KeyDigest>,
    /// What its certificates name.
    pub certificates: Vec<CertificateName>,
    /// The networks its connections come from.
    pub networks: Vec<IpNet>,
    /// Whom issuers of workload tokens name when they mean it.
    pub subjects: Vec<Subject>,
    /// Who it is on this machine.
    pub unix_peers: Vec<UnixAccount>,
}

/// Whom an issuer of workload tokens names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The issuer.
    pub issuer: IssuerId,
    /// Its name for the caller: `sub`, compared exactly.
    pub subject: String,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// A DNS name among the alternative names, in lower case.
    Dns(String),
    /// The whole subject, as a text of RFC 4514.
    Subject(String),
    /// A URI among the alternative names, such as a SPIFFE id.
    Uri(String),
}

/// A user, a group, or a user in a group. What is not said does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixAccount {
    /// The user.
    pub uid: Option<u32>,
    /// The main group.
    pub gid: Option<u32>,
}

impl UnixAccount {
    fn is(self, peer: UnixPeer) -> bool {
        let either = |said: Option<u32>, is: u32| said.is_none_or(|said| said == is);
        either(self.uid, peer.uid) && either(self.gid, peer.gid)
    }

    /// Returns how much it says.
    fn weight(self) -> usize {
        usize::from(self.uid.is_some()) + usize::from(self.gid.is_some())
    }
}

impl Caller {
    /// Tells whether nothing makes anybody it.
    pub fn is_known_by_nothing(&self) -> bool {
        let Self {
            name: _,
            api_keys,
            certificates,
            networks,
            subjects,
            unix_peers,
        } = self;
        api_keys.is_empty()
            && certificates.is_empty()
            && networks.is_empty()
            && subjects.is_empty()
            && unix_peers.is_empty()
    }

    /// Makes one that is known by nothing.
    pub fn unknown(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}
