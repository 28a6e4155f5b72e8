//! Binds an address and accepts connections from it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::places::{Place, Places};
use super::room::Room;
use super::socket::{self, Listener, Listening};
use super::terms::{Handle, Shared, Terms};
use super::{Address, Settings};
use crate::context::Endpoint;

/// A listener whose address is taken. The file of a Unix socket is removed with it.
#[derive(Debug)]
pub struct Bound {
    address: Address,
    /// Before the socket: as long as that is open, the file is known for what it is.
    door: Door,
    socket: Listening,
}

/// The file of a Unix socket, until nobody shall come in any more.
#[derive(Debug)]
struct Door(Arc<Shared>);

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(file) = &self.0.file {
            file.remove_if_ours();
        }
    }
}

/// A caller's connection, on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not yet of any runtime.
    pub socket: socket::Accepted,
    /// The caller's end.
    pub peer: Endpoint,
    /// What it is served by.
    pub terms: Arc<Terms>,
    /// The connection's place among those the listener may have open.
    pub place: Place,
    /// Counts handshakes that fail.
    pub failed_handshakes: Counter,
}

/// Why an address could not be taken, or new settings not be used.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has the socket.
    #[error("another process listens there")]
    Live,
    /// The permissions of the socket's file.
    #[error("the mode of the socket's file cannot be set")]
    Mode(#[source] io::Error),
    /// What is at the path would be lost.
    #[error("what is there is no socket, and is left as it is")]
    NotASocket,
    /// The owner of the socket's file.
    #[error(
        "the owner or group of the socket's file cannot be set: giving it away takes the capability CAP_CHOWN, and a group has to be one of the process"
    )]
    Owner(#[source] io::Error),
    /// Somebody else has put a file there.
    #[error("another file has taken the place of the socket's")]
    Replaced,
    /// The operating system: the address is in use or not this machine's, or needs privileges.
    #[error("the system does not let the address be taken")]
    System(#[from] io::Error),
    /// The library does not take what it is given.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Bound {
    /// Takes the address.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub fn bind(settings: Settings) -> Result<Self, BindError> {
        let terms = Terms::new(settings)?;
        let (socket, address, file) = Listening::open(&terms.settings)?;
        let shared = Shared {
            terms: ArcSwap::from_pointee(terms),
            places: Places::default(),
            file,
            failed_handshakes: Counter::default(),
        };
        Ok(Self {
            address,
            door: Door(Arc::new(shared)),
            socket,
        })
    }

    /// Returns the address taken, with the port the system chose when the settings left it open.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns what changes the settings while the listener is bound.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.door.0))
    }

    /// Accepts connections until the drain begins, and hands each to `deliver`; at the end also those that had
    /// connected before.
    ///
    /// While as many are open as the settings allow, or as the process has descriptors for, the others wait in the
    /// kernel's queue.
    ///
    /// # Errors
    /// When the socket cannot be used by the runtime.
    pub async fn accept(
        self,
        mut draining: watch::Receiver<bool>,
        deliver: impl Fn(Accepted),
    ) -> io::Result<()> {
        let Self {
            address,
            door,
            socket,
        } = self;
        let shared = Arc::clone(&door.0);
        let listener = socket.enter()?;
        let room = Room::in_process();
        let over = draining.clone();
        let next = async || -> Option<Accepted> {
            let most = || shared.terms.load().settings.limits.connections;
            // At the drain the kernel's queue is all that still comes, and bounds itself.
            if !*over.borrow() {
                shared.places.free(most).await;
                let upstream = || shared.terms.load().settings.upstream_connections;
                let callers = || shared.places.taken();
                room.free(callers, upstream, listener.as_fd()).await;
            }
            match listener.accept().await {
                Ok((socket, peer)) => {
                    room.note(socket.as_fd().as_raw_fd());
                    Some(Accepted {
                        socket,
                        peer,
                        terms: shared.terms.load_full(),
                        place: shared.places.take(),
                        failed_handshakes: shared.failed_handshakes.clone(),
                    })
                }
                Err(error) => {
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tracing::warn!(%error, %address, "a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    None
                }
            }
        };
        loop {
            tokio::select! {
                accepted = next() => accepted.into_iter().for_each(&deliver),
                _ = draining.wait_for(|draining| *draining) => break,
            }
        }
        // Whoever comes now finds no socket at the path, or another process's.
        drop(door);
        if shared.terms.load().settings.reuse_port {
            hand_over(&listener, &next, &deliver).await;
        }
        while let Ok(Some(accepted)) = timeout(Duration::ZERO, next()).await {
            deliver(accepted);
        }
        Ok(())
    }
}

/// Leaves new callers to other processes at the same port, and takes those who have begun to connect.
async fn hand_over(
    listener: &Listener,
    next: &impl AsyncFn() -> Option<Accepted>,
    deliver: &impl Fn(Accepted),
) {
    if let Err(error) = listener.let_newcomers_pass() {
        return tracing::debug!(%error, "callers who connect while the socket closes may be reset");
    }
    let begun = async {
        loop {
            next().await.into_iter().for_each(deliver);
        }
    };
    let _ = timeout(ROUND_TRIP, begun).await;
}

/// How long who has begun to connect may take to finish: the way there and back across a continent.
const ROUND_TRIP: Duration = Duration::from_millis(200);
