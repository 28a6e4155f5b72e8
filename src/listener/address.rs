//! Where callers connect: an IP address and port, or a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port. `[::]` takes callers over IPv4 too.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is neither kind.
    #[error(
        "must be an IP address and port such as 127.0.0.1:8080 or [::]:8080, or a Unix socket such as unix:/run/gateway.sock"
    )]
    Neither,
    /// The path of the socket is relative, or that of a folder.
    #[error("must have the absolute path of a socket after unix:, such as unix:/run/gateway.sock")]
    Path,
    /// The system has no room for the path.
    #[error("has a path of {0} bytes; that of a socket may have {LONGEST_PATH}")]
    TooLong(usize),
}

/// Bytes, the end of Linux's `sockaddr_un.sun_path` (unix(7)) less the zero that closes it.
const LONGEST_PATH: usize = 107;

impl Address {
    /// Tells whether only processes of this machine can connect to it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Returns the IP address and port, if it has one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Tells whether only one of the two addresses can be listened at. Port 0 takes a free port each time.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(other)) => {
                one.port() != 0
                    && one.port() == other.port()
                    && (covers(one, other) || covers(other, one))
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Ip(_), Self::Unix(_)) | (Self::Unix(_), Self::Ip(_)) => false,
        }
    }
}

fn covers(one: &SocketAddr, other: &SocketAddr) -> bool {
    let (one, other) = (one.ip(), other.ip());
    one.to_canonical() == other.to_canonical()
        || (one.is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
}

impl From<SocketAddr> for Address {
    /// An IPv4 address that is written as one of IPv6, `::ffff:127.0.0.1`, is taken for what it is: over IPv6 alone
    /// nobody could reach it.
    fn from(address: SocketAddr) -> Self {
        Self::Ip(match address.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
            IpAddr::V6(_) => address,
        })
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let Some(path) = text.strip_prefix("unix:") else {
            let address = text.parse::<SocketAddr>();
            return address.map(Self::from).map_err(|_| InvalidAddress::Neither);
        };
        if !Path::new(path).is_absolute() || path.ends_with('/') || path.contains('\0') {
            return Err(InvalidAddress::Path);
        }
        if path.len() > LONGEST_PATH {
            return Err(InvalidAddress::TooLong(path.len()));
        }
        Ok(Self::Unix(path.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in ["127.0.0.1:80", "[::1]:80", "unix:/run/gateway.sock"] {
            assert_eq!(address(text).to_string(), text);
        }
        for (text, shown) in [
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::ffff:0.0.0.0]:80", "0.0.0.0:80"),
            ("[fe80::1%3]:80", "[fe80::1%3]:80"),
        ] {
            assert_eq!(address(text).to_string(), shown);
        }
        let longest = format!("unix:/{}", "a".repeat(LONGEST_PATH - 1));
        assert_eq!(address(&longest).to_string(), longest);
        for (text, invalid) in [
            ("localhost:80", InvalidAddress::Neither),
            ("unix:run/gateway.sock", InvalidAddress::Path),
            ("unix:", InvalidAddress::Path),
            ("unix:/run/", InvalidAddress::Path),
            ("unix:/run/\0", InvalidAddress::Path),
            (&format!("{longest}a"), InvalidAddress::TooLong(108)),
        ] {
            assert_eq!(text.parse::<Address>(), Err(invalid), "{text}");
        }
    }

    #[test]
    fn loopback_and_unix_sockets_are_local() {
        for local in [
            "127.0.0.2:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "unix:/a",
        ] {
            assert!(address(local).is_local(), "{local}");
        }
        for other in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
            assert!(!address(other).is_local(), "{other}");
        }
    }

    #[test]
    fn addresses_collide_when_one_covers_the_other() {
        let collide = |one: &str, other: &str| {
            let (one, other) = (address(one), address(other));
            assert_eq!(one.collides_with(&other), other.collides_with(&one));
            one.collides_with(&other)
        };

        assert!(collide("127.0.0.1:80", "127.0.0.1:80"));
        assert!(collide("0.0.0.0:80", "127.0.0.1:80") && collide("[::1]:80", "[::]:80"));
        assert!(collide("[::]:80", "127.0.0.1:80") && collide("[::]:80", "0.0.0.0:80"));
        assert!(collide("unix:/a/b", "unix:/a//b"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
        assert!(
            !collide("127.0.0.1:80", "127.0.0.1:81") && !collide("127.0.0.1:80", "127.0.0.2:80")
        );
        assert!(!collide("0.0.0.0:80", "[::1]:80") && !collide("unix:/a", "unix:/b"));
        assert!(!collide("unix:/a", "127.0.0.1:80"));
    }
}
