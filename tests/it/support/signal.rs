//! Lets a test and its scripted Adobe wait for each other, so that no test has to guess how long something takes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Makes both ends of a signal.
pub(crate) fn signal<T: Send>() -> (Sender<T>, Arc<Mutex<Receiver<T>>>) {
    let (sender, receiver) = channel();
    (sender, Arc::new(Mutex::new(receiver)))
}

/// Waits for the signal.
pub(crate) fn wait<T>(receiver: &Mutex<Receiver<T>>) -> T {
    // No test waits this long unless it has failed.
    let patience = Duration::from_secs(20);
    receiver.lock().unwrap().recv_timeout(patience).unwrap()
}
