//! The one definition of the configuration file. The comments here are the operator's reference.

mod audit;
mod callers;
mod granted;
mod matching;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aep::{ClientId, OrgId, SandboxName, TechnicalAccount};
use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::{
    Account, Claim, EgressProxy, FieldName, FileMode, FilePath, Guarded, Name, Pem, Scope, UrlPath,
    Username,
};
use crate::config::quantity::{ByteSize, Rate};
use crate::connect::Origin;
use crate::forward::{AnswerField, Sign};
use crate::ims::assertion::Metascope;
use crate::issuers::Url;
use crate::listener::Address;
use crate::rewrite::Prefix;
use crate::route::{HostPattern, Template};
use crate::secret::Secret;
use crate::shared::{SealingKey, Server};

pub(in crate::config) use audit::{Audit, AuditTarget, Stdout};
pub(in crate::config) use callers::{Caller, Certificate, Several};
pub(in crate::config) use granted::{
    FoundSandbox, Kinds, Permit, RouteCaller, RouteGrant, RouteSandbox,
};
pub(in crate::config) use matching::{HeaderMatch, Match, Operation, Rewrite};

/// The configuration of profile-gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct File {
    /// Where operators look: liveness, readiness and metrics. Read at the start only.
    #[serde(default)]
    pub(in crate::config) admin: Admin,
    /// Where it is written down what was refused, and what may have changed something. Default: nowhere.
    #[serde(default)]
    #[schemars(with = "Audit")]
    pub(in crate::config) audit: Option<Audit>,
    /// Who calls, by a name of yours that routes refer to; `anonymous` is whoever shows nothing. Default: none, and every
    /// listener serves anonymous callers or nobody.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(in crate::config) callers: BTreeMap<String, Caller>,
    /// The credentials, by a name of yours that routes refer to. At least one.
    #[schemars(extend("propertyNames" = { "format": "name" }, "minProperties" = 1))]
    pub(in crate::config) credentials: BTreeMap<String, Credential>,
    /// How the gateway stops: a map, or one duration, which is the `timeout`, without a `delay`. Keep both together below
    /// `terminationGracePeriodSeconds`.
    #[serde(default)]
    pub(in crate::config) drain: Drain,
    /// Adobe's token service.
    #[serde(default)]
    pub(in crate::config) ims: Ims,
    /// The most requests in flight, all listeners together; more are answered with 503. From 1 up, default 1024.
    #[serde(default = "defaults::in_flight")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) in_flight: NonZeroUsize,
    /// Who signs the tokens of callers (workload tokens, JWT), by a name of yours. Default: nobody.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(in crate::config) issuers: BTreeMap<String, TokenIssuer>,
    /// Where callers connect. Read at the start only. Default: one listener on 127.0.0.1:8080.
    #[serde(default = "defaults::listeners")]
    #[schemars(length(min = 1))]
    pub(in crate::config) listeners: Vec<Listener>,
    /// How the gateway logs.
    #[serde(default)]
    pub(in crate::config) log: Log,
    /// What is known of operations of the Profile API beside what is built in, or otherwise: each row is added, or takes the
    /// place of the built-in one with its method and path. A row can make an operation stricter or milder: routes permit by
    /// `kind`, and `POST /data/core/ups/system/jobs`, say, is built in as a delete since it removes a whole data set. What no
    /// row knows is classed by its method. Default: none.
    #[serde(default)]
    pub(in crate::config) operations: Vec<Operation>,
    /// What callers may do where; the most specific match wins. Without any, and with one credential and one
    /// sandbox, everything below /data/core/ups, /data/core/ca and /data/core/ais goes to that sandbox.
    #[serde(default)]
    pub(in crate::config) routes: Vec<Route>,
    /// The sandboxes that routes may use, by the name that routes and callers give them. At least one.
    #[schemars(extend("propertyNames" = { "format": "sandbox-name" }, "minProperties" = 1))]
    pub(in crate::config) sandboxes: BTreeMap<String, Sandbox>,
    /// A file or folder with another whole configuration, whose rules are only looked at: what they decide of each request is
    /// counted (`profile_gateway_shadow_decisions_total`), and logged where it is another thing (`shadow`), and no request
    /// fares otherwise for it. Of that configuration count `callers` by their names, with `permit` and `sandboxes`,
    /// `sandboxes`, `operations`, `routes`, and the organisations of `credentials`; the rest is checked and not used. It has
    /// no `shadow` of its own. A change in it takes effect like one here. Default: none.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) shadow: Option<Written<FilePath>>,
    /// What replicas share. Whether they do is read at the start only, and how they do at any time. Default: nothing, each
    /// replica is on its own.
    #[serde(default)]
    #[schemars(with = "Shared")]
    pub(in crate::config) shared: Option<Shared>,
    /// The Real-Time Customer Profile API.
    #[serde(default)]
    pub(in crate::config) upstream: Upstream,
    /// The number of data workers, each a thread with its own connections: `auto` for one for each core the process may
    /// use, or a number from 1 to 1024. Read at the start only. Default auto.
    #[serde(default)]
    pub(in crate::config) workers: Workers,
}

/// The operator's listener.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Admin {
    /// IP address and port. Port 0 takes a free one. It asks for no proof of who connects and shows no secret.
    /// Default 127.0.0.1:9901; for probes of a kubelet it must be reachable from outside, as 0.0.0.0:9901 is.
    pub(in crate::config) address: Written<SocketAddr>,
}

/// One credential of a developer project.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Credential {
    /// The client id, which Adobe also calls the API key.
    pub(in crate::config) client_id: Written<ClientId>,
    /// One or two client secrets, tried in order: during a rotation the old and the new one. Take them from a
    /// file or the environment: `${file:/var/run/secrets/ims/current}`, `${env:IMS_CLIENT_SECRET}`.
    #[schemars(length(min = 1, max = 2))]
    pub(in crate::config) client_secrets: Vec<Written<Secret>>,
    /// How the credential gets tokens: `client_credentials` (OAuth server-to-server), or `jwt_exchange` with what the
    /// older service account (JWT) needs. Default `client_credentials`.
    #[serde(default)]
    pub(in crate::config) grant: Grant,
    /// The IMS organisation that the credential belongs to, with its `@AdobeOrg`.
    pub(in crate::config) organization: Written<OrgId>,
    /// The quota that all routes with this credential share, such as `120/min`; what exceeds it is answered with 429.
    /// No window of that length sees more; a tenth may come at once. Set it to Adobe's ceiling for the API key.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Written<Rate>")]
    pub(in crate::config) quota: Option<Written<Rate>>,
    /// Whether the gateway is ready only while this credential has a usable token. Default true; with false only the
    /// routes that use the credential suffer when it has none.
    #[serde(default = "defaults::required")]
    pub(in crate::config) required: bool,
    /// The scopes of the token, as the developer console lists them: a list, or one text with commas. They belong to
    /// `client_credentials`; a service account has metascopes. Default: those of a credential for Experience Platform.
    #[serde(default)]
    pub(in crate::config) scopes: Scopes,
    /// Whether `org_id` with the organisation goes along in the token call, which a credential that serves several
    /// organisations needs. It belongs to `client_credentials`. Default false.
    #[serde(default)]
    pub(in crate::config) send_org_id: bool,
}

/// How the gateway stops.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct DrainTimes {
    /// How long everything is served as usual after SIGTERM, with readiness at 503, so that whoever sends callers here
    /// finds out before connections are refused. After SIGINT, which comes from a terminal, there is no such time. From 0s
    /// to 10m, default 5s.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "10m"))]
    pub(in crate::config) delay: Written<Duration>,
    /// How long requests in flight may take to finish after that; then they are cut off. From 0s to 1h, default 30s.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(in crate::config) timeout: Written<Duration>,
}

/// What the older service account needs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ServiceAccount {
    /// The metascopes, by name or as whole URLs: `ent_dataservices_sdk` is that of Experience Platform. At least one.
    #[schemars(length(min = 1))]
    pub(in crate::config) metascopes: Vec<Written<Metascope>>,
    /// The private RSA key, in PEM (PKCS#1 or PKCS#8), without a passphrase, of 2048 bits or more. Take it from a file:
    /// `${file:/var/run/secrets/ims/private.key}`.
    pub(in crate::config) private_key: Written<Pem>,
    /// The technical account that the developer console shows, with its `@techacct.adobe.com`.
    pub(in crate::config) technical_account: Written<TechnicalAccount>,
}

/// A map with the one key `jwt_exchange`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct JwtExchange {
    /// The older service account, whose tokens are given for a signed assertion.
    pub(in crate::config) jwt_exchange: ServiceAccount,
}

/// How Adobe's token service is reached.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Ims {
    /// IP address and port to connect to instead of what the name in `url` resolves to: a private link, a gateway
    /// for egress. `Host`, the name in TLS and the certificate's checks stay those of `url`. On a loopback address plain
    /// http needs no `allow_plain_http`. Example: 10.0.0.5:443. Default: none, the name is resolved.
    #[schemars(with = "Written<SocketAddr>")]
    pub(in crate::config) address: Option<Written<SocketAddr>>,
    /// Whether client secrets may travel over plain http to another machine. Default false; http to loopback
    /// is always possible.
    pub(in crate::config) allow_plain_http: bool,
    /// A PEM file with certificates to trust besides the system's, for a proxy that ends TLS. Default: none.
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) ca_file: Option<Written<FilePath>>,
    /// What is shown to a server that asks for a certificate (mutual TLS). Default: none.
    #[schemars(with = "ClientCertificate")]
    pub(in crate::config) client_certificate: Option<ClientCertificate>,
    /// The proxy that connections go through, by CONNECT, as `upstream.egress_proxy`. Default: what the environment says.
    #[schemars(with = "Written<EgressProxy>")]
    pub(in crate::config) egress_proxy: Option<Written<EgressProxy>>,
    /// The path of the token call of credentials whose `grant` is `jwt_exchange`. Its answers count lifetimes in
    /// milliseconds. Default /ims/exchange/jwt.
    pub(in crate::config) exchange_path: Written<UrlPath>,
    /// The least version of TLS that is spoken: `1.2` or `1.3`. Default 1.2; older ones are not built in.
    pub(in crate::config) min_tls: MinTls,
    /// Time for one token call, connection included. From 100ms to 1m, default 5s.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1m"))]
    pub(in crate::config) timeout: Written<Duration>,
    /// The path of the token call of credentials whose `grant` is `client_credentials`. Its answers count lifetimes in
    /// seconds. Default /ims/token/v3.
    pub(in crate::config) token_path: Written<UrlPath>,
    /// Scheme, host and port. Default <https://ims-na1.adobelogin.com>.
    pub(in crate::config) url: Written<Origin>,
}

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

/// One address callers connect to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// IP address and port, or `unix:` and the path of a socket: `unix:/run/profile-gateway/http.sock`. Port 0 takes a
    /// free one. `[::]:8080` takes callers over IPv4 too. The file of a socket is made at the start, in the place of one
    /// that nobody listens at, and removed at the end. Default 127.0.0.1:8080.
    pub(in crate::config) address: Written<Address>,
    /// Whether callers who show nothing of who they are are served: `allow` or `refuse`. Default: `refuse` where `callers` are
    /// configured that can be known here. Without any: `allow` on loopback and Unix sockets; elsewhere it has to be written
    /// out then, since everybody who reaches the address gets what the routes permit.
    #[schemars(with = "Anonymous")]
    pub(in crate::config) anonymous: Option<Anonymous>,
    /// The field in which callers show an API key. It ends here, whatever is in it. `x-api-key` is possible too, for
    /// programs that send it to Adobe anyway. Default x-caller-key.
    pub(in crate::config) api_key_header: Written<FieldName>,
    /// The most connections that wait in the kernel's queue to be accepted; the kernel's own bound (`somaxconn`) comes
    /// before it. From 1 to 65535, default 1024.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) backlog: u32,
    /// The group of a Unix socket's file: a number, or a name in /etc/group. The process must be in it, or have the
    /// capability `CAP_CHOWN`. Default: the process's own.
    #[schemars(with = "Written<Account>")]
    pub(in crate::config) group: Option<Written<Account>>,
    /// Whether HTTP/2 is spoken besides HTTP/1.1: in clear text with prior knowledge, over TLS by ALPN. Default true.
    pub(in crate::config) http2: bool,
    /// By what callers may be known here: `workload_token`, `client_certificate`, `api_key`, `unix_peer`, `network`. What is not listed is not looked at. Default: all of
    /// them.
    #[schemars(with = "Vec<Means>", length(min = 1), extend("uniqueItems" = true))]
    pub(in crate::config) identify: Option<Vec<Means>>,
    /// Bounds on what a caller may send.
    pub(in crate::config) limits: ListenerLimits,
    /// The permissions of a Unix socket's file, in octal digits; connecting takes the right to write. Default 0660.
    #[schemars(with = "Written<FileMode>")]
    pub(in crate::config) mode: Option<Written<FileMode>>,
    /// The owner of a Unix socket's file: a number, or a name in /etc/passwd. Another one than the process's takes the
    /// capability `CAP_CHOWN`. Default: the process's own.
    #[schemars(with = "Written<Account>")]
    pub(in crate::config) owner: Option<Written<Account>>,
    /// Scheme, host and port by which callers reach the gateway, where something in front of it ends their TLS or has another
    /// name: references in answers that named the upstream lead there, see `upstream.rewrite_links`. What a caller's own
    /// fields say of it is never believed. Example: `https://profile.internal.example`. Default: the listener's own scheme,
    /// and the host that the caller addressed.
    #[schemars(with = "Written<Origin>")]
    pub(in crate::config) public_url: Option<Written<Origin>>,
    /// Whether several processes of one user may listen at the address (`SO_REUSEPORT`), for a restart in which the new
    /// one starts before the old one stops. Default false: a second gateway that is started by mistake shall fail.
    pub(in crate::config) reuse_port: bool,
    /// TLS. Default: none, callers speak clear text.
    #[schemars(with = "ListenerTls")]
    pub(in crate::config) tls: Option<ListenerTls>,
    /// The field in which callers show a workload token: in `authorization` after the word `Bearer`, in any other by itself.
    /// It ends here, whatever is in it. Where it is `authorization`, whatever else callers send there, such as a token of
    /// Adobe's, is refused, unless no caller can be known by a token. Default authorization.
    pub(in crate::config) token_header: Written<FieldName>,
}

/// TLS towards callers.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenerTls {
    /// A PEM file with the server's certificate, and after it those that lead to its authority. This file and the key's
    /// are looked at once a second, like all files of the configuration.
    pub(in crate::config) certificate: Written<FilePath>,
    /// A PEM file with the authorities whose signature makes a caller's certificate good, directly or through
    /// certificates that the caller shows with it. It is followed like the server's own. A caller whose certificate is
    /// not good, or not made for TLS clients, cannot connect. Without it none is asked for, and with it no session is
    /// resumed. Default: none.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) client_ca: Option<Written<FilePath>>,
    /// Whether callers have to show a certificate of those authorities: with `request` the handshake succeeds without one,
    /// with `require` it does not. It belongs to `client_ca`. Default `request`.
    #[serde(default)]
    #[schemars(with = "Demand")]
    pub(in crate::config) client_certificate: Option<Demand>,
    /// A PEM file with lists of certificates that authorities have revoked. With it each certificate that a caller shows
    /// has to be of an issuer that has a list here, and be on none; a list that is past its next update counts still. It is
    /// followed like the others, and belongs to `client_ca`. Default: none.
    #[serde(default)]
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) client_crl: Option<Written<FilePath>>,
    /// A PEM file with the certificate's private key, in PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub(in crate::config) key: Written<FilePath>,
    /// The oldest version of TLS that is spoken: "1.2" or "1.3". Default "1.2".
    #[serde(default)]
    pub(in crate::config) min_version: TlsVersion,
}

/// Bounds on what a caller may send.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ListenerLimits {
    /// The most open connections; more wait in the kernel's queue. From 1 up, default 4096.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) connections: usize,
    /// The most header fields; more are answered with 431. From 1 to 256, default 100.
    #[schemars(range(min = 1, max = 256))]
    pub(in crate::config) fields: usize,
    /// The largest request head; larger ones are answered with 431. From 8KiB to 1MiB, default 32KiB.
    #[schemars(extend("x-minimum" = "8KiB", "x-maximum" = "1MiB"))]
    pub(in crate::config) head: Written<ByteSize>,
    /// Time for a request head, from its first byte (or from the connection) on. From 100ms to 5m, default 10s.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub(in crate::config) head_timeout: Written<Duration>,
    /// How long a connection may wait for its next request. Keep it above the callers' own limit. From 1s
    /// to 1h, default 75s.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(in crate::config) idle_timeout: Written<Duration>,
    /// The longest request target, at most `head`; longer ones are answered with 414. From 256B to 65534B, default 16KiB.
    #[schemars(extend("x-minimum" = "256B", "x-maximum" = "65534B"))]
    pub(in crate::config) target: Written<ByteSize>,
    /// Time for a TLS handshake; it belongs to `tls`. From 100ms to 1m, default 10s.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "100ms", "x-maximum" = "1m"))]
    pub(in crate::config) tls_timeout: Option<Written<Duration>>,
    /// How long a caller may take nothing of its answer before the connection is given up. From 1s to 1h, default 60s.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(in crate::config) write_timeout: Written<Duration>,
}

/// How the gateway logs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// The form of the lines: `human`, `json`, or `auto` for the first on a terminal and the second elsewhere. Read at the
    /// start only. Default auto.
    pub(in crate::config) format: LogFormat,
    /// The least important level that is written: error, warn, info, debug or trace. Default info.
    pub(in crate::config) level: LogLevel,
}

/// What callers may do, and where it goes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Whom the route is for: names of `callers`, and `anonymous`. One may be a map, with what the route grants that caller
    /// at most. Default: everybody who is known, and `anonymous` where no `callers` are configured.
    #[serde(default)]
    #[schemars(with = "Vec<RouteCaller>", length(min = 1))]
    pub(in crate::config) callers: Option<Vec<RouteCaller>>,
    /// What happens to a payload without `Content-Type` of an operation that takes one, which Adobe answers with 400:
    /// `require` refuses it here, `pass` passes it on. Default require.
    #[serde(default)]
    pub(in crate::config) content_type: ContentType,
    /// The name of the credential. Default: that of the sandbox, or the only one there is.
    #[serde(default)]
    #[schemars(with = "Written<Name>")]
    pub(in crate::config) credential: Option<Written<Name>>,
    /// Whether what `callers` and `permit` do not allow is let pass all the same, and only logged and counted
    /// (`would_refuse`): to see what a new rule would refuse. A request that leads to no sandbox of the route is refused in
    /// any case. Default false.
    #[serde(default)]
    pub(in crate::config) dry_run: bool,
    /// What happens to a path with an encoded slash (`%2F`): `refuse` answers 400, `pass` passes it on as it is.
    /// Default refuse.
    #[serde(default)]
    pub(in crate::config) encoded_slashes: EncodedSlashes,
    /// What callers may send although it selects data or rights at Adobe: of the fields `x-sandbox-id`,
    /// `x-gw-ims-authorization` and `x-user-token`, and the query parameter `api_key`. Default: none of them.
    #[serde(default)]
    pub(in crate::config) let_through: Vec<Written<Guarded>>,
    /// How many requests may take this route; every one of the limits must have room. Default: no limit but the
    /// credential's quota.
    #[serde(default)]
    pub(in crate::config) limits: Vec<RouteLimit>,
    /// Which requests take this route.
    #[serde(rename = "match")]
    pub(in crate::config) matching: Match,
    /// A name of yours, unique: a label in logs and metrics.
    pub(in crate::config) name: Written<Name>,
    /// What may be done: read, write, job, delete. A list is for all sandboxes of the route; a map has lists by sandbox.
    /// Default, also for a sandbox that the map leaves out: read in a production sandbox, all of them elsewhere.
    #[serde(default)]
    #[schemars(with = "Permit")]
    pub(in crate::config) permit: Option<Permit>,
    /// Whether a request that got no answer, or one that says it was not executed, is sent again, see `upstream.retries`.
    /// What may have been executed is only repeated if the operation does no harm when it is executed twice. Default true.
    #[serde(default = "defaults::retry")]
    pub(in crate::config) retry: bool,
    /// How paths change on their way to Adobe. Operations are told by the path that Adobe sees. Default: not at all.
    #[serde(default)]
    #[schemars(with = "Rewrite")]
    pub(in crate::config) rewrite: Option<Rewrite>,
    /// Where requests work: the name of a sandbox, or a map that says how it is found. Default: the only one there is.
    #[serde(default)]
    #[schemars(with = "RouteSandbox")]
    pub(in crate::config) sandbox: Option<RouteSandbox>,
    /// Time until Adobe's answer must begin, from the request head on, all attempts together. Adobe's own limit is 60s.
    /// Callers can shorten it with `Request-Timeout` or `X-Request-Deadline`. From 100ms to 10m, default 65s.
    #[serde(default = "defaults::timeout")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "10m"))]
    pub(in crate::config) timeout: Written<Duration>,
    /// Times for the parts of an exchange.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
}

/// Times for the parts of an exchange.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// Time for one attempt until Adobe's answer begins, connecting included. With less than `timeout` a request whose
    /// operation is safe to repeat gets another attempt. From 10ms to 10m, default: what is left of `timeout`.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub(in crate::config) attempt: Option<Written<Duration>>,
    /// How long a request waits for name, TCP and the way through a proxy of a connection that is opened for it. What is
    /// opened goes on for the next; `upstream.connect_timeout` ends it. From 10ms to 10m, default: until that does.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub(in crate::config) connect: Option<Written<Duration>>,
    /// How long one attempt waits for a connection: for one that is free, or for name, TCP and TLS of a new one, which
    /// `upstream` bounds too. From 10ms to 10m, default: what is left of `timeout`.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub(in crate::config) connection: Option<Written<Duration>>,
    /// The longest silence between two pieces of a request body. From 100ms to 1h, default 30s.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(in crate::config) request_idle: Option<Written<Duration>>,
    /// The longest silence between two pieces of a response body. From 100ms to 1h, default:
    /// `upstream.response_idle_timeout`.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(in crate::config) response_idle: Option<Written<Duration>>,
    /// How long a request waits for TLS of a connection that is opened for it, and as long again for the beginning of
    /// HTTP/2. What is opened goes on for the next; `upstream.tls_timeout` ends it. From 10ms to 10m, default: until that
    /// does.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub(in crate::config) tls: Option<Written<Duration>>,
    /// Time until Adobe's answer must have ended, from the request head on. It cuts off downloads that still move. From
    /// 100ms to 24h, default: none.
    #[schemars(with = "Written<Duration>", extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub(in crate::config) total: Option<Written<Duration>>,
}

/// How many requests may take a route.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RouteLimit {
    /// How many requests may come at once. From 1 up, default: the number in `rate`.
    #[serde(default)]
    #[schemars(with = "NonZeroU32")]
    pub(in crate::config) burst: Option<NonZeroU32>,
    /// How many requests in how much time, spread evenly: `50/s`, `120/min`, `10/6s`.
    pub(in crate::config) rate: Written<Rate>,
}

/// What is known of a sandbox.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Sandbox {
    /// The name of the credential that is used for it, and so its organisation: for several organisations, whose sandboxes
    /// may have the same names. Default: that of the route.
    #[schemars(with = "Written<Name>")]
    pub(in crate::config) credential: Option<Written<Name>>,
    /// What Adobe calls the sandbox. Default: its name here.
    #[schemars(with = "Written<SandboxName>")]
    pub(in crate::config) name: Option<Written<SandboxName>>,
    /// Whether it holds production data, where routes permit only reads unless they say otherwise. Default: true
    /// when Adobe calls it `prod`, false elsewhere.
    #[schemars(with = "bool")]
    pub(in crate::config) production: Option<bool>,
}

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

/// How the Profile API is reached.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    /// IP address and port to connect to instead of what the name in `url` resolves to: a private link, a gateway
    /// for egress. `Host`, the name in TLS and the certificate's checks stay those of `url`. On a loopback address plain
    /// http needs no `allow_plain_http`. Example: 10.0.0.5:443. Default: none, the name is resolved.
    #[schemars(with = "Written<SocketAddr>")]
    pub(in crate::config) address: Option<Written<SocketAddr>>,
    /// Whether tokens may travel over plain http to another machine. Default false; http to loopback is always
    /// possible.
    pub(in crate::config) allow_plain_http: bool,
    /// When Adobe is not called for a while, since calls fail.
    pub(in crate::config) breaker: Breaker,
    /// A PEM file with certificates to trust besides the system's, for a proxy that ends TLS. Default: none.
    #[schemars(with = "Written<FilePath>")]
    pub(in crate::config) ca_file: Option<Written<FilePath>>,
    /// What is shown to a server that asks for a certificate (mutual TLS). Default: none.
    #[schemars(with = "ClientCertificate")]
    pub(in crate::config) client_certificate: Option<ClientCertificate>,
    /// Time for name resolution and TCP, and for the proxy to open the way; TLS comes after that, see `tls_timeout`. From
    /// 10ms to 1m, default 3s.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub(in crate::config) connect_timeout: Written<Duration>,
    /// How long a connection is used at most, so that new addresses behind the name and new machines behind a balancer
    /// are found; up to a fifth less, so that not all end at once. A request in flight is not cut off by it. From 1s to
    /// 24h, default 10m.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(in crate::config) connection_lifetime: Written<Duration>,
    /// The most connections, all workers together: each has an equal share, rounded up. Over HTTP/1.1 it is also the
    /// most requests that Adobe sees at a time; more wait, see `waiting`. From 1 up, default 256.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) connections: NonZeroUsize,
    /// Fields of Adobe's answers, and of their trailers, that callers do not get: names, or the beginnings of names with a
    /// `*` after them. What an answer cannot be read without stays whatever it begins with. Example: `[server,
    /// x-internal-*]`. Default: none.
    #[schemars(extend("uniqueItems" = true))]
    pub(in crate::config) drop_answer_fields: Vec<Written<AnswerField>>,
    /// The proxy that connections go through, by CONNECT: a URL with http:// or https://, and the login in it if it asks for
    /// one, percent-encoded; take it from a file or the environment then. `none` is none, whatever the environment says.
    /// TLS with `url` and its checks happen inside. It excludes `address`, and plain http through it needs
    /// `allow_plain_http`. Example: `http://proxy.example.com:3128`. Default: for https, and without `address`, the
    /// environment's `HTTPS_PROXY` or `https_proxy`, unless `NO_PROXY` or `no_proxy` excepts the host or it is loopback.
    #[schemars(with = "Written<EgressProxy>")]
    pub(in crate::config) egress_proxy: Option<Written<EgressProxy>>,
    /// What becomes of the fields by which proxies tell where a request came from, such as `Forwarded`,
    /// `X-Forwarded-For` and `X-Real-IP`. `drop`: they end here, since Adobe need not know your network. `pass`: they go
    /// on as they came. Default drop.
    pub(in crate::config) forwarded: Forwarded,
    /// Whether HTTP/2 may be spoken. Default false: on a short way HTTP/1.1 costs less.
    pub(in crate::config) http2: bool,
    /// How long an unused connection is kept. Keep it below Adobe's own limit. From 1s to 1h, default 45s.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(in crate::config) idle_timeout: Written<Duration>,
    /// The least version of TLS that is spoken: `1.2` or `1.3`. Default 1.2; older ones are not built in.
    pub(in crate::config) min_tls: MinTls,
    /// The largest request body; larger ones are answered with 413. From 0 to 1GiB, default 10MiB.
    #[schemars(extend("x-minimum" = "0B", "x-maximum" = "1GiB"))]
    pub(in crate::config) request_body: Written<ByteSize>,
    /// The longest silence between two pieces of a response body. From 100ms to 1h, default 60s.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(in crate::config) response_idle_timeout: Written<Duration>,
    /// How requests are repeated.
    pub(in crate::config) retries: Retries,
    /// Whether absolute references to `url` in the fields `Location`, `Content-Location` and `Link` of an answer lead to
    /// the gateway, under the host that the caller addressed or the listener's `public_url`. Bodies are never changed. Default
    /// true.
    pub(in crate::config) rewrite_links: bool,
    /// Time for TLS once there is a connection, and for HTTP/2 to begin. From 10ms to 1m, default 3s.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub(in crate::config) tls_timeout: Written<Duration>,
    /// By what an answer with status 400, 401 or 403 is known to refuse the token: its `error_code`, or a status for an
    /// answer without any code. The token is then replaced, once however many answers say so, and the request sent once
    /// more with the new one, unless more than 256KiB of its body have gone; what is answered then is passed on. While new
    /// tokens are refused as well there are pauses without renewals, from 2s to 5m. `[]` turns it off.
    /// Default: 401, 401013, 403024 and 100911-400.
    #[schemars(extend("uniqueItems" = true))]
    pub(in crate::config) token_refused_by: Vec<Written<Sign>>,
    /// Scheme, host and port. Default <https://platform.adobe.io>.
    pub(in crate::config) url: Written<Origin>,
    /// The most requests that wait while all `connections` are in use, all workers together: each has an equal share,
    /// rounded up. They are served in the order they came, up to the route's `timeout`; more are answered with 503. From 0
    /// up, default 1024.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) waiting: usize,
}

/// When Adobe is not called for a while. A failure is a connection that could not be opened, or one that ended before an
/// answer began; an answer is none, whatever its status.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Breaker {
    /// How many failures it takes within `window`; 0 turns it off. Default 10.
    pub(in crate::config) failures: u32,
    /// The longest pause. The first is a tenth of it, each next one twice as long, until one call is answered. From 100ms
    /// to 1m, default 5s.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1m"))]
    pub(in crate::config) longest_pause: Written<Duration>,
    /// How large a part of what was called in `window` must have failed, in percent. From 1 to 100, default 50.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) percent: u32,
    /// In how much time, from the first failure on. From 1s to 10m, default 10s.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(in crate::config) window: Written<Duration>,
}

/// How requests are repeated.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Retries {
    /// How many more attempts a request gets at most; 0 turns it off. Calls to Adobe are metered. From 0 to 2, default 2.
    #[schemars(range(max = 2))]
    pub(in crate::config) attempts: u32,
    /// How many attempts more there may be in a second, however few requests there are: all workers together, each has an
    /// equal share, rounded up. From 0 to 1000, default 3.
    #[schemars(range(max = 1000))]
    pub(in crate::config) budget_floor: u32,
    /// How many attempts more there may be for a hundred requests of the last ten seconds. From 0 to 100, default 20.
    #[schemars(range(max = 100))]
    pub(in crate::config) budget_percent: u32,
    /// The longest pause before any attempt, where Adobe asks for none. From 1ms to 10s, default 250ms.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10s"))]
    pub(in crate::config) longest_pause: Written<Duration>,
    /// The longest pause before the second attempt; it is random, and the bound grows to three times as much for the third.
    /// From 1ms to 10s, default 25ms.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10s"))]
    pub(in crate::config) pause: Written<Duration>,
}

/// What the gateway shows of itself to a server that asks.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClientCertificate {
    /// A PEM file with the certificate, followed by those of the authorities between it and the root.
    pub(in crate::config) certificate: Written<FilePath>,
    /// A PEM file with the certificate's private key: PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub(in crate::config) key: Written<FilePath>,
}

/// Declares an enum whose variants are words of the file.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
        #[schemars(inline)]
        pub(in crate::config) enum $name {
            $($(#[$attribute])* #[serde(rename = $word)] $variant,)+
        }
    };
}

words!(Anonymous { Allow = "allow", Refuse = "refuse" });
words!(ClientCredentials { ClientCredentials = "client_credentials" });
words!(#[derive(Default)] ContentType { Pass = "pass", #[default] Require = "require" });
words!(Demand { Request = "request", Require = "require" });
words!(#[derive(Default)] EncodedSlashes { Pass = "pass", #[default] Refuse = "refuse" });
words!(#[derive(Default)] Forwarded { #[default] Drop = "drop", Pass = "pass" });
words!(Means {
    ApiKey = "api_key",
    ClientCertificate = "client_certificate",
    Network = "network",
    UnixPeer = "unix_peer",
    WorkloadToken = "workload_token",
});
words!(#[derive(Default)] OnMismatch { Ignore = "ignore", #[default] Refuse = "refuse" });
words!(#[derive(Default)] SandboxFrom {
    Caller = "caller",
    Header = "header",
    Host = "host",
    Path = "path",
    #[default]
    Route = "route",
});
words!(Kind { Read = "read", Write = "write", Job = "job", Delete = "delete" });
words!(LogFormat { Auto = "auto", Human = "human", Json = "json" });
words!(LogLevel {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace",
});
words!(MinTls { Tls12 = "1.2", Tls13 = "1.3" });
words!(Method {
    Get = "GET",
    Head = "HEAD",
    Post = "POST",
    Put = "PUT",
    Patch = "PATCH",
    Delete = "DELETE",
});
words!(OperationMethod {
    Get = "GET",
    Post = "POST",
    Put = "PUT",
    Patch = "PATCH",
    Delete = "DELETE",
});
words!(#[derive(Default)] TlsVersion { #[default] Tls12 = "1.2", Tls13 = "1.3" });
words!(#[derive(Default)] RedisMode {
    #[default]
    Single = "single",
    Sentinel = "sentinel",
    Cluster = "cluster",
});
words!(Auto { Auto = "auto" });

/// One host or several.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Hosts {
    One(Written<HostPattern>),
    Several(#[schemars(length(min = 1))] Vec<Written<HostPattern>>),
}

/// One path template or several.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Paths {
    One(Written<Template>),
    Several(#[schemars(length(min = 1))] Vec<Written<Template>>),
}

/// One prefix or several.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Prefixes {
    One(Written<Prefix>),
    Several(#[schemars(length(min = 1))] Vec<Written<Prefix>>),
}

/// Both times of a drain, or the second alone.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Drain {
    Times(DrainTimes),
    Timeout(#[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))] Written<Duration>),
}

/// The name of a grant, or a map with what it needs.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Grant {
    JwtExchange(JwtExchange),
    Word(ClientCredentials),
}

/// Scopes with commas, or a list.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Scopes {
    One(Written<Scope>),
    Several(#[schemars(length(min = 1))] Vec<Written<Scope>>),
}

/// A number of workers, or one for each core.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Workers {
    Count(#[schemars(range(min = 1, max = 1024))] NonZeroUsize),
    Auto(Auto),
}

/// Gives the values of what is written as one or several.
macro_rules! list {
    ($($name:ident of $item:ty),+ $(,)?) => {
        $(impl $name {
            /// Returns the one, or all.
            pub(in crate::config) fn list(&self) -> &[Written<$item>] {
                match self {
                    Self::One(one) => std::slice::from_ref(one),
                    Self::Several(several) => several,
                }
            }
        })+
    };
}

list!(Hosts of HostPattern, Paths of Template, Prefixes of Prefix);
