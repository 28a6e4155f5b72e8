//! A log that nobody reads.

use std::thread;

use super::in_front_of;
use crate::support::adobe::Adobe;
use crate::support::raw::{Raw, get};
use crate::support::running::{Running, report};

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_no_request() {
    let adobe = Adobe::willing();
    // Its reader's end is open, and nobody reads.
    let unread = "mkfifo \"$FOLDER/log\"; exec 9<>\"$FOLDER/log\" >\"$FOLDER/log\"";
    let gateway = Running::start_after(unread, &in_front_of(&adobe.url(), ""));
    gateway.wait_for_state("demo", "valid");
    let dropped = || gateway.count("profile_gateway_log_dropped_total");
    assert_eq!(dropped(), 0);

    // No route takes them, which is a line as any other.
    let id = "x".repeat(128);
    let request = get("/elsewhere", &format!("x-request-id: {id}\r\n"));
    let burst = request.repeat(AT_ONCE);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (address, burst) = (gateway.address, burst.clone());
            thread::spawn(move || {
                let mut caller = Raw::connect(address);
                for _ in 0..BURSTS {
                    caller.write(&burst);
                    for _ in 0..AT_ONCE {
                        assert_eq!(caller.answer(false).unwrap().status, 404);
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }

    let lost = dropped();
    report(&format!("{lost} lines were dropped"));
    assert!(lost > 0);
    assert_eq!(gateway.ask().status, 200);
    assert_eq!(gateway.readiness().0, 200);
    // The end waits a while for the pipe, and not for ever.
    gateway.stop();
}

/// So many lines are more than 16 MiB.
const BURSTS: usize = 100;
const AT_ONCE: usize = 100;
