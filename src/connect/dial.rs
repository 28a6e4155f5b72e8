//! Opens connections: name, address, a way through a proxy, and TLS.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::name::Name;
use super::race::{in_turn, race};
use super::tls::Tls;
use super::{Breaker, Origin, Proxy, Settings, Stream, socket, tunnel};
use crate::error::{Error, Reason};

pub use super::tls::SetupError;

/// Opens connections to one origin.
#[derive(Clone)]
pub struct Dialer {
    settings: Arc<Settings>,
    breaker: Option<Arc<Breaker>>,
    place: Place,
    tls: Option<Tls>,
    /// TLS with the proxy, where it wants that.
    proxy_tls: Option<Tls>,
    stand_in: Option<StandIn>,
}

/// Opens the gateway's end of a connection to a stand-in, which has the other end.
type StandIn = Arc<dyn Fn() -> DuplexStream + Send + Sync>;

/// Where to connect: the origin or its proxy.
#[derive(Clone)]
enum Place {
    Address(SocketAddr),
    Name(Arc<Name>),
}

/// How far an attempt is, for what is said when its time is over.
#[derive(Clone, Copy)]
enum Phase {
    Name,
    Connect,
    Proxy,
}

/// A way to the origin, before TLS with it.
enum Way {
    Tcp(TcpStream),
    /// Inside of TLS with a proxy.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Place {
    fn of(settings: &Settings) -> Self {
        if let Some(address) = settings.address {
            return Self::Address(address);
        }
        let proxy = settings.proxy.as_ref().map(Proxy::at);
        let place = proxy.unwrap_or(&settings.origin);
        match place.host().parse::<IpAddr>() {
            Ok(address) => Self::Address((address, place.port()).into()),
            Err(_) => Self::Name(Arc::new(Name::new(place.host(), place.port()))),
        }
    }
}

impl Dialer {
    /// Prepares dialing, with the system's trusted certificates and the extra ones.
    ///
    /// # Errors
    /// When TLS is needed and cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let needs_tls = settings.origin.is_tls();
        let proxy = settings.proxy.as_ref().map(Proxy::at);
        let proxy = proxy.filter(|proxy| proxy.is_tls());
        Ok(Self {
            breaker: breaker(&settings),
            place: Place::of(&settings),
            tls: needs_tls.then(|| Tls::with_origin(&settings)).transpose()?,
            proxy_tls: proxy
                .map(|proxy| Tls::with_proxy(&settings, proxy.host()))
                .transpose()?,
            stand_in: None,
            settings: Arc::new(settings),
        })
    }

    /// Prepares dialing that leaves the process out: each connection is one that `open` makes, in clear text.
    ///
    /// It measures what a request costs without the kernel's part. Configuration cannot ask for it.
    pub fn in_memory(
        settings: Settings,
        open: impl Fn() -> DuplexStream + Send + Sync + 'static,
    ) -> Self {
        Self {
            breaker: breaker(&settings),
            place: Place::of(&settings),
            settings: Arc::new(settings),
            tls: None,
            proxy_tls: None,
            stand_in: Some(Arc::new(open)),
        }
    }

    /// Puts a resolver in the place of the system's, for a name that is not an address.
    #[cfg(test)]
    pub(super) fn resolved_by(
        self,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let Place::Name(name) = &self.place else {
            panic!("an address is not looked up");
        };
        let name = name.resolved_by(Arc::new(resolve));
        Self {
            place: Place::Name(Arc::new(name)),
            ..self
        }
    }

    /// Tells whether a lookup is under way.
    #[cfg(test)]
    pub(super) fn is_looking(&self) -> bool {
        match &self.place {
            Place::Address(_) => false,
            Place::Name(name) => name.is_looking(),
        }
    }

    /// Returns what the dialer was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what is known of the origin's health, by everybody who dials with a clone of this.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        self.breaker.as_ref()
    }

    /// Lets the name be looked up again if that was not done for a while, and returns the addresses that it had and has
    /// no more, as far as is known now.
    ///
    /// It waits for nothing, and has to be called on a runtime.
    pub(super) fn gone(&self) -> Vec<IpAddr> {
        match &self.place {
            Place::Name(name) if self.stand_in.is_none() => {
                name.look();
                name.gone()
            }
            Place::Address(_) | Place::Name(_) => Vec::new(),
        }
    }

    /// Opens a connection, and says so by `tls_begins` when only TLS is missing. Nothing of a request has been sent when
    /// this fails.
    ///
    /// # Errors
    /// [`Reason::UpstreamName`], [`Reason::UpstreamConnect`] or [`Reason::UpstreamTls`], also when the time for that
    /// was over; [`Reason::ConnectionsBusy`] when there is no descriptor left.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn dial(&self, tls_begins: impl FnOnce()) -> Result<Stream, Error> {
        if let Some(open) = &self.stand_in {
            return Ok(Stream::Memory(open()));
        }
        let phase = Cell::new(Phase::Name);
        let limit = self.settings.connect_timeout;
        let way = timeout(limit, self.way(&phase)).await;
        let way = way.unwrap_or_else(|_| Err(self.late(phase.get())))?;
        let Some(tls) = &self.tls else {
            return Ok(match way {
                Way::Tcp(stream) => Stream::Plain(stream),
                Way::Tls(stream) => Stream::PlainInTls(stream),
            });
        };
        tls_begins();
        let limit = self.settings.tls_timeout;
        let connecting = async {
            let name = tls.name.clone();
            Ok(match way {
                Way::Tcp(stream) => {
                    Stream::Tls(Box::new(tls.connector.connect(name, stream).await?))
                }
                Way::Tls(stream) => {
                    Stream::TlsInTls(Box::new(tls.connector.connect(name, *stream).await?))
                }
            })
        };
        let origin = &self.settings.origin;
        match timeout(limit, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                let error: io::Error = error;
                let detail = format!("TLS with {origin} failed; see the gateway's log");
                Err(Error::new(Reason::UpstreamTls, detail).because(error))
            }
            Err(_) => Err(tls_late(origin, limit)),
        }
    }

    /// Connects to the origin, or to the proxy and through it.
    async fn way(&self, phase: &Cell<Phase>) -> Result<Way, Error> {
        let stream = self.connect(phase).await?;
        let Some(proxy) = &self.settings.proxy else {
            return Ok(Way::Tcp(stream));
        };
        phase.set(Phase::Proxy);
        let origin = &self.settings.origin;
        let (way, opened) = if let Some(tls) = &self.proxy_tls {
            let stream = tls.connector.connect(tls.name.clone(), stream).await;
            let stream = stream.map_err(|error| self.unreachable(error))?;
            let mut stream = Box::new(stream);
            let opened = tunnel::open(&mut *stream, origin, proxy).await;
            (Way::Tls(stream), opened)
        } else {
            let mut stream = stream;
            let opened = tunnel::open(&mut stream, origin, proxy).await;
            (Way::Tcp(stream), opened)
        };
        match opened {
            Ok(()) => Ok(way),
            Err(no_way) => Err(self.unreachable(io::Error::other(no_way))),
        }
    }

    async fn connect(&self, phase: &Cell<Phase>) -> Result<TcpStream, Error> {
        let connected = match &self.place {
            Place::Address(address) => {
                phase.set(Phase::Connect);
                socket::connect(*address).await
            }
            Place::Name(name) => {
                let addresses = name.resolve().await;
                let addresses = addresses.map_err(|error| self.unresolved(error))?;
                if addresses.is_empty() {
                    return Err(self.unresolved(io::Error::other("the name has no address")));
                }
                phase.set(Phase::Connect);
                race(in_turn(&addresses), socket::connect).await
            }
        };
        connected.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => self.without_file(error),
            _ => self.unreachable(error),
        })
    }

    /// Says that the process or the machine has no descriptor left, which is no fault of the upstream's.
    fn without_file(&self, error: io::Error) -> Error {
        let origin = &self.settings.origin;
        let detail = format!("no file was left for a connection to {origin}");
        let refused = Error::new(Reason::ConnectionsBusy, detail).because(error);
        refused.after(Duration::from_secs(1))
    }

    /// Says what took too long.
    fn late(&self, phase: Phase) -> Error {
        let (origin, limit) = (&self.settings.origin, self.settings.connect_timeout);
        match phase {
            Phase::Name => {
                let error = io::Error::other(format!("no answer within {limit:?}"));
                self.unresolved(error)
            }
            Phase::Connect | Phase::Proxy => {
                let error = connect_late(origin, limit);
                match &self.settings.proxy {
                    None => error,
                    Some(proxy) => {
                        let awaited = if matches!(phase, Phase::Connect) {
                            "could not be connected to"
                        } else {
                            "gave no answer"
                        };
                        let cause = format!("the egress proxy {proxy} {awaited} in this time");
                        error.because(io::Error::other(cause))
                    }
                }
            }
        }
    }

    fn unresolved(&self, error: io::Error) -> Error {
        let host = self.settings.origin.host();
        match &self.settings.proxy {
            None => Error::new(
                Reason::UpstreamName,
                format!("the name {host} could not be resolved"),
            )
            .because(error),
            // What the proxy is called is nothing for callers.
            Some(proxy) => Error::new(
                Reason::UpstreamName,
                "the name of the egress proxy could not be resolved",
            )
            .because(OfProxy(proxy.clone(), error)),
        }
    }

    fn unreachable(&self, error: io::Error) -> Error {
        let origin = &self.settings.origin;
        let detail = format!("{origin} could not be connected to");
        let failed = Error::new(Reason::UpstreamConnect, detail);
        match &self.settings.proxy {
            None => failed.because(error),
            Some(proxy) => failed.because(OfProxy(proxy.clone(), error)),
        }
    }
}

/// Says that an origin could not be reached in time.
pub(super) fn connect_late(origin: &Origin, limit: Duration) -> Error {
    let detail = format!("no connection to {origin} within {limit:?}");
    Error::new(Reason::UpstreamConnect, detail)
}

/// Says that TLS with an origin took too long.
pub(super) fn tls_late(origin: &Origin, limit: Duration) -> Error {
    let detail = format!("TLS with {origin} was not established within {limit:?}");
    Error::new(Reason::UpstreamTls, detail)
}

fn breaker(settings: &Settings) -> Option<Arc<Breaker>> {
    let breaker = settings.breaker.map(Breaker::new);
    breaker.map(Arc::new)
}

/// What went wrong with a proxy.
#[derive(Debug, thiserror::Error)]
#[error("the egress proxy {0}: {1}")]
struct OfProxy(Proxy, io::Error);

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
