//! Many reloads while much is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{ALL, configuration};
use crate::support::adobe::Adobe;
use crate::support::raw::Raw;
use crate::support::running::Running;
use crate::support::steady::Steady;

#[test]
fn a_hundred_reloads_fail_no_request() {
    let adobe = Adobe::willing();
    let other = Adobe::willing();
    let gateway = Running::start(&configuration(&adobe.url(), ALL), &[]);
    gateway.wait_for_state("demo", "valid");
    let callers = Steady::start(gateway.address, 8, Duration::from_millis(1));
    callers.wait_for_all();

    for round in 0..100 {
        let more = format!(
            "{}    limits: [{{ rate: {}/s, burst: 1000000 }}]\nin_flight: {}\n",
            ALL.replace("name: all", &format!("name: all-{}", round % 7)),
            1_000_000 + round,
            100 + round,
        );
        let text = configuration(&adobe.url(), &more);
        // The upstream moves too, now and then.
        let upstream = if round % 5 < 3 { &adobe } else { &other };
        let text = text.replace(
            &format!("upstream: {{ url: '{}'", adobe.url()),
            &format!("upstream: {{ url: '{}'", upstream.url()),
        );
        assert_eq!(gateway.reload(&text), "applied");
    }
    callers.wait_for_all();
    let calls = callers.stop();

    let failed = calls.iter().filter(|call| call.answer.status != 200);
    assert_eq!(failed.count(), 0, "of {}", calls.len());
    assert!(calls.len() >= 100);
    assert_eq!(adobe.seen().len() + other.seen().len(), calls.len());
    assert!(!other.seen().is_empty());
    let counted = gateway.count("profile_gateway_requests_total");
    assert_eq!(counted, i64::try_from(calls.len()).unwrap());
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn reloads_while_fifty_callers_stream_bodies_lose_no_byte() {
    let adobe = Adobe::willing();
    let gateway = Running::start(&configuration(&adobe.url(), ALL), &[]);
    gateway.wait_for_state("demo", "valid");
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..50)
        .map(|number| {
            let (stop, address) = (Arc::clone(&stop), gateway.address);
            thread::spawn(move || {
                let mut caller = Raw::connect(address);
                let mut sent = 0;
                while !stop.load(Ordering::SeqCst) || sent == 0 {
                    let target = format!("/data/core/ups/{number}/{sent}");
                    caller.write(format!(
                        "POST {target} HTTP/1.1\r\nHost: gateway\r\nContent-Type: text/plain\r\n\
                         Transfer-Encoding: chunked\r\n\r\n"
                    ));
                    for piece in 0..20 {
                        let piece = format!("{target}/{piece}\n").repeat(20);
                        caller.write(format!("{:x}\r\n{piece}\r\n", piece.len()));
                        thread::yield_now();
                    }
                    caller.write("0\r\n\r\n");
                    assert_eq!(caller.answer(false).expect("an answer").status, 200);
                    sent += 1;
                }
                sent
            })
        })
        .collect();

    for round in 0..40 {
        let more = ALL.replace("name: all", &format!("name: all-{round}"));
        let more = format!(
            "{more}upstream: {{ url: '{}', connect_timeout: {}s }}\n",
            adobe.url(),
            1 + round % 2
        );
        let text = configuration(&adobe.url(), &more);
        let text = text.replacen(&format!("upstream: {{ url: '{}' }}\n", adobe.url()), "", 1);
        assert_eq!(gateway.reload(&text), "applied");
    }
    stop.store(true, Ordering::SeqCst);
    let sent: usize = callers.into_iter().map(|it| it.join().unwrap()).sum();

    let seen = adobe.seen();
    assert_eq!(seen.len(), sent);
    for seen in seen {
        let target = seen.target();
        let whole: String = (0..20)
            .map(|piece| format!("{target}/{piece}\n").repeat(20))
            .collect();
        assert_eq!(String::from_utf8(seen.body.clone()).unwrap(), whole);
    }
}
