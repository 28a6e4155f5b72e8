//! The one definition of the configuration file. The comments here are the operator's reference.

mod audit;
mod callers;
mod granted;
mod issuers;
mod listeners;
mod matching;
mod shared;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aep::{ClientId, OrgId, SandboxName, TechnicalAccount};
use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::{EgressProxy, FilePath, Guarded, Name, Pem, Scope, UrlPath};
use crate::config::quantity::Rate;
use crate::connect::Origin;
use crate::ims::assertion::Metascope;
use crate::rewrite::Prefix;
use crate::route::{HostPattern, Template};
use crate::secret::Secret;

pub(in crate::config) use audit::{Audit, AuditTarget, Stdout};
pub(in crate::config) use callers::{Caller, Certificate, Several};
pub(in crate::config) use granted::{
    FoundSandbox, Kinds, Permit, RouteCaller, RouteGrant, RouteSandbox,
};
pub(in crate::config) use issuers::TokenIssuer;
pub(in crate::config) use listeners::{Listener, ListenerLimits, ListenerTls};
pub(in crate::config) use matching::{HeaderMatch, Match, Operation, Rewrite};
pub(in crate::config) use shared::{EncryptionKey, Redis, Shared};
pub(in crate::config) use upstream::{Breaker, Retries, Upstream};

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
    /// The sandboxes that routes may use, by the name that routes and callers give them, also in `x-sandbox-name`. At least
    /// one.
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
    /// Whether what `callers`, `permit` and the `sandboxes` of callers do not allow is let pass all the same, deletes in
    /// production too, and only logged and counted (`would_refuse`): to see what a new rule would refuse. A request that leads to no sandbox of the route is refused in
    /// any case. Default false.
    #[serde(default)]
    pub(in crate::config) dry_run: bool,
    /// What happens to a path with an encoded slash (`%2F`): `refuse` answers 400, `pass` passes it on as it is, unless it would
    /// take another route with a plain one. Default refuse.
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
    /// when Adobe calls it `prod`, false elsewhere. Where two are one sandbox of one organisation at Adobe, both have to say the
    /// same.
    #[schemars(with = "bool")]
    pub(in crate::config) production: Option<bool>,
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
