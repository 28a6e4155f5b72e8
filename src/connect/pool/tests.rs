//! The pool against scripted peers, over real sockets. The clock moves only when a test says so.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::counts::{Cause, Count};
use super::peer::{Peer, Speaks};
use super::{Counts, Pool};
use crate::connect::{Dialer, MinTls, Origin, Settings};
use crate::error::{Error, Reason};

/// Settings under which nothing is in the way.
pub(in crate::connect) fn settings(origin: Origin) -> Settings {
    Settings {
        called: "the upstream",
        origin,
        address: None,
        http2: false,
        connect_timeout: Duration::from_secs(3),
        tls_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_hours(1),
        lifetime: Duration::from_hours(2),
        connections: NonZeroUsize::new(10).unwrap(),
        waiting: 10,
        breaker: None,
        extra_roots: Vec::new(),
        min_tls: MinTls::Tls12,
        client_certificate: None,
        proxy: None,
    }
}

/// Runs a test with the clock stopped.
///
/// A paused clock moves on by itself when nothing else happens, which a socket that is about to be ready does not
/// prevent; work on a blocking thread does.
pub(super) async fn stopped(test: impl Future<Output = ()>) {
    let (done, ended) = mpsc::channel::<()>();
    let holding = tokio::task::spawn_blocking(move || ended.recv().is_err());
    LocalSet::new().run_until(test).await;
    drop(done);
    assert!(holding.await.unwrap());
}

/// A pool and what it counts.
pub(super) struct Tested<B = Empty<Bytes>> {
    pub(super) pool: Pool<B>,
    pub(super) counts: Arc<Counts>,
}

pub(super) type Answer = JoinHandle<Result<String, Error>>;

impl Tested {
    fn new(settings: Settings) -> Self {
        Self::dialing(Dialer::new(settings).unwrap())
    }

    pub(super) fn dialing(dialer: Dialer) -> Self {
        let counts = Arc::<Counts>::default();
        let pool = Pool::new(dialer, Arc::clone(&counts));
        Self { pool, counts }
    }

    fn with(peer: &Peer, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = peer.settings();
        change(&mut settings);
        Self::new(settings)
    }

    /// Sends a request and returns which connection answered it.
    pub(super) fn send(&self, target: &str) -> Answer {
        self.send_until(target, Duration::from_hours(10))
    }

    fn send_until(&self, target: &str, limit: Duration) -> Answer {
        let pool = self.pool.clone();
        let request = Request::get(target).body(Empty::new()).unwrap();
        let deadline = Instant::now() + limit;
        spawn_local(async move {
            let sent = pool.send(&mut Some(request), deadline, deadline).await;
            let response = sent.map_err(|unanswered| unanswered.error)?;
            let body = response.into_body().collect().await.unwrap().to_bytes();
            Ok(String::from_utf8(body.to_vec()).unwrap())
        })
    }

    pub(super) async fn get(&self, target: &str) -> String {
        self.send(target).await.unwrap().unwrap()
    }

    pub(super) fn closed(&self, cause: Cause) -> u64 {
        self.counts.closed(cause).get()
    }
}

/// Waits until something is so.
pub(super) async fn until(so: impl Fn() -> bool) {
    while !so() {
        yield_now().await;
    }
}

pub(super) async fn until_count(count: &Count, expected: u64) {
    until(|| count.get() == expected).await;
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

#[tokio::test(start_paused = true)]
async fn the_connection_used_last_is_used_first() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |_| {});
        let held = [tested.send("/held"), tested.send("/held")];
        until(|| peer.targets().len() == 2).await;
        peer.answer(2);
        let mut last = String::new();
        for answer in held {
            last = answer.await.unwrap().unwrap();
        }

        for _ in 0..20 {
            assert_eq!(tested.get("/").await, last);
        }
        assert_eq!(peer.accepted(), 2);
        assert_eq!(tested.counts.reused.get(), 20);
        assert_eq!(tested.counts.idle.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_free_wins_over_a_slow_connect() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |_| {});
        peer.shake_hands(1);
        let first = tested.send("/held");
        until(|| peer.targets().len() == 1).await;

        let second = tested.send("/");
        until(|| peer.accepted() == 2).await;
        assert!(!second.is_finished());
        peer.answer(1);

        assert_eq!(first.await.unwrap().unwrap(), "0");
        assert_eq!(second.await.unwrap().unwrap(), "0");
        assert_eq!(tested.counts.opening.get(), 1);
        // The connect that lost the race is for the next.
        peer.shake_hands(1);
        until_count(&tested.counts.idle, 2).await;
        assert_eq!(tested.counts.opened.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_first_come_are_served_first() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let mut answers = Vec::new();
        for name in ["/held-a", "/held-b", "/held-c", "/held-d"] {
            answers.push(tested.send(name));
            yield_now().await;
        }
        until(|| peer.targets().len() == 1).await;
        until_count(&tested.counts.waiting, 3).await;

        for answer in answers {
            peer.answer(1);
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }

        let expected = ["/held-a", "/held-b", "/held-c", "/held-d"];
        assert_eq!(peer.targets(), expected);
        assert_eq!(tested.counts.waited.get(), 3);
        assert_eq!(tested.counts.waiting.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_retired_pool_serves_who_waits_and_keeps_nothing() {
    for speaks in [Speaks::Http1, Speaks::Http2(100)] {
        stopped(async {
            let peer = Peer::start(speaks).await;
            let tested = Tested::with(&peer, |settings| settings.connections = one());
            let mut answers = Vec::new();
            for name in ["/held-a", "/held-b", "/held-c"] {
                answers.push(tested.send(name));
                yield_now().await;
            }
            // Over HTTP/2 they share the connection, and nobody waits.
            until(|| !peer.targets().is_empty()).await;

            tested.pool.retire();
            assert!(!tested.pool.is_done());
            peer.answer(3);
            for answer in answers {
                assert_eq!(answer.await.unwrap().unwrap(), "0");
            }
            tested.pool.sweep();
            until(|| tested.pool.is_done()).await;

            assert_eq!(tested.counts.open(), 0);
            assert_eq!(tested.counts.idle.get(), 0);
            assert_eq!(tested.closed(Cause::Replaced), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_is_closed_when_a_pool_retires_and_what_comes_to_be_as_well() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |_| {});
        let held = tested.send("/held");
        until(|| peer.targets().len() == 1).await;
        assert_eq!(tested.get("/").await, "1");

        tested.pool.retire();
        assert_eq!(tested.closed(Cause::Replaced), 1);
        // Somebody who still has it may use it; nothing is kept of that either.
        assert_eq!(tested.get("/").await, "2");
        assert_eq!(tested.closed(Cause::Replaced), 2);
        peer.answer(1);
        assert_eq!(held.await.unwrap().unwrap(), "0");
        assert_eq!(tested.closed(Cause::Replaced), 3);
        assert_eq!(tested.counts.open(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| {
            settings.connections = one();
            settings.waiting = 1;
        });
        let first = tested.send("/held");
        let second = tested.send("/");
        until_count(&tested.counts.waiting, 1).await;

        let error = tested.send("/").await.unwrap().unwrap_err();

        assert_eq!(error.reason(), Reason::ConnectionsBusy);
        assert_eq!(error.retry_after(), Some(1));
        assert_eq!(tested.counts.refused.get(), 1);
        peer.answer(1);
        for answer in [first, second] {
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_tells_what_was_waited_for() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let limit = Duration::from_secs(1);
        let connecting = tested.send_until("/", limit);
        until(|| peer.accepted() == 1).await;
        advance(limit).await;
        let error = connecting.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Reason::UpstreamConnect);

        peer.shake_hands(1);
        until_count(&tested.counts.idle, 1).await;
        let answering = tested.send_until("/held", limit);
        let waiting = tested.send_until("/", limit);
        let patient = tested.send("/");
        until_count(&tested.counts.waiting, 2).await;
        until(|| peer.targets().len() == 1).await;
        // The one that waits for a connection comes to its end while the other still waits for its answer.
        advance(limit).await;
        let error = waiting.await.unwrap().unwrap_err();
        let answered = answering.await.unwrap().unwrap_err();

        assert_eq!(answered.reason(), Reason::UpstreamTimeout);
        assert_eq!(error.reason(), Reason::ConnectionsBusy);
        assert_eq!(error.retry_after(), Some(1));
        // The exchange that was given up closed its connection, which makes room for another.
        peer.shake_hands(1);
        assert_eq!(patient.await.unwrap().unwrap(), "1");
        assert_eq!(tested.closed(Cause::Abandoned), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_to_leave_before_its_deadline_waits_no_longer_and_is_handed_back() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let _held = tested.send("/held");
        until(|| peer.targets().len() == 1).await;
        let pool = tested.pool.clone();
        let leave_by = Instant::now() + Duration::from_secs(1);
        let waiting = spawn_local(async move {
            let mut request = Some(Request::get("/").body(Empty::new()).unwrap());
            let deadline = leave_by + Duration::from_secs(9);
            let sent = pool.send(&mut request, leave_by, deadline).await;
            (sent.map(|_| ()), request.is_some())
        });
        until_count(&tested.counts.waiting, 1).await;
        advance(Duration::from_secs(1)).await;

        let (sent, unsent) = waiting.await.unwrap();
        assert_eq!(sent.unwrap_err().error.reason(), Reason::ConnectionsBusy);
        assert!(unsent && peer.targets().len() == 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_a_connection_in_hand_passes_it_on() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let request = Request::get("/first").body(Empty::new()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let first = tested
            .pool
            .send(&mut Some(request), deadline, deadline)
            .await
            .unwrap();
        let leaver = tested.send("/");
        until_count(&tested.counts.waiting, 1).await;
        let next = tested.send("/");
        until_count(&tested.counts.waiting, 2).await;

        // The leaver has been given the connection and has not run since.
        first.into_body().collect().await.unwrap();
        assert_eq!(tested.counts.waiting.get(), 1);
        leaver.abort();

        assert!(leaver.await.unwrap_err().is_cancelled());
        assert_eq!(next.await.unwrap().unwrap(), "0");
        assert_eq!(peer.targets(), ["/first", "/"]);
        assert_eq!(peer.accepted(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_fails_its_own_request_and_makes_room_for_the_next() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let first = tested.send("/");
        let second = tested.send("/");
        until(|| peer.accepted() == 1).await;
        assert_eq!(tested.counts.waiting.get(), 1);

        peer.close(0);
        let error = first.await.unwrap().unwrap_err();
        peer.shake_hands(1);

        assert_eq!(error.reason(), Reason::UpstreamTls);
        assert_eq!(second.await.unwrap().unwrap(), "1");
        assert_eq!(tested.counts.not_opened.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_at_the_end_of_its_lifetime() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let lifetime = Duration::from_mins(10);
        let tested = Tested::with(&peer, |settings| settings.lifetime = lifetime);
        assert_eq!(tested.get("/").await, "0");

        advance(lifetime * 3 / 4).await;
        assert_eq!(tested.get("/").await, "0");
        advance(lifetime / 4).await;
        assert_eq!(tested.get("/").await, "1");
        assert_eq!(tested.closed(Cause::Lifetime), 1);

        // One in use is not cut off, and closed when it comes back.
        let held = tested.send("/held");
        until(|| peer.targets().len() == 4).await;
        advance(lifetime).await;
        peer.answer(1);
        assert_eq!(held.await.unwrap().unwrap(), "1");
        assert_eq!(tested.closed(Cause::Lifetime), 2);
        assert_eq!(tested.counts.idle.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn upkeep_closes_what_is_unused() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let (idle, moment) = (Duration::from_secs(45), Duration::from_millis(1));
        let tested = Tested::with(&peer, |settings| settings.idle_timeout = idle + moment);
        assert_eq!(tested.get("/").await, "0");

        advance(idle).await;
        tested.pool.sweep();
        assert_eq!(tested.counts.idle.get(), 1);
        advance(moment).await;
        tested.pool.sweep();

        assert_eq!(tested.counts.idle.get(), 0);
        assert_eq!(tested.closed(Cause::Idle), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_dies_is_noticed_and_replaced() {
    stopped(async {
        for speaks in [Speaks::Http1, Speaks::Http2(100)] {
            let peer = Peer::start(speaks).await;
            let tested = Tested::with(&peer, |settings| settings.connections = one());
            assert_eq!(tested.get("/").await, "0");

            peer.close(0);
            until(|| {
                // An HTTP/1.1 connection that nobody uses lies still until upkeep looks at it.
                tested.pool.sweep();
                tested.closed(Cause::Dead) == 1
            })
            .await;

            assert_eq!(tested.counts.idle.get(), 0);
            assert_eq!(tested.get("/").await, "1");
        }
    })
    .await;
}

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

#[tokio::test(start_paused = true)]
async fn a_burst_shares_one_http2_connection_and_its_failure() {
    stopped(async {
        let peer = Peer::start(Speaks::Http2(100)).await;
        let tested = Tested::with(&peer, |_| {});
        let answers: Vec<_> = (0..50).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 50).await;
        peer.answer(50);
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }
        assert_eq!(peer.accepted(), 1);

        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.http2 = true);
        let answers: Vec<_> = (0..50).map(|_| tested.send("/")).collect();
        until(|| peer.accepted() == 1).await;
        peer.close(0);
        for answer in answers {
            let error = answer.await.unwrap().unwrap_err();
            assert_eq!(error.reason(), Reason::UpstreamTls);
        }
        assert_eq!(peer.accepted(), 1);
        assert_eq!(tested.counts.not_opened.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_chooses_http1_gets_a_connection_for_each() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.http2 = true);
        peer.shake_hands(10);

        let answers: Vec<_> = (0..3).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 3).await;

        assert_eq!(peer.accepted(), 3);
        peer.answer(3);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_as_many_as_the_peer_takes_and_then_another_connection_is_opened() {
    stopped(async {
        let peer = Peer::start(Speaks::Http2(2)).await;
        let two = NonZeroUsize::new(2).unwrap();
        let tested = Tested::with(&peer, |settings| settings.connections = two);
        assert_eq!(tested.get("/").await, "0");

        let mut answers: Vec<_> = (0..4).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 5).await;
        assert_eq!(peer.accepted(), 2);
        answers.push(tested.send("/held"));
        until_count(&tested.counts.waiting, 1).await;

        assert_eq!(peer.targets().len(), 5);
        peer.answer(5);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(peer.accepted(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn how_many_streams_a_peer_takes_is_known_before_the_first_is_opened() {
    stopped(async {
        for any in [2, 100, 101, u32::MAX] {
            let peer = Peer::start(Speaks::Http2(any)).await;
            assert_eq!(Tested::with(&peer, |_| {}).get("/").await, "0");
        }
        let peer = Peer::start(Speaks::Http2(1)).await;
        let tested = Tested::with(&peer, |_| {});

        let answers: Vec<_> = (0..3).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 3).await;

        assert_eq!(peer.accepted(), 3);
        peer.answer(3);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(peer.accepted(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_past_its_lifetime_is_used_only_where_there_is_no_room() {
    stopped(async {
        let lifetime = Duration::from_mins(1);
        for (connections, expected, closed) in [(1, "0", 0), (2, "1", 1)] {
            let peer = Peer::start(Speaks::Http2(100)).await;
            let tested = Tested::with(&peer, |settings| {
                settings.connections = NonZeroUsize::new(connections).unwrap();
                settings.lifetime = lifetime;
            });
            let held = tested.send("/held");
            until(|| peer.targets().len() == 1).await;

            advance(lifetime).await;
            assert_eq!(tested.get("/").await, expected);

            peer.answer(1);
            assert_eq!(held.await.unwrap().unwrap(), "0");
            assert_eq!(tested.closed(Cause::Lifetime), 1);
            assert_eq!(tested.counts.open(), closed);
        }
    })
    .await;
}
