//! New settings for a listener that is bound.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use profile_gateway::config::Supplied;
use profile_gateway::listener::{BindError, Updated};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::{
    Made, PATH, ROUTE, TLS, at_socket, caller, folder, made, secured, secured_by, trusting,
};
use crate::support::adobe::Adobe;
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};

fn listening(listener: &str) -> String {
    format!("listeners: [{{ address: '127.0.0.1:0', {listener} }}]\n{ROUTE}")
}

fn start(adobe: &Adobe, made: &Made, listener: &str) -> Gateway {
    let url = adobe.url();
    let more = format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n{}",
        listening(listener)
    );
    Gateway::with_files(&more, &made.files())
}

fn changed() -> Updated {
    Updated {
        changed: true,
        at_restart: Vec::new(),
    }
}

#[test]
fn new_callers_see_a_new_certificate_and_old_connections_go_on() {
    let (adobe, old, new) = (Adobe::echoing(), made(), made());
    let gateway = start(&adobe, &old, TLS);
    let mut open = caller(gateway.address, &old.certificate);
    open.write(get(PATH, ""));
    assert_eq!(open.answer(false).unwrap().text(), PATH);

    let updated = gateway.relisten(&listening(TLS), &new.files()).unwrap();

    assert_eq!(updated, changed());
    let mut fresh = caller(gateway.address, &new.certificate);
    for raw in [&mut fresh, &mut open] {
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().text(), PATH);
    }
    let versions = rustls::ALL_VERSIONS;
    assert!(secured(gateway.address, &old.certificate, versions, &[]).is_err());
    let again = gateway.relisten(&listening(TLS), &new.files()).unwrap();
    assert!(!again.changed);
}

#[test]
fn what_may_change_does_so_for_connections_that_come_later() {
    let (adobe, made) = (Adobe::echoing(), made());
    let gateway = start(&adobe, &made, TLS);
    let mut open = Raw::over(secured(gateway.address, &made.certificate, &[&TLS12], &[]).unwrap());

    let tls = TLS.replace(" }", ", min_version: '1.3' }");
    let more = format!("{tls}, http2: false, anonymous: refuse, limits: {{ fields: 3 }}");
    let updated = gateway.relisten(&listening(&more), &made.files()).unwrap();

    assert_eq!(updated, changed());
    let many = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n";
    open.write(get(PATH, many));
    assert_eq!(open.answer(false).unwrap().status, 200);
    assert!(secured(gateway.address, &made.certificate, &[&TLS12], &[]).is_err());
    let offered: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let fresh = secured(gateway.address, &made.certificate, &[&TLS13], &offered).unwrap();
    assert_eq!(fresh.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut fresh = Raw::over(fresh);
    fresh.write(get(PATH, ""));
    assert_eq!(fresh.answer(false).unwrap().problem().1, "caller_unknown");
    fresh.write(get(PATH, many));
    assert_eq!(fresh.answer(false).unwrap().problem().1, "head_too_large");
}

#[test]
fn what_takes_a_restart_is_told_and_the_rest_changes() {
    let (adobe, made) = (Adobe::echoing(), made());
    let gateway = start(&adobe, &made, "backlog: 16");

    let more = format!("backlog: 17, reuse_port: true, limits: {{ fields: 1 }}, {TLS}");
    let updated = gateway.relisten(&listening(&more), &made.files()).unwrap();

    assert!(updated.changed);
    assert_eq!(updated.at_restart, ["backlog", "reuse_port", "tls"]);
    // Clear text is spoken still, and within the new limits.
    let answer = exchange(gateway.address, get(PATH, "A: 1\r\n"));
    assert_eq!(answer.problem().1, "head_too_large");

    let elsewhere = listening("anonymous: allow").replace("127.0.0.1:0", "0.0.0.0:0");
    let updated = gateway.relisten(&elsewhere, &made.files()).unwrap();
    assert!(!updated.changed);
    assert_eq!(updated.at_restart, ["address"]);
}

#[test]
fn the_file_of_a_socket_lets_others_in_unless_it_is_another_ones() {
    let (_folder, path) = folder();
    let adobe = Adobe::echoing();
    let at = |more: &str| {
        format!(
            "listeners: [{{ address: 'unix:{}'{more} }}]\n{ROUTE}",
            path.display()
        )
    };
    let gateway = Gateway::start(&adobe.url(), &at(""));
    let files = Supplied::default();

    assert_eq!(
        gateway.relisten(&at(", mode: 0606"), &files).unwrap(),
        changed()
    );
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o606);
    let mut raw = at_socket(&path);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().status, 200);

    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    let replaced = gateway.relisten(&at(", mode: 0600"), &files).unwrap_err();
    assert!(matches!(replaced, BindError::Replaced), "{replaced}");
    drop(gateway);
    assert!(path.exists(), "it was not the gateway's");
}

#[test]
fn sessions_are_resumed_but_not_those_of_another_certificate() {
    let (adobe, old, new) = (Adobe::echoing(), made(), made());
    let gateway = start(&adobe, &old, TLS);
    for version in rustls::ALL_VERSIONS {
        gateway.relisten(&listening(TLS), &old.files()).unwrap();
        let config = Arc::new(trusting(&old.certificate, &[version]));
        let kind = || {
            let stream = secured_by(gateway.address, Arc::clone(&config))?;
            let kind = stream.conn.handshake_kind().unwrap();
            // Tickets come after the handshake.
            let mut raw = Raw::over(stream);
            raw.write(get(PATH, ""));
            assert_eq!(raw.answer(false).unwrap().text(), PATH);
            std::io::Result::Ok(kind)
        };

        assert_eq!(kind().unwrap(), HandshakeKind::Full);
        assert_eq!(kind().unwrap(), HandshakeKind::Resumed, "{version:?}");
        gateway.relisten(&listening(TLS), &new.files()).unwrap();
        assert!(kind().is_err(), "the new certificate is not trusted");
    }
}
