//! How the token service and the Profile API are reached.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Cross, certificates, proxies};
use crate::config::file::{Breaker, Ims, MinTls, Upstream};
use crate::config::format::Written;
use crate::config::path::{KeyPath, top};
use crate::{connect, ims};

/// Makes the settings of the token service.
pub(super) fn ims(
    file: &Ims,
    credentials: Vec<ims::CredentialSettings>,
    cross: &mut Cross<'_>,
) -> ims::Settings {
    let path = top("ims");
    let connect = connect::Settings {
        called: "IMS",
        origin: file.url.0.clone(),
        address: address(file.address.as_ref(), &path, cross),
        http2: false,
        connect_timeout: CONNECT_TIMEOUT,
        tls_timeout: TLS_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        lifetime: LIFETIME,
        connections: CONNECTIONS,
        waiting: usize::MAX,
        // Whoever renews tokens holds back on their own.
        breaker: None,
        extra_roots: certificates::read(file.ca_file.as_ref(), &path.key("ca_file"), cross),
        min_tls: min_tls(file.min_tls),
        client_certificate: certificates::client(file.client_certificate.as_ref(), &path, cross),
        proxy: proxies::of(
            file.egress_proxy.as_ref(),
            &file.url.0,
            file.address.is_some(),
            &path,
            cross,
        ),
    };
    require_tls(
        &connect,
        file.allow_plain_http,
        "client secrets",
        &path,
        cross,
    );
    ims::Settings {
        connect,
        paths: ims::Paths {
            exchange: file.exchange_path.0.0.clone(),
            token: file.token_path.0.0.clone(),
        },
        timeout: file.timeout.0,
        credentials,
    }
}

/// Makes the settings of the Profile API.
pub(super) fn upstream(file: &Upstream, cross: &mut Cross<'_>) -> connect::Settings {
    let path = top("upstream");
    let connect = connect::Settings {
        called: "the upstream",
        origin: file.url.0.clone(),
        address: address(file.address.as_ref(), &path, cross),
        http2: file.http2,
        connect_timeout: file.connect_timeout.0,
        tls_timeout: file.tls_timeout.0,
        idle_timeout: file.idle_timeout.0,
        lifetime: file.connection_lifetime.0,
        connections: file.connections,
        waiting: file.waiting,
        breaker: breaker(&file.breaker),
        extra_roots: certificates::read(file.ca_file.as_ref(), &path.key("ca_file"), cross),
        min_tls: min_tls(file.min_tls),
        client_certificate: certificates::client(file.client_certificate.as_ref(), &path, cross),
        proxy: proxies::of(
            file.egress_proxy.as_ref(),
            &file.url.0,
            file.address.is_some(),
            &path,
            cross,
        ),
    };
    require_tls(
        &connect,
        file.allow_plain_http,
        "tokens and profiles",
        &path,
        cross,
    );
    connect
}

fn breaker(file: &Breaker) -> Option<connect::breaker::Settings> {
    (file.failures > 0).then_some(connect::breaker::Settings {
        failures: file.failures,
        window: file.window.0,
        percent: file.percent,
        longest_pause: file.longest_pause.0,
    })
}

pub(super) fn min_tls(written: MinTls) -> connect::MinTls {
    match written {
        MinTls::Tls12 => connect::MinTls::Tls12,
        MinTls::Tls13 => connect::MinTls::Tls13,
    }
}

pub(super) fn address(
    written: Option<&Written<SocketAddr>>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<SocketAddr> {
    let address = written?.0;
    if address.port() == 0 {
        let message = "port 0 cannot be connected to";
        cross.fault(&path.key("address"), &[], message, |fault| {
            fault.help("write the port, such as 443")
        });
    }
    Some(address)
}

fn require_tls(
    connect: &connect::Settings,
    allow_plain_http: bool,
    what: &str,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    if connect.origin.is_tls() {
        return;
    }
    if connect.client_certificate.is_some() {
        let certificate = path.key("client_certificate");
        let message = "is for https, and `url` is plain http";
        cross.fault(&certificate, &[&path.key("url")], message, |fault| {
            fault.help("write https:// in `url`, or leave it out")
        });
    }
    if connect.is_loopback() || allow_plain_http {
        return;
    }
    let message = format!("plain http would send {what} readable over the network");
    cross.fault(&path.key("url"), &[&path.key("allow_plain_http")], message, |fault| {
        fault.help("write https://, or add `allow_plain_http: true` if the way there is protected otherwise")
    });
}

// The token service and issuers are called rarely, and once at a time, so these matter little there and have no keys.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const TLS_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
pub(super) const LIFETIME: Duration = Duration::from_mins(10);
pub(super) const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");
