//! What comes out of the guard for what goes in.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::context::Accepts;

const GOOD: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const BAD: &str = "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n";

fn limits() -> Limits {
    Limits {
        head_bytes: 4096,
        fields: 20,
        target_bytes: 1024,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_mins(1),
        connections: 16,
    }
}

fn connection() -> Rc<Connection> {
    let address = ([127, 0, 0, 1], 80).into();
    Rc::new(Connection::new(address, address, Accepts::anybody(true)))
}

/// Sends `pieces` one after the other and returns what the guard lets past, and its verdict.
async fn passed(pieces: &[&str]) -> (Result<String, io::ErrorKind>, Verdict) {
    let (mut caller, stream) = tokio::io::duplex(64);
    let mut guard = Guard::new(stream, limits(), connection());
    let verdict = guard.verdict();
    let send = async {
        for piece in pieces {
            caller.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        caller.shutdown().await.unwrap();
    };
    let receive = async {
        let mut all = Vec::new();
        loop {
            let mut piece = [0; 50];
            let count = match timeout(Duration::from_mins(1), guard.read(&mut piece)).await {
                Ok(read) => read.map_err(|error| error.kind())?,
                // A refused connection is not read any further.
                Err(_) => 0,
            };
            if count == 0 {
                return Ok(String::from_utf8(all).unwrap());
            }
            all.extend_from_slice(&piece[..count]);
        }
    };
    let (_, received) = tokio::join!(timeout(Duration::from_secs(30), send), receive);
    (received, verdict)
}

#[tokio::test(start_paused = true)]
async fn good_requests_pass_byte_for_byte_however_they_are_cut() {
    let all = format!(
        "{GOOD}POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello{GOOD}\
         POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{GOOD}"
    );

    for size in [1, 3, 7, 64, 1000] {
        let pieces: Vec<_> = all
            .as_bytes()
            .chunks(size)
            .map(|piece| std::str::from_utf8(piece).unwrap())
            .collect();
        let (received, verdict) = passed(&pieces).await;

        assert_eq!(received.unwrap(), all, "in pieces of {size}");
        assert!((0..10).all(|request| verdict.take(request).is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_head_becomes_a_stand_in_and_nothing_after_it_passes() {
    let stand_in = std::str::from_utf8(STAND_IN).unwrap();

    for pieces in [vec![GOOD, BAD, GOOD], vec![&[GOOD, BAD, GOOD].concat()]] {
        let (received, verdict) = passed(&pieces).await;

        assert_eq!(received.unwrap(), [GOOD, stand_in].concat());
        assert!(verdict.take(0).is_none());
        assert_eq!(
            verdict.take(1).unwrap().error.reason(),
            Reason::MalformedRequest
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stand_in_sent_by_a_caller_is_no_refusal() {
    let (received, verdict) = passed(&[std::str::from_utf8(STAND_IN).unwrap(), GOOD]).await;

    assert!(received.unwrap().ends_with(GOOD));
    assert!(verdict.take(0).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bad_chunk_ends_the_body_in_an_error() {
    let head = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

    let (received, _) = passed(&[head, "5\r\nhello\r\n", "zz\r\n", GOOD]).await;

    assert_eq!(received.unwrap_err(), io::ErrorKind::InvalidData);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_is_refused_in_time() {
    let (mut caller, stream) = tokio::io::duplex(64);
    let mut guard = Guard::new(stream, limits(), connection());
    caller.write_all(b"GET /a HT").await.unwrap();

    let mut piece = [0; 200];
    let begun = tokio::time::Instant::now();
    let count = guard.read(&mut piece).await.unwrap();

    assert_eq!(&piece[..count], STAND_IN);
    assert_eq!(
        guard.verdict().take(0).unwrap().error.reason(),
        Reason::RequestTimeout
    );
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn http2_is_recognized_by_its_preface_and_only_where_it_is_spoken() {
    for (sent, http2, expected) in [
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0more",
            true,
            Some(Protocol::Http2),
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            false,
            Some(Protocol::Http1),
        ),
        // The first frame has not all arrived, and will not.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", true, None),
        ("PRI * HTTP/2.0\r\n\r\nXX", true, Some(Protocol::Http1)),
        ("POST / HT", true, Some(Protocol::Http1)),
        ("", true, None),
    ] {
        let (mut caller, stream) = tokio::io::duplex(64);
        let mut guard = Guard::new(stream, limits(), connection());
        caller.write_all(sent.as_bytes()).await.unwrap();

        assert_eq!(guard.recognize(http2).await.unwrap(), expected, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http2_that_does_not_begin_with_its_settings_is_none() {
    for frame in [
        "\0\0\0\x01\x05\0\0\0\x01",
        "\0\0\0\x04\x01\0\0\0\0",
        "\0\0\0\x04\0\0\0\0\x01",
    ] {
        let (mut caller, stream) = tokio::io::duplex(64);
        let mut guard = Guard::new(stream, limits(), connection());
        caller.write_all(PREFACE).await.unwrap();
        caller.write_all(frame.as_bytes()).await.unwrap();

        let recognized = guard.recognize(true).await;

        let refused = recognized.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn empty_lines_between_requests_begin_no_head() {
    let (mut caller, stream) = tokio::io::duplex(64);
    let mut guard = Guard::new(stream, limits(), connection());
    caller.write_all(b"\r\n").await.unwrap();

    let mut piece = [0; 200];
    assert_eq!(guard.read(&mut piece).await.unwrap(), 2);
    let waited = timeout(Duration::from_secs(30), guard.read(&mut piece)).await;

    assert!(waited.is_err(), "no refusal for a head that has not begun");
}

#[tokio::test(start_paused = true)]
async fn a_refused_head_request_is_replaced_by_one() {
    let bad = BAD.replace("GET", "HEAD");
    let (received, verdict) = passed(&[&bad]).await;

    assert_eq!(received.unwrap().as_bytes(), STAND_IN_FOR_HEAD);
    assert_eq!(verdict.take(0).unwrap().method, Some(Method::HEAD));
}
