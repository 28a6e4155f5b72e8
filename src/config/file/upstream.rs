//! How the Profile API is reached.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientCertificate, Forwarded, MinTls};
use crate::config::format::Written;
use crate::config::name::{EgressProxy, FilePath};
use crate::config::quantity::ByteSize;
use crate::connect::Origin;
use crate::forward::{AnswerField, Sign};

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
