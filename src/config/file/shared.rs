//! What replicas share.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RedisMode;
use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::{FilePath, Name, Username};
use crate::secret::Secret;
use crate::shared::{SealingKey, Server};

/// What replicas share.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shared {
    /// The Redis or Valkey that it is kept in, encrypted. Redis from 6.0 on, any Valkey.
    pub(in crate::config) redis: Redis,
}

/// How Redis or Valkey is reached, and how records in it are encrypted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redis {
    /// Whether clear text may go to another machine with `tls: false`: logins are readable then, records are not. It also
    /// covers the servers that sentinels and nodes of a cluster name. Default false; clear text to loopback is always
    /// possible.
    #[serde(default)]
    pub(in crate::config) allow_plain: bool,
    /// A PEM file with certificates to trust besides the system's, for servers with a certificate of your own authority.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) ca_file: Option<Written<FilePath>>,
    /// The number of the database; in a cluster there is only 0. From 0 to 65535, default 0.
    #[serde(default)]
    pub(in crate::config) database: u16,
    /// The keys that records are encrypted with (AES-256-GCM), the same on all replicas: the first encrypts, all decrypt.
    /// From 1 to 8. To replace a key, roll out three times: with the new one added as the second, as the first, and
    /// without the old one. The server never sees them.
    #[schemars(length(min = 1, max = 8))]
    pub(in crate::config) encryption_keys: Vec<EncryptionKey>,
    /// How the servers work together: `single` is one server, or what looks like one; `sentinel` asks sentinels which
    /// server it is; `cluster` is a Redis Cluster. Default single.
    #[serde(default)]
    pub(in crate::config) mode: RedisMode,
    /// The password. Take it from a file or the environment: `${file:/var/run/secrets/redis/password}`. Default: none,
    /// the server asks for no login.
    #[serde(default)]
    #[schemars(with = "Written<Secret>")]
    pub(in crate::config) password: Option<Written<Secret>>,
    /// What all keys in Redis begin with, followed by a colon. Gateways with the same one share, so give those that must
    /// not different ones. Default profile-gateway.
    #[serde(default = "defaults::prefix")]
    pub(in crate::config) prefix: Written<Name>,
    /// The sentinels' own facts. With `mode: sentinel`, and only then.
    #[serde(default)]
    #[schemars(with = "Sentinel")]
    pub(in crate::config) sentinel: Option<Sentinel>,
    /// Host and port of the server; with `mode: sentinel` of the sentinels, with `mode: cluster` of some nodes, which name
    /// the others. They are tried in order. Example: `[redis.internal:6379]`.
    #[schemars(length(min = 1))]
    pub(in crate::config) servers: Vec<Written<Server>>,
    /// Time for one operation, connecting included. When it has passed, the store is left alone for 1s to 15s, and the
    /// replica is on its own meanwhile. From 10ms to 5s, default 250ms.
    #[serde(default = "defaults::shared_timeout")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "5s"))]
    pub(in crate::config) timeout: Written<Duration>,
    /// Whether TLS is spoken, with sentinels too; certificates are always verified, against the host in `servers` or what
    /// sentinels and nodes name. Default true; false only to loopback, or with `allow_plain: true`.
    #[serde(default = "defaults::tls")]
    pub(in crate::config) tls: bool,
    /// The user, for servers with access rules. Default: none, the server's own `default`.
    #[serde(default)]
    #[schemars(with = "Written<Username>")]
    pub(in crate::config) username: Option<Written<Username>>,
}

/// A key that records are encrypted with.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EncryptionKey {
    /// A name of yours, unique. It stands in every record, so that replicas know which key to take.
    pub(in crate::config) id: Written<Name>,
    /// 32 random bytes in base64, or 64 hexadecimal digits, as `openssl rand -base64 32` makes them. Take it from a file:
    /// `${file:/var/run/secrets/shared/k1}`.
    pub(in crate::config) key: Written<SealingKey>,
}

/// The sentinels' own facts.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Sentinel {
    /// The password that the sentinels themselves ask for. Default: none; the servers' is not tried.
    #[serde(default)]
    #[schemars(with = "Written<Secret>")]
    pub(in crate::config) password: Option<Written<Secret>>,
    /// What the sentinels call the servers. Example: `mymaster`.
    pub(in crate::config) service: Written<Name>,
    /// The user at the sentinels. Default: none.
    #[serde(default)]
    #[schemars(with = "Written<Username>")]
    pub(in crate::config) username: Option<Written<Username>>,
}
