//! HTTP/2 frames made by hand, and what they prove about a request that was not answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use super::tests::settings;
use super::{Counts, Pool, Times};
use crate::connect::{Dialer, Settings};
use crate::error::{Error, Reason};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn go_away(last: u32, code: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

/// Reads the preface, and frames until the head of a request has come.
async fn read_request(stream: &mut TcpStream) {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(preface, PREFACE);
    // The first one of a client.
    assert_eq!(read_frame(stream, HEADERS).await.0, 1);
}

/// Reads frames until one of this kind has come, and returns its stream and what it carries.
pub(super) async fn read_frame(stream: &mut TcpStream, kind: u8) -> (u32, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == kind {
            let id = u32::from_be_bytes(head[5..].try_into().unwrap());
            return (id, payload);
        }
    }
}

/// Sends one request to an upstream that takes it and says `frames`. Returns the error, and whether the request is left.
async fn failure(http2: bool, frames: Vec<u8>, closes: bool) -> (Error, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if http2 {
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
            read_request(&mut stream).await;
        } else {
            let mut head = [0; 16];
            stream.read_exact(&mut head).await.unwrap();
        }
        stream.write_all(&frames).await.unwrap();
        if !closes {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let sent = send(address, http2).await;
    task.abort();
    sent
}

async fn send(address: SocketAddr, http2: bool) -> (Error, bool) {
    let dialer = Dialer::new(Settings {
        address: Some(address),
        http2,
        ..settings("http://localhost".parse().unwrap())
    });
    unanswered(dialer.unwrap()).await
}

async fn unanswered(dialer: Dialer) -> (Error, bool) {
    let pool = Pool::new(dialer, Arc::<Counts>::default());
    let request = Request::post("/").body(Empty::<Bytes>::new()).unwrap();
    let mut request = Some(request);
    let deadline = Instant::now() + Duration::from_secs(20);
    let sent = pool.send(&mut request, &Times::until(deadline)).await;
    (sent.unwrap_err().error, request.is_some())
}

#[tokio::test]
async fn an_upstreams_word_that_it_did_not_process_a_request_is_known() {
    let graceful = [go_away(u32::MAX >> 1, NO_ERROR), go_away(0, NO_ERROR)].concat();
    let cases = [
        (reset(1, REFUSED_STREAM), false, true),
        (go_away(0, NO_ERROR), false, true),
        (go_away(0, ENHANCE_YOUR_CALM), true, true),
        (graceful, false, true),
        // Whatever else ends a request may have come after it was executed.
        (reset(1, INTERNAL_ERROR), false, false),
        (reset(1, CANCEL), false, false),
        (reset(1, NO_ERROR), false, false),
        (go_away(1, NO_ERROR), true, false),
        (go_away(1, ENHANCE_YOUR_CALM), true, false),
        (go_away(u32::MAX >> 1, NO_ERROR), true, false),
        (Vec::new(), true, false),
        // Not a frame at all.
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), true, false),
    ];
    LocalSet::new()
        .run_until(async {
            for (frames, closes, expected) in cases {
                let (error, left) = failure(true, frames.clone(), closes).await;

                let known = error.reason() == Reason::UpstreamRefused;
                assert_eq!(known, expected, "{frames:?} {error:?}");
                assert!(
                    known || error.reason() == Reason::UpstreamReset,
                    "{error:?}"
                );
                assert!(!left);
            }
            for answer in ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n"] {
                let (error, left) = failure(false, answer.into(), true).await;

                assert!(
                    error.reason() != Reason::UpstreamRefused && !left,
                    "{error:?}"
                );
            }
        })
        .await;
}

#[tokio::test]
async fn without_a_connection_nothing_is_executed_and_the_request_is_left() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            // Closed before HTTP/2 has begun, or as soon as HTTP/1.1 has, or never opened.
            let closing = spawn_local(async move {
                drop(listener.accept().await.unwrap());
                listener
            });
            let http2 = send(address, true).await;
            drop(closing.await.unwrap());
            let refused = send(address, false).await;
            let settings = settings("http://localhost".parse().unwrap());
            let http1 = unanswered(Dialer::in_memory(settings, || duplex(1).0)).await;

            for (error, left) in [http2, refused, http1] {
                assert_eq!(error.reason(), Reason::UpstreamConnect, "{error:?}");
                assert!(left, "{error:?}");
            }
        })
        .await;
}
