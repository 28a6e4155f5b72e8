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
pub use layer::{Identify, IdentifyLayer};
pub use proof::Proofs;

use crate::context::PerCaller;

/// The callers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// All of them. The first is whoever shows nothing, and is known by nothing.
    pub callers: PerCaller<Caller>,
    /// The fields in which proofs may be shown, at any listener.
    pub fields: Vec<HeaderName>,
}

/// A caller, and by what it is known: by any of it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Digests of its API keys.
    pub api_keys: Vec<KeyDigest>,
    /// The networks its connections come from.
    pub networks: Vec<IpNet>,
}

impl Caller {
    /// Makes one that is known by nothing.
    pub fn unknown(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}
