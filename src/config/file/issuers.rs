//! Who signs the tokens of callers.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientCertificate, MinTls};
use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::{Claim, EgressProxy, FilePath};
use crate::issuers::Url;
use crate::secret::Secret;

/// Somebody who signs the tokens of callers: a Kubernetes cluster, or any other issuer of OIDC. Its keys come from one of
/// `discovery`, `jwks_url` and `jwks_file`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TokenIssuer {
    /// IP address and port to connect to instead of what the name in `discovery` or `jwks_url` resolves to. The name in TLS
    /// and the certificate's checks stay those of the URL. Example: 10.0.0.5:443. Default: none, the name is resolved.
    #[serde(default)]
    #[schemars(with = "Written<SocketAddr>")]
    pub(in crate::config) address: Option<Written<SocketAddr>>,
    /// Whether keys may come over plain http from another machine: whoever is on the way could give keys of their own, and
    /// with them be any caller. Default false; http from loopback is always possible.
    #[serde(default)]
    pub(in crate::config) allow_plain_http: bool,
    /// Whom the tokens are for, of which `aud` has to name one. At least one; a name that nobody else goes by, or whoever is
    /// shown a token could show it here.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) audiences: Vec<Written<Claim>>,
    /// A bearer token to be shown to the server in `discovery` or `jwks_url`, where it asks who wants the keys, as that of
    /// Kubernetes may: `${file:/var/run/secrets/kubernetes.io/serviceaccount/token}`. It goes to no other server. Default:
    /// none.
    #[serde(default)]
    #[schemars(with = "Written<Secret>")]
    pub(in crate::config) bearer: Option<Written<Secret>>,
    /// A PEM file with certificates to trust besides the system's:
    /// `/var/run/secrets/kubernetes.io/serviceaccount/ca.crt`. Default: none.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) ca_file: Option<Written<FilePath>>,
    /// What is shown to a server that asks for a certificate (mutual TLS). Default: none.
    #[serde(default)]
    #[schemars(with = "ClientCertificate")]
    pub(in crate::config) client_certificate: Option<ClientCertificate>,
    /// The URL below which `/.well-known/openid-configuration` is. That document must name the same `issuer`; its
    /// `jwks_uri` may be at any host over https, and over http only at its own. Default: what `issuer` says.
    #[serde(default)]
    #[schemars(with = "Written<Url>")]
    pub(in crate::config) discovery: Option<Written<Url>>,
    /// The proxy that connections go through, by CONNECT, as `upstream.egress_proxy`. Default: what the environment says.
    #[serde(default)]
    #[schemars(with = "Written<EgressProxy>")]
    pub(in crate::config) egress_proxy: Option<Written<EgressProxy>>,
    /// What the tokens call their issuer (`iss`), compared exactly. `kubectl get --raw /.well-known/openid-configuration`
    /// shows that of a cluster.
    pub(in crate::config) issuer: Written<Claim>,
    /// A file with the keys (a JWK set), which is looked at once a second like all files of the configuration.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) jwks_file: Option<Written<FilePath>>,
    /// The URL of the keys (a JWK set).
    #[serde(default)]
    #[schemars(with = "Written<Url>")]
    pub(in crate::config) jwks_url: Option<Written<Url>>,
    /// By how much the clocks of issuer and gateway may differ. From 0s to 30s, default 10s.
    #[serde(default = "defaults::leeway")]
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "30s"))]
    pub(in crate::config) leeway: Written<Duration>,
    /// The least time from one fetch of the keys to the next. A token with a key that is not known makes keys be fetched
    /// before they are due, but not more often than this. From 1s to 1h, default 10s.
    #[serde(default = "defaults::min_refresh")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(in crate::config) min_refresh: Written<Duration>,
    /// The least version of TLS that is spoken: `1.2` or `1.3`. Default 1.2; older ones are not built in.
    #[serde(default = "defaults::min_tls")]
    pub(in crate::config) min_tls: MinTls,
    /// How often the keys are fetched; up to a tenth sooner, so that replicas drift apart. A key that the issuer withdraws
    /// counts here for as long. From 1s to 24h, default 5m.
    #[serde(default = "defaults::refresh")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(in crate::config) refresh: Written<Duration>,
    /// Whether tokens have to say from when on they count (`nbf`), as those of Kubernetes do; where it is said it counts in
    /// any case. `false` is for issuers that leave it out. Default true.
    #[serde(default = "defaults::require_nbf")]
    pub(in crate::config) require_nbf: bool,
    /// Whether the gateway is ready only while there are keys of this issuer. Default true.
    #[serde(default = "defaults::required")]
    pub(in crate::config) required: bool,
    /// How old keys may become while none can be fetched; after that the issuer's tokens are answered with 503. From 1m to
    /// 168h, default 24h.
    #[serde(default = "defaults::stale")]
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "168h"))]
    pub(in crate::config) stale: Written<Duration>,
    /// Time for a fetch of the keys, connection and discovery included. From 100ms to 1m, default 5s.
    #[serde(default = "defaults::issuer_timeout")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1m"))]
    pub(in crate::config) timeout: Written<Duration>,
}
