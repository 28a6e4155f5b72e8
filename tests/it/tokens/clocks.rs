//! A wall clock that jumps while the real binary runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::token_service::{TokenService, fresh_token};
use crate::support::adobe::Adobe;
use crate::support::running::{CREDENTIAL, Running, eventually};
use crate::support::steady::Steady;

#[test]
fn a_clock_that_jumps_two_days_costs_at_most_one_token_and_no_caller() {
    let ims = TokenService::start(fresh_token);
    let upstream = Adobe::willing();
    let folder = TempDir::new().unwrap();
    let offset = folder.path().join("offset");
    let set = |by: &str| {
        // Renamed into place, since it is read at any time.
        let new = folder.path().join("new");
        fs::write(&new, by).unwrap();
        fs::rename(&new, &offset).unwrap();
    };
    set("+0");
    let gateway = Running::with_environment(
        &format!(
            "{CREDENTIAL}ims: {{ url: '{}' }}\nupstream: {{ url: '{}' }}\n",
            ims.adobe.url(),
            upstream.url()
        ),
        &[],
        &[
            ("LD_PRELOAD", &library()),
            ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // The name it had before.
            ("DONT_FAKE_MONOTONIC", "1"),
        ],
    );
    gateway.wait_for_service();
    let today = wait_for_day(&gateway, |_| true);
    let callers = Steady::start(gateway.address, 2, Duration::from_millis(5));

    set("+2d");
    let later = wait_for_day(&gateway, |day| day > today.as_str());
    gateway.wait_for_generation("demo", 2);
    callers.wait_for_all();
    let ahead = gateway.credential("demo");
    // Four days at once, and from there to where it was.
    set("-2d");
    wait_for_day(&gateway, |day| day < today.as_str());
    callers.wait_for_all();
    let behind = gateway.credential("demo");
    set("+0");
    wait_for_day(&gateway, |day| {
        day >= today.as_str() && day < later.as_str()
    });
    callers.wait_for_all();
    let calls = callers.stop();
    let end = gateway.credential("demo");

    assert_eq!(ims.calls(), 2);
    for facts in [ahead, behind, end] {
        assert_eq!(facts["generation"], 2, "{facts}");
        let age = facts["age_seconds"].as_f64().unwrap();
        assert!((0.0..60.0).contains(&age), "{facts}");
        assert!(
            facts["usable_for_seconds"].as_f64().unwrap() > 86_000.0,
            "{facts}"
        );
    }
    let statuses: Vec<_> = calls.iter().map(|call| call.answer.status).collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

/// Returns what to preload, as the program `faketime` does.
fn library() -> String {
    let output = Command::new("faketime")
        .args(["-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""])
        .output()
        .expect("faketime is installed (make test-rust sees to it)");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the log has a date that fits, and returns it.
fn wait_for_day(gateway: &Running, fits: impl Fn(&str) -> bool) -> String {
    eventually("such a date in the log", || {
        gateway.ask();
        let lines = gateway.process.lines();
        let line: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let day = line["timestamp"].as_str().unwrap().get(..10).unwrap();
        let day = day.to_owned();
        fits(&day).then_some(day)
    })
}
