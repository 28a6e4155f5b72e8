//! What a listener knows of callers by their certificates, and of those at a Unix socket.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use profile_gateway::config::{self, Supplied};
use profile_gateway::context::Inbound;
use profile_gateway::listener::{self, Address, Bound, CallerBody, Handle};
use profile_gateway::peer::CertificateNames;
use rcgen::{ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use serde_json::{Value, json};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use super::{Made, TLS, at_socket, folder, made, secured_by, trusting};
use crate::support::authority::{Authority, Shown};
use crate::support::client::{Client, Speaks, request};
use crate::support::raw::{Raw, get};
use crate::support::running::{CREDENTIAL, eventually};

/// A listener whose every answer says what is known of who asks, served as by a worker.
struct Door {
    address: Address,
    handle: Handle,
    drain: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    fn open(settings: listener::Settings) -> Self {
        let bound = Bound::bind(settings).unwrap();
        let (address, handle) = (bound.address().clone(), bound.handle());
        let (drain, draining) = watch::channel(false);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            LocalSet::new().block_on(&runtime.unwrap(), serve(bound, draining));
        });
        Self {
            address,
            handle,
            drain,
            thread: Some(thread),
        }
    }

    fn ip(&self) -> SocketAddr {
        match &self.address {
            Address::Ip(address) => *address,
            Address::Unix(path) => panic!("it is at {}", path.display()),
        }
    }

    /// Connects, and returns the connection with what is known of who did.
    fn meet(&self, caller: &Arc<ClientConfig>) -> io::Result<(Raw<super::Secured>, Value)> {
        let mut raw = Raw::over(secured_by(self.ip(), Arc::clone(caller))?);
        let told = ask(&mut raw);
        Ok((raw, told))
    }

    /// Connects, and returns why that is not let happen.
    fn refusal(&self, caller: &Arc<ClientConfig>) -> AlertDescription {
        let failed = self.handle.failed_handshakes().get();
        // With TLS 1.3 a caller hears of it after its own side of the handshake.
        let met = secured_by(self.ip(), Arc::clone(caller)).and_then(|mut met| met.read(&mut [0]));
        let error = met.expect_err("it is refused");
        let inner = error.into_inner().expect("TLS says why");
        let alert = match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            other => panic!("{other:?}"),
        };
        eventually("count of the failure", || {
            (self.handle.failed_handshakes().get() == failed + 1).then_some(())
        });
        alert
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.drain.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking());
        }
    }
}

async fn serve(bound: Bound, draining: watch::Receiver<bool>) {
    let (deliver, mut delivered) = mpsc::unbounded_channel();
    let mut accepting = JoinSet::new();
    let drain = draining.clone();
    accepting.spawn_local(async move {
        let accepted = bound.accept(drain, |accepted| drop(deliver.send(accepted)));
        accepted.await.unwrap();
    });
    let service = Rc::new(RefCell::new(tower::service_fn(
        async |inbound: Inbound<CallerBody>| Ok::<_, Infallible>(tell(&inbound)),
    )));
    let mut connections = JoinSet::new();
    while let Some(accepted) = delivered.recv().await {
        let (service, draining) = (Rc::clone(&service), draining.clone());
        connections.spawn_local(listener::serve(accepted, service, draining, ()));
    }
    while connections.join_next().await.is_some() {}
}

fn tell(inbound: &Inbound<CallerBody>) -> Response<Full<Bytes>> {
    let connection = &inbound.connection;
    let certificate = connection.certificate.get().map(|names| {
        let CertificateNames {
            uris,
            dns,
            subject,
            not_after,
            ..
        } = &**names;
        json!({ "uris": uris, "dns": dns, "subject": subject, "until": not_after.as_secs() })
    });
    let peer = connection.unix_peer;
    let peer = peer.map(|peer| json!({ "uid": peer.uid, "gid": peer.gid, "pid": peer.pid }));
    let told = json!({ "certificate": certificate, "peer": peer });
    Response::new(Full::new(told.to_string().into()))
}

fn ask<S: Read + io::Write>(raw: &mut Raw<S>) -> Value {
    raw.write(get("/", ""));
    raw.answer(false).expect("there is an answer").json()
}

/// The settings of a listener with `made`, to which `more` is added about callers' certificates.
fn settings(more: &str, made: &Made, files: &[(&str, &str)]) -> listener::Settings {
    let tls = TLS.replace(" }", &format!(", {more} }}"));
    let text = format!(
        "listeners: [{{ address: '127.0.0.1:0', {tls} }}]\nsandboxes: {{ dev-2: {{}} }}\n{CREDENTIAL}"
    );
    let supplied = files
        .iter()
        .fold(made.files(), |supplied, (name, content)| {
            supplied.with_file(*name, *content)
        });
    parsed(&text, &supplied)
}

fn parsed(text: &str, files: &Supplied) -> listener::Settings {
    config::parse("test.yaml", text, files)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .listeners
        .remove(0)
}

const REQUEST: &str = "client_ca: /ca.pem";
const REQUIRE: &str = "client_ca: /ca.pem, client_certificate: require";

/// Opens a door at which certificates of `authority` are taken, as `more` says.
fn door(more: &str, made: &Made, authority: &Authority) -> Door {
    Door::open(settings(more, made, &[("/ca.pem", &authority.pem())]))
}

/// A caller who shows a certificate, whatever authorities the server names.
fn shows(shown: &Shown, made: &Made) -> Arc<ClientConfig> {
    Arc::new(shown.config(&made.certificate, rustls::ALL_VERSIONS))
}

fn shows_nothing(made: &Made) -> Arc<ClientConfig> {
    Arc::new(trusting(&made.certificate, rustls::ALL_VERSIONS))
}

#[test]
fn the_names_in_a_certificate_are_known_of_every_request_of_its_connection() {
    let (made, authority) = (made(), Authority::new("callers"));
    let nightly = authority.client_with(
        "nightly",
        &["spiffe://corp/nightly", "Nightly.Corp"],
        |it| {
            it.not_after = date_time_ymd(2030, 1, 1);
        },
    );
    for more in [REQUEST, REQUIRE] {
        let door = door(more, &made, &authority);
        for version in [&TLS12, &TLS13] {
            let caller = Arc::new(nightly.config(&made.certificate, &[version]));
            let (mut open, told) = door.meet(&caller).unwrap();
            // Days between the beginnings of 1970 and 2030.
            let until = 21_915 * 86_400;
            let expected = json!({
                "certificate": {
                    "uris": ["spiffe://corp/nightly"],
                    "dns": ["nightly.corp"],
                    "subject": "CN=nightly",
                    "until": until,
                },
                "peer": null,
            });
            assert_eq!(told, expected, "{version:?} {more}");
            assert_eq!(ask(&mut open), expected);
        }
        assert_eq!(door.handle.failed_handshakes().get(), 0);
    }
}

#[tokio::test]
async fn the_names_are_known_over_both_versions_of_http() {
    let (made, authority) = (made(), Authority::new("callers"));
    let door = door(REQUIRE, &made, &authority);
    let config = authority
        .client("", &["urn:a"])
        .config(&made.certificate, rustls::ALL_VERSIONS);

    for speaks in [Speaks::H1, Speaks::H2] {
        let mut client = Client::connect_as(door.ip(), config.clone(), "localhost", speaks)
            .await
            .unwrap();
        for _ in 0..2 {
            let (target, fields): (_, &[_]) = match speaks {
                Speaks::H1 => ("/", &[("host", "localhost")]),
                Speaks::H2 => ("https://localhost/", &[]),
            };
            let reply = client.send(request(Method::GET, target, fields, "")).await;
            let certificate = &reply.unwrap().json()["certificate"];
            assert_eq!(certificate["uris"], json!(["urn:a"]), "{speaks:?}");
            assert_eq!(certificate["subject"], Value::Null);
        }
    }
}

#[test]
fn without_a_certificate_a_caller_is_served_unless_one_is_required() {
    let (made, authority) = (made(), Authority::new("callers"));
    let caller = shows_nothing(&made);

    let (_, told) = door(REQUEST, &made, &authority).meet(&caller).unwrap();
    assert_eq!(told, json!({ "certificate": null, "peer": null }));

    let strict = door(REQUIRE, &made, &authority);
    assert_eq!(
        strict.refusal(&caller),
        AlertDescription::CertificateRequired
    );
    let old = Arc::new(trusting(&made.certificate, &[&TLS12]));
    assert_eq!(strict.refusal(&old), AlertDescription::CertificateRequired);
}

#[test]
fn a_certificate_that_is_not_good_lets_nobody_in_required_or_not() {
    let (made, authority) = (made(), Authority::new("callers"));
    // One of the same name, whose signature is another.
    let impostor = Authority::new("callers");
    let names = ["urn:a"];
    let of_past = authority.client_with("past", &names, |it| {
        it.not_after = date_time_ymd(2026, 1, 1);
    });
    let of_future = authority.client_with("future", &names, |it| {
        it.not_before = date_time_ymd(2999, 1, 1);
    });
    let of_server = authority.client_with("server", &names, |it| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for more in [REQUEST, REQUIRE] {
        let door = door(more, &made, &authority);
        for (shown, alert) in [
            (
                &impostor.client("a", &names),
                AlertDescription::DecryptError,
            ),
            (
                &Authority::new("strangers").client("a", &names),
                AlertDescription::UnknownCA,
            ),
            (&of_past, AlertDescription::CertificateExpired),
            (&of_future, AlertDescription::CertificateExpired),
            (&of_server, AlertDescription::UnsupportedCertificate),
        ] {
            let caller = shows(shown, &made);
            assert_eq!(door.refusal(&caller), alert, "{more}");
        }
        let (_, told) = door
            .meet(&shows(&authority.client("a", &names), &made))
            .unwrap();
        assert_eq!(told["certificate"]["uris"], json!(names));
    }
}

#[test]
fn a_chain_has_to_lead_to_an_authority() {
    let (made, root) = (made(), Authority::new("root"));
    let middle = root.below("middle").below("below");
    let shown = middle.client("a", &["urn:a"]);
    let door = door(REQUIRE, &made, &root);

    let (_, told) = door.meet(&shows(&shown, &made)).unwrap();
    assert_eq!(told["certificate"]["subject"], "CN=a");

    let own = shown.chain.split_inclusive("-----END CERTIFICATE-----\n");
    let alone = Shown {
        chain: own.take(1).collect(),
        key: shown.key,
    };
    let caller = shows(&alone, &made);
    assert_eq!(door.refusal(&caller), AlertDescription::UnknownCA);
}

#[test]
fn what_is_on_a_list_or_has_none_is_refused() {
    let (made, root) = (made(), Authority::new("root"));
    let middle = root.below("middle");
    let numbered = |serial: u64| {
        let numbered = middle.client_with("a", &["urn:a"], |it| {
            it.serial_number = Some(SerialNumber::from(serial));
        });
        shows(&numbered, &made)
    };
    let with = |lists: &str| {
        let files = [("/ca.pem", &*root.pem()), ("/crl.pem", lists)];
        let more = format!("{REQUIRE}, client_crl: /crl.pem");
        settings(&more, &made, &files)
    };
    let both = |serials: &[u64]| with(&(root.revokes(&[]) + &middle.revokes(serials)));

    let door = Door::open(both(&[7]));
    assert_eq!(
        door.refusal(&numbered(7)),
        AlertDescription::CertificateRevoked
    );
    assert!(door.meet(&numbered(8)).is_ok());
    let more = both(&[7, 8]);
    assert!(door.handle.update(&more).unwrap().changed);
    assert_eq!(
        door.refusal(&numbered(8)),
        AlertDescription::CertificateRevoked
    );
    assert!(!door.handle.update(&more).unwrap().changed);
    assert!(
        door.handle
            .update(&with(&middle.revokes(&[7])))
            .unwrap()
            .changed
    );
    assert_eq!(door.refusal(&numbered(9)), AlertDescription::UnknownCA);
}

#[test]
fn authorities_and_the_servers_certificate_change_while_callers_stay_connected() {
    let (before, after) = (made(), made());
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let [shown, fresh] = [&old, &new].map(|authority| authority.client("a", &["urn:a"]));
    let door = door(REQUIRE, &before, &old);
    let (mut open, told) = door.meet(&shows(&shown, &before)).unwrap();

    let both = old.pem() + &new.pem();
    for (authorities, made, taken) in [
        (&both, &before, [true, true]),
        (&new.pem(), &before, [false, true]),
        (&new.pem(), &after, [false, true]),
    ] {
        let next = settings(REQUIRE, made, &[("/ca.pem", authorities)]);
        assert!(door.handle.update(&next).unwrap().changed);
        for (shown, taken) in [&shown, &fresh].into_iter().zip(taken) {
            if taken {
                assert_eq!(door.meet(&shows(shown, made)).unwrap().1, told);
            } else {
                let caller = shows(shown, made);
                assert_eq!(door.refusal(&caller), AlertDescription::UnknownCA);
            }
        }
        assert_eq!(ask(&mut open), told, "it keeps what it was accepted with");
    }
}

#[test]
fn no_session_is_resumed_where_callers_may_show_certificates() {
    let (made, authority) = (made(), Authority::new("callers"));
    let shown = authority.client("a", &["urn:a"]);
    for more in [REQUEST, REQUIRE] {
        let door = door(more, &made, &authority);
        for version in rustls::ALL_VERSIONS {
            let with = Arc::new(shown.config(&made.certificate, &[version]));
            let without = Arc::new(trusting(&made.certificate, &[version]));
            let callers = if more == REQUEST {
                vec![with, without]
            } else {
                vec![with]
            };
            for caller in callers.iter().flat_map(|caller| [caller; 3]) {
                let mut met = secured_by(door.ip(), Arc::clone(caller)).unwrap();
                assert_eq!(
                    met.conn.handshake_kind(),
                    Some(HandshakeKind::Full),
                    "{version:?}"
                );
                // Tickets would come after the handshake.
                let mut raw = Raw::over(&mut met);
                ask(&mut raw);
                assert_eq!(met.conn.tls13_tickets_received(), 0);
            }
        }
    }
}

#[test]
fn who_is_at_the_other_end_of_a_unix_socket_is_known() {
    let (_folder, path) = folder();
    let text = format!(
        "listeners: [{{ address: 'unix:{}' }}]\nsandboxes: {{ dev-2: {{}} }}\n{CREDENTIAL}",
        path.display()
    );
    let _door = Door::open(parsed(&text, &Supplied::default()));

    let told = ask(&mut at_socket(&path));

    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let expected = json!({ "uid": uid.as_raw(), "gid": gid.as_raw(), "pid": std::process::id() });
    assert_eq!(told, json!({ "certificate": null, "peer": expected }));
}
