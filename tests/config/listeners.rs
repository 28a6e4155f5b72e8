//! How listeners say where callers connect, and with which certificate.

use std::time::Duration;

use profile_gateway::config::{self, Supplied};
use profile_gateway::listener::{Access, Settings, Version};

use super::{messages, sources, with};

/// The sources of the other tests, with lists of accounts and a certificate with its key.
pub(super) fn outside() -> Supplied {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
        .expect("a name is all it needs");
    sources()
        .with_file(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nshop:x:1007:1008::/:\n",
        )
        .with_file("/etc/group", "root:x:0:\nshop:x:1008:a,b\n")
        .with_file("/tls/certificate.pem", made.cert.pem())
        .with_file("/tls/key.pem", made.signing_key.serialize_pem())
        .with_file("/tls/half.pem", made.cert.pem().replace("-----END", ""))
        .with_file("/tls/forged.pem", made.cert.pem().replace("\nMII", "\nMIX"))
        .with_file(
            "/tls/forged-list.pem",
            made.cert.pem().replace("CERTIFICATE", "X509 CRL"),
        )
}

fn listener(written: &str) -> Result<Settings, Vec<String>> {
    let text = with(&format!("listeners: [{{ {written} }}]"));
    let loaded = config::parse("gateway.yaml", &text, &outside());
    loaded
        .map(|mut settings| settings.listeners.remove(0))
        .map_err(|faults| {
            let shown = faults.to_string();
            let lines = shown.lines();
            lines
                .filter_map(|line| line.strip_prefix("error: listeners[0]."))
                .map(str::to_owned)
                .collect()
        })
}

#[test]
fn a_unix_socket_is_local_and_its_file_belongs_to_whom_it_is_given() {
    let plain = listener("address: 'unix:/run/http.sock'").unwrap();
    assert!(plain.accepts.anonymous && plain.access == Access::default());
    assert_eq!((plain.access.mode, plain.backlog), (0o660, 1024));
    let refusing = listener("address: 'unix:/run/http.sock', anonymous: refuse").unwrap();
    assert!(!refusing.accepts.anonymous);

    let given = listener("address: 'unix:/run/http.sock', mode: 0600, owner: shop, group: 7");
    let access = Access {
        mode: 0o600,
        owner: Some(1007),
        group: Some(7),
    };
    assert_eq!(given.unwrap().access, access);
    let by_name = listener("address: 'unix:/a', group: shop").unwrap();
    assert_eq!(by_name.access.group, Some(1008));
}

#[test]
fn a_listener_with_tls_has_its_certificate_and_shows_no_key() {
    let tls = "tls: { certificate: /tls/certificate.pem, key: /tls/key.pem";
    let plain = listener(&format!("{tls} }}")).unwrap();
    let shown = format!("{plain:?}");
    let plain = plain.tls.unwrap();
    assert_eq!(plain.min_version, Version::Tls12);
    assert_eq!(plain.timeout, Duration::from_secs(10));
    assert!(
        shown.contains("Identity(") && !shown.contains("PRIVATE"),
        "{shown}"
    );

    let strict = format!("{tls}, min_version: 1.3 }}, limits: {{ tls_timeout: 2s }}");
    let strict = listener(&strict).unwrap().tls.unwrap();
    assert_eq!(strict.min_version, Version::Tls13);
    assert_eq!(strict.timeout, Duration::from_secs(2));
}

#[test]
fn certificates_of_callers_are_asked_for_where_an_authority_is_named() {
    let tls = |more: &str| {
        let files = "certificate: /tls/certificate.pem, key: /tls/key.pem";
        let read = listener(&format!("tls: {{ {files}{more} }}"));
        read.unwrap().tls.unwrap().clients
    };
    assert_eq!(tls(""), None);
    let authority = ", client_ca: /tls/certificate.pem";
    for (more, demand) in [
        ("", "Request"),
        (", client_certificate: request", "Request"),
        (", client_certificate: require", "Require"),
    ] {
        let shown = format!("{:?}", tls(&format!("{authority}{more}")));
        let expected = format!("Some(Clients({demand}, ");
        assert!(shown.starts_with(&expected), "{shown}");
    }
}

#[test]
fn what_is_wrong_with_a_listener_is_named() {
    let long = format!("address: 'unix:/{}'", "a".repeat(107));
    let tls = |files: &str| format!("tls: {{ {files} }}");
    let clients = |more: &str| {
        tls(&format!(
            "certificate: /tls/certificate.pem, key: /tls/key.pem, {more}"
        ))
    };
    for (written, expected) in [
        (
            "address: 'localhost:80'".to_owned(),
            "address: must be an IP address and port such as 127.0.0.1:8080 or [::]:8080, or a Unix socket such as unix:/run/gateway.sock",
        ),
        (
            "address: 'unix:http.sock'".to_owned(),
            "address: must have the absolute path of a socket after unix:, such as unix:/run/gateway.sock",
        ),
        (
            long,
            "address: has a path of 108 bytes; that of a socket may have 107",
        ),
        (
            "mode: 0660".to_owned(),
            "mode: is of a Unix socket, and this is an IP address",
        ),
        (
            "address: 'unix:/a', reuse_port: true".to_owned(),
            "reuse_port: a Unix socket has one process at a time",
        ),
        (
            "owner: 0".to_owned(),
            "owner: is of a Unix socket, and this is an IP address",
        ),
        (
            "group: shop".to_owned(),
            "group: is of a Unix socket, and this is an IP address",
        ),
        (
            "address: 'unix:/a', mode: 0689".to_owned(),
            "mode: must be permissions in octal digits such as 0660, up to 0777",
        ),
        (
            "address: 'unix:/a', owner: nobody".to_owned(),
            "owner: the file /etc/passwd has no `nobody`",
        ),
        (
            "limits: { tls_timeout: 1s }".to_owned(),
            "limits.tls_timeout: is of TLS, and this listener has none",
        ),
        ("backlog: 0".to_owned(), "backlog: must be from 1 to 65535"),
        (
            tls("certificate: /tls/certificate.pem"),
            "tls.key: is missing",
        ),
        (
            tls("certificate: /tls/certificate.pem, key: /tls/key.pem, min_version: '1.1'"),
            "tls.min_version: must be 1.2 or 1.3",
        ),
        (
            clients("client_ca: /none.pem"),
            "tls.client_ca: the file /none.pem does not exist",
        ),
        (
            clients("client_ca: /tls/key.pem"),
            "tls.client_ca: the file /tls/key.pem holds no certificate",
        ),
        (
            clients("client_ca: /tls/half.pem"),
            "tls.client_ca: the file /tls/half.pem is not PEM, or breaks off before its end",
        ),
        (
            clients("client_ca: /tls/forged.pem"),
            "tls.client_ca: the file /tls/forged.pem holds what is no certificate of X.509",
        ),
        (
            clients("client_ca: /tls/certificate.pem, client_certificate: demand"),
            "tls.client_certificate: must be request or require",
        ),
        (
            clients("client_certificate: request"),
            "tls.client_certificate: is of callers' certificates, and no authority of theirs is named",
        ),
        (
            clients("client_crl: /tls/revoked.pem"),
            "tls.client_crl: is of callers' certificates, and no authority of theirs is named",
        ),
        (
            clients("client_ca: /tls/certificate.pem, client_crl: /none.pem"),
            "tls.client_crl: the file /none.pem does not exist",
        ),
        (
            clients("client_ca: /tls/certificate.pem, client_crl: /tls/certificate.pem"),
            "tls.client_crl: the file /tls/certificate.pem holds no list of revoked certificates",
        ),
        (
            clients("client_ca: /tls/certificate.pem, client_crl: /tls/forged-list.pem"),
            "tls.client_crl: the file /tls/forged-list.pem holds what is no list of revoked certificates, or one of a kind that is not understood",
        ),
        (
            tls("certificate: /none.pem, key: /tls/key.pem"),
            "tls.certificate: the file /none.pem does not exist",
        ),
        (
            tls("certificate: /tls/key.pem, key: /tls/key.pem"),
            "tls.certificate: the file /tls/key.pem holds no certificate",
        ),
        (
            tls("certificate: /tls/certificate.pem, key: /none.pem"),
            "tls.key: the file /none.pem does not exist",
        ),
        (
            tls("certificate: /tls/certificate.pem, key: /keys/rsa-pkcs1.pem"),
            "tls.key: the file /keys/rsa-pkcs1.pem holds the key of another certificate",
        ),
        (
            tls("certificate: /tls/certificate.pem, key: /keys/rsa-half.pem"),
            "tls.key: the file /keys/rsa-half.pem is not PEM, or breaks off before its end",
        ),
        (
            tls("certificate: /tls/certificate.pem, key: /keys/rsa-encrypted.pem"),
            "tls.key: the file /keys/rsa-encrypted.pem holds a key that is encrypted with a passphrase",
        ),
    ] {
        assert_eq!(
            listener(&written),
            Err(vec![expected.to_owned()]),
            "{written}"
        );
    }
}

#[test]
fn two_listeners_have_two_addresses() {
    for (one, other) in [
        ("unix:/run/a.sock", "unix:/run//a.sock"),
        ("[::1]:81", "[::]:81"),
        ("127.0.0.1:81", "[::]:81"),
    ] {
        let text = with(&format!(
            "listeners: [{{ address: '{one}', anonymous: allow }}, {{ address: '{other}', anonymous: allow }}]"
        ));
        assert_eq!(
            messages(&text),
            ["listeners[1].address: the address is taken by listeners[0].address already"]
        );
    }
    let admin = with(
        "listeners: [{ address: '[::]:9901', anonymous: allow }]\nadmin: { address: '127.0.0.1:9901' }",
    );
    assert_eq!(
        messages(&admin),
        ["listeners[0].address: the address is taken by admin.address already"]
    );
}
