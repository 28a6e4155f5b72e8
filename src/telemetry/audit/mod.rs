//! The audit: one line for each request that somebody may have to account for, in a place of its own.

mod event;
mod file;
mod ids;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

pub use event::{Decision, Event};
pub use ids::{IdKey, ShortKey};

use self::file::Rotating;
use super::line::Stamp;
use super::lines::Lines;
use super::sink::{Sink, Stdout, Writing};

/// Where the audit goes, and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it goes. Default: standard output.
    pub target: Target,
    /// With what ids are hashed. Default: they are shown as they are.
    pub hash_ids: Option<IdKey>,
}

/// Where an audit goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, made anew when it has grown.
    File(FileSettings),
    /// Standard output, between the lines of the log.
    Stdout,
}

/// A file that lines are added to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The file. It is made with mode 0600; one that is there keeps its mode.
    pub path: PathBuf,
    /// The most bytes in it; then it is renamed to `….1`, that to `….2`, and so on.
    pub max_bytes: u64,
    /// How many of those are kept. At least 1.
    pub keep: usize,
}

/// The process's audit. A thread of its own writes it, with a queue of its own. It is there also while nothing is audited,
/// since another configuration may want it at any time.
///
/// What it cannot write, as when a disk is full, is dropped and counted, and stops nobody. Lines are handed to the system
/// as they come and not forced to the disk: what the machine loses with its power is lost, what the process loses with
/// its life is a tenth of a second.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    /// What is written to from the next line on.
    next: Arc<Mutex<Option<Output>>>,
    /// Kept to the end, so that the last lines are written.
    _writing: Writing,
}

impl Audit {
    /// Opens the audit, with a target if there is one by now.
    ///
    /// # Errors
    /// When its file cannot be opened, or no thread be started.
    pub fn open(target: Option<&Target>) -> io::Result<Self> {
        let next = Arc::default();
        let output = Switched {
            now: target.map(Output::open).transpose()?,
            next: Arc::clone(&next),
        };
        let (sink, writing) = Sink::named("audit", output)?;
        Ok(Self {
            sink,
            next,
            _writing: writing,
        })
    }

    /// Opens another target, which [`Audit::take`] goes on at. Nothing has changed until then.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn prepare(target: &Target) -> io::Result<Prepared> {
        Output::open(target).map(Prepared)
    }

    /// Goes on at another target with what is written from now on, and closes the one before.
    pub fn take(&self, Prepared(output): Prepared) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        // Nothing is written by it, but its thread wakes up.
        self.sink.put(Vec::new(), 0);
    }

    /// Returns how many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.sink.dropped()
    }

    /// Has `registry` show how many lines were dropped.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Dropped(self.sink.clone())));
    }

    /// Makes what one worker collects its lines in. Somebody has to flush it in time.
    pub fn lines(&self) -> Rc<Lines> {
        Lines::new(self.sink.clone())
    }
}

/// A target that is open, and not written to yet.
#[derive(Debug)]
pub struct Prepared(Output);

#[derive(Debug)]
struct Dropped(Sink);

impl Collector for Dropped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Lines of the audit that could not be written, or not fast enough";
        let name = "profile_gateway_audit_dropped";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(self.0.dropped()).encode(metric)
    }
}

/// One worker's way to the audit, by one configuration.
#[derive(Debug)]
pub struct Trail {
    lines: Rc<Lines>,
    ids: Option<IdKey>,
    stamp: Stamp,
}

impl Trail {
    /// Writes to `lines`, with ids hashed where there is a key for that.
    pub fn new(lines: Rc<Lines>, ids: Option<IdKey>) -> Self {
        Self {
            lines,
            ids,
            stamp: Stamp::default(),
        }
    }

    /// Writes an event down.
    pub fn record(&self, event: &Event<'_>) {
        self.lines
            .add(|buffer| event.write(buffer, &self.stamp, self.ids.as_ref()));
    }
}

/// What is written to.
#[derive(Debug)]
enum Output {
    File(Rotating),
    Stdout(Stdout),
}

impl Output {
    fn open(target: &Target) -> io::Result<Self> {
        match target {
            Target::File(settings) => {
                Rotating::open(settings.clone())
                    .map(Self::File)
                    .map_err(|error| {
                        let path = settings.path.display();
                        io::Error::new(error.kind(), format!("{path}: {error}"))
                    })
            }
            Target::Stdout => Ok(Self::Stdout(Stdout)),
        }
    }
}

/// What is written to, until there is something else.
#[derive(Debug)]
struct Switched {
    now: Option<Output>,
    next: Arc<Mutex<Option<Output>>>,
}

impl Switched {
    fn switch(&mut self) {
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(next) = next {
            self.now = Some(next);
        }
    }
}

impl Write for Switched {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.switch();
        match &mut self.now {
            Some(Output::File(file)) => file.write(lines),
            Some(Output::Stdout(stdout)) => stdout.write(lines),
            None => Err(io::Error::other("there is no target")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.switch();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use tempfile::TempDir;

    use super::*;

    fn target(folder: &Path) -> Target {
        Target::File(FileSettings {
            path: folder.join("audit.log"),
            max_bytes: 1 << 20,
            keep: 2,
        })
    }

    fn event(request_id: &str) -> Event<'_> {
        Event {
            timestamp: Duration::from_secs(1),
            request_id,
            peer: None,
            caller: None,
            identified_by: None,
            route: None,
            operation: None,
            kind: None,
            sandbox: None,
            organization: None,
            decision: Decision::Allowed,
            reason: None,
            cause: None,
            status: None,
            upstream_status: None,
        }
    }

    /// Writes one event, and waits until it is written or dropped.
    fn record(audit: Audit, request_id: &str) -> u64 {
        Trail::new(audit.lines(), None).record(&event(request_id));
        let sink = audit.sink.clone();
        drop(audit);
        sink.dropped()
    }

    #[test]
    fn what_is_recorded_is_written_before_the_end_and_other_targets_are_taken_between_lines() {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let audit = Audit::open(Some(&target(one.path()))).unwrap();
        let nowhere = Audit::prepare(&target(Path::new("/nowhere"))).unwrap_err();
        assert!(nowhere.to_string().starts_with("/nowhere/audit.log: "));
        audit.take(Audit::prepare(&target(other.path())).unwrap());

        assert_eq!(record(audit, "a"), 0);

        let text = fs::read_to_string(other.path().join("audit.log")).unwrap();
        assert_eq!(
            text,
            "{\"timestamp\":\"1970-01-01T00:00:01.000Z\",\"message\":\"audit\",\"request_id\":\"a\",\"peer\":\"unix\",\"decision\":\"allowed\"}\n"
        );
        assert_eq!(fs::read(one.path().join("audit.log")).unwrap(), b"");
    }

    #[test]
    fn without_a_target_nothing_is_written_until_there_is_one() {
        let folder = TempDir::new().unwrap();
        assert_eq!(record(Audit::open(None).unwrap(), "a"), 1);

        let audit = Audit::open(None).unwrap();
        audit.take(Audit::prepare(&target(folder.path())).unwrap());

        assert_eq!(record(audit, "a"), 0);
        let text = fs::read_to_string(folder.path().join("audit.log")).unwrap();
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_counted() {
        let folder = TempDir::new().unwrap();
        let audit = Audit::open(Some(&target(folder.path()))).unwrap();
        let mut registry = Registry::default();
        audit.register(&mut registry);
        folder.close().unwrap();

        assert_eq!(record(audit, "a"), 1);

        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("\nprofile_gateway_audit_dropped_total 1\n"),
            "{text}"
        );
    }
}
