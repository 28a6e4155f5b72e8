//! The certificate and the key by which a listener shows who it is.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// A chain of certificates and the private key of its first one. Nothing shows the key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// Why a certificate and a key are no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidIdentity {
    /// It is the certificates.
    Certificate(Flaw),
    /// It is the key.
    Key(Flaw),
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// To be read after the name of the file.
    pub what: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

impl Identity {
    /// Reads a chain, the server's own certificate first, and a key in PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// What is wrong, and with which of the two.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let chain = certificates(chain).map_err(InvalidIdentity::Certificate)?;
        let key = private_key(key).map_err(InvalidIdentity::Key)?;
        let key = any_supported_type(&key).map_err(|_| InvalidIdentity::Key(UNFIT_KEY))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(InvalidIdentity::Key(OTHER_KEY))
            }
            Err(_) => Err(InvalidIdentity::Certificate(UNFIT_CERTIFICATE)),
        }
    }

    /// Returns why callers will refuse the server's certificate at `since_epoch`, if it is for its dates.
    pub fn dated(&self, since_epoch: Duration) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.cert.last()?.clone()).ok()?;
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = ServerName::try_from("any.invalid").ok()?;
        // The dates come before everything else that is verified, and nothing else is asked here.
        let verified = verifier.build().ok()?.verify_server_cert(
            self.0.cert.first()?,
            &[],
            &name,
            &[],
            UnixTime::since_unix_epoch(since_epoch),
        );
        let at = |time: UnixTime| {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
        };
        match verified {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Some(format!("expired at {}", at(not_after))),
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => Some(format!("is not valid before {}", at(not_before))),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns what TLS is made from.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| BROKEN_PEM)?;
    if chain.is_empty() {
        return Err(NO_CERTIFICATE);
    }
    if chain
        .iter()
        .any(|certificate| ParsedCertificate::try_from(certificate).is_err())
    {
        return Err(UNFIT_CERTIFICATE);
    }
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Flaw> {
    let has = |words: &str| {
        pem.windows(words.len())
            .any(|window| window == words.as_bytes())
    };
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(_) if has("ENCRYPTED") => Err(ENCRYPTED_KEY),
        Err(rustls_pki_types::pem::Error::NoItemsFound) => Err(NO_KEY),
        Err(_) => Err(BROKEN_PEM),
    }
}

const BROKEN_PEM: Flaw = Flaw {
    what: "is not PEM, or breaks off before its end",
    help: "write the whole file; what begins with -----BEGIN has to come to its -----END",
};
const ENCRYPTED_KEY: Flaw = Flaw {
    what: "holds a key that is encrypted with a passphrase",
    help: "write it without one: openssl pkey -in key.pem -out plain.pem",
};
const NO_CERTIFICATE: Flaw = Flaw {
    what: "holds no certificate",
    help: "it must hold the server's certificate, and after it those that lead to its authority, each from -----BEGIN CERTIFICATE----- on",
};
const NO_KEY: Flaw = Flaw {
    what: "holds no private key",
    help: "it must hold the key that the certificate was made for, in PKCS#8, PKCS#1 or SEC1",
};
const OTHER_KEY: Flaw = Flaw {
    what: "holds the key of another certificate",
    help: "the first certificate of the file must be the one that was made for this key",
};
const UNFIT_CERTIFICATE: Flaw = Flaw {
    what: "holds what is no certificate of X.509",
    help: "make the file anew; openssl x509 -in certificate.pem -text shows what is in it",
};
const UNFIT_KEY: Flaw = Flaw {
    what: "holds a key that TLS cannot use",
    help: "use ECDSA over P-256 or P-384, Ed25519, or RSA of 2048 bits or more",
};

/// Compares the certificates, which say what the key is.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

impl Eq for Identity {}

/// Shows by what two chains are told apart.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<u8> = self.0.cert.iter().flat_map(|it| it.to_vec()).collect();
        let hash = digest(&SHA256, &all);
        write!(f, "Identity(")?;
        for byte in hash.as_ref().iter().take(16) {
            write!(f, "{byte:02x}")?;
        }
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    struct Made {
        certificate: String,
        key: String,
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Made {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn read(certificate: &str, key: &str) -> Result<Identity, InvalidIdentity> {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    #[test]
    fn a_chain_and_its_key_are_an_identity_that_shows_no_key() {
        let (one, other) = (made(|_| {}), made(|_| {}));
        let chain = format!("{}{}", one.certificate, other.certificate);

        let identity = read(&chain, &one.key).unwrap();
        // One file may hold both.
        let both = format!("{}{chain}", one.key);
        assert_eq!(read(&both, &both).unwrap(), identity);
        assert_ne!(read(&one.certificate, &one.key).unwrap(), identity);

        let shown = format!("{identity:?}");
        assert_eq!(shown.len(), "Identity()".len() + 32, "{shown}");
    }

    #[test]
    fn keys_are_read_in_all_their_forms() {
        // That there is no certificate for it is found out last.
        let one = made(|_| {});
        for key in [
            include_str!("../../tests/keys/rsa-pkcs1.pem"),
            include_str!("../../tests/keys/rsa-pkcs8.pem"),
            include_str!("../../tests/keys/ec-sec1.pem"),
            include_str!("../../tests/keys/ec.pem"),
        ] {
            let read = read(&one.certificate, key);
            assert_eq!(read, Err(InvalidIdentity::Key(OTHER_KEY)));
        }
    }

    #[test]
    fn what_is_wrong_is_told_of_the_right_file() {
        let one = made(|_| {});
        let half = |text: &str| text.split_at(text.len() / 2).0.to_owned();
        let forged = one.certificate.replace("\nMII", "\nMIX");
        for (certificate, key, invalid) in [
            ("", &*one.key, InvalidIdentity::Certificate(NO_CERTIFICATE)),
            (
                &one.key,
                &one.key,
                InvalidIdentity::Certificate(NO_CERTIFICATE),
            ),
            (
                &half(&one.certificate),
                &one.key,
                InvalidIdentity::Certificate(BROKEN_PEM),
            ),
            (
                &forged,
                &one.key,
                InvalidIdentity::Certificate(UNFIT_CERTIFICATE),
            ),
            (&one.certificate, "", InvalidIdentity::Key(NO_KEY)),
            (
                &one.certificate,
                &one.certificate,
                InvalidIdentity::Key(NO_KEY),
            ),
            (
                &one.certificate,
                &half(&one.key),
                InvalidIdentity::Key(BROKEN_PEM),
            ),
            (
                &one.certificate,
                &made(|_| {}).key,
                InvalidIdentity::Key(OTHER_KEY),
            ),
            (
                &one.certificate,
                include_str!("../../tests/keys/rsa-encrypted.pem"),
                InvalidIdentity::Key(ENCRYPTED_KEY),
            ),
            (
                &one.certificate,
                include_str!("../../tests/keys/rsa-encrypted-pkcs1.pem"),
                InvalidIdentity::Key(ENCRYPTED_KEY),
            ),
            (
                &one.certificate,
                include_str!("../../tests/keys/rsa-1024.pem"),
                InvalidIdentity::Key(UNFIT_KEY),
            ),
        ] {
            assert_eq!(read(certificate, key), Err(invalid));
        }
    }

    #[test]
    fn a_certificate_out_of_its_dates_is_told() {
        let day = |day: u64| Duration::from_secs(day * 86_400);
        let made = made(|params| {
            params.not_before = date_time_ymd(2026, 1, 1);
            params.not_after = date_time_ymd(2026, 2, 1);
        });
        let identity = read(&made.certificate, &made.key).unwrap();

        // Days since 1970 of 15 December 2025, 15 January and 15 February 2026.
        assert_eq!(
            identity.dated(day(20_437)).as_deref(),
            Some("is not valid before 2026-01-01T00:00:00Z")
        );
        assert_eq!(identity.dated(day(20_468)), None);
        assert_eq!(
            identity.dated(day(20_499)).as_deref(),
            Some("expired at 2026-02-01T00:00:00Z")
        );
    }
}
