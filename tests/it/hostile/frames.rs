//! HTTP/2 frames that no client library sends: what becomes of the stream and the connection, and that nobody else
//! notices.

use std::time::Duration;

use tokio::time::Instant;

use super::{PATH, Pair};
use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Fate, Frames, GOAWAY, HEADERS, PADDED, PING,
    PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, field, frame,
    get_block, kept, setting,
};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{exchange, get};

/// A whole GET on `stream`.
fn request(stream: u32) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        get_block(PATH, &[]),
    )
}

/// The head of a POST on `stream`, whose body may follow.
fn post(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let own = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", "gateway"),
        ("content-type", "text/plain"),
    ];
    let block = block(&[&own[..], fields].concat());
    frame(HEADERS, END_HEADERS, stream, block)
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let mut pair = Pair::new(ROUTES);
    let open = [PREFACE, &frame(SETTINGS, 0, 0, [])].concat();
    let after = |frames: &[Vec<u8>]| [&open[..], &frames.concat()].concat();
    let increment = |by: u32| by.to_be_bytes();
    let mut passed_over = Vec::new();

    for (what, bytes) in [
        (
            "a preface that is none",
            [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &open[..]].concat(),
        ),
        ("no settings first", [PREFACE, &request(1)].concat()),
        ("settings on a stream", after(&[frame(SETTINGS, 0, 1, [])])),
        (
            "settings of a wrong length",
            after(&[frame(SETTINGS, 0, 0, [0; 5])]),
        ),
        (
            "an acknowledgement with settings",
            after(&[frame(SETTINGS, ACK, 0, [0; 6])]),
        ),
        ("push neither on nor off", after(&[setting(2, 2)])),
        (
            "a window beyond the largest",
            after(&[setting(4, 0x8000_0000)]),
        ),
        (
            "frames smaller than the smallest",
            after(&[setting(5, 16_383)]),
        ),
        (
            "frames larger than the largest",
            after(&[setting(5, 0x100_0000)]),
        ),
        (
            "a frame larger than allowed",
            after(&[frame(DATA, 0, 1, vec![0; 16_385])]),
        ),
        ("a ping on a stream", after(&[frame(PING, 0, 1, [0; 8])])),
        (
            "a ping of a wrong length",
            after(&[frame(PING, 0, 0, [0; 7])]),
        ),
        (
            "a window update of zero",
            after(&[frame(WINDOW_UPDATE, 0, 0, increment(0))]),
        ),
        (
            "a window update of a wrong length",
            after(&[frame(WINDOW_UPDATE, 0, 0, [0; 3])]),
        ),
        (
            "a window that overflows",
            after(&[
                frame(WINDOW_UPDATE, 0, 0, increment(0x7fff_ffff)),
                frame(WINDOW_UPDATE, 0, 0, increment(0x7fff_ffff)),
            ]),
        ),
        (
            "a window update on an idle stream",
            after(&[frame(WINDOW_UPDATE, 0, 1, increment(1))]),
        ),
        (
            "a reset of an idle stream",
            after(&[frame(RST_STREAM, 0, 1, [0; 4])]),
        ),
        (
            "a reset of a wrong length",
            after(&[post(1, &[]), frame(RST_STREAM, 0, 1, [0; 3])]),
        ),
        (
            "a reset of no stream",
            after(&[frame(RST_STREAM, 0, 0, [0; 4])]),
        ),
        (
            "data on an idle stream",
            after(&[frame(DATA, END_STREAM, 1, "x")]),
        ),
        (
            "data on no stream",
            after(&[frame(DATA, END_STREAM, 0, "x")]),
        ),
        (
            "data with too much padding",
            after(&[post(1, &[]), frame(DATA, PADDED, 1, [9, 1, 2])]),
        ),
        ("a head on no stream", after(&[request(0)])),
        ("a head on a stream of the server's", after(&[request(2)])),
        (
            "a head on a stream before the last",
            after(&[post(5, &[]), request(3)]),
        ),
        (
            "a promise",
            after(&[frame(PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2])]),
        ),
        (
            "a continuation of nothing",
            after(&[frame(CONTINUATION, END_HEADERS, 1, [])]),
        ),
        (
            "a continuation of another stream",
            after(&[
                frame(HEADERS, END_STREAM, 1, get_block(PATH, &[])),
                frame(CONTINUATION, END_HEADERS, 3, []),
            ]),
        ),
        (
            "a ping among continuations",
            after(&[
                frame(HEADERS, END_STREAM, 1, get_block(PATH, &[])),
                frame(PING, 0, 0, [0; 8]),
                frame(CONTINUATION, END_HEADERS, 1, []),
            ]),
        ),
        (
            "a field of no number",
            after(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, [0x80])]),
        ),
        (
            "a field that the table has not",
            after(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, [0xff, 0x50])]),
        ),
        (
            "a number without end",
            after(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, [0xff; 40])]),
        ),
        (
            "a text that is cut off",
            after(&[frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                [0x00, 0x7f, b'a'],
            )]),
        ),
        (
            "a text that is not of the code",
            after(&[frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00],
            )]),
        ),
        (
            "a table larger than allowed",
            after(&[frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                [0x3f, 0xe1, 0xff, 0x7f],
            )]),
        ),
        (
            "a GOAWAY of a stream",
            after(&[frame(GOAWAY, 0, 1, [0; 8])]),
        ),
        (
            "a GOAWAY of a wrong length",
            after(&[frame(GOAWAY, 0, 0, [0; 7])]),
        ),
    ] {
        let mut frames = Frames::connect(pair.gateway.address);
        frames.write(&bytes);
        // What comes after the fault is not looked at.
        frames.write(request(101));

        let fate = frames.fate(101);
        if !matches!(fate, Fate::Ended(_)) || pair.adobe.seen().len() > pair.due {
            passed_over.push((what, fate));
        }
        // A head that was whole before the fault may have been on its way.
        pair.due = pair.adobe.heads();
        pair.serves_the_next();
        pair.due = pair.adobe.seen().len();
    }
    assert!(passed_over.is_empty(), "{passed_over:?}");
}

#[test]
fn a_host_field_stands_for_an_authority_that_is_not_there() {
    let pair = Pair::new(ROUTES);
    let rest = [(":method", "GET"), (":scheme", "http"), (":path", PATH)];

    for (hosts, served) in [
        (&[("host", "gateway:80")][..], true),
        (&[("host", "gateway"), ("host", "gateway")], false),
        (&[("host", "gateway, other")], false),
        (&[("host", "user@gateway")], false),
        (&[("host", "")], false),
        (&[], false),
    ] {
        let mut frames = Frames::open(pair.gateway.address);
        let fields = [&rest[..], hosts].concat();
        frames.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(&fields)));

        let fate = frames.fate(1);
        assert_eq!(
            matches!(fate, Fate::Served(_)),
            served,
            "{hosts:?}: {fate:?}"
        );
    }
    assert_eq!(pair.adobe.heads(), 1);
}

#[test]
fn requests_that_break_the_protocol_are_refused_and_others_on_the_connection_are_served() {
    let pair = Pair::new(ROUTES);
    let (method, scheme, path, authority) = (
        (":method", "GET"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", "gateway"),
    );
    let whole = [method, scheme, path, authority];
    let with = |more: &[(&'static str, &'static str)]| [&whole[..], more].concat();
    let mut passed_over = Vec::new();
    let at = |path: &'static str| vec![method, scheme, (":path", path), authority];
    let by = |authority: &'static str| vec![method, scheme, path, (":authority", authority)];

    for fields in [
        vec![],
        vec![scheme, path, authority],
        vec![method, path, authority],
        vec![method, scheme, authority],
        vec![method, scheme, path],
        with(&[method]),
        with(&[scheme]),
        with(&[path]),
        with(&[authority]),
        with(&[(":path", "/data/core/ups/y")]),
        with(&[(":status", "200")]),
        with(&[(":protocol", "websocket")]),
        with(&[(":unknown", "1")]),
        with(&[(":", "1")]),
        vec![method, ("accept", "*/*"), scheme, path, authority],
        vec![("accept", "*/*"), method, scheme, path, authority],
        vec![(":method", "CONNECT"), authority],
        vec![(":method", "CONNECT"), scheme, path, authority],
        vec![(":method", "TRACE"), scheme, path, authority],
        vec![(":method", ""), scheme, path, authority],
        vec![(":method", "G T"), scheme, path, authority],
        vec![
            (":method", "GET / HTTP/1.1\r\nx: y"),
            scheme,
            path,
            authority,
        ],
        vec![method, (":scheme", ""), path, authority],
        vec![method, (":scheme", "h ttp"), path, authority],
        at(""),
        at("*"),
        at("data/core/ups/x"),
        at("http://other.example/data/core/ups/x"),
        at("//other.example/data/core/ups/x"),
        at("/data/core/ups/../x"),
        at("/data/core/ups/%2e%2e/x"),
        at("/data/core/ups/x y"),
        at("/data/core/ups/x HTTP/1.1\r\nx: y"),
        at("/data/core/ups/x\r\n\r\nGET /hidden"),
        at("/data/core/ups/x\0"),
        at("/data/core/ups/\u{e9}"),
        by(""),
        by("gateway, other"),
        by("user@gateway"),
        by("gateway/x"),
        by("gateway:port"),
        by("gateway:99999"),
        by("gateway\r\nx: y"),
        by("%67ateway"),
        by("gate,way"),
        with(&[("host", "other")]),
        with(&[("connection", "close")]),
        with(&[("connection", "x-sandbox-name")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "h2c")]),
        with(&[("te", "gzip")]),
        with(&[("te", "trailers, gzip")]),
        with(&[("Accept", "*/*")]),
        with(&[("X-Sandbox-Name", "prod")]),
        with(&[("", "1")]),
        with(&[("x a", "1")]),
        with(&[("x:a", "1")]),
        with(&[("x\0", "1")]),
        with(&[("x\r\ny", "1")]),
        with(&[("x\u{e9}", "1")]),
        with(&[("x", "1\r\ny: 2")]),
        with(&[("x", "1\ny: 2")]),
        with(&[("x", "1\0")]),
        with(&[("content-length", "1")]),
        with(&[("content-length", "+0")]),
        with(&[("content-length", "")]),
        with(&[("content-length", "0"), ("content-length", "0")]),
        with(&[("content_length", "0")]),
    ] {
        let mut frames = Frames::open(pair.gateway.address);
        frames.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(&fields)));

        let fate = frames.fate(1);

        if matches!(fate, Fate::Served(_)) || pair.adobe.heads() > passed_over.len() {
            passed_over.push((fields, fate));
            continue;
        }
        // A stream error leaves the connection to others.
        if !matches!(fate, Fate::Ended(_)) {
            let unrouted = get_block("/elsewhere", &[]);
            frames.write(frame(HEADERS, END_HEADERS | END_STREAM, 3, unrouted));
            let Fate::Refused(problem) = frames.fate(3) else {
                panic!("{fields:?}")
            };
            assert!(problem.contains("no_route"), "{fields:?}: {problem}");
        }
    }
    assert!(passed_over.is_empty(), "{passed_over:?}");
    let mut frames = Frames::open(pair.gateway.address);
    frames.write(request(1));
    assert_eq!(frames.fate(1), Fate::Served(PATH.to_owned()));
    // A fragment is nobody's business but the caller's, and goes no further.
    let part = get_block(&format!("{PATH}#part"), &[]);
    frames.write(frame(HEADERS, END_HEADERS | END_STREAM, 3, part));
    assert_eq!(frames.fate(3), Fate::Served(PATH.to_owned()));
}

#[test]
fn bodies_that_break_the_protocol_never_arrive_whole() {
    let pair = Pair::new(ROUTES);
    let ended = |data: &str| frame(DATA, END_STREAM, 1, data);
    let trailers = |flags: u8, fields: &[(&str, &str)]| frame(HEADERS, flags, 1, block(fields));
    let end = END_HEADERS | END_STREAM;

    for (what, frames) in [
        (
            "shorter than its length",
            vec![post(1, &[("content-length", "6")]), ended("hello")],
        ),
        (
            "longer than its length",
            vec![post(1, &[("content-length", "4")]), ended("hello")],
        ),
        (
            "ended by trailers before its length",
            vec![
                post(1, &[("content-length", "6")]),
                frame(DATA, 0, 1, "hello"),
                trailers(end, &[("x", "1")]),
            ],
        ),
        (
            "trailers with the method",
            vec![
                post(1, &[]),
                frame(DATA, 0, 1, "hello"),
                trailers(end, &[("x", "1"), (":method", "GET")]),
            ],
        ),
        (
            "trailers with the path",
            vec![
                post(1, &[]),
                frame(DATA, 0, 1, "hello"),
                trailers(end, &[("x", "1"), (":path", "/y")]),
            ],
        ),
        (
            "trailers that do not end it",
            vec![
                post(1, &[]),
                frame(DATA, 0, 1, "hello"),
                trailers(END_HEADERS, &[("x", "1")]),
                ended(""),
            ],
        ),
        (
            "reset",
            vec![
                post(1, &[]),
                frame(DATA, 0, 1, "hello"),
                frame(RST_STREAM, 0, 1, [0, 0, 0, 8]),
            ],
        ),
    ] {
        let mut raw = Frames::open(pair.gateway.address);
        for frame in frames {
            raw.write(frame);
        }
        raw.write(request(3));

        // Whatever became of the stream, what follows it is served, or the connection has ended.
        let fate = raw.fate(3);
        assert!(
            matches!(fate, Fate::Served(_) | Fate::Ended(_)),
            "{what}: {fate:?}"
        );
        let seen = pair.adobe.seen();
        assert!(
            seen.iter()
                .all(|seen| seen.request_line().starts_with("GET ")),
            "{what}"
        );
    }
    // After its end a stream takes nothing more.
    for late in [frame(DATA, END_STREAM, 1, "again"), request(1)] {
        let mut raw = Frames::open(pair.gateway.address);
        raw.write([post(1, &[]), ended("hello")].concat());
        assert_eq!(raw.fate(1), Fate::Served(PATH.to_owned()));
        raw.write([late, request(3)].concat());
        let fate = raw.fate(3);
        assert!(
            matches!(fate, Fate::Reset(_) | Fate::Served(_) | Fate::Ended(_)),
            "{fate:?}"
        );
        let bodies = pair.adobe.seen().into_iter().map(|seen| seen.body);
        assert!(
            bodies
                .into_iter()
                .all(|body| body.is_empty() || body == b"hello")
        );
    }
}

/// How much of this process is in memory, in kB. Tests that run in it too only make it more.
fn resident_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

#[test]
fn floods_are_cut_off_or_held_back_while_others_are_served() {
    let pair = Pair::new(ROUTES);
    let many = |frame: &[u8], times: usize| frame.repeat(times);
    let before = resident_kb();
    let begun = Instant::now();

    for (what, first, piece) in [
        (
            "resets",
            vec![],
            Flood::Streams(|stream| {
                [request(stream), frame(RST_STREAM, 0, stream, [0, 0, 0, 8])].concat()
            }),
        ),
        (
            "heads that are none",
            vec![],
            Flood::Streams(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, [])),
        ),
        (
            "heads that depend on themselves",
            vec![],
            Flood::Streams(|stream| {
                [request(stream), frame(WINDOW_UPDATE, 0, stream, [0; 4])].concat()
            }),
        ),
        (
            "continuations",
            frame(HEADERS, END_STREAM, 1, get_block(PATH, &[])),
            Flood::Same(frame(
                CONTINUATION,
                0,
                1,
                block(&[("x", &"y".repeat(10_000))]),
            )),
        ),
        (
            "empty continuations",
            frame(HEADERS, END_STREAM, 1, get_block(PATH, &[])),
            Flood::Same(many(&frame(CONTINUATION, 0, 1, []), 1000)),
        ),
        (
            "empty data",
            post(1, &[]),
            Flood::Same(many(&frame(DATA, 0, 1, []), 1000)),
        ),
        (
            "padding",
            post(1, &[]),
            Flood::Same(many(&frame(DATA, PADDED, 1, [3, 0, 0, 0]), 1000)),
        ),
        (
            "settings",
            vec![],
            Flood::Same(many(&setting(4, 65_535), 1000)),
        ),
        (
            "pings",
            vec![],
            Flood::Same(many(&frame(PING, 0, 0, [0; 8]), 1000)),
        ),
        (
            "priorities",
            vec![],
            Flood::Same(many(&frame(PRIORITY, 0, 1, [0, 0, 0, 3, 9]), 1000)),
        ),
        (
            "frames of no known kind",
            vec![],
            Flood::Same(many(&frame(0xb7, 0, 0, [7; 100]), 1000)),
        ),
        (
            "window updates",
            vec![],
            Flood::Same(many(&frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]), 1000)),
        ),
    ] {
        let heads = pair.adobe.heads();
        let mut frames = Frames::open(pair.gateway.address);
        // Nothing is read meanwhile, so that all that is answered piles up somewhere.
        frames.write_for(Duration::from_millis(300));
        let mut taken = frames.write(first);
        let mut sent = 0;
        for round in 0..500 {
            let bytes = piece.bytes(round);
            sent += bytes.len();
            taken = taken && frames.write(&bytes);
            if !taken {
                break;
            }
        }

        let next = exchange(pair.gateway.address, get(PATH, ""));
        assert_eq!(next.text(), PATH, "{what} after {sent} bytes");
        let passed_on = pair.adobe.heads() - heads;
        assert!(
            passed_on <= 2100,
            "{what}: {passed_on} requests were passed on"
        );
        let grown = resident_kb().saturating_sub(before);
        assert!(grown < 64 * 1024, "{what}: {grown} kB more");
    }
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
}

/// What a flood is made of.
enum Flood {
    /// The same frames again and again.
    Same(Vec<u8>),
    /// Frames of ever new streams, made by the stream's number.
    Streams(fn(u32) -> Vec<u8>),
}

impl Flood {
    fn bytes(&self, round: u32) -> Vec<u8> {
        match self {
            Self::Same(bytes) => bytes.clone(),
            Self::Streams(make) => (0..100)
                .flat_map(|index| make(2 * (100 * round + index) + 1))
                .collect(),
        }
    }
}

#[test]
fn floods_that_no_client_makes_end_the_connection() {
    let pair = Pair::new(ROUTES);
    let calm = Some(0xb);

    // Streams that are reset as soon as they are opened.
    let mut frames = Frames::open(pair.gateway.address);
    let resets = (0..2000).flat_map(|index| {
        let stream = 2 * index + 1;
        [request(stream), frame(RST_STREAM, 0, stream, [0, 0, 0, 8])].concat()
    });
    frames.write(resets.collect::<Vec<_>>());
    assert_eq!(frames.end(), calm, "resets");
    assert!(pair.adobe.heads() <= 1000, "{}", pair.adobe.heads());

    // Heads and data without end.
    for (what, first, flood) in [
        (
            "continuations",
            frame(HEADERS, END_STREAM, 1, get_block(PATH, &[])),
            frame(CONTINUATION, 0, 1, []).repeat(100_000),
        ),
        (
            "empty data",
            post(1, &[]),
            frame(DATA, 0, 1, []).repeat(100_000),
        ),
    ] {
        let mut frames = Frames::open(pair.gateway.address);
        frames.write(first);
        frames.write(flood);
        assert_eq!(frames.end(), calm, "{what}");
    }
}

#[test]
fn a_head_that_unfolds_to_far_more_than_it_is_goes_nowhere() {
    let pair = Pair::new(ROUTES);
    let before = resident_kb();

    let mut frames = Frames::open(pair.gateway.address);
    // One field of 3 kB is put into the table, and named thousands of times with one byte each.
    let bomb = [
        get_block(PATH, &[]),
        kept("x", &"y".repeat(3000)),
        vec![0xbe; 12_000],
    ]
    .concat();
    for stream in [1, 3, 5, 7, 9] {
        if !frames.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb)) {
            break;
        }
    }
    let fate = frames.fate(1);
    assert!(!matches!(fate, Fate::Served(_)), "{fate:?}");
    // Many short ones are as bad as few long ones, and crumbs of a cookie are fields too.
    for (name, value) in [("x", ""), ("cookie", "a=b")] {
        let mut frames = Frames::open(pair.gateway.address);
        let bomb = [get_block(PATH, &[]), kept(name, value), vec![0xbe; 12_000]].concat();
        frames.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
        let fate = frames.fate(1);
        assert!(!matches!(fate, Fate::Served(_)), "{fate:?}");
    }

    assert_eq!(pair.adobe.heads(), 0);
    assert!(resident_kb().saturating_sub(before) < 32 * 1024);
    assert_eq!(exchange(pair.gateway.address, get(PATH, "")).text(), PATH);
}

#[test]
fn windows_however_small_are_kept_to_and_others_are_served() {
    let pair = Pair::new(ROUTES);
    let one_more = |stream| frame(WINDOW_UPDATE, 0, stream, [0, 0, 0, 1]);

    let mut frames = Frames::connect(pair.gateway.address);
    frames.write([PREFACE, &setting(4, 0), &request(1)].concat());
    let head = std::iter::from_fn(|| frames.read()).find(|frame| frame.kind == HEADERS);
    assert_eq!(head.unwrap().stream, 1);
    assert_eq!(exchange(pair.gateway.address, get(PATH, "")).text(), PATH);
    let mut body = Vec::new();
    while body.len() < PATH.len() {
        frames.write(one_more(1));
        let data = std::iter::from_fn(|| frames.read()).find(|frame| frame.kind == DATA);
        let data = data.unwrap();
        assert_eq!(data.payload.len(), 1, "more than the window has");
        body.extend(data.payload);
    }
    assert_eq!(body, PATH.as_bytes());

    // A stream's window that overflows ends the stream, or all.
    let mut frames = Frames::connect(pair.gateway.address);
    frames.write([PREFACE, &setting(4, 0), &request(1)].concat());
    frames.write(frame(WINDOW_UPDATE, 0, 1, [0x7f, 0xff, 0xff, 0xff]));
    frames.write(frame(WINDOW_UPDATE, 0, 1, [0x7f, 0xff, 0xff, 0xff]));
    let fate = frames.fate(1);
    assert!(
        matches!(fate, Fate::Reset(3) | Fate::Ended(_) | Fate::Served(_)),
        "{fate:?}"
    );
}

#[test]
fn a_caller_that_says_goodbye_gets_its_answers_first() {
    let pair = Pair::new(ROUTES);

    let mut frames = Frames::open(pair.gateway.address);
    frames.write([request(1), request(3), frame(GOAWAY, 0, 0, [0; 8])].concat());
    let first = frames.fate(1);
    assert_eq!(first, Fate::Served(PATH.to_owned()));
    frames.end();
    let begun = pair.adobe.heads();
    assert!((1..=2).contains(&begun), "{begun}");

    // Nor does half a connection keep it from them.
    let mut frames = Frames::open(pair.gateway.address);
    frames.write(request(1));
    frames.finish();
    let fate = frames.fate(1);
    assert!(matches!(fate, Fate::Served(_) | Fate::Ended(_)), "{fate:?}");
}

#[test]
fn a_head_without_end_is_given_up() {
    let gateway = {
        let adobe = crate::support::adobe::Adobe::willing();
        let limits = "limits: { head_timeout: 500ms, idle_timeout: 1s }";
        let listeners = format!("listeners: [{{ address: '127.0.0.1:0', {limits} }}]\n{ROUTES}");
        Gateway::start(&adobe.url(), &listeners)
    };

    for bytes in [
        PREFACE[..20].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &frame(SETTINGS, 0, 0, [])].concat(),
        [
            PREFACE,
            &frame(SETTINGS, 0, 0, []),
            &frame(HEADERS, END_STREAM, 1, field("x", "y")),
        ]
        .concat(),
    ] {
        let begun = Instant::now();
        let mut frames = Frames::connect(gateway.address);
        frames.write(bytes);
        frames.end();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
