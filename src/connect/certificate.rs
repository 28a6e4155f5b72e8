//! The certificate that the gateway shows an origin which asks for one.

use std::fmt;
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret::digits;

/// A certificate with its chain and its private key, which are known to belong together. `Debug` shows a hash of the chain.
#[derive(Clone)]
pub struct ClientCertificate {
    certified: Arc<CertifiedKey>,
}

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// There is no certificate.
    #[error("holds no certificate in PEM")]
    Chain,
    /// There is no private key, or none of a kind that TLS can use.
    #[error(
        "holds no private key in PEM that can be used: PKCS#8, PKCS#1 or SEC1, without a passphrase"
    )]
    Key,
    /// The key is another certificate's.
    #[error("is not the key of the first certificate")]
    Mismatch,
}

impl InvalidCertificate {
    /// Tells whether it is the key that is at fault, rather than the chain.
    pub fn is_of_key(self) -> bool {
        match self {
            Self::Chain => false,
            Self::Key | Self::Mismatch => true,
        }
    }
}

impl ClientCertificate {
    /// Reads a chain, the own certificate first, and the private key of that one.
    ///
    /// # Errors
    /// [`InvalidCertificate`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidCertificate> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| InvalidCertificate::Chain)?;
        if chain.is_empty() {
            return Err(InvalidCertificate::Chain);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidCertificate::Key)?;
        let signing = aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| InvalidCertificate::Key)?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(InvalidCertificate::Mismatch),
            // The certificate itself could not be read.
            Err(_) => return Err(InvalidCertificate::Chain),
        }
        Ok(Self {
            certified: Arc::new(certified),
        })
    }

    /// Returns what rustls signs with.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// Of two with the same chain the keys are the same as well, since they belong to it.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<u8> = self
            .certified
            .cert
            .iter()
            .flat_map(|it| it.iter().copied())
            .collect();
        let hash = digits(digest(&SHA256, &all).as_ref(), 8);
        write!(f, "ClientCertificate({hash}, with its key)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_chain_and_its_key_are_read_and_the_key_is_not_shown() {
        let ((chain, key), (more, _)) = (made(), made());
        let chain = format!("{chain}{more}");

        let read = ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let again = ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();

        assert_eq!(read.certified().cert.len(), 2);
        assert!(read == again);
        let shown = format!("{read:?}");
        assert_eq!(
            shown.len(),
            "ClientCertificate(0123456789abcdef, with its key)".len()
        );
    }

    #[test]
    fn what_does_not_belong_together_is_told_apart() {
        let ((chain, key), (_, other)) = (made(), made());
        let cut = chain.replace("MII", "AII");
        for (chain, key, expected) in [
            (chain.as_str(), other.as_str(), InvalidCertificate::Mismatch),
            (&chain, "", InvalidCertificate::Key),
            (&chain, &chain, InvalidCertificate::Key),
            ("", &key, InvalidCertificate::Chain),
            (&key, &key, InvalidCertificate::Chain),
            (&cut, &key, InvalidCertificate::Chain),
        ] {
            let read = ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes());

            assert_eq!(read.unwrap_err(), expected);
        }
    }
}
