//! Who signs the tokens of callers, in the order they are written.

use std::collections::BTreeMap;

use super::{Cross, certificates, origins, proxies};
use crate::config::file::TokenIssuer;
use crate::config::path::{KeyPath, top};
use crate::connect;
use crate::issuers::{IssuerSettings, KeySet, Rules, Server, Settings, Source, Url};

/// Makes the settings of the issuers.
pub(super) fn build(file: &BTreeMap<String, TokenIssuer>, cross: &mut Cross<'_>) -> Settings {
    let mut built: Vec<IssuerSettings> = Vec::new();
    for name in cross.names("issuers") {
        let Some(issuer) = file.get(&name) else {
            continue;
        };
        let path = top("issuers").key(&name);
        check_distinct(issuer, &path, &built, cross);
        if let Some(source) = source(issuer, &path, cross) {
            built.push(IssuerSettings {
                name,
                rules: Rules {
                    issuer: issuer.issuer.0.0.clone(),
                    audiences: issuer.audiences.iter().map(|it| it.0.0.clone()).collect(),
                    leeway: issuer.leeway.0,
                    require_nbf: issuer.require_nbf,
                },
                source,
                required: issuer.required,
            });
        }
    }
    Settings { issuers: built }
}

/// Reports an issuer whose tokens are those of an earlier one.
fn check_distinct(
    issuer: &TokenIssuer,
    path: &KeyPath,
    earlier: &[IssuerSettings],
    cross: &mut Cross<'_>,
) {
    let same = |other: &&IssuerSettings| other.rules.issuer == issuer.issuer.0.0;
    if let Some(other) = earlier.iter().find(same) {
        let other = top("issuers").key(&other.name).key("issuer");
        let place = cross.root.place_of(&other);
        let message = "another issuer has this `iss` already, and tokens name nothing else";
        cross.fault(&path.key("issuer"), &[&other], message, |fault| {
            fault
                .also(place, "the other one is here")
                .help("write both audiences in one of them")
        });
    }
}

/// Returns where the keys come from, or `None` when that was reported as wrong.
fn source(issuer: &TokenIssuer, path: &KeyPath, cross: &mut Cross<'_>) -> Option<Source> {
    check_one_source(issuer, path, cross);
    check_times(issuer, path, cross);
    if let Some(file) = &issuer.jwks_file {
        check_no_server(path, cross);
        let path = path.key("jwks_file");
        let content = certificates::content(file, &path, cross)?;
        return match KeySet::read(&content) {
            Ok(keys) => Some(Source::File(keys)),
            Err(invalid) => {
                cross.fault(&path, &[], format!("the file {invalid}"), |fault| fault);
                None
            }
        };
    }
    let (url, key, is_discovery) = match (&issuer.jwks_url, &issuer.discovery) {
        (Some(url), _) => (url.0.clone(), "jwks_url", false),
        (None, Some(url)) => (
            discovery(&url.0, "discovery", path, cross)?,
            "discovery",
            true,
        ),
        (None, None) => {
            let Ok(url) = issuer.issuer.0.0.parse() else {
                let message = "is no URL that a discovery document could be below";
                cross.fault(&path.key("issuer"), &[], message, |fault| {
                    fault.help(
                        "add `discovery`, `jwks_url` or `jwks_file`, where its keys come from",
                    )
                });
                return None;
            };
            (discovery(&url, "issuer", path, cross)?, "issuer", true)
        }
    };
    let connect = connect(issuer, &url, path, cross);
    if !connect.origin.is_tls() && !connect.is_loopback() && !issuer.allow_plain_http {
        let message = "plain http would let anybody on the way give keys of their own";
        cross.fault(&path.key(key), &[&path.key("allow_plain_http")], message, |fault| {
            fault.help("write https://, or add `allow_plain_http: true` if the way there is protected otherwise")
        });
    }
    Some(Source::Server(Box::new(Server {
        url,
        is_discovery,
        connect,
        bearer: issuer.bearer.as_ref().map(|bearer| bearer.0.clone()),
        timeout: issuer.timeout.0,
        refresh: issuer.refresh.0,
        min_refresh: issuer.min_refresh.0,
        stale: issuer.stale.0,
    })))
}

/// Returns where the discovery document below `url` is, which stands at `key`.
fn discovery(url: &Url, key: &str, path: &KeyPath, cross: &mut Cross<'_>) -> Option<Url> {
    let found = url.discovery();
    if found.is_none() {
        let message = "has a query, and a discovery document is below a path";
        cross.fault(&path.key(key), &[], message, |fault| {
            fault.help("leave the query out, or write the whole URL of the keys in `jwks_url`")
        });
    }
    found
}

fn connect(
    issuer: &TokenIssuer,
    url: &Url,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> connect::Settings {
    let certificate = issuer.client_certificate.as_ref();
    connect::Settings {
        called: "the issuer",
        origin: url.origin().clone(),
        address: origins::address(issuer.address.as_ref(), path, cross),
        http2: false,
        connect_timeout: origins::CONNECT_TIMEOUT,
        tls_timeout: origins::TLS_TIMEOUT,
        idle_timeout: origins::IDLE_TIMEOUT,
        lifetime: origins::LIFETIME,
        connections: origins::CONNECTIONS,
        waiting: usize::MAX,
        // Whoever keeps the keys fresh holds back on their own.
        breaker: None,
        extra_roots: certificates::read(issuer.ca_file.as_ref(), &path.key("ca_file"), cross),
        min_tls: origins::min_tls(issuer.min_tls),
        client_certificate: certificates::client(certificate, path, cross),
        proxy: proxies::of(
            issuer.egress_proxy.as_ref(),
            url.origin(),
            issuer.address.is_some(),
            path,
            cross,
        ),
    }
}

fn check_one_source(issuer: &TokenIssuer, path: &KeyPath, cross: &mut Cross<'_>) {
    let mut written = [
        ("discovery", issuer.discovery.is_some()),
        ("jwks_url", issuer.jwks_url.is_some()),
        ("jwks_file", issuer.jwks_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_written)| is_written.then_some(key));
    if let (Some(first), Some(second)) = (written.next(), written.next()) {
        let message = format!("says where the keys come from, and so does `{first}`");
        cross.fault(&path.key(second), &[&path.key(first)], message, |fault| {
            fault.help("leave one of them out")
        });
    }
}

fn check_times(issuer: &TokenIssuer, path: &KeyPath, cross: &mut Cross<'_>) {
    let refresh = path.key("refresh");
    if issuer.min_refresh.0 > issuer.refresh.0 {
        let message = "is longer than `refresh`, after which keys are fetched anyway";
        cross.fault(&path.key("min_refresh"), &[&refresh], message, |fault| {
            fault
        });
    }
    if issuer.stale.0 < issuer.refresh.0 {
        let message =
            "is shorter than `refresh`: keys would be too old before they are fetched anew";
        cross.fault(&path.key("stale"), &[&refresh], message, |fault| fault);
    }
}

/// Reports what is for a server when the keys come from a file.
fn check_no_server(path: &KeyPath, cross: &mut Cross<'_>) {
    for key in OF_A_SERVER {
        let path = path.key(key);
        if cross.root.at(&path).is_some() {
            let message = "is for keys of a server, and these come from `jwks_file`";
            cross.fault(&path, &[], message, |fault| fault.help("leave it out"));
        }
    }
}

const OF_A_SERVER: [&str; 11] = [
    "address",
    "allow_plain_http",
    "bearer",
    "ca_file",
    "client_certificate",
    "egress_proxy",
    "min_refresh",
    "min_tls",
    "refresh",
    "stale",
    "timeout",
];
