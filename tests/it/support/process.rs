//! The real binary as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;
use tokio::time::Instant;

/// A running `profile-gateway`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// What it has printed, both streams together.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Process {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-gateway"));
        command.args(arguments).envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts one from a shell, in which `preparing` happens first, such as `ulimit -n 64`.
    pub(crate) fn start_after(preparing: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{preparing}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_profile-gateway"))
            .args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env_remove("PROFILE_GATEWAY_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Output::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&output)),
            collect(child.stderr.take().unwrap(), Arc::clone(&output)),
        ];
        Self {
            child,
            output,
            readers,
        }
    }

    /// Starts a gateway with this configuration, and waits until it listens.
    pub(crate) fn gateway(configuration: &Path, environment: &[(&str, &str)]) -> Self {
        let path = configuration.to_str().unwrap();
        let process = Self::start(&["run", "--config", path], environment);
        process.wait_for("serving operators");
        process
    }

    /// Waits for a line that holds `text`, and returns it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let begun = Instant::now();
        let mut lines = self.output.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            // Other lines may come for ever.
            let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "no {text:?} in {lines:#?}");
            (lines, _) = self.output.grown.wait_timeout(lines, left).unwrap();
        }
    }

    /// Returns the address in the log line with this message.
    pub(crate) fn address(&self, message: &str) -> SocketAddr {
        let line: Value = serde_json::from_str(&self.wait_for(message)).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Returns the most memory it has had at once, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.unwrap().trim_end_matches("kB").trim().parse().unwrap()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the processor time it has taken.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // What comes before may hold anything, and ends with the last bracket.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
        let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
        // The 14th and the 15th of all, in hundredths of a second wherever Linux runs.
        Duration::from_millis(10 * (ticks(12) + ticks(13)))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.output.lines.lock().unwrap().clone()
    }

    /// Waits until `count` lines hold `text`, and returns the last of them.
    pub(crate) fn wait_for_nth(&self, text: &str, count: usize) -> String {
        let begun = Instant::now();
        let mut lines = self.output.lines.lock().unwrap();
        loop {
            let mut found = lines.iter().filter(|line| line.contains(text));
            if let Some(line) = found.nth(count - 1) {
                return line.clone();
            }
            let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "not {count} of {text:?} in {lines:#?}");
            (lines, _) = self.output.grown.wait_timeout(lines, left).unwrap();
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end and returns the exit code and everything it printed.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (code, self.lines().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Output>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            output.lines.lock().unwrap().push(line.unwrap());
            output.grown.notify_all();
        }
    })
}
