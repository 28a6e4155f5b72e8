//! What becomes of a request whose answer is complete before it is.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::{settings, stopped, until, until_count};
use crate::connect::pool::counts::Cause;
use crate::connect::pool::frames::{
    CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame,
    read_frame,
};
use crate::connect::pool::{Counts, Pool, Times};
use crate::connect::{Dialer, LeasedBody, Settings};

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_is_still_on_its_way_is_not_idle() {
    for speaks in [Speaks::Http1, HTTP2] {
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
    for speaks in [Speaks::Http1, HTTP2] {
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
                Speaks::Http2 { .. } => {
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

#[tokio::test(start_paused = true)]
async fn an_upload_without_a_window_is_called_off_a_second_after_its_answer() {
    // One piece that the answer leaves no window for, or only for some of it.
    for (window, length, known) in [
        (0, 100, true),
        (0, 100_000, true),
        (1, 2000, true),
        (1, 2000, false),
        (20_000, 100_000, true),
        (59_999, 60_000, false),
    ] {
        stopped(async {
            let answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, OK);
            let upload = Slow::piece(length, known);
            let mut early = Early::with(Speaks::Http2 { window }, answer, upload).await;
            assert!(early.response.as_ref().unwrap().body().is_end_stream());
            // The caller takes its time for what it was given.
            let _response = early.response.take();

            let mut sent = 0;
            while sent < window {
                let (_, piece) = read_frame(&mut early.stream, DATA).await;
                sent += piece.len();
            }
            for _ in 0..100 {
                yield_now().await;
            }
            assert_eq!(early.counts.idle.get(), 0, "{window} {length}");
            advance(Duration::from_secs(1)).await;

            let (of, reset) = read_frame(&mut early.stream, RST_STREAM).await;
            assert_eq!((of, &reset[..]), (1, &CANCEL.to_be_bytes()[..]));
            until_count(&early.counts.idle, 1).await;
            assert_eq!(early.counts.open(), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_an_answer_up_takes_an_upload_along_that_has_no_window() {
    for (window, known) in [(0, true), (1, true), (1, false)] {
        stopped(async {
            let answer = frame(HEADERS, END_HEADERS, 1, OK);
            let upload = Slow::piece(100_000, known);
            let mut early = Early::with(Speaks::Http2 { window }, answer, upload).await;

            drop(early.response.take());

            let (of, reset) = read_frame(&mut early.stream, RST_STREAM).await;
            assert_eq!((of, &reset[..]), (1, &CANCEL.to_be_bytes()[..]));
            assert_eq!(early.counts.open(), 1);
        })
        .await;
    }
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
    Http2 {
        /// How much of each upload may come.
        window: usize,
    },
}

const HTTP2: Speaks = Speaks::Http2 { window: 65_535 };

impl Early {
    /// The answer is complete.
    async fn answered(speaks: Speaks) -> Self {
        let answer = match speaks {
            Speaks::Http1 => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Speaks::Http2 { .. } => frame(HEADERS, END_HEADERS | END_STREAM, 1, OK),
        };
        let early = Self::slow(speaks, answer).await;
        let response = early.response.as_ref().unwrap();
        assert!(response.body().is_end_stream());
        early
    }

    /// The answer has begun, over HTTP/2.
    async fn begun() -> Self {
        Self::slow(HTTP2, frame(HEADERS, END_HEADERS, 1, OK)).await
    }

    async fn slow(speaks: Speaks, answer: Vec<u8>) -> Self {
        let (finish, finished) = oneshot::channel();
        let upload = Slow {
            finished: Some(finished),
            ..Slow::piece(0, true)
        };
        let early = Self::with(speaks, answer, upload).await;
        Self { finish, ..early }
    }

    async fn with(speaks: Speaks, answer: Vec<u8>, upload: Slow) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counts = Arc::<Counts>::default();
        let dialer = Dialer::new(Settings {
            address: Some(listener.local_addr().unwrap()),
            http2: speaks != Speaks::Http1,
            ..settings("http://localhost".parse().unwrap())
        });
        let pool: Pool<Slow> = Pool::new(dialer.unwrap(), Arc::clone(&counts));
        let request = Request::post("/").body(upload).unwrap();
        let peer = spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            match speaks {
                Speaks::Http1 => {
                    stream.read_exact(&mut [0; 16]).await.unwrap();
                }
                Speaks::Http2 { window } => {
                    let window = u32::try_from(window).unwrap().to_be_bytes();
                    let settings = [&INITIAL_WINDOW_SIZE[..], &window].concat();
                    let settings = frame(SETTINGS, 0, 0, &settings);
                    stream.write_all(&settings).await.unwrap();
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
            .send(&mut Some(request), &Times::until(deadline))
            .await
            .unwrap();
        Self {
            counts,
            finish: oneshot::channel().0,
            stream: peer.await.unwrap(),
            response: Some(response),
            _pool: pool,
        }
    }
}

/// `:status: 200`, by its place in the static table.
const OK: &[u8] = &[0x88];

const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// A body of at most one piece, that ends when it is told to.
struct Slow {
    piece: Bytes,
    /// Whether it says how long it is.
    known: bool,
    finished: Option<oneshot::Receiver<()>>,
}

impl Slow {
    /// All of it is there.
    fn piece(length: usize, known: bool) -> Self {
        Self {
            piece: Bytes::from(vec![7; length]),
            known,
            finished: None,
        }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.piece.is_empty() {
            let piece = mem::take(&mut self.piece);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(finished) = &mut self.finished else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(finished).poll(cx);
        polled.map(|_| {
            self.finished = None;
            None
        })
    }

    fn is_end_stream(&self) -> bool {
        self.known && self.piece.is_empty() && self.finished.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.known && self.finished.is_none() {
            SizeHint::with_exact(self.piece.len().try_into().unwrap())
        } else {
            SizeHint::default()
        }
    }
}
