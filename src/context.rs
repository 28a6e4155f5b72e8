//! What a request has become after each stage: the typed hand-over from the listener to the upstream.
//!
//! Each stage takes the type the stage above makes, so a stage left out or moved does not compile.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use tokio::time::Instant;

use crate::aep::{Operation, OwnedFields};
use crate::error::{Error, Reason};
use crate::gate::{Gate, Trial};
use crate::peer::{CertificateNames, UnixPeer};
use crate::rewrite::Back;

/// The connection a request came in on.
#[derive(Debug)]
pub struct Connection {
    /// The caller's end.
    pub peer: Endpoint,
    /// The end it connected to.
    pub local: Endpoint,
    /// By what callers may be known who come in by it.
    pub accepts: Arc<Accepts>,
    /// Whether TLS is spoken on it.
    pub tls: bool,
    /// The certificate that the caller showed, if it did: known once the handshake has been made, and in a box, since most
    /// connections are without.
    pub certificate: OnceCell<Box<CertificateNames>>,
    /// The process at the other end, of a Unix socket.
    pub unix_peer: Option<UnixPeer>,
    /// Scheme, host and port by which callers reach the listener, where that is settled.
    pub public_url: Option<Arc<str>>,
    /// Whether it was given up because the caller took nothing of what it was sent.
    pub stalled: Cell<bool>,
    /// Whether the answer that is being dropped was not taken to its end. Who writes it down resets it.
    pub untaken: Cell<bool>,
}

impl Connection {
    /// Makes the record of a connection in clear text.
    pub fn new(peer: Endpoint, local: Endpoint, accepts: Arc<Accepts>) -> Self {
        Self {
            peer,
            local,
            accepts,
            tls: false,
            certificate: OnceCell::new(),
            unix_peer: None,
            public_url: None,
            stalled: Cell::new(false),
            untaken: Cell::new(false),
        }
    }

    /// Returns the scheme by which callers reach the listener.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// By what a listener lets callers be known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one means whether it counts, and none rests on another"
)]
pub struct Accepts {
    /// Whether whoever shows nothing is served.
    pub anonymous: bool,
    /// The field in which API keys are shown, if they count here.
    pub api_key: Option<HeaderName>,
    /// Whether certificates count that are shown in the TLS handshake.
    pub client_certificate: bool,
    /// Whether it counts where a connection comes from.
    pub network: bool,
    /// Whether it counts who is at the other end of a Unix socket.
    pub unix_peer: bool,
    /// The field in which workload tokens are shown, if they count here.
    pub workload_token: Option<HeaderName>,
}

impl Accepts {
    /// Lets nobody be known: everybody is served, or nobody.
    pub fn anybody(served: bool) -> Arc<Self> {
        Arc::new(Self {
            anonymous: served,
            api_key: None,
            client_certificate: false,
            network: false,
            unix_peer: false,
            workload_token: None,
        })
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and port; an IPv4 address that came in over IPv6 is one of IPv4.
    Ip(SocketAddr),
    /// A Unix socket of this machine; who has it is in [`Connection::unix_peer`].
    Unix,
}

impl Endpoint {
    /// Returns the IP address, if it has one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl<A: Into<SocketAddr>> From<A> for Endpoint {
    fn from(address: A) -> Self {
        let address = address.into();
        Self::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A request as the listener hands it in.
#[derive(Debug)]
pub struct Inbound<B> {
    /// The request, in a box, since it goes through many hands. When it is refused, a stand-in without body.
    pub request: Box<Request<B>>,
    /// Where it came from.
    pub connection: Rc<Connection>,
    /// Why the listener found it unfit to be passed on.
    pub refused: Option<Error>,
}

/// What is known of one request and its answer, filled in as it happens and logged at the end.
///
/// It lives on one worker thread and is shared between the stack and the bodies.
#[derive(Debug)]
pub struct Exchange {
    /// When the request head was complete.
    pub started: Instant,
    /// The method.
    pub method: Method,
    /// The caller's HTTP version.
    pub version: Version,
    /// The request id: the caller's own when it is legal, else a fresh one.
    pub request_id: HeaderValue,
    /// The connection.
    pub connection: Rc<Connection>,
    /// Who called, once known.
    pub caller: Cell<Option<Identity>>,
    /// The route, once known.
    pub route: Cell<Option<RouteId>>,
    /// The operation, once known.
    pub operation: Cell<Option<&'static Operation>>,
    /// Where it works, once known.
    pub place: Cell<Option<PlaceId>>,
    /// Why it would have been refused, if its route did not only try that out.
    pub would_refuse: Cell<Option<Reason>>,
    /// Whether the rules let it through, whatever came of it then.
    pub permitted: Cell<bool>,
    /// What the shadow's rules say of it, if there is a shadow.
    pub shadow: Cell<Option<Shadowed>>,
    /// Why the gateway itself answered, if it did, or why the answer broke off.
    pub reason: Cell<Option<Reason>>,
    /// Which of the reason's causes it was, if it has several.
    pub cause: Cell<Option<&'static str>>,
    /// How far the request body has come.
    pub upload: Upload,
    /// How often the request was sent upstream, or was begun to be.
    pub attempts: Cell<u32>,
    /// When the upstream's response head was complete.
    pub upstream_head: Cell<Option<Instant>>,
    /// The status of the upstream's answer, if it is the one that is passed on.
    pub upstream_status: Cell<Option<StatusCode>>,
    /// When the answer must have ended, if it must.
    pub ends_by: Cell<Option<Instant>>,
    /// Whom the caller addressed, where the answer may have to say it.
    pub host: OnceCell<Host>,
    /// How references in the answer lead back, where the path was rewritten.
    pub back: OnceCell<Box<Back>>,
}

impl Exchange {
    /// Starts the record of a request.
    pub fn new(
        method: Method,
        version: Version,
        request_id: HeaderValue,
        connection: Rc<Connection>,
    ) -> Self {
        Self {
            started: Instant::now(),
            method,
            version,
            request_id,
            connection,
            caller: Cell::new(None),
            route: Cell::new(None),
            operation: Cell::new(None),
            place: Cell::new(None),
            would_refuse: Cell::new(None),
            permitted: Cell::new(false),
            shadow: Cell::new(None),
            reason: Cell::new(None),
            cause: Cell::new(None),
            upload: Upload::default(),
            attempts: Cell::new(0),
            upstream_head: Cell::new(None),
            upstream_status: Cell::new(None),
            ends_by: Cell::new(None),
            host: OnceCell::new(),
            back: OnceCell::new(),
        }
    }
}

/// What rules decided that are only looked at. Their places are not those of the rules that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shadowed {
    /// It would work in this place of theirs.
    Allowed(PlaceId),
    /// They could not decide.
    Failed,
    /// It would be refused.
    Refused(Reason),
}

/// Whom a caller addressed: a host, and a port if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// As the target of the request says.
    Authority(Authority),
    /// As the field `Host` says.
    Field(HeaderValue),
}

impl Host {
    /// Returns it as it is written.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Authority(authority) => authority.as_str().as_bytes(),
            Self::Field(value) => value.as_bytes(),
        }
    }
}

/// Returns the host that a request names, in lower case, without its port and without a trailing dot. The listener has seen
/// to it that there is one answer.
pub fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    let named = match uri.authority().map(Authority::as_str) {
        Some(authority) => authority,
        None => headers.get(header::HOST)?.to_str().ok()?,
    };
    let end = if named.starts_with('[') {
        named.find(']')? + 1
    } else {
        named.find(':').unwrap_or(named.len())
    };
    let host = named.get(..end)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    Some(if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        host.to_ascii_lowercase().into()
    } else {
        host.into()
    })
}

/// How far a request body has come.
#[derive(Debug, Default)]
pub struct Upload {
    /// Bytes taken from the caller.
    pub bytes: Cell<u64>,
    /// Whether the caller is the one who is waited for.
    pub waiting: Cell<bool>,
    /// Why it was given up.
    pub fault: Cell<Option<Reason>>,
}

/// Who calls, and by what that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which of the callers.
    pub caller: CallerId,
    /// By what.
    pub by: Means,
}

impl Identity {
    /// Somebody who reached a listener that asks for no proof.
    pub const ANONYMOUS: Self = Self {
        caller: CallerId::ANONYMOUS,
        by: Means::Nothing,
    };
}

/// By what a caller is known, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Means {
    /// A signed token of an issuer that is trusted.
    WorkloadToken,
    /// The certificate that was shown in the TLS handshake.
    ClientCertificate,
    /// A secret in a field of the request.
    ApiKey,
    /// The user or group at the other end of a Unix socket.
    UnixPeer,
    /// The address that the connection comes from.
    Network,
    /// Nothing was shown, nor asked for.
    Nothing,
}

impl Means {
    /// All means, the strongest first.
    pub const ALL: [Self; 6] = [
        Self::WorkloadToken,
        Self::ClientCertificate,
        Self::ApiKey,
        Self::UnixPeer,
        Self::Network,
        Self::Nothing,
    ];

    /// Returns the word that configuration, logs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkloadToken => "workload_token",
            Self::ClientCertificate => "client_certificate",
            Self::ApiKey => "api_key",
            Self::UnixPeer => "unix_peer",
            Self::Network => "network",
            Self::Nothing => "nothing",
        }
    }
}

/// The place of a caller in every [`PerCaller`] table made from one configuration. The first is whoever shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(pub usize);

impl CallerId {
    /// Whoever shows nothing of who they are.
    pub const ANONYMOUS: Self = Self(0);
}

/// What whoever shows nothing is called in configuration and logs.
pub const ANONYMOUS: &str = "anonymous";

/// A request whose record has been opened, fit to be passed on or not.
#[derive(Debug)]
pub struct Opened<B> {
    /// The request and its record.
    pub received: Received<B>,
    /// Why the listener found it unfit to be passed on.
    pub refused: Option<Error>,
}

/// A request the listener found fit to be passed on.
#[derive(Debug)]
pub struct Received<B> {
    /// The request as it came, but for its request id.
    pub request: Box<Request<B>>,
    /// Its record.
    pub exchange: Rc<Exchange>,
}

/// A request whose caller is known.
#[derive(Debug)]
pub struct Identified<B> {
    /// The request and its record.
    pub received: Received<B>,
    /// Who calls.
    pub caller: Identity,
}

/// A request whose route and operation are known, with its path proven canonical, and as it goes upstream.
#[derive(Debug)]
pub struct Routed<B> {
    /// The request and its record.
    pub received: Received<B>,
    /// Who calls.
    pub caller: Identity,
    /// Which route.
    pub route: RouteId,
    /// Which operation of the Profile API.
    pub operation: &'static Operation,
    /// The segment that was taken off the path since it names the sandbox, as the caller wrote it.
    pub segment: Option<Box<str>>,
    /// When the upstream's answer must have begun.
    pub deadline: Instant,
}

/// A request that is permitted, with the place it is permitted in.
#[derive(Debug)]
pub struct Authorized<B> {
    /// The request and its route.
    pub routed: Routed<B>,
    /// Where it works.
    pub place: PlaceId,
    /// The sandbox it works in, and nothing else does.
    pub sandbox: HeaderValue,
    /// The organisation that owns the sandbox.
    pub organization: HeaderValue,
}

/// A request that is within every quota.
#[derive(Debug)]
pub struct Admitted<B> {
    /// The request and its grant.
    pub authorized: Authorized<B>,
    /// Whether it is sent to find out whether a pause is over that the upstream asked for.
    pub trial: Option<Trial>,
}

/// A request with the four fields it will carry.
#[derive(Debug)]
pub struct Credentialed<B> {
    /// The request and its route.
    pub routed: Routed<B>,
    /// Where it works.
    pub place: PlaceId,
    /// The four fields.
    pub owned: OwnedFields,
    /// Which of the credential's tokens is among them.
    pub generation: u64,
    /// When the token among them has to have left.
    pub leave_by: Instant,
    /// Who has another token if this one is refused.
    pub successors: Rc<dyn Successors>,
    /// Whether it is sent to find out whether a pause is over that the upstream asked for.
    pub trial: Option<Trial>,
}

/// A token as a request carries it.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// `Bearer` and the token, marked sensitive.
    pub value: HeaderValue,
    /// Which of the credential's tokens it is, counted from 1.
    pub generation: u64,
    /// When a request that has not left must not carry it any more.
    pub leave_by: Instant,
}

/// Who gives another token for one that the upstream refused.
pub trait Successors: fmt::Debug {
    /// Returns the token there is, if it may be used at `now`.
    fn bearer(&self, now: Instant) -> Option<Bearer>;

    /// Returns the names of the fields that have a token of the credential, or a secret of its client, in a value.
    fn echoed_in(&self, fields: &HeaderMap) -> Vec<HeaderName>;

    /// Returns what is shut while the upstream wants no requests with this API key.
    fn pauses(&self) -> &Arc<Gate>;

    /// Notes that the upstream refused the token of this generation.
    fn refuse(&self, generation: u64);

    /// Waits for a token after that of `generation`, until `deadline`; `None` when none is to be had.
    fn successor(
        &self,
        generation: u64,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Option<Bearer>> + '_>>;
}

/// The quotas that requests draw on.
pub trait Allowance: fmt::Debug {
    /// Draws one request more of `route` that works in `place` and counts as `cost`, if every quota has as much left.
    ///
    /// # Errors
    /// When it was made from another configuration.
    fn draw(&self, route: RouteId, place: PlaceId, cost: NonZeroU32) -> Result<bool, Error>;
}

/// The place of a route in the configuration, and in every [`PerRoute`] table made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub usize);

/// A sandbox together with the credential that is used for it, by their place in every [`PerPlace`] table made from one
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(pub usize);

/// Declares a table of what one part keeps for each of something, in the order of the configuration.
macro_rules! table {
    ($name:ident, $id:ident, $of:literal) => {
        #[doc = concat!("What one part keeps for each ", $of, ", in the order of the configuration.")]
        #[derive(Clone, Debug)]
        pub struct $name<T>(Vec<T>);

        impl<T> $name<T> {
            #[doc = concat!("Returns what is kept for a ", $of, ".")]
            ///
            /// # Errors
            /// [`Reason::Internal`] when the table was made from another configuration.
            pub fn get(&self, id: $id) -> Result<&T, Error> {
                self.0.get(id.0).ok_or_else(|| {
                    let detail = concat!("a part has no entry for the ", $of);
                    Error::new(Reason::Internal, detail)
                })
            }

            /// Returns the entries with their places.
            pub fn iter(&self) -> impl Iterator<Item = ($id, &T)> {
                let entries = self.0.iter().enumerate();
                entries.map(|(index, entry)| ($id(index), entry))
            }
        }

        impl<T> FromIterator<T> for $name<T> {
            fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
                Self(entries.into_iter().collect())
            }
        }
    };
}

table!(PerRoute, RouteId, "route");
table!(PerCaller, CallerId, "caller");
table!(PerPlace, PlaceId, "place");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        let host = |named: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(named));
            host_of(&Uri::from_static("/a"), &headers).map(Cow::into_owned)
        };

        assert_eq!(
            host("Profile.Internal.:8080").as_deref(),
            Some("profile.internal")
        );
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("127.0.0.1").as_deref(), Some("127.0.0.1"));
        let absolute = Uri::from_static("http://Gateway:81/a");
        assert_eq!(
            host_of(&absolute, &HeaderMap::new()).as_deref(),
            Some("gateway")
        );
        assert_eq!(host_of(&Uri::from_static("/a"), &HeaderMap::new()), None);
    }
}
