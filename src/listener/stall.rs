//! Gives a caller up who takes nothing of what it is sent.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use crate::context::Connection;

/// A caller's socket that ends when nothing can be written to it for too long: the connection would hold its place and
/// memory for ever.
///
/// It stands below TLS, whose own buffer takes bytes that the caller does not.
#[derive(Debug)]
pub(super) struct Stall<S> {
    socket: S,
    limit: Duration,
    connection: Rc<Connection>,
    activity: Rc<Activity>,
    /// Runs while the caller takes nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Stall<S> {
    /// Watches `socket`, and tells `connection` when it is given up and `activity` while something is to be written.
    pub(super) fn new(
        socket: S,
        limit: Duration,
        connection: Rc<Connection>,
        activity: Rc<Activity>,
    ) -> Self {
        Self {
            socket,
            limit,
            connection,
            activity,
            timer: None,
        }
    }

    fn bound(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.activity.set_writing(polled.is_pending());
        if polled.is_ready() {
            self.timer = None;
            return polled;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        self.connection.stalled.set(true);
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the caller takes nothing of its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.bound(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.bound(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;
    use crate::context::{Accepts, Endpoint};

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_takes_nothing_is_given_up() {
        let (mut caller, socket) = tokio::io::duplex(64);
        let connection = Rc::new(Connection::new(
            Endpoint::Unix,
            Endpoint::Unix,
            Accepts::anybody(true),
        ));
        let limit = Duration::from_mins(1);
        let activity = Activity::new();
        let mut stall = Stall::new(socket, limit, Rc::clone(&connection), activity);
        let begun = Instant::now();
        stall.write_all(&[0; 64]).await.unwrap();
        let take_some = async {
            sleep(Duration::from_secs(50)).await;
            caller.read_exact(&mut [0; 10]).await.unwrap();
        };

        let (written, ()) = tokio::join!(stall.write_all(&[0; 64]), take_some);

        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(50 + 60));
        assert!(connection.stalled.get());
    }
}
