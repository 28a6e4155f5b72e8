//! Hands finished log lines to a thread that may be slow without slowing anybody else.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;

/// Where log lines are put. Clones put them in the same place.
///
/// When what it writes to takes nothing more, lines are dropped and counted.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Nothing more is taken.
    closed: bool,
    /// Everything that was taken is written.
    ended: bool,
}

/// Whole lines.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    lines: u64,
}

/// The most that may wait to be written, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// How long the thread waits for a pipe that takes nothing just now.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the process waits for what has not been written.
const FAREWELL: Duration = Duration::from_secs(2);

impl Sink {
    /// Starts the log's thread, which writes to `to`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(to: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        Self::named("log", to)
    }

    /// Starts a thread called `name` that writes to `to`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn named(name: &str, to: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || theirs.write_all(to))?;
        Ok((Self(Arc::clone(&shared)), Writing(shared)))
    }

    /// Puts whole lines behind those that wait.
    pub fn put(&self, bytes: Vec<u8>, lines: u64) {
        let mut queue = self.0.queue();
        if queue.closed || queue.bytes + bytes.capacity() > MOST {
            drop(queue);
            self.0.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        queue.bytes += bytes.capacity();
        queue.pieces.push_back(Piece { bytes, lines });
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Returns how many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// One line a call, as `tracing_subscriber` writes them.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec(), 1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change is a single step, so what a panic left behind is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the sink is closed and everything is written.
    fn write_all(&self, mut to: impl Write) {
        loop {
            let mut queue = self.queue();
            while queue.pieces.is_empty() && !queue.closed {
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.pieces.is_empty() {
                queue.ended = true;
                return self.changed.notify_all();
            }
            let pieces = mem::take(&mut queue.pieces);
            drop(queue);
            for piece in pieces {
                if write_whole(&mut to, &piece.bytes).is_err() {
                    self.dropped.fetch_add(piece.lines, Ordering::Relaxed);
                }
                // Only now, so that what is being written counts as waiting.
                self.queue().bytes -= piece.bytes.capacity();
            }
            // A flush that fails has lost what `write_all` took without an error, which nobody could count.
            let _ = to.flush();
        }
    }
}

/// Standard output, which takes all of what is written at once, so that no line of another thread comes between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_whole(&mut io::stdout().lock(), bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Writes all of `bytes`, with patience: another process may have made the pipe one that does not wait.
pub(super) fn write_whole(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => park_timeout(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The thread that writes. Dropped, it waits a while for what has not been written.
#[derive(Debug)]
pub struct Writing(Arc<Shared>);

impl Drop for Writing {
    fn drop(&mut self) {
        let Self(shared) = self;
        let mut queue = shared.queue();
        queue.closed = true;
        shared.changed.notify_all();
        // When the time is over standard output takes nothing, and nobody is left to count what it does not.
        drop(
            shared
                .changed
                .wait_timeout_while(queue, FAREWELL, |queue| !queue.ended),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Takes nothing before it is told to, and keeps what it takes.
    struct Slow {
        go: Receiver<()>,
        going: bool,
        impatient: bool,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.going {
                self.going = self.go.recv().is_ok();
            }
            // A pipe that does not wait, and takes little at a time.
            self.impatient = !self.impatient && bytes.len() < 100;
            if self.impatient {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_too_much_is_dropped_by_the_line_and_the_rest_is_written_at_the_end() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (tell, go) = channel();
        let slow = Slow {
            go,
            going: false,
            impatient: false,
            taken: Arc::clone(&taken),
        };
        let (sink, writing) = Sink::start(slow).unwrap();
        let quarter = vec![b'x'; MOST / 4];

        for _ in 0..4 {
            sink.put(quarter.clone(), 7);
        }
        assert_eq!(sink.dropped(), 0);
        sink.put(b"one too many\n".to_vec(), 7);
        writeln!(sink.clone(), "one more").unwrap();
        assert_eq!(sink.dropped(), 8);
        tell.send(()).unwrap();
        drop(writing);

        assert_eq!(taken.lock().unwrap().len(), MOST);
        sink.put(b"too late\n".to_vec(), 1);
        assert_eq!(sink.dropped(), 9);
    }

    #[test]
    fn lines_that_cannot_be_written_count_as_dropped() {
        struct Closed;

        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let (sink, writing) = Sink::start(Closed).unwrap();
        sink.put(b"a\nb\n".to_vec(), 2);
        drop(writing);

        assert_eq!(sink.dropped(), 2);
    }
}
