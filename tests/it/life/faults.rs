//! Configurations that are not taken: the last good one stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{ALL, PATH, configuration};
use crate::support::adobe::Adobe;
use crate::support::process::Process;
use crate::support::raw::{exchange, get};
use crate::support::running::Running;

#[test]
fn a_configuration_with_faults_changes_nothing_and_says_why() {
    let adobe = Adobe::willing();
    let good = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&good, &[]);
    gateway.wait_for_state("demo", "valid");
    let gauge = || gateway.count("profile_gateway_config_last_reload_successful");
    assert_eq!(gauge(), 1);
    let file = gateway.configuration();
    let faulty = good.replace("name: all", "name: all\n    permits: [read]");

    let twice = format!("{good}in_flight: 1\nin_flight: 2\n");
    let half = good.split_at(good.len() / 2).0;
    let uncertified = good.replace("upstream: {", "upstream: { ca_file: /missing,");
    for broken in [
        Some(faulty.as_str()),
        Some(half),
        Some(&twice),
        Some(&uncertified),
        None,
    ] {
        match broken {
            Some(text) => gateway.configure(text),
            None => fs::remove_file(&file).unwrap(),
        }

        assert_eq!(gateway.reload_by_signal(), "refused", "{broken:?}");
        assert_eq!(gauge(), 0, "{broken:?}");
        assert_eq!(gateway.readiness(), (200, "ready\n".to_owned()));
        assert_eq!(exchange(gateway.address, get(PATH, "")).status, 200);
    }
    assert_eq!(gateway.reload(&good), "unchanged");
    assert_eq!(gauge(), 1);
    assert_eq!(adobe.token_calls().len(), 1);
    let printed = gateway.stop();
    for part in [
        "they have faults",
        "did you mean `permit`?",
        "a second time",
        "does not exist",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
}

#[test]
fn faults_are_told_once_a_change_without_anybody_asking() {
    let adobe = Adobe::willing();
    let good = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&good, &[]);

    let outcome = gateway.outcome_of(|| gateway.configure(&format!("{good}drian: 1s\n")));
    assert_eq!(outcome, "refused");
    let outcome = gateway.outcome_of(|| gateway.configure(&format!("{good}in_flight: 7\n")));
    assert_eq!(outcome, "applied");

    let printed = gateway.stop();
    assert_eq!(printed.matches("they have faults").count(), 1, "{printed}");
    assert!(printed.contains("\"changed\":\"in_flight\""), "{printed}");
}

#[test]
fn what_has_not_changed_is_not_taken_anew() {
    let adobe = Adobe::willing();
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    gateway.wait_for_state("demo", "valid");

    assert_eq!(gateway.reload_by_signal(), "unchanged");
    assert_eq!(
        gateway.reload(&format!("# A comment.\n{text}")),
        "unchanged"
    );
    assert_eq!(
        gateway.reload(&format!("{text}in_flight: 1024\n")),
        "unchanged"
    );

    let printed = gateway.stop();
    assert_eq!(printed.matches("has not changed").count(), 3, "{printed}");
    assert!(!printed.contains("was reloaded"), "{printed}");
    assert_eq!(adobe.token_calls().len(), 1);
}

#[test]
fn what_takes_effect_at_the_next_start_is_named_once_and_the_rest_is_taken() {
    let adobe = Adobe::willing();
    let text = configuration(&adobe.url(), ALL);
    let gateway = Running::start(&text, &[]);
    let needed = || gateway.count("profile_gateway_config_restart_needed");
    let waits = |more: &str| {
        format!(
            "{text}{more}workers: 3\nadmin: {{ address: '127.0.0.1:9' }}\nlog: {{ format: human }}\n"
        )
    };

    assert_eq!(needed(), 0);
    assert_eq!(gateway.reload(&waits("in_flight: 7\n")), "applied");
    assert_eq!(needed(), 1);
    assert_eq!(gateway.reload(&waits("in_flight: 8\n")), "applied");
    assert_eq!(needed(), 1);
    assert_eq!(gateway.reload(&text), "applied");
    assert_eq!(needed(), 0);

    let printed = gateway.stop();
    let keys = "\"keys\":\"admin.address, log.format, workers\"";
    assert_eq!(printed.matches("at the next start").count(), 1, "{printed}");
    assert!(printed.contains(keys), "{printed}");
    assert!(printed.contains("\"changed\":\"in_flight\""), "{printed}");
}

/// Puts another version in the place of a folder's content, as a kubelet does for a `ConfigMap`.
fn mount(folder: &Path, version: &str, text: &str) {
    let data = folder.join(version);
    fs::create_dir(&data).unwrap();
    fs::write(data.join("gateway.yaml"), text).unwrap();
    symlink(version, folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    if !folder.join("gateway.yaml").exists() {
        symlink("..data/gateway.yaml", folder.join("gateway.yaml")).unwrap();
    }
}

#[test]
fn a_folder_as_kubernetes_mounts_it_is_followed_and_may_go_and_come_back() {
    let adobe = Adobe::willing();
    let common = "log: { format: json }\nlisteners: [{ address: '127.0.0.1:0' }]\n\
                  admin: { address: '127.0.0.1:0' }\nsandboxes: { dev-2: {} }\n";
    let text = |more: &str| format!("{common}{}{more}", configuration(&adobe.url(), ALL));
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("mount");
    fs::create_dir(&folder).unwrap();
    mount(&folder, "..1", &text(""));
    let gateway = Process::gateway(&folder, &[]);
    let address = gateway.address("serving callers");
    let ask = || exchange(address, get(PATH, "")).status;

    mount(&folder, "..2", &text("in_flight: 7\n"));
    gateway.wait_for("was reloaded");
    assert_eq!(ask(), 200);
    let away = parent.path().join("away");
    fs::rename(&folder, &away).unwrap();
    gateway.wait_for("they have faults");
    assert_eq!(ask(), 200);
    fs::rename(&away, &folder).unwrap();
    gateway.wait_for("has not changed");
    mount(
        &folder,
        "..3",
        &text("").replace("name: all", "name: every"),
    );
    gateway.wait_for_nth("was reloaded", 2);

    assert_eq!(ask(), 200);
    assert!(gateway.wait_for("\"route\":\"every\"").contains("access"));
    assert_eq!(adobe.token_calls().len(), 1);
}
