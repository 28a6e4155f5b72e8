//! Listeners of a process whose configuration changes.

use super::{PATH, ROUTE, caller, made, secured};
use crate::support::adobe::Adobe;
use crate::support::raw::{Raw, get};
use crate::support::running::{CREDENTIAL, Running, eventually};

fn configuration(url: &str, listener: &str) -> String {
    format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\nlisteners: [{{ {listener} }}]\n{CREDENTIAL}{ROUTE}"
    )
}

const TLS: &str = "tls: { certificate: $FOLDER/certificate.pem, key: $FOLDER/key.pem }";

#[test]
fn a_certificate_is_taken_from_its_files_while_callers_stay_connected() {
    let adobe = Adobe::echoing();
    let (old, new) = (made(), made());
    let text = configuration(&adobe.url(), &format!("address: '127.0.0.1:0', {TLS}"));
    let files = [
        ("certificate.pem", old.certificate.as_str()),
        ("key.pem", &old.key),
    ];
    let gateway = Running::start(&text, &files);
    let mut open = caller(gateway.address, &old.certificate);
    let mut ask = || {
        open.write(get(PATH, ""));
        open.answer(false).unwrap().status
    };
    assert_eq!(ask(), 200);

    // One of the two alone does not fit the other.
    gateway.write("certificate.pem", &new.certificate);
    assert_eq!(gateway.reload_by_signal(), "refused");
    assert!(secured(gateway.address, &old.certificate, rustls::ALL_VERSIONS, &[]).is_ok());
    gateway.write("key.pem", &new.key);
    assert_eq!(gateway.reload_by_signal(), "applied");

    let mut fresh = caller(gateway.address, &new.certificate);
    fresh.write(get(PATH, ""));
    assert_eq!(fresh.answer(false).unwrap().status, 200);
    assert_eq!(ask(), 200);
    let printed = gateway.stop();
    assert!(
        printed.contains("listeners[0].tls.certificate, listeners[0].tls.key"),
        "{printed}"
    );
    assert!(!printed.contains("takes effect at the next start"));
}

#[test]
fn limits_change_at_once_and_what_a_socket_is_made_with_waits() {
    let adobe = Adobe::echoing();
    let with = |more: &str| configuration(&adobe.url(), &format!("address: '127.0.0.1:0'{more}"));
    let gateway = Running::start(&with(""), &[]);
    let status = || {
        let mut raw = Raw::connect(gateway.address);
        raw.write(get(&format!("{PATH}?{}", "x".repeat(300)), ""));
        raw.answer(false).unwrap().status
    };
    assert_eq!(status(), 200);

    let changed = ", limits: { target: 256B }, backlog: 77";
    assert_eq!(gateway.reload(&with(changed)), "applied");

    eventually("the new limit", || (status() == 414).then_some(()));
    let printed = gateway.stop();
    assert!(
        printed.contains("\"keys\":\"listeners[0].backlog\""),
        "{printed}"
    );
}
