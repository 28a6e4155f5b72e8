//! Callers over TLS.

use std::io::Read;
use std::net::TcpStream;

use http::Method;
use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use super::{
    Made, PATH, PATIENCE, ROUTE, TLS, caller, configuration, made, metric, secured,
    wait_for_connections, written,
};
use crate::support::adobe::{Act, Adobe};
use crate::support::client::{Client, Speaks, request};
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::raw::{Raw, get};
use crate::support::running::{eventually, pass};

fn start(adobe: &Adobe, made: &Made, listener: &str) -> Gateway {
    let url = adobe.url();
    let more = format!(
        "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}
listeners: [{{ address: '127.0.0.1:0', {listener} }}]\n{ROUTE}"
    );
    Gateway::with_files(&more, &made.files())
}

const FAILED: &str = "profile_gateway_tls_handshakes_failed_total";

#[tokio::test]
async fn both_versions_of_http_are_agreed_on_by_alpn() {
    let (adobe, made) = (Adobe::echoing(), made());
    let gateway = start(&adobe, &made, TLS);

    for (speaks, target) in [
        (Speaks::H1, PATH.to_owned()),
        (Speaks::H2, format!("https://localhost{PATH}")),
    ] {
        let mut client =
            Client::connect_tls(gateway.address, &made.certificate, "localhost", speaks)
                .await
                .unwrap();
        for _ in 0..2 {
            let fields: &[_] = if speaks == Speaks::H1 {
                &[("host", "localhost")]
            } else {
                &[]
            };
            let reply = client
                .send(request(Method::GET, &target, fields, ""))
                .await
                .unwrap();
            assert_eq!(reply.status, 200);
            assert_eq!(reply.body, PATH);
        }
    }
    assert_eq!(metric(gateway.admin, FAILED), 0);
}

#[test]
fn http2_is_spoken_where_it_was_agreed_on_and_nowhere_else() {
    let (adobe, made) = (Adobe::echoing(), made());
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let offer = |gateway: &Gateway, protocols: &[&[u8]]| {
        let versions = rustls::ALL_VERSIONS;
        secured(gateway.address, &made.certificate, versions, protocols)
    };
    let gateway = start(&adobe, &made, TLS);
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let mut raw = Raw::over(offer(&gateway, protocols).unwrap());
        raw.write(preface);
        assert_eq!(raw.answer(false).unwrap().problem().1, "malformed_request");
    }
    let mut raw = Raw::over(offer(&gateway, &[b"h2"]).unwrap());
    raw.write(get(PATH, ""));
    assert!(raw.is_closed());

    let gateway = start(&adobe, &made, &format!("http2: false, {TLS}"));
    assert!(offer(&gateway, &[b"h2"]).is_err());
    let both = offer(&gateway, &[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(both.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(metric(gateway.admin, FAILED), 1);
    assert!(adobe.seen().is_empty());
}

#[test]
fn versions_older_than_the_oldest_are_refused() {
    let (adobe, made) = (Adobe::echoing(), made());
    for (min_version, taken) in [("'1.2'", [true, true]), ("'1.3'", [false, true])] {
        let tls = TLS.replace(" }", &format!(", min_version: {min_version} }}"));
        let gateway = start(&adobe, &made, &tls);
        for (version, taken) in [&TLS12, &TLS13].into_iter().zip(taken) {
            let made = secured(gateway.address, &made.certificate, &[version], &[]);
            assert_eq!(made.is_ok(), taken, "{version:?} with {min_version}");
        }
    }
}

#[test]
fn clear_text_at_a_door_with_tls_is_closed_and_counted_and_others_are_served() {
    let (adobe, made) = (Adobe::echoing(), made());
    let gateway = start(&adobe, &made, TLS);

    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut stream, get(PATH, "").as_bytes()).unwrap();
    let mut answered = Vec::new();
    // An alert, in the best case; the connection may as well be reset.
    let _ = stream.read_to_end(&mut answered);
    assert!(!answered.starts_with(b"HTTP/"), "{answered:?}");
    eventually("count of the failure", || {
        (metric(gateway.admin, FAILED) == 1).then_some(())
    });

    let mut raw = caller(gateway.address, &made.certificate);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
    assert_eq!(adobe.seen().len(), 1);
}

#[test]
fn a_handshake_that_does_not_come_is_given_up_and_keeps_nobody_waiting() {
    let (adobe, made) = (Adobe::echoing(), made());
    let silent = |gateway: &Gateway| Raw::connect(gateway.address);

    let gateway = start(
        &adobe,
        &made,
        &format!("{TLS}, limits: {{ tls_timeout: 100ms }}"),
    );
    let mut raw = silent(&gateway);
    eventually("count of the failure", || {
        (metric(gateway.admin, FAILED) == 1).then_some(())
    });
    assert!(raw.is_closed());

    let gateway = start(
        &adobe,
        &made,
        &format!("{TLS}, limits: {{ tls_timeout: 1m }}"),
    );
    let _silent: Vec<_> = (0..50).map(|_| silent(&gateway)).collect();
    wait_for_connections(gateway.admin, 50);
    let mut raw = caller(gateway.address, &made.certificate);
    raw.write(get(PATH, ""));
    assert_eq!(raw.answer(false).unwrap().text(), PATH);
}

#[test]
fn handshakes_count_among_the_connections() {
    let (adobe, made) = (Adobe::echoing(), made());
    let limits = "limits: { connections: 2, tls_timeout: 1m }";
    let gateway = start(&adobe, &made, &format!("{TLS}, {limits}"));
    let silent = [Raw::connect(gateway.address), Raw::connect(gateway.address)];
    wait_for_connections(gateway.admin, 2);

    let (tell, told) = std::sync::mpsc::channel();
    let waits = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut raw = caller(gateway.address, &made.certificate);
            tell.send(()).unwrap();
            raw.write(get(PATH, ""));
            assert_eq!(raw.answer(false).unwrap().text(), PATH);
        });
        pass(std::time::Duration::from_millis(100));
        let waits = told.try_recv().is_err();
        assert_eq!(metric(gateway.admin, "profile_gateway_connections"), 2);
        drop(silent);
        waits
    });

    assert!(waits, "there was no place for a third");
}

#[test]
fn a_connection_rests_and_is_woken_and_drains_over_tls_too() {
    let (adobe, made) = (Adobe::echoing(), made());
    let gateway = start(&adobe, &made, TLS);
    let mut raw = caller(gateway.address, &made.certificate);

    for pause in [0, 15, 60, 120] {
        pass(std::time::Duration::from_millis(pause));
        raw.write(get(PATH, ""));
        assert_eq!(raw.answer(false).unwrap().text(), PATH, "after {pause} ms");
    }
    let mut late: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(gateway.address).unwrap())
        .collect();
    let mut fresh = caller(gateway.address, &made.certificate);
    gateway.drain();
    fresh.write(get(PATH, ""));
    assert_eq!(fresh.answer(false).unwrap().text(), PATH);
    assert!(raw.is_closed() && fresh.is_closed());
    for stream in &mut late {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
}

#[test]
fn a_caller_over_tls_who_takes_nothing_is_given_up() {
    let made = made();
    let adobe = Adobe::start(|_| {
        Act::play(|wire| {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
            wire.pour(50_000_000);
        })
    });
    let limits = "limits: { write_timeout: 1s }";
    let gateway = start(&adobe, &made, &format!("{TLS}, {limits}"));

    let mut stalled = caller(gateway.address, &made.certificate);
    stalled.write(get(PATH, ""));
    assert_eq!(stalled.next_head().unwrap().status, 200);
    wait_for_connections(gateway.admin, 1);

    wait_for_connections(gateway.admin, 0);
    assert_eq!(
        metric(gateway.admin, "profile_gateway_requests_in_flight"),
        0
    );
}

/// A process that listens with this certificate, and the folder its files are in.
fn process(made: &Made, url: &str, environment: &[(&str, &str)]) -> (Process, TempDir) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let listener = format!(
        "address: '127.0.0.1:0', tls: {{ certificate: '{}', key: '{}' }}",
        write("tls.crt", &made.certificate).display(),
        write("tls.key", &made.key).display()
    );
    let text = written(&folder, &configuration(url, &listener));
    (Process::gateway(&text, environment), folder)
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let expired = Made {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };

    let (gateway, _folder) = process(&expired, "http://127.0.0.1:1", &[]);

    let line = gateway.wait_for("callers will refuse it");
    assert!(
        line.contains("expired at 2026-01-01T00:00:00Z") && line.contains("WARN"),
        "{line}"
    );
}

#[test]
fn keys_of_sessions_are_written_nowhere() {
    let (adobe, made) = (Adobe::echoing(), made());
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys");
    let environment = [("SSLKEYLOGFILE", keys.to_str().unwrap())];
    let (gateway, _folder) = process(&made, &adobe.url(), &environment);

    let mut raw = caller(gateway.address("serving callers"), &made.certificate);
    raw.write(get(PATH, ""));

    assert_eq!(raw.answer(false).unwrap().text(), PATH);
    assert!(!keys.exists());
}

#[test]
fn references_lead_callers_over_tls_to_https() {
    let address = std::sync::OnceLock::new();
    let address = std::sync::Arc::new(address);
    let own = std::sync::Arc::clone(&address);
    let adobe = Adobe::start(move |seen| {
        let own: &std::net::SocketAddr = own.get().unwrap();
        let path = seen.target();
        Act::Answer(
            format!("HTTP/1.1 201 Created\r\nLocation: http://{own}{path}/1\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        )
    });
    address.set(adobe.address()).unwrap();
    let made = made();
    let gateway = start(&adobe, &made, TLS);

    let mut raw = caller(gateway.address, &made.certificate);
    raw.write(get(PATH, ""));

    let answer = raw.answer(false).unwrap();
    assert_eq!(
        answer.header("location").unwrap(),
        format!("https://gateway{PATH}/1")
    );
}
