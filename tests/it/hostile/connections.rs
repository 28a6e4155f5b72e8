//! What becomes of a connection, and of what else is on it, when a request of it is refused.

use super::{PATH, Pair, head};
use crate::support::gateway::ROUTES;
use crate::support::raw::{Raw, exchange, get, send};

#[test]
fn what_follows_a_bad_request_is_not_read() {
    let pair = Pair::new(ROUTES);
    let bad = format!("GET {PATH} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let bytes = [
        get(&format!("{PATH}?1"), ""),
        send("POST", &format!("{PATH}?2"), "", "{}"),
        bad,
        get(&format!("{PATH}?4"), ""),
    ]
    .concat();

    for cut in [bytes.len(), 1, 60, 100] {
        let mut raw = Raw::connect(pair.gateway.address);
        for piece in bytes.as_bytes().chunks(cut) {
            raw.write(piece);
        }
        let before = pair.adobe.heads();
        let answers: Vec<_> = std::iter::from_fn(|| raw.answer(false)).collect();

        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 400], "in pieces of {cut}");
        assert_eq!(answers[0].text(), format!("{PATH}?1"));
        assert_eq!(answers[1].text(), format!("{PATH}?2"));
        assert_eq!(answers[2].problem().1, "malformed_request");
        assert!(raw.is_closed());
        assert!(pair.adobe.heads() <= before + 2);
        assert!(
            !pair
                .adobe
                .seen()
                .iter()
                .any(|seen| seen.target().ends_with("?4"))
        );
    }
}

#[test]
fn what_follows_a_large_body_is_answered_after_it() {
    let pair = Pair::new(ROUTES);
    let large = "x".repeat(1024 * 1024);
    let pieces = large.as_bytes().chunks(70_000);
    let pieces =
        pieces.map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), "x".repeat(piece.len())));
    let chunked = pieces.collect::<Vec<_>>().concat();
    let target = |number| format!("{PATH}?{number}");
    let bytes = [
        send("POST", &target(0), "", &large),
        get(&target(1), ""),
        head("Transfer-Encoding: chunked\r\n").replace(PATH, &target(2)),
        format!("{chunked}0\r\n\r\n"),
        get(&target(3), "").replacen("GET", "DELETE", 1),
        get(&target(4), ""),
    ]
    .concat();
    let mut raw = Raw::connect(pair.gateway.address);

    raw.write(&bytes);

    for number in 0..5 {
        let answer = raw.answer(false).unwrap();
        assert_eq!((answer.status, answer.text()), (200, target(number)));
    }
    let seen = pair.adobe.seen();
    let lengths: Vec<_> = seen
        .iter()
        .map(|seen| (seen.target(), seen.body.len()))
        .collect();
    let expected: Vec<_> = [large.len(), 0, large.len(), 0, 0]
        .into_iter()
        .enumerate()
        .map(|(number, length)| (target(number), length))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(target, length)| (&**target, *length))
        .collect();
    assert_eq!(lengths, expected);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
}

#[test]
fn a_request_without_end_is_not_one() {
    let pair = Pair::new(ROUTES);

    for part in [
        "",
        "G",
        "GET /data",
        "\r\n",
        "\r\n\r\n",
        "GET /data/core/ups/x HTTP/1.1\r\nHost: a\r\n",
    ] {
        let answer = pair.send_part(part).answer(false);

        assert!(
            answer.is_none_or(|answer| answer.problem().0 == 400),
            "{part:?}"
        );
    }
    assert_eq!(pair.adobe.heads(), 0);
}

#[test]
fn an_upgrade_is_never_made_nor_passed_on() {
    let pair = Pair::new(ROUTES);

    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n",
    ] {
        for request in [get(PATH, fields), send("POST", PATH, fields, "{}")] {
            let answer = exchange(pair.gateway.address, &request);

            assert_eq!((answer.status, answer.text().as_str()), (200, PATH));
            let seen = pair.adobe.seen().pop().unwrap();
            for name in ["upgrade", "http2-settings", "connection"] {
                assert!(seen.values(name).is_empty(), "{}", seen.head);
            }
        }
    }
}

#[test]
fn the_http2_preface_is_refused_where_http2_is_off() {
    let mut pair = Pair::new(&format!(
        "listeners: [{{ address: '127.0.0.1:0', http2: false }}]\n{ROUTES}"
    ));

    pair.refuses_as_malformed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn the_stand_in_for_refused_heads_means_nothing_when_a_caller_sends_it() {
    let mut pair = Pair::new(ROUTES);

    let stand_in = "REFUSED / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
    pair.refuses(stand_in, 404, "no_route");
    let kept = "REFUSED / HTTP/1.1\r\nhost: refused\r\n\r\n";
    let mut raw = Raw::connect(pair.gateway.address);
    raw.write(format!("{kept}{}", get(PATH, "")));
    assert_eq!(raw.answer(false).unwrap().status, 404);
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
}

#[test]
fn refused_requests_are_counted_like_all_others() {
    let mut pair = Pair::new(ROUTES);
    let both = head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");

    pair.refuses_as_malformed(both);

    let metrics = exchange(pair.gateway.admin, get("/metrics", "")).text();
    assert!(metrics.contains("malformed_request"), "{metrics}");
}
