//! Callers who show certificates, and callers at a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use http::Method;
use rcgen::{CertificateParams, KeyPair};

use super::{configuration, digest};
use crate::support::adobe::Adobe;
use crate::support::authority::{Authority, Shown};
use crate::support::client::{Client, Reply, Speaks, request};
use crate::support::running::{LOOKUP, Running};

const KEY: &str = "k-crm-2f9d7b";

/// A gateway behind TLS that takes certificates of an authority, and that the test trusts.
struct Secured {
    running: Running,
    certificate: String,
}

impl Secured {
    fn start(adobe: &Adobe, authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let more = format!(
            "listeners:
  - address: 127.0.0.1:0
    tls: {{ certificate: $FOLDER/c.pem, key: $FOLDER/k.pem, client_ca: $FOLDER/ca.pem }}
callers:
  nightly: {{ client_certificate: {{ uri: spiffe://corp/nightly }} }}
  batch:
    client_certificate: [{{ dns: batch.corp }}, {{ subject: 'CN=batch' }}]
  crm: {{ api_key: {{ sha256: {} }} }}
",
            digest(KEY)
        );
        let running = Running::start(
            &configuration(adobe, &more),
            &[
                ("c.pem", certificate.as_str()),
                ("k.pem", key.serialize_pem().as_str()),
                ("ca.pem", authority.pem().as_str()),
            ],
        );
        Self {
            running,
            certificate,
        }
    }

    async fn connect(&self, shown: &Shown, speaks: Speaks) -> std::io::Result<Client> {
        let config = shown.config(&self.certificate, rustls::ALL_VERSIONS);
        Client::connect_as(self.running.address, config, "localhost", speaks).await
    }
}

async fn ask(client: &mut Client, speaks: Speaks, key: Option<&str>) -> Reply {
    let (target, host) = match speaks {
        Speaks::H1 => (LOOKUP.to_owned(), Some(("host", "localhost"))),
        Speaks::H2 => (format!("https://localhost{LOOKUP}"), None),
    };
    let key = key.map(|key| ("x-caller-key", key));
    let fields: Vec<_> = host.into_iter().chain(key).collect();
    loop {
        let request = request(Method::GET, &target, &fields, "");
        let reply = client.send(request).await.unwrap();
        if reply.status != 503 {
            return reply;
        }
    }
}

#[tokio::test]
async fn a_name_in_a_certificate_makes_a_caller_of_every_request_of_its_connection() {
    let (adobe, authority) = (Adobe::willing(), Authority::new("callers"));
    let gateway = Secured::start(&adobe, &authority);

    for (subject, names) in [
        ("a", &["spiffe://corp/nightly"][..]),
        ("b", &["Batch.corp", "urn:x"]),
        ("batch", &[]),
    ] {
        for speaks in [Speaks::H1, Speaks::H2] {
            let shown = authority.client(subject, names);
            let mut client = gateway.connect(&shown, speaks).await.unwrap();
            for _ in 0..2 {
                let reply = ask(&mut client, speaks, None).await;
                assert_eq!(reply.status, 200, "{subject} {speaks:?}");
            }
        }
    }
    let printed = gateway.running.stop();
    for (caller, count) in [("nightly", 4), ("batch", 8)] {
        let line = format!("\"caller\":\"{caller}\",\"identified_by\":\"client_certificate\"");
        assert!(printed.matches(&line).count() >= count, "{printed}");
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_leaves_it_to_other_proofs_and_two_callers_at_once_are_none() {
    let (adobe, authority) = (Adobe::willing(), Authority::new("callers"));
    let gateway = Secured::start(&adobe, &authority);
    let speaks = Speaks::H1;

    for (subject, names, key, status) in [
        // It was verified, and is nobody's.
        ("x", &["spiffe://corp/other"][..], None, 401),
        ("x", &["spiffe://corp/other"], Some(KEY), 200),
        // A SPIFFE id is the only one, or none.
        ("x", &["spiffe://corp/nightly", "urn:a"], None, 401),
        ("x", &["nightly.corp", "spiffe://corp/nightly/"], None, 401),
        ("x", &["*.corp"], None, 401),
        ("CN=batch", &[], None, 401),
        ("x", &["spiffe://corp/nightly"], Some(KEY), 401),
        ("batch", &["spiffe://corp/nightly"], None, 401),
        ("x", &["spiffe://corp/nightly"], Some("k-wrong"), 401),
    ] {
        let shown = authority.client(subject, names);
        let mut client = gateway.connect(&shown, speaks).await.unwrap();
        let reply = ask(&mut client, speaks, key).await;
        assert_eq!(reply.status, status, "{subject} {names:?} {key:?}");
        if status == 401 {
            let detail = reply.json()["detail"].to_string();
            let counts = "a client certificate, or an API key in x-caller-key";
            assert!(detail.contains(counts), "{detail}");
        }
    }
}

#[tokio::test]
async fn authorities_change_while_callers_stay_connected() {
    let adobe = Adobe::willing();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let gateway = Secured::start(&adobe, &old);
    let speaks = Speaks::H1;
    let names = &["spiffe://corp/nightly"];
    let (by_old, by_new) = (old.client("a", names), new.client("a", names));
    let mut open = gateway.connect(&by_old, speaks).await.unwrap();
    assert_eq!(ask(&mut open, speaks, None).await.status, 200);
    // TLS 1.3 tells a caller of a refusal with what it reads first.
    let refused = match gateway.connect(&by_new, speaks).await {
        Ok(mut client) => {
            let lookup = request(Method::GET, LOOKUP, &[("host", "localhost")], "");
            client.send(lookup).await.is_err()
        }
        Err(_) => true,
    };
    assert!(refused);

    gateway.running.write("ca.pem", &new.pem());
    assert_eq!(gateway.running.reload_by_signal(), "applied");

    assert_eq!(ask(&mut open, speaks, None).await.status, 200);
    let mut fresh = gateway.connect(&by_new, speaks).await.unwrap();
    assert_eq!(ask(&mut fresh, speaks, None).await.status, 200);
}

#[test]
fn a_unix_socket_knows_who_is_at_its_other_end() {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    for (callers, expected) in [
        (format!("me: {{ unix_peer: {{ uid: {uid} }} }}"), Some("me")),
        (format!("us: {{ unix_peer: {{ gid: {gid} }} }}"), Some("us")),
        (
            format!(
                "me: {{ unix_peer: {{ uid: {uid} }} }}\n  zz: {{ unix_peer: {{ uid: {uid}, gid: {gid} }} }}"
            ),
            Some("zz"),
        ),
        (
            format!(
                "group: {{ unix_peer: {{ gid: {gid} }} }}\n  me: {{ unix_peer: {{ uid: {uid} }} }}"
            ),
            Some("me"),
        ),
        (
            format!(
                "other: {{ unix_peer: [{{ uid: {} }}, {{ uid: {uid}, gid: {} }}] }}",
                uid + 1,
                gid + 1
            ),
            None,
        ),
    ] {
        let adobe = Adobe::willing();
        let more = format!(
            "listeners:
  - address: 127.0.0.1:0
  - address: unix:$FOLDER/s.sock
callers:
  {callers}
"
        );
        let gateway = Running::start(&configuration(&adobe, &more), &[]);
        let socket = gateway.configuration().with_file_name("s.sock");
        let answer = loop {
            let mut stream = UnixStream::connect(&socket).unwrap();
            let request = format!("GET {LOOKUP} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            if !answer.starts_with("HTTP/1.1 503") {
                break answer;
            }
        };

        let status = if expected.is_some() { "200" } else { "401" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        let printed = gateway.stop();
        if let Some(name) = expected {
            let line = format!("\"caller\":\"{name}\",\"identified_by\":\"unix_peer\"");
            assert!(printed.contains(&line), "{printed}");
        }
    }
}
