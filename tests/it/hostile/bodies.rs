//! Where a body ends, when that is said twice, wrongly or not at all, and how large it may be.

use super::{PATH, Pair, head};
use crate::support::adobe::Adobe;
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{Raw, exchange, get, send};

#[test]
fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let mut pair = Pair::new(ROUTES);
    let hidden = get("/data/core/ups/hidden", "");

    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\ncontent-length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: \"5\"\r\n",
        "Content-Length:\r\n",
        "Content-Length: x\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: \u{665}\r\n",
        "Content_Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: chunked;x=y\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "Transfer-Encoding: CHUNKED\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
    ] {
        let bytes = format!("{}0\r\n\r\n{hidden}", head(fields));
        pair.refuses_as_malformed(bytes);
    }
    let old = format!("POST {PATH} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    pair.refuses_as_malformed(format!("{old}0\r\n\r\n{hidden}"));
}

#[test]
fn a_body_that_breaks_its_framing_never_arrives_whole() {
    let mut pair = Pair::new(ROUTES);
    let hidden = get("/data/core/ups/hidden", "");

    for chunks in [
        "x\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\n A: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: \0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(pair.gateway.address);
        raw.write(format!(
            "{}{chunks}{hidden}",
            head("Transfer-Encoding: chunked\r\n")
        ));

        assert_not_whole(&mut pair, raw, chunks);
    }
}

#[test]
fn framing_that_goes_on_for_ever_is_cut_off() {
    let megabytes = 3 * 1024 * 1024;
    let zeros = "0".repeat(megabytes);

    for chunks in [
        format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(megabytes)),
        format!(
            "{}0\r\n\r\n",
            format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(20_000)
        ),
        format!("{zeros}5\r\nhello\r\n0\r\n\r\n"),
        format!("5\r\nhello\r\n{zeros}\r\n\r\n"),
        format!("5\r\nhello\r\n0\r\nx: {}\r\n\r\n", "a".repeat(megabytes)),
        format!("5\r\nhello\r\n0\r\n{}\r\n", "x: y\r\n".repeat(200_000)),
    ] {
        let mut pair = Pair::new(ROUTES);
        let mut raw = Raw::connect(pair.gateway.address);
        raw.write(head("Transfer-Encoding: chunked\r\n"));
        raw.write(&chunks);

        assert_not_whole(&mut pair, raw, chunks.get(..20).unwrap());
    }
}

#[test]
fn nominating_what_frames_a_message_changes_nothing() {
    let pair = Pair::new(ROUTES);
    let framings = [
        ("Content-Length: 2\r\n", "{}"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    ];

    for named in [
        "content-length",
        "transfer-encoding",
        "host",
        "Host, Content-Length",
        "via",
    ] {
        for (framing, body) in framings {
            let bytes = format!(
                "{}{body}",
                head(&format!("Connection: {named}\r\n{framing}"))
            );
            let mut raw = Raw::connect(pair.gateway.address);
            raw.write(bytes);
            let answer = raw.answer(false).unwrap();

            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, PATH),
                "{named}"
            );
            let seen = pair.adobe.seen().pop().unwrap();
            assert_eq!(seen.body, b"{}", "{named}");
            assert_eq!(seen.values("host").len(), 1, "{named}");
            assert_eq!(seen.values("via"), ["1.1 profile-gateway"]);
            let framed =
                seen.values("content-length").len() + seen.values("transfer-encoding").len();
            assert_eq!(framed, 1, "{named}: {}", seen.head);
            // Nothing of the body is taken for another request.
            raw.write(get(PATH, ""));
            assert_eq!(raw.answer(false).unwrap().text(), PATH, "{named}");
        }
    }
}

#[test]
fn a_body_cut_short_never_arrives_whole() {
    for (framing, part) in [
        ("Content-Length: 10\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
    ] {
        let mut pair = Pair::new(ROUTES);

        let raw = pair.send_part(format!("{}{part}", head(framing)));

        assert_not_whole(&mut pair, raw, part);
    }
}

/// The caller learns that its body is broken, if anything; Adobe gets no whole request but the next.
fn assert_not_whole(pair: &mut Pair, mut raw: Raw, shown: &str) {
    if let Some(answer) = raw.answer(false) {
        assert_eq!(
            answer.problem(),
            (400, "body_broken".to_owned()),
            "{shown:?}"
        );
        assert!(raw.is_closed(), "{shown:?}");
    }
    // The head may have been on its way; a whole request may not.
    assert_eq!(pair.adobe.seen().len(), pair.due, "{shown:?}");
    let heads = pair.adobe.heads();
    assert!(heads <= pair.due + 1, "{shown:?}");
    let next = exchange(pair.gateway.address, get(PATH, ""));
    assert_eq!((next.status, next.text().as_str()), (200, PATH));
    pair.due += 1;
    assert_eq!(pair.adobe.seen().len(), pair.due, "{shown:?}");
}

#[test]
fn a_body_that_is_too_large_is_refused_by_its_length_and_by_its_chunks() {
    let adobe = Adobe::echoing();
    let url = adobe.url();
    let gateway = Gateway::with(&format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}', request_body: 64KiB }}\n{ROUTES}"
    ));
    let most = "x".repeat(64 * 1024);

    let whole = exchange(gateway.address, send("POST", PATH, "", &most));
    assert_eq!(whole.status, 200);
    assert_eq!(adobe.seen().pop().unwrap().body.len(), 64 * 1024);
    let declared = exchange(gateway.address, send("POST", PATH, "", &format!("{most}x")));
    assert_eq!(declared.problem(), (413, "too_large".to_owned()));
    let huge = head("Content-Length: 18446744073709551615\r\n");
    let declared = exchange(gateway.address, huge);
    assert_eq!(declared.problem(), (413, "too_large".to_owned()));
    assert_eq!(adobe.heads(), 1);

    let mut raw = Raw::connect(gateway.address);
    raw.write(head("Transfer-Encoding: chunked\r\n"));
    raw.write(format!("10000\r\n{most}\r\n1\r\nx\r\n0\r\n\r\n"));
    let counted = raw.answer(false).unwrap();
    assert_eq!(counted.problem(), (413, "too_large".to_owned()));
    assert_eq!(adobe.seen().len(), 1);
    assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
}
