//! Sockets of either kind: listening, accepted, and in use by a runtime.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket as Raw, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::socket_file::{SocketFile, Turn};
use super::{Address, BindError, Settings};
use crate::context::Endpoint;
use crate::peer::UnixPeer;

/// A socket that callers connect to, of no runtime yet.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A caller's socket, of no runtime yet.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over a Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// A listening socket of this thread's runtime.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A caller's socket of this thread's runtime.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listening {
    /// Takes the address and listens at it. Also returns the address taken and, of a Unix socket, its file.
    pub(super) fn open(
        settings: &Settings,
    ) -> Result<(Self, Address, Option<SocketFile>), BindError> {
        match &settings.address {
            Address::Ip(address) => {
                let socket = tcp(*address, settings)?;
                let address = Address::Ip(socket.local_addr()?);
                Ok((Self::Tcp(socket), address, None))
            }
            Address::Unix(path) => {
                let (socket, file) = unix(path, settings)?;
                let address = settings.address.clone();
                Ok((Self::Unix(socket), address, Some(file)))
            }
        }
    }

    /// Gives the socket to this thread's runtime.
    pub(super) fn enter(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(socket) => TcpListener::from_std(socket).map(Listener::Tcp),
            Self::Unix(socket) => UnixListener::from_std(socket).map(Listener::Unix),
        }
    }
}

fn tcp(address: SocketAddr, settings: &Settings) -> Result<std::net::TcpListener, BindError> {
    let socket = Raw::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // Without it the address would stay taken for a minute after connections of a process that is gone.
    socket.set_reuse_address(true)?;
    if settings.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // The system's default differs from host to host.
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog(settings))?;
    Ok(socket.into())
}

fn unix(
    path: &Path,
    settings: &Settings,
) -> Result<(std::os::unix::net::UnixListener, SocketFile), BindError> {
    let socket = Raw::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    // Until this process listens.
    let _turn = Turn::take(path);
    let file = SocketFile::bind(&socket, path, settings.access)?;
    let listen = || {
        socket.listen(backlog(settings))?;
        // Where there are no turns, another process may have found a socket nobody listened at.
        if file.is_ours() {
            Ok(())
        } else {
            Err(BindError::Replaced)
        }
    };
    listen().inspect_err(|_| file.remove_if_ours())?;
    Ok((socket.into(), file))
}

fn backlog(settings: &Settings) -> i32 {
    i32::try_from(settings.backlog).unwrap_or(i32::MAX)
}

impl Listener {
    /// Waits for a caller.
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub(super) async fn accept(&self) -> io::Result<(Accepted, Endpoint)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                Ok((Accepted::Tcp(socket.into_std()?), peer.into()))
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((Accepted::Unix(socket.into_std()?), Endpoint::Unix))
            }
        }
    }

    /// Lets new callers pass by, who connect to another process at the same port when they ask again, after a second.
    /// What has begun to connect still can.
    ///
    /// Without that, who connects between the last accept and the close would be reset.
    #[cfg(target_os = "linux")]
    pub(super) fn let_newcomers_pass(&self) -> io::Result<()> {
        use socket2::{SockFilter, SockRef};

        // Classic BPF over the TCP header (linux/filter.h): the byte with the flags; with SYN among them nothing of the
        // packet is kept, else all.
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_SET: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        let filter = [
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ];
        match self {
            Self::Tcp(listener) => SockRef::from(listener).attach_filter(&filter),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Other systems have nothing of the kind.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn let_newcomers_pass(&self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsFd for Accepted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Accepted {
    /// Gives the socket to this thread's runtime. Also returns the end that the caller connected to, and of a Unix socket
    /// who it is.
    pub(super) fn enter(self) -> io::Result<(Socket, Endpoint, Option<UnixPeer>)> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                let socket = TcpStream::from_std(socket)?;
                // Small writes are whole messages here; waiting to merge them only adds latency.
                socket.set_nodelay(true)?;
                let local = socket.local_addr()?.into();
                Ok((Socket::Tcp(socket), local, None))
            }
            Self::Unix(socket) => {
                socket.set_nonblocking(true)?;
                let socket = UnixStream::from_std(socket)?;
                let peer = socket.peer_cred()?;
                let peer = UnixPeer {
                    uid: peer.uid(),
                    gid: peer.gid(),
                    pid: peer.pid(),
                };
                Ok((Socket::Unix(socket), Endpoint::Unix, Some(peer)))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Unix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_sends_small_writes_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _caller = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();

        let (socket, local, peer) = Accepted::Tcp(accepted).enter().unwrap();

        let Socket::Tcp(socket) = socket else {
            panic!("another kind")
        };
        assert!(socket.nodelay().unwrap());
        assert_eq!((local, peer), (Endpoint::Ip(address), None));
    }
}
