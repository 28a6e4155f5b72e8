//! Who signs the tokens of callers, and where the keys come from.

use std::fs;
use std::path::Path;
use std::time::Duration;

use profile_gateway::config::{self, Settings};
use profile_gateway::issuers::{IssuerSettings, Server, Source};
use profile_gateway::secret::Secret;

use super::{faults, messages, sources, with};

/// A set with one key, whose coordinates are those of RFC 7515, appendix A.3.
pub(super) const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn load(issuers: &str) -> Settings {
    let text = with(&format!("issuers:\n  {issuers}\n"));
    config::parse("gateway.yaml", &text, &sources()).expect("the issuers are sound")
}

fn issuer(of: &str) -> IssuerSettings {
    load(&format!(
        "a: {{ issuer: 'https://a.example/t', audiences: [us], {of} }}"
    ))
    .issuers
    .issuers
    .remove(0)
}

fn server(of: &str) -> Server {
    let server = match issuer(of).source {
        Source::Server(server) => Some(*server),
        Source::File(_) => None,
    };
    server.expect("the keys come from a server")
}

fn url_of(of: &str) -> (String, bool) {
    let server = server(of);
    assert_eq!(server.connect.origin, *server.url.origin());
    (server.url.to_string(), server.is_discovery)
}

#[test]
fn keys_come_from_one_place() {
    let discovery = |below: &str| (format!("{below}/.well-known/openid-configuration"), true);

    assert_eq!(url_of(""), discovery("https://a.example/t"));
    assert_eq!(
        url_of("discovery: 'https://b.example:8443/'"),
        discovery("https://b.example:8443")
    );
    assert_eq!(
        url_of("jwks_url: 'https://b.example/keys?x=y'"),
        ("https://b.example/keys?x=y".to_owned(), false)
    );
    let Source::File(keys) = issuer("jwks_file: /keys.json").source else {
        panic!("it is a file");
    };
    assert_eq!(keys.count(), 1);
}

#[test]
fn what_is_not_written_has_its_default() {
    let IssuerSettings {
        name,
        rules,
        required,
        ..
    } = issuer("");

    assert_eq!((name.as_str(), required), ("a", true));
    assert_eq!(rules.issuer, "https://a.example/t");
    assert_eq!(
        (rules.audiences, rules.leeway.as_secs(), rules.require_nbf),
        (vec!["us".to_owned()], 10, true)
    );
    assert!(!issuer("require_nbf: false").rules.require_nbf);
    let server = server("");
    let times = [
        server.timeout,
        server.min_refresh,
        server.refresh,
        server.stale,
    ];
    assert_eq!(times.map(|time| time.as_secs()), [5, 10, 300, 86_400]);
    assert!(server.bearer.is_none() && server.connect.proxy.is_none());
}

#[test]
fn issuers_keep_the_order_in_which_they_are_written() {
    let settings = load(
        "z: { issuer: kubernetes/serviceaccount, audiences: [us], jwks_file: /keys.json, required: false }
  a: { issuer: 'https://a.example', audiences: [us] }",
    );

    let names = settings
        .issuers
        .issuers
        .iter()
        .map(|it| (it.name.as_str(), it.required));
    assert_eq!(names.collect::<Vec<_>>(), [("z", false), ("a", true)]);
}

#[test]
fn the_way_to_an_issuer_is_written_as_that_to_others() {
    let server = server(
        "address: '10.0.0.1:443', bearer: '${env:SECRET}', egress_proxy: none, min_tls: '1.3', timeout: 1s, stale: 1h",
    );

    assert_eq!(
        server.bearer.as_ref().map(Secret::expose),
        Some("p8e-secret")
    );
    assert_eq!(
        server.connect.address,
        Some("10.0.0.1:443".parse().unwrap())
    );
    assert_eq!(server.stale, Duration::from_hours(1));
    assert!(!format!("{server:?}").contains("p8e-secret"));
}

#[test]
fn what_is_wrong_about_an_issuer_is_named() {
    for (of, expected) in [
        (
            "discovery: 'https://b', jwks_url: 'https://b'",
            "issuers.a.jwks_url: says where the keys come from, and so does `discovery`",
        ),
        (
            "jwks_file: /keys.json, jwks_url: 'https://b'",
            "issuers.a.jwks_file: says where the keys come from, and so does `jwks_url`",
        ),
        (
            "jwks_file: /keys.json, bearer: x",
            "issuers.a.bearer: is for keys of a server, and these come from `jwks_file`",
        ),
        (
            "jwks_file: /keys.json, refresh: 5m",
            "issuers.a.refresh: is for keys of a server, and these come from `jwks_file`",
        ),
        (
            "jwks_file: /none.json",
            "issuers.a.jwks_file: the file does not exist",
        ),
        (
            "jwks_file: /no-keys.json",
            "issuers.a.jwks_file: the file holds no key that tokens may be signed with",
        ),
        (
            "jwks_file: /no-certificate.pem",
            "issuers.a.jwks_file: the file is no JWK set: an object with a list `keys` of objects, each member once",
        ),
        (
            "discovery: 'https://b/?x=y'",
            "issuers.a.discovery: has a query, and a discovery document is below a path",
        ),
        (
            "jwks_url: 'http://b.example/keys'",
            "issuers.a.jwks_url: plain http would let anybody on the way give keys of their own",
        ),
        (
            "discovery: 'http://127.0.0.1:1', address: '10.0.0.1:80'",
            "issuers.a.discovery: plain http would let anybody on the way give keys of their own",
        ),
        (
            "jwks_url: 'ftp://b.example/keys'",
            "issuers.a.jwks_url: must be a URL such as https://login.example.com/keys",
        ),
        (
            "jwks_url: 'https://user@b.example/keys'",
            "issuers.a.jwks_url: must have no user in it, and no #",
        ),
        (
            "min_refresh: 10m",
            "issuers.a.min_refresh: is longer than `refresh`, after which keys are fetched anyway",
        ),
        (
            "stale: 2m",
            "issuers.a.stale: is shorter than `refresh`: keys would be too old before they are fetched anew",
        ),
        ("leeway: 31s", "issuers.a.leeway: must be from 0s to 30s"),
        (
            "min_refresh: 0s",
            "issuers.a.min_refresh: must be from 1s to 1h",
        ),
        (
            "address: '10.0.0.1:0'",
            "issuers.a.address: port 0 cannot be connected to",
        ),
        (
            "ca_file: /none.pem",
            "issuers.a.ca_file: the file does not exist",
        ),
    ] {
        let text =
            format!("issuers: {{ a: {{ issuer: 'https://a.example', audiences: [us], {of} }} }}");
        assert_eq!(messages(&with(&text)), [expected], "{of}");
    }
    for (issuers, expected) in [
        (
            "a: { issuer: x, audiences: [us] }",
            "issuers.a.issuer: is no URL that a discovery document could be below",
        ),
        (
            "a: { issuer: 'http://a.example', audiences: [us] }",
            "issuers.a.issuer: plain http would let anybody on the way give keys of their own",
        ),
        (
            "a: { issuer: 'https://a', audiences: [us] }, b: { issuer: 'https://a', audiences: [them] }",
            "issuers.b.issuer: another issuer has this `iss` already, and tokens name nothing else",
        ),
        (
            "a: { issuer: 'https://a', audiences: [] }",
            "issuers.a.audiences: must have at least one entry",
        ),
        (
            "a: { issuer: 'a b', audiences: [us], jwks_file: /keys.json }",
            "issuers.a.issuer: must be a text such as https://login.example.com or profile-gateway, without blanks, of 512 bytes at most",
        ),
        (
            "a: { issuer: 'https://a' }",
            "issuers.a.audiences: is missing",
        ),
    ] {
        let text = format!("issuers: {{ {issuers} }}");
        let found = messages(&with(&text));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
}

#[test]
fn plain_http_is_for_loopback_or_whoever_writes_it_out() {
    for of in [
        "jwks_url: 'http://127.0.0.1:1/keys'",
        "discovery: 'http://localhost:1'",
        "discovery: 'http://keys.example', address: '127.0.0.1:1'",
        "jwks_url: 'http://keys.example', allow_plain_http: true",
    ] {
        server(of);
    }
}

#[test]
fn a_bearer_is_not_shown() {
    let shown = faults(&with(
        "issuers: { a: { issuer: 'https://a', audiences: [us], bearer: 's3ntinel value' } }",
    ));

    assert!(
        shown.contains("issuers.a.bearer") && !shown.contains("s3ntinel"),
        "{shown}"
    );
}

/// What full.yaml writes out cannot be its default, which is nothing; it loads when the comment signs are taken off.
#[test]
fn the_issuers_of_the_full_example_load() {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
    let full = fs::read_to_string(full).unwrap();
    let section = full.split_once("# issuers:\n").unwrap().1;
    let section: Vec<&str> = section
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();

    let settings = load(section.join("\n").trim_start());

    let [cluster] = settings.issuers.issuers.as_slice() else {
        panic!("there is one");
    };
    let Source::Server(written) = &cluster.source else {
        panic!("it is a server");
    };
    let usual = server("");
    let defaults = issuer("").rules;
    assert_eq!(
        (cluster.rules.leeway, cluster.rules.require_nbf),
        (defaults.leeway, defaults.require_nbf)
    );
    assert_eq!(
        (
            written.timeout,
            written.min_refresh,
            written.refresh,
            written.stale
        ),
        (usual.timeout, usual.min_refresh, usual.refresh, usual.stale)
    );
    assert_eq!(written.connect.min_tls, usual.connect.min_tls);
    assert_eq!(written.connect.extra_roots.len(), 1);
}
