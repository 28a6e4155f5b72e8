//! Callers over a Unix socket, and its file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use profile_gateway::config::Supplied;
use profile_gateway::listener::{BindError, Bound};
use serde_json::Value;

use super::{
    PATH, ROUTE, at_socket, configuration, folder, settings, wait_for_connections, written,
};
use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::raw::get;
use crate::support::running::CREDENTIAL;

fn listening(path: &Path, more: &str) -> String {
    format!(
        "listeners: [{{ address: 'unix:{}'{more} }}]\n{ROUTE}",
        path.display()
    )
}

fn bind(path: &Path, more: &str) -> Result<Bound, BindError> {
    Bound::bind(settings(&format!(
        "address: 'unix:{}'{more}",
        path.display()
    )))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_unix_socket_serves_callers_and_goes_with_the_gateway() {
    let (_folder, path) = folder();
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(&adobe.url(), &listening(&path, ""));

    let mut raw = at_socket(&path);
    for _ in 0..2 {
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().text(), PATH);
    }
    adobe.seen()[0].assert_owned("dev-2");
    // A Host is still asked for, and any one will do; what means another host is for a forward proxy.
    for (request, status) in [
        (format!("GET {PATH} HTTP/1.1\r\n\r\n"), 400),
        (format!("GET {PATH} HTTP/1.1\r\nHost: a b\r\n\r\n"), 400),
        (
            format!("GET {PATH} HTTP/1.1\r\nHost: any.example:81\r\n\r\n"),
            200,
        ),
        (
            format!("GET http://localhost{PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            200,
        ),
        (
            format!("GET http://a.example{PATH} HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            400,
        ),
    ] {
        let mut raw = at_socket(&path);
        raw.write(&request);
        assert_eq!(raw.answer(false).unwrap().status, status, "{request}");
    }

    gateway.stop();
    assert!(!path.exists());
}

#[test]
fn the_file_lets_those_in_whom_the_configuration_names() {
    let (_folder, path) = folder();

    let bound = bind(&path, "").unwrap();
    assert_eq!(mode(&path), 0o660);
    drop(bound);
    assert!(!path.exists());
    let bound = bind(&path, ", mode: 0600").unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(bound);

    let own = fs::metadata("/proc/self").unwrap();
    let given = bind(&path, ", owner: 4001, group: 4002");
    if own.uid() == 0 {
        let _bound = given.unwrap();
        let file = fs::symlink_metadata(&path).unwrap();
        assert_eq!((file.uid(), file.gid()), (4001, 4002));
    } else {
        assert!(matches!(given, Err(BindError::Owner(_))), "{given:?}");
        assert!(!path.exists());
    }
    let named = settings("address: 'unix:/a.sock', owner: root, group: root");
    assert_eq!((named.access.owner, named.access.group), (Some(0), Some(0)));
}

#[test]
fn what_a_dead_process_left_is_replaced_and_nothing_else() {
    let (folder, path) = folder();

    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let bound = bind(&path, "").unwrap();
    let live = bind(&path, "").unwrap_err();
    assert!(matches!(live, BindError::Live), "{live}");
    assert!(path.exists(), "the first one still has its file");
    drop(bound);

    fs::write(&path, "precious").unwrap();
    let file = bind(&path, "").unwrap_err();
    assert!(matches!(file, BindError::NotASocket), "{file}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    fs::remove_file(&path).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    drop(UnixListener::bind(&elsewhere).unwrap());
    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(
        bind(&path, "").unwrap_err(),
        BindError::NotASocket
    ));
    assert!(elsewhere.exists());

    let nowhere = folder.path().join("none").join("http.sock");
    let missing = bind(&nowhere, "").unwrap_err();
    assert!(matches!(missing, BindError::System(_)), "{missing}");
}

#[test]
fn the_file_of_a_successor_is_left_alone() {
    let (_folder, path) = folder();
    let bound = bind(&path, "").unwrap();

    fs::remove_file(&path).unwrap();
    let successor = bind(&path, "").unwrap();
    drop(bound);

    assert!(path.exists());
    drop(successor);
    assert!(!path.exists());
}

#[test]
fn a_process_logs_callers_without_an_address_and_takes_over_from_one_that_was_killed() {
    let (folder, path) = folder();
    let adobe = Adobe::echoing();
    let listener = format!("address: 'unix:{}'", path.display());
    let text = written(&folder, &configuration(&adobe.url(), &listener));
    // Killed as it is dropped.
    drop(Process::gateway(&text, &[]));
    assert!(path.exists());

    let gateway = Process::gateway(&text, &[]);
    let line: Value = serde_json::from_str(&gateway.wait_for("serving callers")).unwrap();
    assert_eq!(line["address"], format!("unix:{}", path.display()));
    let mut raw = at_socket(&path);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().status, 200);
    let line: Value = serde_json::from_str(&gateway.wait_for("\"access\"")).unwrap();
    assert_eq!(line["peer"], "unix");

    let second = Process::start(&["run", "--config", text.to_str().unwrap()], &[]);
    let (code, printed) = second.finish();
    assert_eq!(code, Some(1), "{printed}");
    let told = format!("cannot listen on unix:{}", path.display());
    assert!(
        printed.contains(&told) && printed.contains("another process listens there"),
        "{printed}"
    );

    gateway.terminate();
    assert_eq!(gateway.finish().0, Some(0));
    assert!(!path.exists());
}

#[test]
fn what_had_connected_when_the_drain_begins_is_served() {
    let (_folder, path) = folder();
    let adobe = Adobe::echoing();
    let gateway = Gateway::start(&adobe.url(), &listening(&path, ""));

    let mut callers: Vec<_> = (0..20).map(|_| at_socket(&path)).collect();
    gateway.drain();
    for raw in &mut callers {
        raw.write(get(PATH, ""));
    }

    for raw in &mut callers {
        assert_eq!(raw.answer(false).unwrap().status, 200);
        assert!(raw.is_closed());
    }
}

#[test]
fn no_more_connections_are_open_than_the_listener_allows() {
    let (_folder, path) = folder();
    let adobe = Adobe::echoing();
    let more = listening(&path, ", limits: { connections: 2 }");
    let gateway = Gateway::start(&adobe.url(), &more);
    let mut taken = [at_socket(&path), at_socket(&path)];
    wait_for_connections(gateway.admin, 2);

    let mut third = at_socket(&path);
    third.write(get(&format!("{PATH}?third"), ""));
    for raw in &mut taken {
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().status, 200);
    }
    assert!(adobe.seen().iter().all(|seen| seen.target() == PATH));
    wait_for_connections(gateway.admin, 2);

    // More places let it in as well as one that is left.
    let more = listening(&path, ", limits: { connections: 3 }");
    let updated = gateway.relisten(&more, &Supplied::default()).unwrap();
    assert!(updated.changed && updated.at_restart.is_empty());
    assert_eq!(third.answer(false).unwrap().status, 200);
    let mut fourth = at_socket(&path);
    fourth.write(get(PATH, ""));
    drop(taken);
    assert_eq!(fourth.answer(false).unwrap().status, 200);
}

#[test]
fn who_starts_while_another_process_makes_its_socket_waits_and_leaves_it_alone() {
    let (folder, path) = folder();
    // What both find was left by a process that is gone.
    drop(UnixListener::bind(&path).unwrap());
    let adobe = Adobe::echoing();
    let configuration = folder.path().join("gateway.yaml");
    fs::write(
        &configuration,
        format!(
            "log: {{ format: json }}\nadmin: {{ address: '127.0.0.1:0' }}\nsandboxes: {{ dev-2: {{}} }}\nims: {{ url: '{url}' }}\n\
             upstream: {{ url: '{url}' }}\n{CREDENTIAL}{more}",
            url = adobe.url(),
            more = listening(&path, ""),
        ),
    )
    .unwrap();
    let other = fs::File::open(path.parent().unwrap()).unwrap();
    other.lock().unwrap();

    let arguments = ["run", "--config", configuration.to_str().unwrap()];
    let process = Process::start(&arguments, &[]);
    process.wait_for("another process is making a socket in the same folder");
    fs::remove_file(&path).unwrap();
    let live = UnixListener::bind(&path).unwrap();
    drop(other);
    let (code, printed) = process.finish();

    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("cannot listen on"), "{printed}");
    // It is still the other's, and nothing else was left in the folder.
    let _caller = UnixStream::connect(&path).unwrap();
    live.set_nonblocking(true).unwrap();
    assert!(live.incoming().any(|caller| caller.is_ok()));
    let there = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(there, 2);
}

#[test]
fn who_keeps_the_folder_locked_keeps_no_gateway_from_starting() {
    let (folder, path) = folder();
    let adobe = Adobe::echoing();
    let other = fs::File::open(folder.path()).unwrap();
    other.lock().unwrap();

    let gateway = Gateway::start(&adobe.url(), &listening(&path, ""));

    let mut raw = at_socket(&path);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().status, 200);
    drop(gateway);
}
