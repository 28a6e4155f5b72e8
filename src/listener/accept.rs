//! Binds an address and accepts connections from it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Settings;

/// A listener whose address is taken.
#[derive(Debug)]
pub struct Bound {
    socket: std::net::TcpListener,
    address: SocketAddr,
    settings: Arc<Settings>,
}

/// A caller's connection, on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not yet of any runtime.
    pub socket: std::net::TcpStream,
    /// The caller's address.
    pub peer: SocketAddr,
    /// The listener's settings.
    pub settings: Arc<Settings>,
    /// The connection's place among those the listener may have open.
    pub place: OwnedSemaphorePermit,
}

impl Bound {
    /// Takes the address.
    ///
    /// # Errors
    /// The operating system's: the address is in use or not this machine's, or the port needs privileges.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(settings.address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            settings: Arc::new(settings),
        })
    }

    /// Returns the address taken, with the port the system chose when the settings left it open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until the drain begins, and hands each to `deliver`; at the end also those that had
    /// connected before.
    ///
    /// While as many are open as the settings allow, the others wait in the kernel's queue.
    ///
    /// # Errors
    /// When the socket cannot be used by the runtime.
    pub async fn accept(
        self,
        mut draining: watch::Receiver<bool>,
        deliver: impl Fn(Accepted),
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(self.socket)?;
        let places = Arc::new(Semaphore::new(self.settings.limits.connections));
        let next = async || -> Option<Accepted> {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            let accepted = listener.accept().await;
            match accepted.and_then(|(socket, peer)| Ok((socket.into_std()?, peer))) {
                Ok((socket, peer)) => Some(Accepted {
                    socket,
                    peer,
                    settings: Arc::clone(&self.settings),
                    place,
                }),
                Err(error) => {
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tracing::warn!(%error, address = %self.address, "a connection could not be accepted");
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
        while let Ok(Some(accepted)) = timeout(Duration::ZERO, next()).await {
            deliver(accepted);
        }
        Ok(())
    }
}
