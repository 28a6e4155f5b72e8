//! Where the audit goes, and what it shows.

use std::path::Path;

use profile_gateway::config;
use profile_gateway::secret::Secret;
use profile_gateway::telemetry::audit::{FileSettings, IdKey, Settings, Target};

use super::examples::in_comments;
use super::{AUDIT_KEY, faults, messages, sources, with};

fn load(more: &str) -> Option<Settings> {
    let settings = config::parse("gateway.yaml", &with(more), &sources());
    settings.expect("the text is legal").audit
}

fn file(path: &str, max_bytes: u64, keep: usize) -> Target {
    Target::File(FileSettings {
        path: Path::new(path).to_owned(),
        max_bytes,
        keep,
    })
}

#[test]
fn nothing_is_audited_unless_it_is_asked_for() {
    assert_eq!(load(""), None);
    let to_stdout = Some(Settings {
        target: Target::Stdout,
        hash_ids: None,
    });
    assert_eq!(load("audit: {}\n"), to_stdout);
    assert_eq!(load("audit: { target: stdout }\n"), to_stdout);
}

#[test]
fn a_file_has_a_size_and_a_number_of_those_before_it() {
    let target = |more: &str| load(more).unwrap().target;

    assert_eq!(
        target("audit: { target: { file: /a.log } }\n"),
        file("/a.log", 100 << 20, 10)
    );
    assert_eq!(
        target("audit: { target: { file: /a.log, max_size: 4KiB, keep: 1 } }\n"),
        file("/a.log", 4096, 1)
    );
}

#[test]
fn the_section_of_the_full_example_loads_and_writes_the_defaults_out() {
    let audit = in_comments("audit").audit.unwrap();

    let path = "/var/log/profile-gateway/audit.log";
    assert_eq!(audit.target, file(path, 100 << 20, 10));
    let key = Secret::new(AUDIT_KEY.trim().to_owned());
    assert_eq!(audit.hash_ids, IdKey::new(key).ok());
}

#[test]
fn what_is_wrong_with_the_audit_is_named() {
    for (audit, expected) in [
        (
            "{ target: syslog }",
            "target: must be stdout or a map with file",
        ),
        ("{ target: { max_size: 1MiB } }", "target.file: is missing"),
        (
            "{ target: { file: audit.log } }",
            "target.file: must be an absolute path such as /etc/ssl/corporate.pem",
        ),
        (
            "{ target: { file: /a, max_size: 4095 } }",
            "target.max_size: must be from 4KiB to 100GiB",
        ),
        (
            "{ target: { file: /a, keep: 0 } }",
            "target.keep: must be from 1 to 1000",
        ),
        (
            "{ hash_ids: '${env:WORD}' }",
            "hash_ids: the environment variable WORD is not set",
        ),
        ("{ hash: yes }", "hash: there is no such key here"),
    ] {
        let found = messages(&with(&format!("audit: {audit}\n")));
        assert_eq!(found, [format!("audit.{expected}")], "{audit}");
    }
}

#[test]
fn a_key_that_could_be_found_by_trying_is_refused_and_not_shown() {
    let text = with("audit: { hash_ids: 's3ntinel-15-byt' }\n");

    assert_eq!(messages(&text), ["audit.hash_ids: has fewer than 16 bytes"]);
    assert!(!faults(&text).contains("s3ntinel"), "{}", faults(&text));
}
