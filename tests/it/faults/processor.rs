//! A process that has a tenth of a processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::in_front_of;
use crate::support::adobe::Adobe;
use crate::support::raw::{exchange, get};
use crate::support::running::{Running, pass};
use crate::support::steady::Steady;

/// Lets a process run for 10 ms of every 100, much as a quota of the kernel's scheduler does, until it is dropped.
struct Tenth {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tenth {
    fn of(process: Pid) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                kill_process(process, Signal::STOP).unwrap();
                pass(Duration::from_millis(90));
                kill_process(process, Signal::CONT).unwrap();
                pass(Duration::from_millis(10));
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Tenth {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Its end is not stopped.
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn with_a_tenth_of_a_processor_it_is_alive_within_a_second_and_serves() {
    let adobe = Adobe::willing();
    let gateway = Running::start(&in_front_of(&adobe.url(), ""), &[]);
    gateway.wait_for_service();
    let tenth = Tenth::of(gateway.process.pid());
    let callers = Steady::start(gateway.address, 4, Duration::from_millis(20));

    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        assert_eq!(exchange(gateway.admin, get("/livez", "")).status, 200);
        longest = longest.max(asked.elapsed());
        pass(Duration::from_millis(30));
    }
    let calls = callers.stop();
    drop(tenth);

    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert!(calls.len() > 40, "{} requests", calls.len());
    assert!(calls.iter().all(|call| call.answer.status == 200));
    gateway.stop();
}
