//! What becomes of a request whose answer is complete before it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::{settings, stopped, until, until_count};
use crate::connect::pool::counts::Cause;
use crate::connect::pool::frames::{
    CANCEL, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, read_frame,
};
use crate::connect::pool::{Counts, Pool};
use crate::connect::{Dialer, LeasedBody, Settings};

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_is_still_on_its_way_is_not_idle() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        stopped(async {
            let early = Early::answered(speaks).await;
            assert_eq!((early.counts.open(), early.counts.idle.get()), (1, 0));

            early.finish.send(()).unwrap();

            until_count(&early.counts.idle, 1).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_request_has_a_second_when_its_answer_is_complete() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        stopped(async {
            let mut early = Early::answered(speaks).await;
            for _ in 0..100 {
                yield_now().await;
            }
            advance(Duration::from_millis(999)).await;
            for _ in 0..100 {
                yield_now().await;
            }
            assert!(!early.finish.is_closed());
            advance(Duration::from_millis(1)).await;

            // With the exchange goes the body, which the caller's side waits for.
            early.finish.closed().await;
            match speaks {
                Speaks::Http1 => {
                    until(|| early.counts.closed(Cause::Abandoned).get() == 1).await;
                    let mut rest = Vec::new();
                    early.stream.read_to_end(&mut rest).await.unwrap();
                }
                Speaks::Http2 => {
                    let (_, reset) = read_frame(&mut early.stream, RST_STREAM).await;
                    assert_eq!(reset, CANCEL.to_be_bytes());
                    until_count(&early.counts.idle, 1).await;
                    assert_eq!(early.counts.open(), 1);
                }
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_an_answer_up_takes_the_rest_of_the_request_along() {
    stopped(async {
        let mut early = Early::begun().await;

        drop(early.response.take());

        early.finish.closed().await;
        let (_, reset) = read_frame(&mut early.stream, RST_STREAM).await;
        assert_eq!(reset, CANCEL.to_be_bytes());
    })
    .await;
}

/// An exchange whose answer came while its request is still on its way.
struct Early {
    counts: Arc<Counts>,
    /// Ends the request.
    finish: oneshot::Sender<()>,
    /// The peer's end.
    stream: TcpStream,
    response: Option<Response<LeasedBody<Slow>>>,
    _pool: Pool<Slow>,
}

#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    Http1,
    Http2,
}

impl Early {
    /// The answer is complete.
    async fn answered(speaks: Speaks) -> Self {
        let answer = match speaks {
            Speaks::Http1 => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Speaks::Http2 => frame(HEADERS, END_HEADERS | END_STREAM, 1, OK),
        };
        let early = Self::with(speaks, answer).await;
        let response = early.response.as_ref().unwrap();
        assert!(response.body().is_end_stream());
        early
    }

    /// The answer has begun, over HTTP/2.
    async fn begun() -> Self {
        Self::with(Speaks::Http2, frame(HEADERS, END_HEADERS, 1, OK)).await
    }

    async fn with(speaks: Speaks, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counts = Arc::<Counts>::default();
        let dialer = Dialer::new(Settings {
            address: Some(listener.local_addr().unwrap()),
            http2: speaks == Speaks::Http2,
            ..settings("http://localhost".parse().unwrap())
        });
        let pool: Pool<Slow> = Pool::new(dialer.unwrap(), Arc::clone(&counts));
        let (finish, finished) = oneshot::channel();
        let request = Request::post("/").body(Slow(Some(finished))).unwrap();
        let peer = spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            match speaks {
                Speaks::Http1 => {
                    stream.read_exact(&mut [0; 16]).await.unwrap();
                }
                Speaks::Http2 => {
                    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
                    stream.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
                    let (id, _) = read_frame(&mut stream, HEADERS).await;
                    assert_eq!(id, 1);
                }
            }
            stream.write_all(&answer).await.unwrap();
            stream
        });

        let deadline = Instant::now() + Duration::from_secs(1);
        let response = pool
            .send(&mut Some(request), deadline, deadline)
            .await
            .unwrap();
        Self {
            counts,
            finish,
            stream: peer.await.unwrap(),
            response: Some(response),
            _pool: pool,
        }
    }
}

/// `:status: 200`, by its place in the static table.
const OK: &[u8] = &[0x88];

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
