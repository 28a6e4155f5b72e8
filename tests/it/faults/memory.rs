//! Answers that are larger than memory, and callers who hardly read.

use socket2::SockRef;

use super::in_front_of;
use crate::support::adobe::{Act, Adobe};
use crate::support::raw::{Raw, exchange, get};
use crate::support::running::{LOOKUP, Running, report};
use crate::support::signal::{signal, wait};

/// Of each answer, and what a caller who does not read may cost: 490 kB by README.md, and a quarter more, since what is
/// counted is the most there was.
const ANSWER: usize = 512 << 20;
const SLOW_READER_KIB: u64 = 600;
const READERS: u64 = 100;

#[test]
fn slow_readers_of_large_answers_cost_what_the_readme_says_and_keep_nobody_from_service() {
    let (count, poured) = signal();
    let adobe = Adobe::start(move |seen| {
        let count = count.clone();
        if seen.target() == LOOKUP {
            return Act::ok();
        }
        Act::play(move |wire| {
            wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {ANSWER}\r\n\r\n"
            ));
            count.send(wire.pour(ANSWER)).unwrap();
            wire.wait_for_end();
        })
    });
    let gateway = Running::start(&in_front_of(&adobe.url(), "workers: 2\n"), &[]);
    gateway.wait_for_service();
    let before = gateway.process.peak_kib();

    let mut readers: Vec<_> = (0..READERS)
        .map(|_| Raw::connect(gateway.address))
        .collect();
    for reader in &mut readers {
        SockRef::from(reader.socket())
            .set_recv_buffer_size(16 * 1024)
            .unwrap();
        reader.write(get("/data/core/ups/large", ""));
        assert_eq!(reader.next_head().unwrap().status, 200);
    }
    let taken: usize = readers.iter().map(|_| wait(&poured)).sum();
    let grown = gateway.process.peak_kib() - before;

    report(&format!(
        "{taken} bytes were taken, {grown} KiB more memory"
    ));
    assert!(grown < READERS * SLOW_READER_KIB, "{grown} KiB more memory");
    assert_eq!(exchange(gateway.admin, get("/livez", "")).status, 200);
    assert_eq!(gateway.ask().status, 200);
    drop(readers);
    gateway.stop();
}
