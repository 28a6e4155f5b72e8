//! One worker's access lines, collected and written together.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// Access lines on their way to the log: written when 16 KiB have come together, or after 100 ms.
pub struct Lines {
    buffer: RefCell<Vec<u8>>,
    writer: RefCell<Box<dyn Write>>,
    begun: Notify,
}

const FULL: usize = 16 * 1024;
const LATEST: Duration = Duration::from_millis(100);

impl Lines {
    /// Makes an empty buffer in front of `writer`.
    pub fn new(writer: impl Write + 'static) -> Rc<Self> {
        Rc::new(Self {
            buffer: RefCell::new(Vec::with_capacity(FULL + 1024)),
            writer: RefCell::new(Box::new(writer)),
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
        if full {
            self.flush();
        }
    }

    /// Writes what there is.
    pub fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.is_empty() {
            // The writer drops what its queue cannot take, and counts it; it has no other error.
            let _ = self.writer.borrow_mut().write_all(&buffer);
            buffer.clear();
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

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("buffered", &self.buffer.borrow().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_after_a_tenth_of_a_second() {
        let written = Written::default();
        let lines = Lines::new(written.clone());
        let local = tokio::task::LocalSet::new();
        local.spawn_local(Rc::clone(&lines).flush_in_time());

        local
            .run_until(async {
                lines.add(|buffer| buffer.extend_from_slice(b"one"));
                sleep(Duration::from_millis(99)).await;
                assert!(written.0.borrow().is_empty());
                sleep(Duration::from_millis(2)).await;
                assert_eq!(&*written.0.borrow(), b"one\n");
            })
            .await;
    }

    #[test]
    fn full_buffers_and_the_last_lines_are_written() {
        let written = Written::default();
        let lines = Lines::new(written.clone());

        for _ in 0..20 {
            lines.add(|buffer| buffer.extend_from_slice(&[b'x'; 1023]));
        }
        assert_eq!(written.0.borrow().len(), FULL);
        drop(lines);

        assert_eq!(written.0.borrow().len(), 20 * 1024);
    }
}
