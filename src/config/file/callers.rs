//! Who calls, and by what that is known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::aep::SandboxName;
use crate::config::format::Written;
use crate::config::name::{CertificateText, Cidr, Claim, HostName, KeyDigest, Name};

/// One map, or a list of them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Several<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

impl<T> Several<T> {
    /// Returns them as a list.
    pub(in crate::config) fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A caller, and by what it is known: by any of what is written here.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Caller {
    /// API keys: one, or a list, all of which are valid, so that a key can be replaced without a break. A request shows
    /// one in the field `listeners[].api_key_header`. Default: none.
    #[serde(default)]
    #[schemars(with = "Several<ApiKey>")]
    pub(in crate::config) api_key: Option<Several<ApiKey>>,
    /// Names in certificates that the caller shows in the TLS handshake, for listeners with `tls.client_ca`: one, or a list. A
    /// certificate that names nobody is none of anybody's. Default: none.
    #[serde(default)]
    #[schemars(with = "Several<Certificate>")]
    pub(in crate::config) client_certificate: Option<Several<Certificate>>,
    /// Networks that the caller's connections come from. It is the weakest proof: it counts only for requests that show
    /// nothing else, and everybody in the network is the caller. Default: none.
    #[serde(default)]
    #[schemars(with = "Network")]
    pub(in crate::config) network: Option<Network>,
    /// What the caller may do at most, whatever routes permit: read, write, job, delete. Default: all that they permit.
    #[serde(default)]
    #[schemars(with = "Vec<Kind>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) permit: Option<Vec<Kind>>,
    /// The sandboxes that the caller may work in at most, wherever routes lead. Default: all that they lead to.
    #[serde(default)]
    #[schemars(with = "Vec<Written<SandboxName>>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) sandboxes: Option<Vec<Written<SandboxName>>>,
    /// Who the caller is on this machine, for listeners at a Unix socket: one, or a list. It counts only for requests that
    /// show nothing else. Default: none.
    #[serde(default)]
    #[schemars(with = "Several<Peer>")]
    pub(in crate::config) unix_peer: Option<Several<Peer>>,
    /// Whom tokens of an issuer speak for that make their bearer the caller: one, or a list. A request shows a token in the
    /// field `listeners[].token_header`. Default: none.
    #[serde(default)]
    #[schemars(with = "Several<WorkloadToken>")]
    pub(in crate::config) workload_token: Option<Several<WorkloadToken>>,
}

/// Whom an issuer's tokens speak for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct WorkloadToken {
    /// The name of the issuer, of `issuers`.
    pub(in crate::config) issuer: Written<Name>,
    /// `sub` of the token, compared exactly. That of a service account of Kubernetes is
    /// `system:serviceaccount:NAMESPACE:NAME`. Example: `system:serviceaccount:shop:checkout`.
    pub(in crate::config) subject: Written<Claim>,
}

/// A name in a certificate: one of the three.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// A DNS name among its alternative names. Example: nightly.corp.example.
    #[serde(default)]
    #[schemars(with = "Written<HostName>")]
    pub(in crate::config) dns: Option<Written<HostName>>,
    /// Its whole subject, as a text of RFC 4514. Example: CN=nightly,O=Corp.
    #[serde(default)]
    #[schemars(with = "Written<CertificateText>")]
    pub(in crate::config) subject: Option<Written<CertificateText>>,
    /// A URI among its alternative names; a SPIFFE id has to be the only one. Example: `spiffe://corp/nightly`.
    #[serde(default)]
    #[schemars(with = "Written<CertificateText>")]
    pub(in crate::config) uri: Option<Written<CertificateText>>,
}

/// A user, a group, or a user in a group.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Peer {
    /// The number of the main group; supplementary groups are not told. Default: any.
    #[serde(default)]
    #[schemars(with = "u32")]
    pub(in crate::config) gid: Option<u32>,
    /// The number of the user. Default: any.
    #[serde(default)]
    #[schemars(with = "u32")]
    pub(in crate::config) uid: Option<u32>,
}

/// An API key of a caller.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ApiKey {
    /// The SHA-256 digest of the key, in 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`. Make keys long and random, as
    /// `openssl rand -hex 32` does: a digest of what can be guessed can be guessed too. Those of nothing
    /// and of `test` are refused.
    pub(in crate::config) sha256: Written<KeyDigest>,
}

/// Networks.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Network {
    /// Networks in CIDR notation; of several callers' the smallest that an address is in decides. Example: `[10.1.0.0/16]`.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) cidr: Vec<Written<Cidr>>,
}
