//! Where callers connect, and what they may send.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Anonymous, Demand, Means, TlsVersion};
use crate::config::format::Written;
use crate::config::name::{Account, FieldName, FileMode, FilePath};
use crate::config::quantity::ByteSize;
use crate::connect::Origin;
use crate::listener::Address;

/// One address callers connect to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// IP address and port, or `unix:` and the path of a socket: `unix:/run/profile-gateway/http.sock`. Port 0 takes a
    /// free one. `[::]:8080` takes callers over IPv4 too. The file of a socket is made at the start, in the place of one
    /// that nobody listens at, and removed at the end. Default 127.0.0.1:8080.
    pub(in crate::config) address: Written<Address>,
    /// Whether callers who show nothing of who they are are served: `allow` or `refuse`. Default: `refuse` as soon as there
    /// are `callers`, on loopback and Unix sockets too. Without any: `allow` on loopback and Unix sockets; elsewhere it has to
    /// be written out, since everybody who reaches the address gets what the routes permit, as it has to be where none of
    /// the `callers` can be known.
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
    /// By what callers may be known here: `workload_token`, `client_certificate` (with `tls.client_ca`), `api_key`,
    /// `unix_peer` (at a Unix socket), `network` (at an IP address). What is not listed is not looked at, and what is has to
    /// be what a caller is known by. Default: whatever of them can be.
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
