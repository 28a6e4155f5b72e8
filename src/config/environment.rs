//! The environment's word on proxies: `HTTPS_PROXY` and `NO_PROXY`, as other programs understand them.

use std::net::IpAddr;

use super::sources::Sources;
use crate::connect::{Origin, Proxy};

/// Why the environment's proxy cannot be used. It quotes no value, since there may be a password in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong, with the variable's name.
    pub(super) message: String,
}

/// Returns the proxy that `HTTPS_PROXY`, or else `https_proxy`, names for `origin`.
///
/// It is for https alone: what plain http says is readable for the proxy, so it takes the file's word to go there. (That
/// also keeps away from `HTTP_PROXY`, which a web server may have set from a caller's `Proxy` field.) Loopback has no
/// proxy, and neither has what `NO_PROXY`, or else `no_proxy`, excepts.
///
/// # Errors
/// When the variable that counts names no proxy.
pub(super) fn proxy(origin: &Origin, sources: &dyn Sources) -> Result<Option<Proxy>, Fault> {
    if !origin.is_tls() || origin.is_loopback() {
        return Ok(None);
    }
    let Some((name, value)) = first(["HTTPS_PROXY", "https_proxy"], sources) else {
        return Ok(None);
    };
    let excepted = first(["NO_PROXY", "no_proxy"], sources);
    if excepted.is_some_and(|(_, list)| excepts(&list, origin.host(), origin.port())) {
        return Ok(None);
    }
    let url = if value.contains("://") {
        value
    } else {
        format!("http://{value}")
    };
    let proxy = url.parse::<Proxy>().map_err(|error| Fault {
        message: format!("the environment variable {name} {error}"),
    })?;
    Ok(Some(proxy))
}

/// Returns the first of these variables that is set and not empty.
fn first(names: [&'static str; 2], sources: &dyn Sources) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| {
        let value = sources.variable(name)?;
        // What is no text fits no grammar either, and is told then.
        let value = value.to_string_lossy().trim().to_owned();
        (!value.is_empty()).then_some((name, value))
    })
}

/// Tells whether a list of exceptions names a host: by its name or one it lies below (`example.com`), by one it lies below
/// (`.example.com`, `*.example.com`), by its address or network (`10.0.0.0/8`), each with a port or without; or all (`*`).
///
/// The list is for all programs, so what is none of these is passed over.
fn excepts(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| excepts_one(entry, &host, address, port))
}

fn excepts_one(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(network) = network(entry) {
        return address.is_some_and(|address| network.holds(address));
    }
    let Some(name) = without_port(entry, port) else {
        return false;
    };
    if let Some(of_entry) = as_address(name) {
        return address.map(|it| it.to_canonical()) == Some(of_entry.to_canonical());
    }
    if address.is_some() {
        return false;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let below = |parent: &str| {
        let rest = host.strip_suffix(parent);
        !parent.is_empty() && rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    };
    match name.strip_prefix("*.").or(name.strip_prefix('.')) {
        Some(parent) => below(parent),
        None => host == name || below(&name),
    }
}

/// Takes a port off the end, or returns `None` when it is another than `port`.
fn without_port(entry: &str, port: u16) -> Option<&str> {
    // An address of IPv6 has colons of its own, and brackets when a port follows.
    if entry.parse::<IpAddr>().is_ok() {
        return Some(entry);
    }
    match entry.rsplit_once(':') {
        Some((_, digits)) if digits.parse::<u16>().is_err() => Some(entry),
        Some((name, digits)) => (digits.parse() == Ok(port)).then_some(name),
        None => Some(entry),
    }
}

fn as_address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

/// A network in CIDR notation.
struct Network {
    address: IpAddr,
    bits: u32,
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = text.split_once('/')?;
    Some(Network {
        address: as_address(address)?,
        bits: bits.parse().ok()?,
    })
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same(
                network.to_bits().into(),
                address.to_bits().into(),
                32,
                self.bits,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(network.to_bits(), address.to_bits(), 128, self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Tells whether the first `bits` of two addresses of `all` bits are the same.
fn same(one: u128, other: u128, all: u32, bits: u32) -> bool {
    let Some(rest) = all.checked_sub(bits) else {
        return false;
    };
    (one ^ other).checked_shr(rest).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Supplied;

    fn chosen(origin: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let sources = variables
            .iter()
            .fold(Supplied::default(), |all, (name, value)| {
                all.with_variable(name, *value)
            });
        let proxy = proxy(&origin.parse().unwrap(), &sources);
        proxy
            .map(|proxy| proxy.map(|proxy| proxy.to_string()))
            .map_err(|fault| fault.message)
    }

    const PLATFORM: &str = "https://platform.adobe.io";

    #[test]
    fn https_goes_through_the_environments_proxy_and_nothing_else_does() {
        let upper = ("HTTPS_PROXY", "http://u:p@upper:1");
        let lower = ("https_proxy", "lower:2");
        for (origin, variables, expected) in [
            (PLATFORM, &[upper][..], Some("http://upper:1")),
            (PLATFORM, &[lower], Some("http://lower:2")),
            (PLATFORM, &[upper, lower], Some("http://upper:1")),
            (
                PLATFORM,
                &[("HTTPS_PROXY", " "), lower],
                Some("http://lower:2"),
            ),
            (
                PLATFORM,
                &[("HTTP_PROXY", "http://a:1"), ("ALL_PROXY", "http://a:1")],
                None,
            ),
            (PLATFORM, &[upper, ("NO_PROXY", "adobe.io")], None),
            (PLATFORM, &[upper, ("no_proxy", "adobe.io")], None),
            (
                PLATFORM,
                &[upper, ("NO_PROXY", "other"), ("no_proxy", "*")],
                Some("http://upper:1"),
            ),
            ("http://platform.adobe.io", &[upper], None),
            ("https://localhost", &[upper], None),
            ("https://127.0.0.1:8443", &[upper], None),
            ("https://[::1]", &[upper], None),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(
                chosen(origin, variables),
                Ok(expected),
                "{origin} {variables:?}"
            );
        }
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_a_fault_unless_it_does_not_count() {
        let wrong = [("https_proxy", "socks5://u:s3cret@proxy:1080")];
        let expected = "the environment variable https_proxy is not a proxy's URL such as http://proxy.example.com:3128";

        assert_eq!(chosen(PLATFORM, &wrong), Err(expected.to_owned()));
        assert_eq!(chosen("https://localhost", &wrong), Ok(None));
        assert_eq!(chosen(PLATFORM, &[wrong[0], ("NO_PROXY", "*")]), Ok(None));
    }

    #[test]
    fn exceptions_are_names_suffixes_addresses_and_networks() {
        for (list, host, port, expected) in [
            ("*", "a.example.com", 443, true),
            ("a.example.com", "a.example.com", 443, true),
            ("A.Example.COM.", "a.example.com", 443, true),
            ("example.com", "a.example.com", 443, true),
            (".example.com", "a.example.com", 443, true),
            ("*.example.com", "b.a.example.com", 443, true),
            ("example.com", "badexample.com", 443, false),
            (".example.com", "example.com", 443, false),
            ("*.example.com", "example.com", 443, false),
            (".", "example.com", 443, false),
            ("other, example.com", "example.com", 443, true),
            ("other example.com", "example.com", 443, true),
            ("example.com:443", "example.com", 443, true),
            ("example.com:8443", "example.com", 443, false),
            (".example.com:443", "a.example.com", 443, true),
            ("192.0.2.1", "192.0.2.1", 443, true),
            ("192.0.2.1:443", "192.0.2.1", 443, true),
            ("192.0.2.1:80", "192.0.2.1", 443, false),
            ("::ffff:192.0.2.1", "192.0.2.1", 443, true),
            ("2001:db8::1", "2001:db8::1", 443, true),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("[2001:db8::1]", "2001:db8::1", 443, true),
            ("192.0.2.0/24", "192.0.2.77", 443, true),
            ("192.0.2.0/24", "192.0.3.77", 443, false),
            ("192.0.2.0/0", "10.0.0.1", 443, true),
            ("192.0.2.0/33", "192.0.2.0", 443, false),
            ("192.0.2.1/32", "192.0.2.1", 443, true),
            ("2001:db8::/32", "2001:db8::9", 443, true),
            ("2001:db8::/32", "192.0.2.1", 443, false),
            ("192.0.2.0/24", "a.example.com", 443, false),
            ("2.1", "192.0.2.1", 443, false),
            ("10.*, <local>, a/b, :443, :", "a.example.com", 443, false),
        ] {
            assert_eq!(excepts(list, host, port), expected, "{list} {host}");
        }
    }
}
