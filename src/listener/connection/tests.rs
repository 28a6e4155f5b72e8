//! How a connection over HTTP/1.1 lives, on a clock that stands still.

use std::cell::Cell;

use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use tower::util::UnsyncBoxService;

use super::life::REST;
use super::*;
use crate::context::Accepts;

type Stack = UnsyncBoxService<Inbound<CallerBody>, Response<Full<Bytes>>, Infallible>;

const IDLE: Duration = Duration::from_secs(75);
const HEAD: Duration = Duration::from_secs(10);
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

fn limits() -> Limits {
    Limits {
        head_bytes: 4096,
        fields: 20,
        target_bytes: 1024,
        head_timeout: HEAD,
        idle_timeout: IDLE,
        write_timeout: Duration::from_mins(1),
        connections: 16,
    }
}

/// Answers every request with the number of those before it.
fn counting() -> Stack {
    let count = Cell::new(0);
    let answer = move |_: Inbound<CallerBody>| {
        let text = count.replace(count.get() + 1).to_string();
        std::future::ready(Ok(Response::new(Full::new(Bytes::from(text)))))
    };
    Stack::new(tower::service_fn(answer))
}

/// Serves one connection; the caller's end, what it comes to, and the drain.
fn connection() -> (
    DuplexStream,
    impl Future<Output = Result<(), Source>>,
    watch::Sender<bool>,
) {
    let (drain, draining) = watch::channel(false);
    let (caller, served) = connection_to(counting(), draining);
    (caller, served, drain)
}

fn connection_to(
    stack: Stack,
    draining: watch::Receiver<bool>,
) -> (DuplexStream, impl Future<Output = Result<(), Source>>) {
    let (caller, stream) = duplex(1 << 16);
    let address = ([127, 0, 0, 1], 80).into();
    let connection = Rc::new(Connection::new(address, address, Accepts::anybody(true)));
    let activity = Activity::new();
    let limit = limits().write_timeout;
    let stream = Stall::new(stream, limit, Rc::clone(&connection), Rc::clone(&activity));
    let mut guard = Guard::with_activity(
        stream,
        limits(),
        Rc::clone(&connection),
        Rc::clone(&activity),
    );
    let life = Life {
        activity: Rc::clone(&activity),
        draining,
        idle_timeout: IDLE,
    };
    let requests = Requests {
        service: Rc::new(RefCell::new(stack)),
        connection,
        verdict: guard.verdict(),
        limits: limits(),
        activity,
    };
    let served = async move {
        guard.recognize(true).await?;
        serve_http1(&mut guard, &requests, &life).await
    };
    (caller, served)
}

/// Sends `bytes` and returns the body of the answer, or `None` at the connection's end.
async fn ask(caller: &mut DuplexStream, bytes: &[u8]) -> Option<String> {
    caller.write_all(bytes).await.ok()?;
    answer(caller).await
}

async fn answer(caller: &mut DuplexStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.ok()?);
    }
    let mut body = [0];
    caller.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_on_however_long_it_rested() {
    let (mut caller, served, _drain) = connection();
    let ask_often = async {
        for (count, pause) in [0, 5, 19, 20, 21, 500, 60_000].into_iter().enumerate() {
            sleep(Duration::from_millis(pause)).await;
            assert_eq!(
                ask(&mut caller, GET).await,
                Some(count.to_string()),
                "after {pause} ms"
            );
        }
        drop(caller);
    };

    let (served, ()) = tokio::join!(served, ask_often);

    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_sent_together_and_heads_in_pieces_outlast_a_rest() {
    let (mut caller, served, _drain) = connection();
    let ask_oddly = async {
        sleep(2 * REST).await;
        let two = [GET, GET].concat();
        assert_eq!(ask(&mut caller, &two).await.as_deref(), Some("0"));
        assert_eq!(answer(&mut caller).await.as_deref(), Some("1"));
        for _ in 0..2 {
            sleep(2 * REST).await;
            let (first, rest) = GET.split_at(7);
            caller.write_all(b"\r\n").await.unwrap();
            caller.write_all(first).await.unwrap();
            sleep(2 * REST).await;
            assert!(ask(&mut caller, rest).await.is_some());
        }
        drop(caller);
    };

    let (served, ()) = tokio::join!(served, ask_oddly);

    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rest_ends_with_the_idle_timeout() {
    let (mut caller, served, _drain) = connection();
    let wait = async {
        assert!(ask(&mut caller, GET).await.is_some());
        let answered = Instant::now();
        assert_eq!(answer(&mut caller).await, None);
        assert_eq!(answered.elapsed(), IDLE);
    };

    let (served, ()) = tokio::join!(served, wait);

    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_all_arrive_after_a_rest_has_its_own_time_limit() {
    let (mut caller, served, _drain) = connection();
    let stall = async {
        assert!(ask(&mut caller, GET).await.is_some());
        sleep(2 * REST).await;
        caller.write_all(b"GET /").await.unwrap();
        let begun = Instant::now();
        // The stand-in for what was refused is answered like any other request.
        assert!(answer(&mut caller).await.is_some());
        assert_eq!(begun.elapsed(), HEAD);
        assert_eq!(answer(&mut caller).await, None);
    };

    let (served, ()) = tokio::join!(served, stall);

    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_a_connection_that_rests_and_serves_what_has_just_arrived() {
    let (mut caller, served, drain) = connection();
    let rest = async {
        assert!(ask(&mut caller, GET).await.is_some());
        sleep(2 * REST).await;
        caller.write_all(GET).await.unwrap();
        drain.send_replace(true);
        assert_eq!(answer(&mut caller).await.as_deref(), Some("1"));
        let answered = Instant::now();
        assert_eq!(answer(&mut caller).await, None);
        // It may have begun to rest meanwhile.
        assert!(answered.elapsed() <= 3 * GRACE);
    };

    let (served, ()) = tokio::join!(served, rest);
    served.unwrap();

    let (mut caller, served, drain) = connection();
    let rest = async {
        assert!(ask(&mut caller, GET).await.is_some());
        sleep(2 * REST).await;
        drain.send_replace(true);
        let begun = Instant::now();
        // A request that was on its way is served, and its answer is the last.
        sleep(GRACE / 2).await;
        caller.write_all(GET).await.unwrap();
        let mut all = String::new();
        caller.read_to_string(&mut all).await.unwrap();
        assert!(
            all.contains("connection: close") && all.ends_with('1'),
            "{all}"
        );
        assert!(begun.elapsed() < GRACE);
    };

    let (served, ()) = tokio::join!(served, rest);
    served.unwrap();

    let (mut caller, served, drain) = connection();
    let rest = async {
        assert!(ask(&mut caller, GET).await.is_some());
        sleep(2 * REST).await;
        drain.send_replace(true);
        let begun = Instant::now();
        assert_eq!(answer(&mut caller).await, None);
        assert!(begun.elapsed() >= GRACE && begun.elapsed() <= GRACE + REST);
    };

    let (served, ()) = tokio::join!(served, rest);
    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn empty_lines_hold_no_connection_when_the_drain_has_begun() {
    for pause in [REST / 2, GRACE / 3] {
        let (mut caller, served, drain) = connection();
        let drip = async {
            assert!(ask(&mut caller, GET).await.is_some());
            sleep(2 * REST).await;
            drain.send_replace(true);
            let begun = Instant::now();
            while begun.elapsed() < 10 * GRACE && caller.write_all(b"\r\n").await.is_ok() {
                sleep(pause).await;
            }
            assert!(
                begun.elapsed() <= GRACE + 2 * pause,
                "{:?}",
                begun.elapsed()
            );
        };

        let (served, ()) = tokio::join!(served, drip);

        served.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_rest_while_somebody_reads_a_request_body() {
    let kept = Rc::new(RefCell::new(None));
    let keep = Rc::clone(&kept);
    let answer = move |inbound: Inbound<CallerBody>| {
        keep.replace(Some(inbound.request.into_body()));
        std::future::ready(Ok(Response::new(Full::new(Bytes::from_static(b"x")))))
    };
    let stack = Stack::new(tower::service_fn(answer));
    let (_drain, draining) = watch::channel(false);
    let (mut caller, served) = connection_to(stack, draining);
    let post = async {
        let head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
        assert!(
            ask(&mut caller, &[&head[..], body].concat())
                .await
                .is_some()
        );
        sleep(10 * REST).await;
        let body = kept.borrow_mut().take().unwrap();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(body, "ab");
        // What was left of the body is no request, and the answer said that there will be no other.
        assert!(ask(&mut caller, GET).await.is_none());
    };

    let (served, ()) = tokio::join!(served, post);

    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_while_the_drain_has_begun_is_told_to_close() {
    let (drain, draining) = watch::channel(false);
    let of_connection = draining.clone();
    drain.send_replace(true);
    // As `serve` waits for it while the first bytes have not come.
    let waiting = drained(of_connection.clone(), GRACE);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(REST, waiting).await.is_err());
    let answer = |_: Inbound<CallerBody>| async {
        sleep(REST).await;
        Ok(Response::new(Full::new(Bytes::from_static(b"x"))))
    };
    let stack = Stack::new(tower::service_fn(answer));
    let (mut caller, served) = connection_to(stack, of_connection);
    let ask = async {
        let (first, rest) = GET.split_at(7);
        caller.write_all(first).await.unwrap();
        sleep(REST).await;
        caller.write_all(rest).await.unwrap();
        let mut all = String::new();
        caller.read_to_string(&mut all).await.unwrap();
        assert!(all.contains("connection: close"), "{all}");
    };

    let (served, ()) = tokio::join!(served, ask);

    served.unwrap();
}

/// Returns the size of what a function that is called with these returns.
fn returned<F>(
    _: impl FnOnce(Accepted, Rc<RefCell<Stack>>, watch::Receiver<bool>, ()) -> F,
) -> usize {
    size_of::<F>()
}

#[test]
fn what_is_kept_of_a_connection_that_rests_is_small() {
    let size = returned(serve::<Stack, Full<Bytes>, ()>);
    assert!(size <= 1280, "{size}");
}
