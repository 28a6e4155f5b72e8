//! A TCP stream that can be made to end in a reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What a request handler knows of the connection its request came on.
#[derive(Debug)]
pub(super) struct Connection {
    /// Counts connections from 1.
    pub(super) number: u64,
    doomed: AtomicBool,
    told: Notify,
}

impl Connection {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            doomed: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    /// Has the connection end in a TCP reset as soon as its task gets to run.
    pub(super) fn reset(&self) {
        self.doomed.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Waits until someone calls [`Connection::reset`].
    ///
    /// # Cancel safety
    /// Nothing is lost: the wish is remembered.
    pub(super) async fn doomed(&self) {
        while !self.doomed.load(Ordering::Acquire) {
            self.told.notified().await;
        }
    }
}

/// The stream of one connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.connection.doomed.load(Ordering::Acquire) {
            // Closing with a linger time of zero sends RST and throws away what was not yet sent. When it
            // cannot be set, the peer sees an ordinary close, and there is nobody to tell.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
