//! A connection to an origin, in clear text or over TLS, or to a stand-in for one in this process.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection to an origin.
#[derive(Debug)]
pub enum Stream {
    /// To a stand-in in this process ([`super::Dialer::in_memory`]).
    Memory(DuplexStream),
    /// Clear text.
    Plain(TcpStream),
    /// Clear text inside of TLS with a proxy.
    PlainInTls(Box<TlsStream<TcpStream>>),
    /// TLS, with the server's identity verified.
    Tls(Box<TlsStream<TcpStream>>),
    /// The same inside of TLS with a proxy.
    TlsInTls(Box<TlsStream<TlsStream<TcpStream>>>),
}

impl Stream {
    /// Tells whether the server chose HTTP/2 by ALPN.
    pub fn chose_http2(&self) -> bool {
        let chosen = match self {
            Self::Memory(_) | Self::Plain(_) | Self::PlainInTls(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::TlsInTls(stream) => stream.get_ref().1.alpn_protocol(),
        };
        chosen == Some(b"h2")
    }

    /// Returns the address connected to, which is the proxy's where there is one.
    pub fn address(&self) -> Option<IpAddr> {
        let socket = match self {
            Self::Memory(_) => return None,
            Self::Plain(socket) => socket,
            Self::PlainInTls(stream) | Self::Tls(stream) => stream.get_ref().0,
            Self::TlsInTls(stream) => stream.get_ref().0.get_ref().0,
        };
        socket.peer_addr().ok().map(|address| address.ip())
    }
}

/// Calls a method of whatever is inside.
macro_rules! inside {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Memory($inner) => $call,
            Stream::Plain($inner) => $call,
            Stream::PlainInTls($inner) | Stream::Tls($inner) => $call,
            Stream::TlsInTls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inside!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        inside!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inside!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        inside!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
