//! One worker's lines of one kind, collected and written together.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::sink::Sink;

/// Access lines on their way to the log, or lines of the audit: handed over when 64 KiB have come together, or after 100 ms.
#[derive(Debug)]
pub struct Lines {
    buffer: RefCell<Vec<u8>>,
    count: Cell<u64>,
    sink: Sink,
    begun: Notify,
}

const FULL: usize = 64 * 1024;
const LATEST: Duration = Duration::from_millis(100);

impl Lines {
    /// Makes an empty buffer in front of `sink`.
    pub fn new(sink: Sink) -> Rc<Self> {
        Rc::new(Self {
            buffer: RefCell::default(),
            count: Cell::new(0),
            sink,
            begun: Notify::new(),
        })
    }

    /// Adds a line that `write` puts at the end of the buffer.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            self.begun.notify_one();
        }
        write(&mut buffer);
        buffer.push(b'\n');
        let full = buffer.len() >= FULL;
        drop(buffer);
        self.count.set(self.count.get() + 1);
        if full {
            self.flush();
        }
    }

    /// Hands over what there is.
    pub fn flush(&self) {
        let lines = self.buffer.take();
        if !lines.is_empty() {
            // The next ones will take about as much room, so the buffer need not grow step by step.
            self.buffer.borrow_mut().reserve(lines.len());
            self.sink.put(lines, self.count.take());
        }
    }

    /// Flushes 100 ms after each first line, for ever. An idle worker sleeps.
    pub async fn flush_in_time(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            sleep(LATEST).await;
            self.flush();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::sink::Writing;

    /// Tells of every piece that is written.
    struct Told(Sender<Vec<u8>>);

    impl std::io::Write for Told {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Rc<Lines>, Receiver<Vec<u8>>, Writing) {
        let (tell, told) = channel();
        let (sink, writing) = Sink::start(Told(tell)).unwrap();
        (Lines::new(sink), told, writing)
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_handed_over_after_a_tenth_of_a_second() {
        let (lines, told, _writing) = lines();
        let local = tokio::task::LocalSet::new();
        local.spawn_local(Rc::clone(&lines).flush_in_time());

        local
            .run_until(async {
                lines.add(|buffer| buffer.extend_from_slice(b"one"));
                sleep(Duration::from_millis(99)).await;
                assert!(!lines.buffer.borrow().is_empty());
                sleep(Duration::from_millis(2)).await;
                assert!(lines.buffer.borrow().is_empty());
            })
            .await;
        assert_eq!(told.recv().unwrap(), b"one\n");
    }

    #[test]
    fn full_buffers_and_the_last_lines_are_written() {
        let (lines, told, writing) = lines();

        for _ in 0..80 {
            lines.add(|buffer| buffer.extend_from_slice(&[b'x'; 1023]));
        }
        assert_eq!(told.recv().unwrap().len(), FULL);
        drop(lines);
        drop(writing);

        assert_eq!(told.recv().unwrap().len(), 16 * 1024);
        assert!(told.recv().is_err());
    }
}
