//! What replicas share: what is refused, and that nothing secret of it is shown.

use std::time::Duration;

use profile_gateway::config::{self, Settings};
use profile_gateway::secret::Secret;
use profile_gateway::shared::Mode;

use super::{SHARED, faults, messages, sources, with};

/// A legal file with more keys in the section.
fn section(more: &str) -> String {
    let lines: Vec<String> = more.lines().map(|line| format!("    {line}\n")).collect();
    with(&format!("{SHARED}{}", lines.concat()))
}

fn load(text: &str) -> Settings {
    config::parse("gateway.yaml", text, &sources()).expect("the text is legal")
}

const SERVERS: &str = "['redis.internal:6379']";
const KEYS: &str = "[{ id: k1, key: '${file:/var/run/secrets/shared/k1}' }]";

#[test]
fn what_is_left_out_has_a_default() {
    let shared = load(&with(SHARED)).shared.unwrap();

    let Mode::Single { server, database } = shared.mode else {
        panic!("{:?}", shared.mode);
    };
    assert_eq!(
        (server.to_string().as_str(), database),
        ("redis.internal:6379", 0)
    );
    assert!(shared.tls && !shared.allow_plain && shared.login.is_none());
    assert_eq!(shared.prefix, "profile-gateway");
    assert_eq!(shared.timeout, Duration::from_millis(250));
    assert!(load(&with("")).shared.is_none());
}

#[test]
fn every_mode_has_what_belongs_to_it() {
    let cluster = with(SHARED).replace(SERVERS, "['a:1', 'b:2']") + "    mode: cluster\n";
    let sentinel = with(SHARED).replace(SERVERS, "['a:1', 'b:2']")
        + "    mode: sentinel\n    sentinel: { service: mymaster, password: hidden }\n    database: 2\n";

    let Mode::Cluster { seeds } = load(&cluster).shared.unwrap().mode else {
        panic!("no cluster");
    };
    assert_eq!(seeds.len(), 2);
    let Mode::Sentinel {
        sentinels,
        service,
        login,
        database,
    } = load(&sentinel).shared.unwrap().mode
    else {
        panic!("no sentinels");
    };
    assert_eq!(
        (sentinels.len(), service.as_str(), database),
        (2, "mymaster", 2)
    );
    assert_eq!(
        login
            .as_ref()
            .map(|login| &login.password)
            .map(Secret::expose),
        Some("hidden")
    );
}

#[test]
fn clear_text_is_for_loopback_unless_it_is_written_out() {
    for (servers, more) in [
        ("['localhost:6379']", "tls: false"),
        ("['[::1]:6379']", "tls: false"),
        (SERVERS, "tls: false\nallow_plain: true"),
    ] {
        let text = section(more).replace(SERVERS, servers);
        assert!(!load(&text).shared.unwrap().tls);
    }
}

#[test]
fn contradictions_are_named_with_their_place() {
    for (text, expected) in [
        (
            section("tls: false"),
            "shared.redis.servers[0]: without TLS logins would be readable on the way to this server",
        ),
        (
            section("").replace(SERVERS, "['a:1', 'b:1']"),
            "shared.redis.servers[1]: there is more than one server, and `mode` is `single`",
        ),
        (
            section("mode: cluster").replace(SERVERS, "['a:1', 'b:1', 'A:1']"),
            "shared.redis.servers[2]: stands in the list twice",
        ),
        (
            section("mode: cluster\ndatabase: 1"),
            "shared.redis.database: a cluster has no database but 0",
        ),
        (
            section("mode: sentinel"),
            "shared.redis.sentinel: is missing: with `mode: sentinel` it names the service",
        ),
        (
            section("mode: sentinel\nsentinel: {}"),
            "shared.redis.sentinel.service: is missing",
        ),
        (
            section("sentinel: { service: mymaster }"),
            "shared.redis.sentinel: is for `mode: sentinel`",
        ),
        (
            section("username: gateway"),
            "shared.redis.username: there is no password for this user",
        ),
        (
            section("mode: sentinel\nsentinel: { service: a, username: b }"),
            "shared.redis.sentinel.username: there is no password for this user",
        ),
        (
            section("ca_file: /none.pem"),
            "shared.redis.ca_file: the file does not exist",
        ),
        (
            section("timeout: 9ms"),
            "shared.redis.timeout: must be from 10ms to 5s",
        ),
        (
            section("").replace(SERVERS, "['redis://redis.internal']"),
            "shared.redis.servers[0]: must be a host and a port such as redis.internal:6379 or [::1]:6379",
        ),
        (
            section("").replace(SERVERS, "[]"),
            "shared.redis.servers: must have at least one entry",
        ),
        (
            section("").replace(KEYS, "[]"),
            "shared.redis.encryption_keys: must have at least one entry",
        ),
        (
            section("").replace(KEYS, &format!("[{{ id: k1, key: {} }}]", "0".repeat(64))),
            "shared.redis.encryption_keys[0].key: is the example, which everybody knows",
        ),
        (with("shared: {}"), "shared.redis: is missing"),
    ] {
        assert_eq!(messages(&text), [expected], "{text}");
    }
}

#[test]
fn keys_are_told_apart() {
    let one = "'${file:/var/run/secrets/shared/k1}'";
    let other = "'${file:/var/run/secrets/shared/k2}'";
    for (keys, expected) in [
        (
            format!(
                "[{{ id: a, key: {one} }}, {{ id: b, key: {other} }}, {{ id: a, key: {} }}]",
                "5".repeat(64)
            ),
            "shared.redis.encryption_keys[2].id: another key has this id already",
        ),
        (
            format!("[{{ id: a, key: {one} }}, {{ id: b, key: {one} }}]"),
            "shared.redis.encryption_keys[1].key: is the same key as shared.redis.encryption_keys[0].key",
        ),
    ] {
        assert_eq!(messages(&section("").replace(KEYS, &keys)), [expected]);
    }
}

#[test]
fn nothing_secret_is_shown_when_it_is_wrong() {
    for text in [
        section("").replace(KEYS, "[{ id: k1, key: p8e-hidden }]"),
        section("").replace(KEYS, "[{ id: k1, keys: p8e-hidden }]"),
        section("").replace(KEYS, "[{ id: k1, key: '${env:HIDDEN}' }]"),
        section("").replace(KEYS, "[{ id: k1, key: p8e-hidden, key: p8e-hidden }]"),
        section("encryption_key: p8e-hidden"),
        section("password: 'p8e hidden'"),
        section("passwords: p8e-hidden"),
        section("pass_word: x\npassword: [p8e-hidden]"),
        section("mode: sentinel\nsentinel: { service: a, password: 'p8e hidden' }"),
        section("password: \"p8e-hidden"),
        section("password: *p8e-hidden"),
    ] {
        let shown = faults(&text);

        assert!(
            !shown.contains("hidden") && !shown.contains("s3ntinel"),
            "{shown}"
        );
    }
    let settings = load(&section("password: p8e-hidden"));
    assert!(!format!("{settings:?}").contains("hidden"));
}
