//! Addresses, networks, hosts and what leads to them, as configuration writes them.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::format::Format;
use crate::connect::Proxy;
use crate::connect::proxy::InvalidProxy;

impl Format for SocketAddr {
    const NAME: &'static str = "socket-address";
    const WHAT: &'static str = "an IP address and port such as 127.0.0.1:8080 or [::]:8080";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("must be {}", Self::WHAT))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Cidr(pub(in crate::config) IpNet);

impl Format for Cidr {
    const NAME: &'static str = "cidr";
    const WHAT: &'static str = "a network such as 10.1.0.0/16 or fd00::/8";
    const EXAMPLE: &'static str = "10.1.0.0/16";

    fn parse(text: &str) -> Result<Self, String> {
        let net: IpNet = text
            .parse()
            .map_err(|_| format!("must be {}", Self::WHAT))?;
        if net.addr() == net.network() {
            Ok(Self(net))
        } else {
            Err(format!(
                "has address bits after the prefix; the network is {}",
                net.trunc()
            ))
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// The name of a host, as callers address it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct HostName(pub(in crate::config) String);

impl Format for HostName {
    const NAME: &'static str = "host-name";
    const WHAT: &'static str =
        "a host name in lower case, without a port, such as profile.internal";
    const EXAMPLE: &'static str = "profile.internal";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        };
        if !text.is_empty() && text.len() <= 253 && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A proxy for egress, or the decision to use none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum EgressProxy {
    None,
    Through(Proxy),
}

impl Format for EgressProxy {
    const NAME: &'static str = "egress-proxy";
    const WHAT: &'static str = "none, or a proxy's URL such as http://proxy.example.com:3128";
    const EXAMPLE: &'static str = "http://proxy.example.com:3128";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let proxy = text.parse();
        proxy
            .map(Self::Through)
            .map_err(|error: InvalidProxy| error.to_string())
    }

    fn show(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            // Without the login, which is a secret.
            Self::Through(proxy) => match (proxy.to_string(), proxy.has_login()) {
                (shown, false) => shown,
                (shown, true) => shown.replacen("://", "://(secret)@", 1),
            },
        }
    }
}

/// The path of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct UrlPath(pub(in crate::config) String);

impl Format for UrlPath {
    const NAME: &'static str = "url-path";
    const WHAT: &'static str = "an absolute path such as /ims/token/v3";
    const EXAMPLE: &'static str = "/ims/token/v3";

    fn parse(text: &str) -> Result<Self, String> {
        let uri = text.parse::<http::Uri>().ok();
        if uri.is_some_and(|uri| {
            text.starts_with('/') && !text.starts_with("//") && uri.path() == text
        }) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}, without a query", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_path_has_no_query_or_host() {
        assert!(UrlPath::parse("/ims/token/v3").is_ok());
        for wrong in [
            "",
            "ims",
            "/a?b",
            "/a b",
            "//host/a",
            "https://host/a",
            "/a#b",
            "*",
        ] {
            assert!(UrlPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
