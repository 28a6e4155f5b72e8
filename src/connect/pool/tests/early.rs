//! What becomes of a request whose answer is complete before it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::{settings, stopped, until, until_count};
use crate::connect::pool::counts::Cause;
use crate::connect::pool::{Counts, Pool};
use crate::connect::{Dialer, Settings};

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_is_still_on_its_way_is_not_idle() {
    stopped(async {
        let early = Early::answered().await;
        assert_eq!((early.counts.open(), early.counts.idle.get()), (1, 0));

        early.finish.send(()).unwrap();

        until_count(&early.counts.idle, 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stays_on_its_way_does_not_outlive_its_connection() {
    stopped(async {
        let mut early = Early::answered().await;
        yield_now().await;
        advance(Duration::from_secs(45)).await;

        until(|| early.counts.closed(Cause::Abandoned).get() == 1).await;
        // Its socket closes, and with it goes the body, which the caller's side waits for.
        let mut rest = Vec::new();
        early.stream.read_to_end(&mut rest).await.unwrap();
        early.finish.closed().await;
    })
    .await;
}

/// An exchange whose answer is complete while its request is still on its way.
struct Early {
    counts: Arc<Counts>,
    /// Ends the request.
    finish: oneshot::Sender<()>,
    /// The peer's end.
    stream: TcpStream,
    _pool: Pool<Slow>,
}

impl Early {
    async fn answered() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counts = Arc::<Counts>::default();
        let dialer = Dialer::new(Settings {
            address: Some(listener.local_addr().unwrap()),
            idle_timeout: Duration::from_secs(45),
            ..settings("http://localhost".parse().unwrap())
        });
        let pool: Pool<Slow> = Pool::new(dialer.unwrap(), Arc::clone(&counts));
        let (finish, finished) = oneshot::channel();
        let request = Request::post("/").body(Slow(Some(finished))).unwrap();
        let peer = spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 16];
            stream.read_exact(&mut head).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream
        });

        let deadline = Instant::now() + Duration::from_secs(1);
        let response = pool
            .send(&mut Some(request), deadline, deadline)
            .await
            .unwrap();
        assert!(response.into_body().is_end_stream());
        Self {
            counts,
            finish,
            stream: peer.await.unwrap(),
            _pool: pool,
        }
    }
}

/// A body that ends when it is told to.
struct Slow(Option<oneshot::Receiver<()>>);

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(finished) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(finished).poll(cx);
        polled.map(|_| {
            self.0 = None;
            None
        })
    }
}
