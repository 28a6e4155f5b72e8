//! What a connection itself shows of who is at its other end.

use std::fmt;
use std::time::Duration;

use crate::secret::digits;

/// The names in a certificate that a caller showed in its TLS handshake, which was verified there.
///
/// It was valid then. A connection may outlast it, so that whoever goes by it asks [`CertificateNames::is_valid_at`]
/// for every request.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateNames {
    /// The URIs among the subject's alternative names, as they are written.
    pub uris: Box<[Box<str>]>,
    /// The DNS names among them, in lower case. One with a `*` is a name like any other here and stands for no other.
    pub dns: Box<[Box<str>]>,
    /// The subject as a text of RFC 4514, such as `CN=nightly,O=Corp`, if it has one: the last of its parts first.
    pub subject: Option<Box<str>>,
    /// The last moment it is valid at, in whole seconds since the Unix epoch.
    pub not_after: Duration,
    /// The SHA-256 hash of the whole certificate.
    pub fingerprint: [u8; 32],
}

impl CertificateNames {
    /// Returns the URIs that count. A SPIFFE id does only where it is the only URI, as its standard demands.
    ///
    /// # Source
    /// X.509-SVID of SPIFFE, section 2 (read 2026-11-26): "An X.509 SVID MUST contain exactly one URI SAN".
    pub fn uris_that_count(&self) -> impl Iterator<Item = &str> {
        let all = self.uris.iter().map(AsRef::as_ref);
        all.filter(|uri| !is_spiffe(uri) || self.uris.len() == 1)
    }

    /// Tells whether it is valid still, at `since_epoch` by the wall clock.
    pub fn is_valid_at(&self, since_epoch: Duration) -> bool {
        since_epoch.as_secs() <= self.not_after.as_secs()
    }
}

fn is_spiffe(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("spiffe"))
}

/// Shows the hash as digits.
impl fmt::Debug for CertificateNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uris,
            dns,
            subject,
            not_after,
            fingerprint,
        } = self;
        f.debug_struct("CertificateNames")
            .field("uris", uris)
            .field("dns", dns)
            .field("subject", subject)
            .field("not_after", &not_after.as_secs())
            .field("fingerprint", &digits(fingerprint, fingerprint.len()))
            .finish()
    }
}

/// The process at the other end of a Unix socket, as it was when it connected.
///
/// The kernel vouches for it. It tells the main group only, not the supplementary ones. The numbers are those of this
/// process's user namespace: who has none there is shown as 65534.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its number, where the system tells it. Numbers are used again: it is for logs, and identifies nobody.
    pub pid: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uris: &[&str]) -> CertificateNames {
        CertificateNames {
            uris: uris.iter().map(|uri| Box::from(*uri)).collect(),
            dns: Box::default(),
            subject: None,
            not_after: Duration::from_secs(100),
            fingerprint: [0xab; 32],
        }
    }

    #[test]
    fn a_spiffe_id_counts_only_where_it_is_the_only_uri() {
        let id = "spiffe://corp/nightly";
        for (uris, expected) in [
            (&[id][..], &[id][..]),
            (&[id, "https://corp/nightly"], &["https://corp/nightly"]),
            (&["SPIFFE://corp/a", "urn:a"], &["urn:a"]),
            (&[id, "spiffe://corp/other"], &[]),
            (&["urn:a", "urn:b"], &["urn:a", "urn:b"]),
        ] {
            let names = names(uris);
            assert_eq!(names.uris_that_count().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn it_is_valid_until_the_end_of_its_last_second() {
        let names = names(&[]);
        assert!(names.is_valid_at(Duration::from_millis(100_999)));
        assert!(!names.is_valid_at(Duration::from_secs(101)));
    }
}
