//! Client secrets that change while the gateway runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use tempfile::TempDir;

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::process::Process;
use crate::support::raw::{Raw, exchange, get};

/// A folder as Kubernetes mounts a Secret, and a configuration that reads a client secret from it.
struct Mounted {
    folder: TempDir,
    configuration: PathBuf,
}

impl Mounted {
    fn new(url: &str, secret: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mount = folder.path().join("mount");
        fs::create_dir(&mount).unwrap();
        swap(&mount, "..1", secret);
        symlink("..data/secret", mount.join("secret")).unwrap();
        let configuration = folder.path().join("gateway.yaml");
        fs::write(
            &configuration,
            format!(
                "
log: {{ format: json }}
listeners: [{{ address: '127.0.0.1:0' }}]
admin: {{ address: '127.0.0.1:0' }}
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: ['${{file:{}}}']
sandboxes: {{ dev-2: {{}} }}
",
                mount.join("secret").display()
            ),
        )
        .unwrap();
        Self {
            folder,
            configuration,
        }
    }

    fn change(&self, version: &str, secret: &str) {
        swap(&self.folder.path().join("mount"), version, secret);
    }
}

fn swap(mount: &Path, version: &str, secret: &str) {
    fs::create_dir(mount.join(version)).unwrap();
    fs::write(mount.join(version).join("secret"), secret).unwrap();
    symlink(version, mount.join("..new")).unwrap();
    fs::rename(mount.join("..new"), mount.join("..data")).unwrap();
}

/// An Adobe that takes the secret `one`, or `two` once it is told so.
fn adobe(new: &Arc<AtomicBool>) -> Adobe {
    let new = Arc::clone(new);
    Adobe::minting(
        move |calls, seen| {
            let right = if new.load(Ordering::SeqCst) {
                "client_secret=two&"
            } else {
                "client_secret=one&"
            };
            if sent(seen).contains(right) {
                Act::token(&format!("t{calls}"), 86_399)
            } else {
                Act::json("401 Unauthorized", r#"{"error":"invalid_client"}"#)
            }
        },
        Act::echo,
    )
}

fn sent(seen: &Seen) -> String {
    String::from_utf8(seen.body.clone()).unwrap()
}

#[test]
fn a_secret_that_changes_is_taken_and_no_request_is_dropped() {
    let new = Arc::new(AtomicBool::new(false));
    let adobe = adobe(&new);
    let mounted = Mounted::new(&adobe.url(), "one\n");
    let gateway = Process::gateway(&mounted.configuration, &[]);
    let address = gateway.address("serving callers");
    gateway.wait_for("a token was minted");
    let (stop, stopped) = channel::<()>();
    let load = thread::spawn(move || {
        let mut raw = Raw::connect(address);
        let mut statuses = Vec::new();
        while stopped.try_recv().is_err() {
            raw.write(get("/data/core/ups/x", ""));
            statuses.push(raw.answer(false).unwrap().status);
        }
        statuses
    });

    new.store(true, Ordering::SeqCst);
    mounted.change("..2", "two\n");
    gateway.wait_for("\"generation\":2");
    stop.send(()).unwrap();

    let statuses = load.join().unwrap();
    assert!(statuses.len() > 100 && statuses.iter().all(|status| *status == 200));
    let calls = adobe.token_calls();
    assert_eq!(calls.len(), 2);
    assert!(sent(&calls[1]).contains("client_secret=two&"));
    let bearers: Vec<_> = adobe
        .seen()
        .iter()
        .map(|seen| seen.values("authorization")[0].to_owned())
        .collect();
    assert!(bearers.is_sorted() && bearers.last().unwrap() == "Bearer t2");
    let page = exchange(
        gateway.address("serving operators"),
        get("/credentials", ""),
    )
    .json();
    assert_eq!(page["credentials"][0]["generation"], 2);
    assert_eq!(page["credentials"][0]["state"], "valid");
}

#[test]
fn a_refused_secret_is_mended_by_its_file_without_a_restart() {
    let new = Arc::new(AtomicBool::new(true));
    let adobe = adobe(&new);
    let mounted = Mounted::new(&adobe.url(), "one\n");
    let gateway = Process::gateway(&mounted.configuration, &[]);
    let (address, admin) = (
        gateway.address("serving callers"),
        gateway.address("serving operators"),
    );
    gateway.wait_for("no token could be minted");
    assert_eq!(exchange(address, get("/data/core/ups/x", "")).status, 503);
    let ready = exchange(admin, get("/readyz", ""));
    assert!(ready.status == 503 && ready.text().contains("invalid_client"));

    // Half of it first: an empty file is no secret, and changes nothing.
    mounted.change("..2", "");
    gateway.wait_for("they have faults");
    mounted.change("..3", "two\n");
    gateway.wait_for("a token was minted");

    assert_eq!(exchange(address, get("/data/core/ups/x", "")).status, 200);
    assert_eq!(exchange(admin, get("/readyz", "")).text(), "ready\n");
}

#[test]
fn what_is_read_at_the_start_only_is_told_to_wait_for_a_restart() {
    let new = Arc::new(AtomicBool::new(false));
    let adobe = adobe(&new);
    let mounted = Mounted::new(&adobe.url(), "one\n");
    let gateway = Process::gateway(&mounted.configuration, &[]);
    gateway.wait_for("a token was minted");

    let text = fs::read_to_string(&mounted.configuration).unwrap();
    fs::write(&mounted.configuration, format!("{text}workers: 3\n")).unwrap();

    gateway.wait_for("takes effect at the next start");
    assert_eq!(adobe.token_calls().len(), 1);
}
