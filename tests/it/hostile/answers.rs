//! What an upstream must not answer, byte by byte: what the caller gets then, and that nobody meets the connection again.

use super::PATH;
use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{Answer, Raw, exchange, get};
use crate::support::signal::{signal, wait};

/// A gateway before an upstream that gives these answers, and one caller's connection, which always leads to the same
/// connections to the upstream.
struct Answered {
    answers: Vec<String>,
    adobe: Adobe,
    gateway: Gateway,
    raw: Raw,
}

impl Answered {
    fn new(answers: &[&str]) -> Self {
        Self::with_head("", answers)
    }

    /// Each answer begins with `head`.
    fn with_head(head: &str, answers: &[&str]) -> Self {
        let answers: Vec<_> = answers.iter().map(|rest| format!("{head}{rest}")).collect();
        let given = answers.clone();
        let adobe = Adobe::start(move |seen| match number(seen) {
            // As Latin-1, so that a case can have any byte.
            Some(number) => Act::Answer(
                given[number]
                    .chars()
                    .map(|character| u8::try_from(character).unwrap())
                    .collect(),
            ),
            None => Act::echo(seen),
        });
        // Some are not over for who reads them, and are given up.
        let idle = "    timeouts: { response_idle: 1s }\n";
        let routes = format!("{ROUTES}{idle}");
        let gateway = Gateway::start(&adobe.url(), &routes);
        let raw = Raw::connect(gateway.address);
        Self {
            answers,
            adobe,
            gateway,
            raw,
        }
    }

    /// Has a caller get each answer and `judge` it, and then ask for something else: that is answered as if nothing had
    /// been, over another connection where the first has to be closed.
    fn each(&mut self, mut judge: impl FnMut(&str, Answer) -> Then) {
        for (index, text) in self.answers.iter().enumerate() {
            self.raw.write(get(&format!("{PATH}?answer={index}"), ""));
            let answer = self.raw.answer(false);
            let answer = answer.unwrap_or_else(|| panic!("no answer to {text:?}"));
            let open = answer.complete;
            let then = judge(text, answer);
            if !open {
                self.raw = Raw::connect(self.gateway.address);
            }

            let target = format!("{PATH}?after={index}");
            self.raw.write(get(&target, ""));
            let next = self.raw.answer(false).unwrap();
            assert_eq!((next.status, next.text()), (200, target), "after {text:?}");
            let seen = self.adobe.seen();
            let [.., bad, good] = &seen[..] else {
                panic!("two requests arrived")
            };
            let met_again = bad.connection == good.connection;
            assert!(
                then == Then::MayStay || !met_again,
                "used again after {text:?}"
            );
        }
        assert_eq!(self.adobe.heads(), 2 * self.answers.len());
    }
}

/// What becomes of the connection.
#[derive(PartialEq)]
enum Then {
    Closes,
    MayStay,
}

fn number(seen: &Seen) -> Option<usize> {
    seen.target().split_once("?answer=")?.1.parse().ok()
}

#[test]
fn an_answer_whose_head_can_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    Answered::new(&[
        // Lines that end in a bare line feed, and lines before the first.
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\n{}",
        "HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX: a\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        // Statuses and versions that are none.
        "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 1000 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 O\u{1}K\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "ICY 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "{\"no\": \"head\"}\r\n\r\n",
        // Fields that are none, or hide others.
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA\t: b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: \u{1}\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: \u{7f}\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA\u{e9}: b\r\nContent-Length: 2\r\n\r\n{}",
        // Lengths that are none.
        "HTTP/1.1 200 OK\r\nContent-Length:\u{b}2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2;\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length:\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ])
    .each(|text, answer| {
        let refused = (502, "upstream_protocol".to_owned());
        assert_eq!(answer.problem(), refused, "{text:?}");
        Then::Closes
    });
}

#[test]
fn chunks_that_are_none_end_the_answer_as_an_abort_and_its_connection() {
    Answered::with_head(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[
            "+2\r\n{}\r\n0\r\n\r\n",
            "-2\r\n{}\r\n0\r\n\r\n",
            "0x2\r\n{}\r\n0\r\n\r\n",
            " 2\r\n{}\r\n0\r\n\r\n",
            "\r\n2\r\n{}\r\n0\r\n\r\n",
            ";x\r\n{}\r\n0\r\n\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "2\r{}\r\n0\r\n\r\n",
            "2\r\n{}\n0\r\n\r\n",
            "2\r\n{}0\r\n\r\n",
            "2\r\n{}}\r\n0\r\n\r\n",
            "2\r\n{}\r\n0\r\n\n",
            "2;a\nb\r\n{}\r\n0\r\n\r\n",
            "2 3\r\n{}\r\n0\r\n\r\n",
            "10000000000000002\r\n{}\r\n0\r\n\r\n",
            "2\r\n{}\r\n0\r\n A: b\r\n\r\n",
            "2\r\n{}\r\n0\r\nA : b\r\n\r\n",
            "2\r\n{}\r\n0\r\nA: b\n\r\n",
            "2\r\n{}\r\n0\r\nA: \0\r\n\r\n",
            "2\r\n{}\r\n0\r\nA\r\n\r\n",
        ],
    )
    .each(|text, answer| {
        assert_eq!((answer.status, answer.complete), (200, false), "{text:?}");
        Then::Closes
    });
}

#[test]
fn an_answer_whose_head_or_framing_goes_on_for_ever_is_given_up() {
    let (ended, end) = signal();
    let adobe = Adobe::start(move |seen| {
        let (first, rest) = match number(seen) {
            Some(0) => ("HTTP/1.1 200 OK\r\nX: ", "aaaaaaaaaaaaaaaa"),
            Some(1) => ("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
            Some(2) => ("HTTP/1.1 ", "11111111"),
            Some(3) => (CHUNKED, "X: y\r\n"),
            Some(4) => (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "0000000000000000",
            ),
            Some(_) => (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;",
                "aaaaaaaaaaaaaaaa",
            ),
            None => return Act::echo(seen),
        };
        let ended = ended.clone();
        Act::play(move |wire| {
            wire.write(first);
            while wire.write(rest.repeat(1000)) {}
            ended.send(()).unwrap();
        })
    });
    let gateway = Gateway::start(&adobe.url(), ROUTES);

    for case in 0..6 {
        let answer = exchange(gateway.address, get(&format!("{PATH}?answer={case}"), ""));

        if case < 3 {
            let refused = (502, "upstream_protocol".to_owned());
            assert_eq!(answer.problem(), refused, "{case}");
        } else {
            assert_eq!((answer.status, answer.complete), (200, false), "{case}");
        }
        wait(&end);
        assert_eq!(exchange(gateway.address, get(PATH, "")).text(), PATH);
    }
}

/// An answer up to its trailers.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n";

#[test]
fn what_may_come_beside_an_answer_does_not_change_it() {
    Answered::new(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 Fine With Us\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 \u{e9}t\u{e9}\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.0 200 Old\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\nHTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nConnection: transfer-encoding\r\n\r\n2;x=\"y\"\r\n{}\r\n000\r\n\r\n",
    ])
    .each(|text, answer| {
        // Neither the version nor the words beside the status are the upstream's.
        assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.head);
        assert_eq!((answer.text().as_str(), answer.complete), ("{}", true), "{text:?}");
        assert_eq!(answer.values("link"), [""; 0], "{text:?}");
        Then::MayStay
    });
}
