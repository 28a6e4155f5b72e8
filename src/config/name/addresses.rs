//! Addresses, networks, hosts and what leads to them, as configuration writes them.

use std::net::{IpAddr, SocketAddr};

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
        if net.addr() != net.network() {
            return Err(format!(
                "has address bits after the prefix; the network is {}",
                net.trunc()
            ));
        }
        match as_ipv4(net) {
            None => Ok(Self(net)),
            Some(same) => Err(format!(
                "is a network of IPv4 in the form of IPv6, which no address is taken for; write {same}"
            )),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Returns the network of IPv4 that one of IPv6 stands for.
fn as_ipv4(net: IpNet) -> Option<IpNet> {
    let IpAddr::V4(address) = net.addr().to_canonical() else {
        return None;
    };
    let length = net.prefix_len().checked_sub(MAPPED_BITS)?;
    net.addr().is_ipv6().then_some(())?;
    IpNet::new(address.into(), length).ok()
}

/// How long the prefix is that addresses of IPv4 have in the form of IPv6 (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

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
    fn a_network_that_no_address_is_in_is_refused_with_the_one_that_is_meant() {
        for (mapped, meant) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
        ] {
            let told = Cidr::parse(mapped).unwrap_err();
            assert!(told.ends_with(&format!("; write {meant}")), "{told}");
            assert!(Cidr::parse(meant).is_ok());
        }
        for legal in ["10.0.0.0/8", "::/0", "fd00::/8", "::ffff:0:0:0/96"] {
            assert!(Cidr::parse(legal).is_ok(), "{legal}");
        }
    }

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
