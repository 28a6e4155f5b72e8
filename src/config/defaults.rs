//! The values that take effect where the file is silent.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::file::{
    Admin, AuditTarget, Auto, Breaker, ClientCredentials, Drain, DrainTimes, Forwarded, Grant, Ims,
    Listener, ListenerLimits, Log, LogFormat, LogLevel, Method, MinTls, Retries, Scopes, Stdout,
    Upstream, Workers,
};
use super::format::Written;
use super::name::Name;
use super::quantity::ByteSize;
use crate::forward::Sign;

pub(super) fn audit_keep() -> NonZeroUsize {
    NonZeroUsize::new(10).expect("it is not zero")
}

pub(super) fn audit_size() -> Written<ByteSize> {
    Written::known("100MiB")
}

pub(super) fn audit_target() -> AuditTarget {
    AuditTarget::Word(Stdout::Stdout)
}

pub(super) fn cost() -> NonZeroU32 {
    NonZeroU32::MIN
}

pub(super) fn timeout() -> Written<Duration> {
    Written::known("65s")
}

pub(super) fn issuer_timeout() -> Written<Duration> {
    Written::known("5s")
}

pub(super) fn leeway() -> Written<Duration> {
    Written::known("10s")
}

pub(super) fn min_refresh() -> Written<Duration> {
    Written::known("10s")
}

pub(super) fn min_tls() -> MinTls {
    MinTls::Tls12
}

pub(super) fn prefix() -> Written<Name> {
    Written::known("profile-gateway")
}

pub(super) fn refresh() -> Written<Duration> {
    Written::known("5m")
}

pub(super) fn require_nbf() -> bool {
    true
}

pub(super) fn required() -> bool {
    true
}

pub(super) fn request_idle() -> Written<Duration> {
    Written::known("30s")
}

pub(super) fn retry() -> bool {
    true
}

pub(super) fn shared_timeout() -> Written<Duration> {
    Written::known("250ms")
}

pub(super) fn stale() -> Written<Duration> {
    Written::known("24h")
}

pub(super) fn tls() -> bool {
    true
}

pub(super) fn in_flight() -> NonZeroUsize {
    NonZeroUsize::new(1024).expect("it is not zero")
}

pub(super) fn listeners() -> Vec<Listener> {
    vec![Listener::default()]
}

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
    ]
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Written::known("127.0.0.1:9901"),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 10,
            longest_pause: Written::known("5s"),
            percent: 50,
            window: Written::known("10s"),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::Times(DrainTimes::default())
    }
}

impl Default for DrainTimes {
    fn default() -> Self {
        Self {
            delay: Written::known("5s"),
            timeout: Written::known("30s"),
        }
    }
}

impl Default for Grant {
    fn default() -> Self {
        Self::Word(ClientCredentials::ClientCredentials)
    }
}

impl Default for Ims {
    fn default() -> Self {
        Self {
            address: None,
            allow_plain_http: false,
            ca_file: None,
            client_certificate: None,
            egress_proxy: None,
            exchange_path: Written::known("/ims/exchange/jwt"),
            min_tls: MinTls::Tls12,
            timeout: Written::known("5s"),
            token_path: Written::known("/ims/token/v3"),
            url: Written::known("https://ims-na1.adobelogin.com"),
        }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: Written::known("127.0.0.1:8080"),
            anonymous: None,
            api_key_header: Written::known("x-caller-key"),
            backlog: 1024,
            group: None,
            http2: true,
            identify: None,
            limits: ListenerLimits::default(),
            mode: None,
            owner: None,
            public_url: None,
            reuse_port: false,
            tls: None,
            token_header: Written::known("authorization"),
        }
    }
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            fields: 100,
            head: Written::known("32KiB"),
            head_timeout: Written::known("10s"),
            idle_timeout: Written::known("75s"),
            target: Written::known("16KiB"),
            tls_timeout: None,
            write_timeout: Written::known("60s"),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: LogLevel::Info,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 2,
            budget_floor: 3,
            budget_percent: 20,
            longest_pause: Written::known("250ms"),
            pause: Written::known("25ms"),
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            address: None,
            allow_plain_http: false,
            breaker: Breaker::default(),
            ca_file: None,
            client_certificate: None,
            connect_timeout: Written::known("3s"),
            connection_lifetime: Written::known("10m"),
            connections: NonZeroUsize::new(256).expect("it is not zero"),
            drop_answer_fields: Vec::new(),
            egress_proxy: None,
            forwarded: Forwarded::default(),
            http2: false,
            idle_timeout: Written::known("45s"),
            min_tls: MinTls::Tls12,
            request_body: Written::known("10MiB"),
            response_idle_timeout: Written::known("60s"),
            retries: Retries::default(),
            rewrite_links: true,
            tls_timeout: Written::known("3s"),
            token_refused_by: Sign::DEFAULT.map(Written::known).to_vec(),
            url: Written::known("https://platform.adobe.io"),
            waiting: 1024,
        }
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self::One(Written::known(
            "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session",
        ))
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::Auto(Auto::Auto)
    }
}
