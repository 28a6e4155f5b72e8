//! Callers who ask all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use super::raw::{Answer, Raw, get};
use super::running::{LOOKUP, eventually, pass};

/// Callers, each on a connection of its own.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    answered: Vec<Arc<AtomicUsize>>,
    callers: Vec<JoinHandle<Vec<Call>>>,
}

/// One request of theirs.
pub(crate) struct Call {
    pub(crate) begun: Instant,
    pub(crate) took: Duration,
    pub(crate) answer: Answer,
}

impl Steady {
    /// Starts so many callers, who ask again after `rest`.
    pub(crate) fn start(address: SocketAddr, callers: usize, rest: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered: Vec<Arc<AtomicUsize>> = (0..callers).map(|_| Arc::default()).collect();
        let callers = answered
            .iter()
            .map(|answered| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(answered));
                thread::spawn(move || {
                    let mut raw = Raw::connect(address);
                    let mut calls = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let begun = Instant::now();
                        raw.write(get(LOOKUP, ""));
                        let answer = raw.answer(false).expect("an answer");
                        calls.push(Call {
                            begun,
                            took: begun.elapsed(),
                            answer,
                        });
                        answered.fetch_add(1, Ordering::SeqCst);
                        pass(rest);
                    }
                    calls
                })
            })
            .collect();
        Self {
            stop,
            answered,
            callers,
        }
    }

    /// Waits until each of them has asked, and been answered, after now.
    pub(crate) fn wait_for_all(&self) {
        let count = |answered: &Arc<AtomicUsize>| answered.load(Ordering::SeqCst);
        // The first answer may be to what was asked before.
        let enough: Vec<_> = self.answered.iter().map(|it| count(it) + 2).collect();
        eventually("answer to a steady caller", || {
            let mut both = self.answered.iter().zip(&enough);
            both.all(|(answered, enough)| count(answered) >= *enough)
                .then_some(())
        });
    }

    /// Returns what they were answered, by the time they asked.
    pub(crate) fn stop(self) -> Vec<Call> {
        self.stop.store(true, Ordering::SeqCst);
        let callers = self.callers.into_iter();
        let mut calls: Vec<_> = callers.flat_map(|it| it.join().unwrap()).collect();
        calls.sort_by_key(|call| call.begun);
        calls
    }
}
