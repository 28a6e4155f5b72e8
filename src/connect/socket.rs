//! What the kernel is asked to do for an outbound connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Connects to `address`.
///
/// # Errors
/// The system's, with the address in front.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connected = TcpStream::connect(address).await;
    let prepared = connected.and_then(|stream| {
        // Small writes are whole messages here; waiting to merge them only adds latency.
        stream.set_nodelay(true)?;
        watch(&stream)?;
        Ok(stream)
    });
    prepared.map_err(|error| io::Error::new(error.kind(), At { address, error }))
}

/// Lets the kernel find out when nobody is at the other end any more: a machine that lost its power and a firewall that
/// forgot the connection send nothing by which it could be noticed.
fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(QUIET_FOR)
        .with_interval(BETWEEN_PROBES);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNANSWERED_FOR))?;
    socket.set_tcp_keepalive(&keepalive)
}

/// An error and where it happened.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {error}")]
struct At {
    address: SocketAddr,
    error: io::Error,
}

/// A connection that was quiet for so long is probed.
pub(super) const QUIET_FOR: Duration = Duration::from_secs(15);

/// A probe that was not answered is repeated after this.
pub(super) const BETWEEN_PROBES: Duration = Duration::from_secs(5);

/// A connection breaks when what was sent, probes included, has stayed unacknowledged for so long; an upstream that takes
/// no byte of a request for as long counts as gone too. (Linux; elsewhere it is the system's.)
pub(super) const UNANSWERED_FOR: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_watched_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();

        let stream = connect(listener.local_addr().unwrap()).await.unwrap();

        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), QUIET_FOR);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), BETWEEN_PROBES);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNANSWERED_FOR));
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);

        let error = connect(address).await.unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(
            error.to_string().starts_with(&format!("{address}: ")),
            "{error}"
        );
    }
}
