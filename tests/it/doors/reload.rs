//! Listeners of a process whose configuration changes.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::version::TLS12;
use serde_json::Value;

use super::{PATH, ROUTE, caller, made, secured, secured_by};
use crate::support::adobe::Adobe;
use crate::support::authority::Authority;
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
        printed.contains("listeners[127.0.0.1:0].tls.certificate, listeners[127.0.0.1:0].tls.key"),
        "{printed}"
    );
    assert!(!printed.contains("takes effect at the next start"));
}

#[test]
fn authorities_of_callers_are_taken_from_their_file() {
    let adobe = Adobe::echoing();
    let (made, old, new) = (made(), Authority::new("old"), Authority::new("new"));
    let tls = TLS.replace(
        " }",
        ", client_ca: $FOLDER/ca.pem, client_certificate: require }",
    );
    let text = configuration(&adobe.url(), &format!("address: '127.0.0.1:0', {tls}"));
    let files = [
        ("certificate.pem", made.certificate.as_str()),
        ("key.pem", &made.key),
        ("ca.pem", &old.pem()),
    ];
    let gateway = Running::start(&text, &files);
    let shown = new.client("a", &["urn:a"]);
    let config = Arc::new(shown.config(&made.certificate, &[&TLS12]));
    let connects = || secured_by(gateway.address, Arc::clone(&config));
    assert!(connects().is_err());

    gateway.write("ca.pem", "");
    assert_eq!(gateway.reload_by_signal(), "refused");
    gateway.write("ca.pem", &new.pem());
    assert_eq!(gateway.reload_by_signal(), "applied");

    let mut raw = Raw::over(connects().unwrap());
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().status, 200);
    let printed = gateway.stop();
    assert!(
        printed.contains("listeners[127.0.0.1:0].tls.client_ca"),
        "{printed}"
    );
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
        printed.contains("\"keys\":\"listeners[127.0.0.1:0].backlog\""),
        "{printed}"
    );
}

#[test]
fn listeners_are_told_apart_by_their_addresses_and_not_by_their_order() {
    let adobe = Adobe::echoing();
    let one = |address: &str, target: u32| {
        format!("{{ address: '{address}', limits: {{ target: {target}B }} }}")
    };
    let with = |listeners: &[String]| {
        let url = adobe.url();
        let listeners = listeners.join(", ");
        format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\nlisteners: [{listeners}]\n{CREDENTIAL}{ROUTE}"
        )
    };
    // Two at port 0 of one address are told apart by which comes first.
    let (first, second) = ("127.0.0.1:0", "127.0.0.2:0");
    let gateway = Running::start(
        &with(&[one(first, 1024), one(second, 2048), one(first, 4096)]),
        &[],
    );
    let lines = [1, 2, 3].map(|nth| {
        let line = gateway.process.wait_for_nth("serving callers", nth);
        serde_json::from_str::<Value>(&line).unwrap()
    });
    let addresses =
        lines.map(|line| -> SocketAddr { line["address"].as_str().unwrap().parse().unwrap() });
    // The longest targets that pass, of some.
    let longest = || {
        addresses.map(|address| {
            let passes = |length: &usize| {
                let mut raw = Raw::connect(address);
                let filler = "x".repeat(length - PATH.len() - 1);
                raw.write(get(&format!("{PATH}?{filler}"), ""));
                raw.answer(false).unwrap().status != 414
            };
            let lengths = [256, 512, 1024, 2048, 4096].into_iter();
            lengths.rev().find(passes).unwrap()
        })
    };
    let needed = || gateway.count("profile_gateway_config_restart_needed");
    assert_eq!(longest(), [1024, 2048, 4096]);

    let other_order = [one(second, 2048), one(first, 1024), one(first, 4096)];
    assert_eq!(gateway.reload(&with(&other_order)), "unchanged");
    let smaller = [one(second, 512), one(first, 1024), one(first, 256)];
    assert_eq!(gateway.reload(&with(&smaller)), "applied");
    assert_eq!((needed(), longest()), (0, [1024, 512, 256]));
    let more = [
        one("[::1]:0", 1024),
        one(second, 2048),
        one(first, 512),
        one(first, 4096),
    ];
    assert_eq!(gateway.reload(&with(&more)), "applied");
    assert_eq!((needed(), longest()), (1, [512, 2048, 4096]));

    let printed = gateway.stop();
    let waits: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("at the next start"))
        .collect();
    assert_eq!(waits.len(), 1, "{printed}");
    assert!(
        waits[0].contains("\"keys\":\"listeners[[::1]:0]\""),
        "{waits:?}"
    );
}
