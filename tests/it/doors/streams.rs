//! HTTP/2 streams whose caller opens no window.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{PATH, PATIENCE, ROUTE, metric};
use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{exchange, get};
use crate::support::running::{CREDENTIAL, Running, eventually};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A GET, with fields that are not put into the table.
fn headers(stream: u32) -> Vec<u8> {
    headers_to(PATH, stream)
}

fn headers_to(path: &str, stream: u32) -> Vec<u8> {
    // :method GET and :scheme http by their places in the static table, :path and :authority by name (RFC 7541 §6).
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'a']);
    // END_STREAM and END_HEADERS.
    frame(HEADERS, 0x05, stream, &block)
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// Reads frames until one that `wanted` names, and returns its stream and payload.
fn read_until(stream: &mut TcpStream, wanted: impl Fn(u8, u32) -> bool) -> (u32, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        if wanted(head[3], of) {
            return (of, payload);
        }
        assert_ne!(head[3], GOAWAY, "{payload:?}");
    }
}

#[test]
fn a_stream_without_a_window_is_given_up_and_the_others_go_on() {
    let adobe = Adobe::echoing();
    let limits = "listeners: [{ address: '127.0.0.1:0', limits: { write_timeout: 1s } }]";
    let gateway = Gateway::start(&adobe.url(), &format!("{limits}\n{ROUTE}"));
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE 0.
    begin.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    begin.extend(headers(1));
    stream.write_all(&begin).unwrap();
    let (_, block) = read_until(&mut stream, |kind, of| kind == HEADERS && of == 1);
    // :status 200.
    assert_eq!(block[0], 0x88);

    stream
        .write_all(&[headers(3), window(3, 60_000)].concat())
        .unwrap();
    let (_, body) = read_until(&mut stream, |kind, _| kind == DATA);
    assert_eq!(body, PATH.as_bytes());
    let (_, code) = read_until(&mut stream, |kind, of| kind == RST_STREAM && of == 1);

    // CANCEL.
    assert_eq!(code, [0, 0, 0, 8]);
    stream
        .write_all(&[headers(5), window(5, 60_000)].concat())
        .unwrap();
    let (of, _) = read_until(&mut stream, |kind, _| kind == DATA);
    assert_eq!(of, 5);
    assert_eq!(
        metric(gateway.admin, "profile_gateway_requests_in_flight"),
        0
    );
}

#[test]
fn an_answer_counts_until_its_caller_has_a_window_for_it() {
    // Of a length that is known, and of one that is not.
    for framing in ["Content-Length: 2000", "Transfer-Encoding: chunked"] {
        let body = if framing.contains("chunked") {
            format!("7d0\r\n{:2000}\r\n0\r\n\r\n", "x")
        } else {
            format!("{:2000}", "x")
        };
        let adobe = Adobe::start(move |_| {
            Act::Answer(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}").into_bytes())
        });
        let gateway = Gateway::start(&adobe.url(), &format!("in_flight: 2\n{ROUTE}"));
        let in_flight = || metric(gateway.admin, "profile_gateway_requests_in_flight");
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // A window of nothing for the first, and of one byte for the second.
        begin.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
        begin.extend(headers(1));
        begin.extend([headers(3), window(3, 1)].concat());
        stream.write_all(&begin).unwrap();
        let (of, byte) = read_until(&mut stream, |kind, _| kind == DATA);
        assert_eq!((of, byte.len()), (3, 1));
        while in_flight() < 2 {}

        let refused = exchange(gateway.address, get(PATH, ""));
        assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
        assert_eq!(in_flight(), 2);
        stream.write_all(&window(3, 60_000)).unwrap();
        while in_flight() == 2 {}
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
        stream.write_all(&window(1, 60_000)).unwrap();
        while in_flight() > 0 {}
    }
}

#[test]
fn an_answer_is_complete_only_if_its_caller_had_a_window_for_all_of_it() {
    let adobe = Adobe::start(|seen| {
        let (framing, length) = seen.target().rsplit_once('/').unwrap();
        let length: usize = length.parse().unwrap();
        let body = "x".repeat(length);
        let answer = if framing.ends_with("chunked") {
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        } else {
            format!("Content-Length: {length}\r\n\r\n{body}")
        };
        Act::Answer(format!("HTTP/1.1 200 OK\r\n{answer}").into_bytes())
    });
    let url = adobe.url();
    let text =
        format!("ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{CREDENTIAL}{ROUTE}");
    let gateway = Running::start(&format!("{text}drain: 100ms\n"), &[]);
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    begin.extend(window(0, 1_000_000));
    stream.write_all(&begin).unwrap();
    let counted = |status| {
        let labels = format!("{{route=\"all\",status=\"{status}\"}}");
        let count = gateway.count(&format!("profile_gateway_requests_total{labels}"));
        usize::try_from(count).unwrap()
    };

    let mut ends = Vec::new();
    // Bytes of an answer, and how many its caller has a window for.
    for (length, taken) in [
        (200 * 1024, 16 * 1024),
        (20_000, 19_999),
        (2000, 0),
        (2000, 1),
        (2000, 1999),
        (500, 0),
        (500, 500),
        (2000, 2000),
    ] {
        for framing in ["known", "chunked"] {
            let of = 2 * u32::try_from(ends.len()).unwrap() + 1;
            take(
                &mut stream,
                of,
                &format!("{PREFIX}/{framing}/{length}"),
                taken,
            );
            // CANCEL.
            let reset = frame(RST_STREAM, 0, of, &[0, 0, 0, 8]);
            stream.write_all(&reset).unwrap();
            let complete = taken == length;
            ends.push(if complete { "complete" } else { "caller_gone" });
            eventually(&format!("end of {taken} of {length}, {framing}"), || {
                (counted("2xx") + counted("gone") == ends.len()).then_some(())
            });
            let gone = ends.iter().filter(|end| **end == "caller_gone").count();
            assert_eq!(counted("gone"), gone, "{taken} of {length}, {framing}");
        }
    }
    let of = 2 * u32::try_from(ends.len()).unwrap() + 1;
    take(
        &mut stream,
        of,
        &format!("{PREFIX}/known/200000"),
        16 * 1024,
    );
    ends.push("cut_off");

    let printed = gateway.stop();
    let told: Vec<_> = printed
        .lines()
        .filter_map(|line| Some(line.split_once("\"end\":\"")?.1.split_once('"')?.0))
        .collect();
    assert_eq!(told, ends, "{printed}");
}

/// Asks for `path` as stream `of`, and takes so many bytes of the answer.
fn take(stream: &mut TcpStream, of: u32, path: &str, bytes: usize) {
    stream.write_all(&headers_to(path, of)).unwrap();
    if bytes > 0 {
        let more = window(of, u32::try_from(bytes).unwrap());
        stream.write_all(&more).unwrap();
    }
    read_until(stream, |kind, stream| kind == HEADERS && stream == of);
    let mut left = bytes;
    while left > 0 {
        let (_, piece) = read_until(stream, |kind, stream| kind == DATA && stream == of);
        left -= piece.len();
    }
}

/// What the paths of a route begin with.
const PREFIX: &str = "/data/core/ups";

#[test]
fn answers_that_are_over_and_not_taken_are_small_and_as_many_as_a_connection_has_streams() {
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(&adobe.url(), ROUTE);
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
    stream.write_all(&begin).unwrap();
    for index in 0..128 {
        let of = 2 * index + 1;
        stream.write_all(&headers(of)).unwrap();
        read_until(&mut stream, |kind, stream| kind == DATA && stream == of);
    }
    while metric(gateway.admin, "profile_gateway_requests_in_flight") > 0 {}

    stream.write_all(&headers(257)).unwrap();
    let (_, code) = read_until(&mut stream, |kind, of| kind == RST_STREAM && of == 257);

    // REFUSED_STREAM: it was not processed.
    assert_eq!(code, [0, 0, 0, 7]);
    assert_eq!(adobe.heads(), 128);
    // One that is taken makes room.
    stream.write_all(&window(1, 60_000)).unwrap();
    read_until(&mut stream, |kind, of| kind == DATA && of == 1);
    stream.write_all(&headers(259)).unwrap();
    read_until(&mut stream, |kind, of| kind == DATA && of == 259);
}

#[test]
fn a_connection_whose_last_answer_is_not_taken_ends() {
    let adobe = Adobe::echoing();
    let limits = "limits: { write_timeout: 1s, idle_timeout: 1s }";
    let limits = format!("listeners: [{{ address: '127.0.0.1:0', {limits} }}]");
    let gateway = Gateway::start(&adobe.url(), &format!("{limits}\n{ROUTE}"));
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A window of one byte: the answer is begun and taken over by the library, which cannot send the rest.
    begin.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
    begin.extend(headers(1));
    stream.write_all(&begin).unwrap();
    let (_, body) = read_until(&mut stream, |kind, of| kind == DATA && of == 1);
    assert_eq!(body.len(), 1);

    let mut rest = Vec::new();
    // A GOAWAY, and after it the end.
    let ended = stream.read_to_end(&mut rest);
    assert!(ended.is_ok(), "{ended:?}");
}
