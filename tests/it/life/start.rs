//! How the process starts: what signals do while the configuration is read for the first time.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::configuration;
use crate::support::process::Process;
use crate::support::running::SECRET;

/// Starts a gateway whose client secret comes from a named pipe. It reads until the pipe that is returned is closed.
fn start(folder: &Path) -> (Process, PathBuf, File) {
    let pipe = folder.join("secret");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let more = "sandboxes: { dev-2: {} }\nlog: { format: json }\nadmin: { address: '127.0.0.1:0' }\nlisteners: [{ address: '127.0.0.1:0' }]\n";
    let text = configuration("http://127.0.0.1:1", more).replace(SECRET, "'${file:PIPE}'");
    let text = text.replace("PIPE", pipe.to_str().unwrap());
    let path = folder.join("gateway.yaml");
    fs::write(&path, text).unwrap();
    let process = Process::start(&["run", "--config", path.to_str().unwrap()], &[]);
    // This returns when there is somebody who reads.
    let writing = OpenOptions::new().write(true).open(&pipe).unwrap();
    (process, pipe, writing)
}

#[test]
fn a_reload_that_is_asked_for_while_the_first_configuration_is_read_comes_after_it() {
    let folder = TempDir::new().unwrap();
    let (process, pipe, mut writing) = start(folder.path());

    process.signal("HUP");
    writing.write_all(b"secret").unwrap();
    // It is read more than once, which a pipe cannot be.
    let file = folder.path().join("file");
    fs::write(&file, "secret").unwrap();
    fs::rename(&file, &pipe).unwrap();
    drop(writing);

    process.wait_for("serving operators");
    process.wait_for("the configuration was read anew and has not changed");
    process.signal("INT");
    let (code, printed) = process.finish();
    assert_eq!(code, Some(0), "{printed}");
}

#[test]
fn a_stop_while_the_first_configuration_is_read_ends_at_once_and_well() {
    for signal in ["TERM", "INT"] {
        let folder = TempDir::new().unwrap();
        let (process, _pipe, _writing) = start(folder.path());

        process.signal(signal);

        let (code, printed) = process.finish();
        assert_eq!(code, Some(0), "{signal}: {printed}");
        assert!(!printed.contains("serving"), "{printed}");
    }
}
