//! A port that nobody else is given, at which there may or may not be someone.

use std::net::{Shutdown, SocketAddr, TcpListener};

use socket2::{Domain, SockFilter, SockRef, Socket, Type};

/// A port. Connections to it are refused while it is not open.
pub(crate) struct Port {
    /// Bound, and never listened at: it keeps the port.
    keeper: Socket,
    address: SocketAddr,
}

/// Ends what listens at a port when dropped.
pub(crate) struct Open(TcpListener);

/// A port at which every packet is swallowed: connections to it are neither taken nor refused.
pub(crate) struct Deaf {
    /// Who keeps no packet.
    _listener: Socket,
    address: SocketAddr,
}

impl Port {
    /// Takes a free one.
    pub(crate) fn take() -> Self {
        let keeper = bound("127.0.0.1:0".parse().unwrap());
        let address = keeper.local_addr().unwrap().as_socket().unwrap();
        Self { keeper, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens it, until what is returned second is dropped.
    pub(crate) fn open(&self) -> (TcpListener, Open) {
        assert!(self.keeper.local_addr().is_ok(), "the port is kept");
        let socket = bound(self.address);
        socket.listen(1024).unwrap();
        let listener = TcpListener::from(socket);
        (listener.try_clone().unwrap(), Open(listener))
    }
}

impl Deaf {
    /// Takes a free one.
    pub(crate) fn take() -> Self {
        let listener = bound("127.0.0.1:0".parse().unwrap());
        listener.listen(8).unwrap();
        // Of no packet anything is kept: `ret 0` in classic BPF (linux/filter.h).
        let filter = [SockFilter::new(0x06, 0, 0, 0)];
        listener.attach_filter(&filter).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        Self {
            _listener: listener,
            address,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Whoever waits for a connection is woken, and gets none.
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Both);
    }
}

fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}
