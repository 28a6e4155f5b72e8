//! Files with secrets that everybody may read: the log warns of them whenever they are read.

use std::fs;

use serde_json::Value;

use super::{ALL, configuration};
use crate::support::open::{self, mode};
use crate::support::process::Process;
use crate::support::running::SECRET;

const WARNING: &str = "a file holds a secret, and everybody may read it";

#[test]
fn a_secret_that_everybody_may_read_is_warned_of_once_a_load_and_by_check() {
    let (folder, is_open) = open::folder();
    let (secret, path) = (
        folder.path().join("secret"),
        folder.path().join("gateway.yaml"),
    );
    fs::write(&secret, SECRET).unwrap();
    mode(&secret, 0o644);
    let write = |more: &str| {
        let more = format!(
            "{ALL}sandboxes: {{ dev-2: {{}} }}\nlog: {{ format: json }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
             listeners: [{{ address: '127.0.0.1:0' }}]\ndrain: 0s\n{more}"
        );
        let text = configuration("http://127.0.0.1:1", &more);
        let reference = format!("'${{file:{}}}'", secret.display());
        fs::write(&path, text.replace(SECRET, &reference)).unwrap();
    };
    write("");
    let check = |more: &[&str]| {
        let arguments = [&["check", "--config", path.to_str().unwrap()], more].concat();
        Process::start(&arguments, &[]).finish()
    };
    if !is_open {
        // Nobody else comes to any folder of this machine for temporary files: there is nothing to warn of.
        let (code, printed) = check(&[]);
        assert!(code == Some(0) && !printed.contains("warning"), "{printed}");
        return;
    }

    let gateway = Process::gateway(&path, &[]);
    let line: Value = serde_json::from_str(&gateway.wait_for(WARNING)).unwrap();
    write("in_flight: 7\n");
    gateway.signal("HUP");
    gateway.wait_for_nth(WARNING, 2);
    mode(&secret, 0o640);
    write("in_flight: 8\n");
    gateway.signal("HUP");
    gateway.wait_for_nth("the configuration was reloaded", 2);
    gateway.terminate();
    let (_, printed) = gateway.finish();

    assert_eq!(line["level"], "WARN");
    assert_eq!(line["file"], secret.to_str().unwrap());
    assert_eq!(line["mode"], "0644");
    assert!(line["help"].as_str().unwrap().contains("chmod o-r"));
    assert_eq!(printed.matches(WARNING).count(), 2, "{printed}");

    let (code, printed) = check(&[]);
    assert!(code == Some(0) && !printed.contains("warning"), "{printed}");
    mode(&secret, 0o604);
    let (code, printed) = check(&[]);
    let expected = format!("warning: {}: the file holds a secret", secret.display());
    assert_eq!(code, Some(0));
    assert!(
        printed.contains(&expected) && printed.contains("(mode 0604)"),
        "{printed}"
    );
    assert!(printed.contains("no faults"), "{printed}");
    let (code, printed) = check(&["--format", "json"]);
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(found["warnings"][0]["file"], secret.to_str().unwrap());
    assert_eq!(found["warnings"].as_array().unwrap().len(), 1);
}
