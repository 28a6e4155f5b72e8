//! Proxies, client certificates and versions of TLS on the way out.

use profile_gateway::config::{self, Settings, Supplied};
use profile_gateway::connect::MinTls;

use super::{sources, with};

/// A certificate and its key, both in PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]);
    let made = made.expect("a name is all it needs");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn with_files() -> Supplied {
    let ((certificate, key), (_, other)) = (identity(), identity());
    sources()
        .with_file("/tls.crt", certificate)
        .with_file("/tls.key", key)
        .with_file("/other.key", other)
        .with_file("/proxy", "http://user:s3ntinel@proxy.example.com:3128\n")
        .with_file("/no-proxy", "user:s3ntinel@proxy.example.com:3128/\n")
}

fn parsed(more: &str, sources: &Supplied) -> Result<Settings, String> {
    let parsed = config::parse("gateway.yaml", &with(more), sources);
    parsed.map_err(|faults| faults.to_string())
}

fn proxies(more: &str, sources: &Supplied) -> [Option<String>; 2] {
    let settings = parsed(more, sources).expect("the text is legal");
    [settings.upstream.proxy, settings.ims.connect.proxy]
        .map(|proxy| proxy.map(|proxy| proxy.to_string()))
}

#[test]
fn a_proxy_is_the_files_or_the_environments_or_none() {
    let silent = with_files();
    let speaking = silent
        .clone()
        .with_variable("HTTPS_PROXY", "http://user:s3ntinel@environment:1")
        .with_variable("NO_PROXY", "localhost,.adobelogin.com");
    let environment = Some("http://environment:1".to_owned());
    let file = Some("http://proxy.example.com:3128".to_owned());
    let both = "{ egress_proxy: '${file:/proxy}' }";

    assert_eq!(proxies("", &silent), [None, None]);
    assert_eq!(proxies("", &speaking), [environment, None]);
    let both = format!("upstream: {both}\nims: {both}\n");
    assert_eq!(proxies(&both, &speaking), [file.clone(), file]);
    for none in [
        "upstream: { egress_proxy: none }",
        "upstream: { address: '10.0.0.5:443' }",
        "upstream: { url: 'https://localhost' }",
        "upstream: { url: 'http://platform.example.com', allow_plain_http: true }",
    ] {
        assert_eq!(proxies(none, &speaking), [None, None], "{none}");
    }
    let shown = format!("{:?}", parsed(&both, &speaking));
    assert!(
        !shown.contains("s3ntinel") && shown.contains("with a login"),
        "{shown}"
    );
}

#[test]
fn what_is_wrong_with_a_proxy_is_told_without_its_password() {
    let wrong = with_files().with_variable("https_proxy", "socks5://user:s3ntinel@proxy:1080");
    for (more, expected) in [
        (
            "upstream: { egress_proxy: 'user:s3ntinel@proxy.example.com' }",
            "upstream.egress_proxy: is not a proxy's URL such as http://proxy.example.com:3128",
        ),
        (
            "upstream: { egress_proxy: '${file:/no-proxy}' }",
            "upstream.egress_proxy: the value with ${file:/no-proxy} is not none, or a proxy's URL such as http://proxy.example.com:3128",
        ),
        (
            "upstream: { egress_proxy: 'http://user:s3ntinel@proxy/path' }",
            "upstream.egress_proxy: must end after the host and port: no path or query",
        ),
        (
            "upstream: { egress_proxy: 'http://user:s3ntinel@proxy', address: '10.0.0.5:443' }",
            "upstream.egress_proxy: says where to connect, and so does `address`",
        ),
        (
            "ims: { egress_proxy: 'http://proxy', url: 'http://127.0.0.1:1' }",
            "ims.url: plain http would send client secrets readable over the network",
        ),
        (
            "ims: { egress_proxy: none }",
            "upstream.egress_proxy: the environment variable https_proxy is not a proxy's URL such as http://proxy.example.com:3128",
        ),
    ] {
        let quiet = "upstream: { egress_proxy: none }\n";
        let more = if more.starts_with("upstream") {
            format!("ims: {{ egress_proxy: none }}\n{more}")
        } else if expected.starts_with("upstream") {
            more.to_owned()
        } else {
            format!("{quiet}{more}")
        };
        let told = parsed(&more, &wrong).expect_err(expected);

        let errors: Vec<_> = told
            .lines()
            .filter_map(|it| it.strip_prefix("error: "))
            .collect();
        assert_eq!(errors, [expected]);
        assert!(!told.contains("s3ntinel"), "{told}");
    }
}

#[test]
fn a_client_certificate_has_to_fit_its_key_and_belongs_to_tls() {
    let files = with_files();
    let shows = |certificate: &str, key: &str| {
        format!("upstream: {{ client_certificate: {{ certificate: {certificate}, key: {key} }} }}")
    };
    let settings = parsed(&shows("/tls.crt", "/tls.key"), &files).expect("the two fit");
    assert!(settings.upstream.client_certificate.is_some());
    assert!(settings.ims.connect.client_certificate.is_none());

    let at = "upstream.client_certificate";
    for (certificate, key, expected) in [
        (
            "/tls.crt",
            "/other.key",
            ".key: the file is not the key of the first certificate",
        ),
        (
            "/tls.crt",
            "/tls.crt",
            ".key: the file holds no private key in PEM that can be used: PKCS#8, PKCS#1 or SEC1, without a passphrase",
        ),
        ("/tls.crt", "/none.key", ".key: the file does not exist"),
        (
            "/tls.key",
            "/tls.key",
            ".certificate: the file holds no certificate in PEM",
        ),
        (
            "tls.crt",
            "/tls.key",
            ".certificate: must be an absolute path such as /etc/ssl/corporate.pem",
        ),
    ] {
        let told = parsed(&shows(certificate, key), &files).expect_err(expected);
        let first = format!("error: {at}{expected}\n");
        assert!(
            told.starts_with(&first) && told.matches("error: ").count() == 1,
            "{told}"
        );
    }
    let plain = "upstream: { url: 'http://localhost', client_certificate: { certificate: /tls.crt, key: /tls.key } }";
    let told = parsed(plain, &files).expect_err("there is no TLS");
    assert!(
        told.starts_with(&format!(
            "error: {at}: is for https, and `url` is plain http\n"
        )),
        "{told}"
    );
}

#[test]
fn a_certificate_that_was_replaced_makes_other_settings() {
    let shows = "upstream: { client_certificate: { certificate: /tls.crt, key: /tls.key } }";
    let (one, other) = (with_files(), with_files());
    let read = |files| parsed(shows, files).expect("the two fit");

    let (first, again, replaced) = (read(&one), read(&one), read(&other));

    assert_eq!(first.upstream, again.upstream);
    assert_ne!(first.upstream, replaced.upstream);
    // Who compares what is printed sees it too, and sees no key.
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    assert_ne!(format!("{first:?}"), format!("{replaced:?}"));
}

#[test]
fn the_least_version_of_tls_is_1_2_or_1_3() {
    let files = with_files();
    let read = |more: &str| parsed(more, &files).map(|it| it.upstream.min_tls);

    assert_eq!(read(""), Ok(MinTls::Tls12));
    assert_eq!(read("upstream: { min_tls: 1.3 }"), Ok(MinTls::Tls13));
    for wrong in ["1.1", "1", "'TLS 1.2'"] {
        let told = read(&format!("upstream: {{ min_tls: {wrong} }}")).expect_err(wrong);
        assert!(
            told.starts_with("error: upstream.min_tls: must be 1.2 or 1.3\n"),
            "{told}"
        );
    }
}
