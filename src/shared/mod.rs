//! What replicas share: small secret records by name, in Redis or Valkey, and the turn to replace one.
//!
//! It knows nothing of what the records are. A record is readable only with a key that the server does not have. Whoever
//! is about to replace one takes a lease, so that the others wait and read; each lease has a greater fence than the one
//! before, and a record is never replaced by a smaller fence than its own, so that who was late does not undo what came
//! after. When the server does not answer in time, that is said at once and for a while: nobody waits for it, and whoever
//! asks goes on alone.

mod breaker;
mod dial;
mod link;
mod script;
mod seal;
mod server;
mod store;

use std::time::Duration;

use rustls_pki_types::CertificateDer;

pub use dial::SetupError;
pub use seal::{InvalidKey, Keyring, SealingKey};
pub use server::{InvalidServer, Server};
pub use store::{Lease, Leased, Prepared, Record, Store, Unavailable};

use crate::secret::Secret;

/// How the store is reached, and how records are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where records are.
    pub mode: Mode,
    /// Whether TLS is spoken, to every server. Default: yes.
    pub tls: bool,
    /// Whether clear text may leave this machine; without it, a server elsewhere that Sentinel or a cluster names is not
    /// connected to. Default: no.
    pub allow_plain: bool,
    /// Certificates trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who the gateway is to the servers that hold records. Default: nobody.
    pub login: Option<Login>,
    /// What every key begins with. Default `profile-gateway`.
    pub prefix: String,
    /// Time for one operation, connecting included. Default 250 ms.
    pub timeout: Duration,
    /// The keys that records are sealed with.
    pub keys: Keyring,
}

/// Where records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a cluster, which is asked through any of its nodes.
    Cluster {
        /// Nodes to begin with.
        seeds: Vec<Server>,
    },
    /// On the server that sentinels name.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<Server>,
        /// What they call the service.
        service: String,
        /// Who the gateway is to them. Default: nobody.
        login: Option<Login>,
        /// The number of the database. Default 0.
        database: u16,
    },
    /// On one server.
    Single {
        /// The server.
        server: Server,
        /// The number of the database. Default 0.
        database: u16,
    },
}

/// A user of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name. Default: the server's own, `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Secret,
}
