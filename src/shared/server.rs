//! Where a server is: a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host and a port, such as `redis.internal:6379` or `[::1]:6379`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    host: String,
    port: u16,
}

/// The text is not a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a host and a port such as redis.internal:6379 or [::1]:6379")]
pub struct InvalidServer;

impl Server {
    /// Returns the host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells whether the host is this machine, by address or by the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// Returns the server that a node of a cluster names, in the node's own spelling: an IPv6 address has no brackets
    /// there, and without a host the server is another port of `here`.
    ///
    /// # Errors
    /// [`InvalidServer`] when it is neither.
    pub(super) fn named_by(here: &Self, text: &str) -> Result<Self, InvalidServer> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidServer)?;
        let host = if host.is_empty() || host == "?" {
            &here.host
        } else {
            host
        };
        Self::of(host, port)
    }

    /// Returns the server with a bare host.
    ///
    /// # Errors
    /// [`InvalidServer`] when the host is neither a name nor an address, or the port is none.
    pub(super) fn of(host: &str, port: &str) -> Result<Self, InvalidServer> {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let named = !host.is_empty() && host.len() <= MOST_HOST_BYTES && host.bytes().all(legal);
        match port {
            Some(port) if named || host.parse::<Ipv6Addr>().is_ok() => Ok(Self {
                host: host.to_ascii_lowercase(),
                port,
            }),
            _ => Err(InvalidServer),
        }
    }
}

impl FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidServer)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(bare) if bare.contains(':') => Self::of(bare, port),
            None if !host.contains(':') => Self::of(host, port),
            Some(_) | None => Err(InvalidServer),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The longest name DNS can carry, in bytes (RFC 1035 §2.3.4).
const MOST_HOST_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for text in [
            "redis.internal:6379",
            "10.0.0.5:1",
            "[::1]:65535",
            "redis_0.redis:6379",
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "redis",
            ":6379",
            "redis:",
            "redis:0",
            "redis:+1",
            "redis:65536",
            "::1:6379",
            "[redis]:1",
            "redis://a:1",
            "a b:1",
            "user@a:1",
        ] {
            assert_eq!(wrong.parse::<Server>(), Err(InvalidServer), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_known_by_address_and_by_name() {
        let loopback = |text: &str| text.parse::<Server>().unwrap().is_loopback();

        assert!(loopback("localhost:1") && loopback("LOCALHOST:1") && loopback("127.8.0.1:1"));
        assert!(loopback("[::1]:1") && loopback("[::ffff:127.0.0.1]:1"));
        assert!(!loopback("localhost.example.com:1") && !loopback("10.0.0.1:1"));
    }

    #[test]
    fn nodes_name_each_other_without_brackets_and_sometimes_without_a_host() {
        let here: Server = "redis.internal:6379".parse().unwrap();
        let named = |text: &str| Server::named_by(&here, text).map(|server| server.to_string());

        assert_eq!(named("10.0.0.5:6380"), Ok("10.0.0.5:6380".to_owned()));
        assert_eq!(named("fd00::5:6380"), Ok("[fd00::5]:6380".to_owned()));
        assert_eq!(named(":6381"), Ok("redis.internal:6381".to_owned()));
        assert_eq!(named("6381"), Err(InvalidServer));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_shown_the_same(text in ".*") {
            if let Ok(server) = text.parse::<Server>() {
                prop_assert_eq!(server.to_string().parse::<Server>(), Ok(server));
            }
        }
    }
}
