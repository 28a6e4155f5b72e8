//! Who can be known where, and by what.

use profile_gateway::config;
use profile_gateway::identify::KeyDigest;

use super::listeners::outside;
use super::{told, with};

const KEY: &str =
    "api_key: { sha256: 5f1e0a83c7d249b6e8a1f30d5c72946b0e8d3f1a6b5c4d7e9081726354afbecd }";

/// Returns what is wrong with these sections, as the beginnings of faults, or what they say in vain.
fn wrong(more: &str) -> Vec<String> {
    told(&with(more), &outside())
}

#[test]
fn every_caller_can_be_known_at_a_listener() {
    let nightly = "nightly: { client_certificate: { dns: nightly.corp } }";
    let web = "web: { unix_peer: { uid: 1000 } }";
    let here = "here: { network: { cidr: [127.0.0.0/8] } }";
    let reports = &format!("reports: {{ {KEY} }}");
    let either = &format!("either: {{ {KEY}, unix_peer: {{ uid: 1000 }} }}");
    let tls = "address: '0.0.0.0:1', tls: { certificate: /tls/certificate.pem, key: /tls/key.pem, client_ca: /tls/certificate.pem }";
    let certificate = "a certificate counts at a listener with `tls.client_ca`";
    let user = "a user or group counts at a Unix socket, `unix:`";
    for (listeners, caller, expected) in [
        (format!("{{ {tls} }}"), nightly, String::new()),
        ("{}".to_owned(), nightly, certificate.to_owned()),
        (
            "{ address: '0.0.0.0:1', anonymous: allow }".to_owned(),
            nightly,
            certificate.to_owned(),
        ),
        ("{}, { address: 'unix:/a' }".to_owned(), web, String::new()),
        ("{}".to_owned(), web, user.to_owned()),
        (
            format!("{{ {tls}, anonymous: refuse }}"),
            web,
            user.to_owned(),
        ),
        ("{}".to_owned(), here, String::new()),
        (
            "{ address: 'unix:/a' }".to_owned(),
            here,
            "a network counts at an IP address".to_owned(),
        ),
        ("{}".to_owned(), reports, String::new()),
        ("{}".to_owned(), either, String::new()),
        (
            "{ identify: [client_certificate] }".replace("{ ", &format!("{{ {tls}, ")),
            either,
            format!("an API key counts where `identify` does not leave it out; {user}"),
        ),
    ] {
        let other = "other: { client_certificate: { dns: other.corp } }, ";
        let other = if listeners.contains("identify") {
            other
        } else {
            ""
        };
        let found = wrong(&format!(
            "listeners: [{listeners}]\ncallers: {{ {other}{caller} }}\n"
        ));
        let name = caller.split(':').next().unwrap();
        let expected = match expected.as_str() {
            "" => Vec::new(),
            why => vec![format!(
                "warning: callers.{name}: no listener can know it: {why}"
            )],
        };
        assert_eq!(found, expected, "{listeners} {caller}");
    }
}

#[test]
fn a_listener_that_others_reach_and_nobody_can_be_known_at_says_what_becomes_of_them() {
    let callers = format!(
        "callers: {{ nightly: {{ client_certificate: {{ dns: a }} }}, web: {{ {KEY}, unix_peer: {{ uid: 1 }} }} }}"
    );
    let tls = "{ address: '0.0.0.0:1', tls: { certificate: /tls/certificate.pem, key: /tls/key.pem, client_ca: /tls/certificate.pem } }";
    let at = |other: &str| wrong(&format!("listeners: [{tls}, {other}]\n{callers}\n"));

    assert_eq!(at("{ address: '0.0.0.0:2' }"), Vec::<String>::new());
    let callers_without_keys = callers.replace(&format!("{KEY}, "), "");
    let at = |other: &str| {
        let listeners = format!("listeners: [{tls}, {{ address: 'unix:/a' }}, {other}]");
        wrong(&format!("{listeners}\n{callers_without_keys}\n"))
    };
    assert_eq!(
        at("{ address: '0.0.0.0:2' }"),
        [
            "listeners[2].address: the address can be reached from other machines, and nobody can be known there: \
             a certificate counts at a listener with `tls.client_ca`; a user or group counts at a Unix socket, `unix:`"
        ]
    );
    for anonymous in ["allow", "refuse"] {
        let other = format!("{{ address: '0.0.0.0:2', anonymous: {anonymous} }}");
        assert_eq!(at(&other), Vec::<String>::new());
    }
    assert_eq!(at("{ address: '127.0.0.1:2' }"), Vec::<String>::new());
}

#[test]
fn a_listener_looks_at_nothing_that_cannot_be_there() {
    for (listener, expected) in [
        (
            "identify: [client_certificate, api_key]",
            "identify[0]: takes `tls.client_ca`, and the listener has none",
        ),
        (
            "identify: [api_key, unix_peer]",
            "identify[1]: is of a Unix socket, and this is an IP address",
        ),
        (
            "address: 'unix:/b', identify: [api_key, network]",
            "identify[1]: is of IP addresses, and this is a Unix socket",
        ),
    ] {
        let found = wrong(&format!(
            "listeners: [{{ {listener} }}, {{ address: 'unix:/a' }}]\n\
             callers: {{ one: {{ {KEY}, unix_peer: {{ uid: 1 }}, network: {{ cidr: [10.0.0.0/8] }}, client_certificate: {{ dns: a }} }} }}\n"
        ));
        assert_eq!(found, [format!("listeners[0].{expected}")]);
    }
}

#[test]
fn a_route_for_nobody_but_those_whom_every_listener_refuses_is_named() {
    let at = |listener: &str, callers: &str| {
        wrong(&format!(
            "listeners: [{{ address: '127.0.0.1:1' }}, {{ {listener} }}]\ncallers: {{ crm: {{ {KEY} }} }}\n\
             routes: [{{ name: a, match: {{ path: /a }}, sandbox: prod, callers: {callers} }}]\n"
        ))
    };
    let expected = [
        "warning: routes[0].callers: names only anonymous, and every listener refuses who shows nothing",
    ];

    assert_eq!(at("address: 'unix:/a'", "[anonymous]"), expected);
    assert_eq!(at("address: 'unix:/a'", "[{ name: anonymous }]"), expected);
    for (listener, callers) in [
        ("address: 'unix:/a', anonymous: allow", "[anonymous]"),
        ("address: 'unix:/a'", "[anonymous, crm]"),
    ] {
        assert_eq!(at(listener, callers), Vec::<String>::new(), "{listener}");
    }
}

#[test]
fn from_a_caller_that_is_wrong_nothing_else_is_concluded() {
    let found = wrong(
        "listeners: [{ address: '0.0.0.0:1' }]\ncallers: { crm: { api_key: { sha256: abc } } }\n",
    );

    assert!(
        found.len() == 1 && found[0].starts_with("callers.crm.api_key.…: must be "),
        "{found:?}"
    );
}

#[test]
fn a_key_that_everybody_has_is_refused_wherever_its_digest_comes_from() {
    let found = |key: &str| {
        let digest = KeyDigest::of(key.as_bytes());
        let sources = outside().with_variable("DIGEST", digest.to_string());
        let shown = [digest.to_string(), "${env:DIGEST}".to_owned()].map(|digest| {
            let text = with(&format!(
                "callers: {{ crm: {{ api_key: {{ sha256: '{digest}' }} }} }}\n"
            ));
            match config::parse("gateway.yaml", &text, &sources) {
                Ok(_) => String::new(),
                Err(faults) => faults.to_string(),
            }
        });
        let [written, taken] = shown.map(|shown| {
            assert!(!shown.contains(&digest.to_string()), "{shown}");
            let told = |start: &str| {
                let line = shown
                    .lines()
                    .find_map(|line| line.trim().strip_prefix(start));
                line.unwrap_or_default().to_owned()
            };
            (told("error: callers.crm.api_key.…: "), told("= help: "))
        });
        assert_eq!(written, taken);
        written
    };

    let told = |message: &str, help: &str| (message.to_owned(), help.to_owned());
    assert_eq!(
        found(""),
        told(
            "is the digest of an empty key",
            "was $KEY set where it was made?"
        )
    );
    assert_eq!(
        found("test"),
        told(
            "is the digest of `test`, which an example may have had",
            "make a key with openssl rand -hex 32"
        )
    );
    assert_eq!(found("k-crm-3f9a60d2"), told("", ""));
}

#[test]
fn no_route_goes_by_a_field_that_is_taken_out_before() {
    let listeners = "listeners: [{ api_key_header: x-team-key }, { address: 'unix:/a', token_header: X-Token }]";
    for (field, taken_out) in [
        ("authorization", true),
        ("x-team-key", true),
        ("X-Team_Key", true),
        ("x-caller-key", true),
        ("x_token", true),
        ("x-team", false),
        ("x-team-keys", false),
    ] {
        for condition in ["present: true", "present: false", "exact: a"] {
            let found = wrong(&format!(
                "{listeners}\nroutes: [{{ name: a, match: {{ path: /a, headers: [{{ name: {field}, {condition} }}] }}, sandbox: prod }}]\n"
            ));
            let fault = "routes[0].match.headers[0].name: is a field that callers show a proof in, which is taken out before routes are looked at";
            let expected: &[&str] = if taken_out { &[fault] } else { &[] };
            assert_eq!(found, expected, "{field} {condition}");
        }
    }
}
