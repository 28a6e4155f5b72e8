//! A disk that takes nothing.

use super::in_front_of;
use crate::support::adobe::Adobe;
use crate::support::running::{Running, eventually};

/// Whoever writes to a file is killed for it, also where root may do everything. There is no folder to work in, none for
/// temporary files and none of the user's, and standard output is on a disk that is full.
const FULL: &str = "mkdir \"$FOLDER/gone\"; cd \"$FOLDER/gone\"; rmdir \"$FOLDER/gone\"; unset HOME; \
    export TMPDIR=/nowhere; ulimit -c 0; ulimit -f 0; exec >/dev/full";

#[test]
fn nothing_is_written_but_the_log_and_where_that_has_no_room_requests_are_served() {
    let adobe = Adobe::willing();
    let text = in_front_of(&adobe.url(), "");
    let gateway = Running::start_after(FULL, &text);
    gateway.wait_for_state("demo", "valid");
    let dropped = || gateway.count("profile_gateway_log_dropped_total");
    let before = dropped();
    assert!(before > 0, "what is told at the start");

    for _ in 0..10 {
        assert_eq!(gateway.ask().status, 200);
    }
    assert_eq!(gateway.reload(&format!("{text}in_flight: 7\n")), "applied");

    // Access lines wait for 100 ms at most.
    eventually("ten lines and more", || {
        (dropped() >= before + 10).then_some(())
    });
    assert_eq!(gateway.readiness().0, 200);
    gateway.stop();
}

#[test]
fn a_process_that_writes_to_a_file_there_is_killed() {
    let folder = tempfile::TempDir::new().unwrap();
    let full = FULL.replace("$FOLDER", folder.path().to_str().unwrap());
    let written = folder.path().join("written");
    // Another process than the shell, which would report the signal of its child.
    let write = format!("{full}; sh -c 'echo something' >'{}'", written.display());

    let status = std::process::Command::new("sh")
        .args(["-c", &write])
        .status()
        .unwrap();

    assert!(!status.success());
    assert_eq!(std::fs::read(&written).unwrap(), b"");
}
