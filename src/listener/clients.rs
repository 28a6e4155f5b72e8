//! Which certificates callers may show, and whether they have to.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::identity::Flaw;
use crate::secret::digits;

/// Whose certificates callers may show. Two are the same when they were read from the same certificates and lists.
#[derive(Clone)]
pub struct Clients {
    authorities: Vec<CertificateDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    demand: Demand,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Whether callers have to show a certificate. One that is shown is verified in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// The handshake succeeds without one.
    Request,
    /// It does not.
    Require,
}

/// Why certificates of callers could not be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidClients {
    /// It is the authorities.
    Authorities(Flaw),
    /// It is the lists of what has been revoked.
    Revoked(Flaw),
}

impl Clients {
    /// Reads authorities, and lists of revoked certificates if there are any.
    ///
    /// With lists every certificate of a chain but the authority's own has to be one whose issuer has a list, and be on
    /// none. A list that is past its next update counts still.
    ///
    /// # Errors
    /// What is wrong, and with which of the two.
    pub fn from_pem(
        authorities: &[u8],
        revoked: Option<&[u8]>,
        demand: Demand,
    ) -> Result<Self, InvalidClients> {
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(authorities).collect();
        let authorities = authorities.map_err(|_| InvalidClients::Authorities(BROKEN_PEM))?;
        if authorities.is_empty() {
            return Err(InvalidClients::Authorities(NO_AUTHORITY));
        }
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            let added = roots.add(authority.clone());
            added.map_err(|_| InvalidClients::Authorities(UNFIT_AUTHORITY))?;
        }
        let revoked = revoked.map(lists).transpose();
        let revoked = revoked
            .map_err(InvalidClients::Revoked)?
            .unwrap_or_default();
        let provider = Arc::new(default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(revoked.iter().cloned());
        let builder = match demand {
            Demand::Request => builder.allow_unauthenticated(),
            Demand::Require => builder,
        };
        // There are authorities, so that it is a list.
        let verifier = builder.build();
        Ok(Self {
            verifier: verifier.map_err(|_| InvalidClients::Revoked(UNFIT_LIST))?,
            authorities,
            revoked,
            demand,
        })
    }

    /// Returns what handshakes are made with.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Returns all that it was read from.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let authorities = self.authorities.iter().map(|it| &**it);
        authorities.chain(self.revoked.iter().map(|it| &**it))
    }
}

fn lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Flaw> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists = lists.map_err(|_| BROKEN_PEM)?;
    if lists.is_empty() {
        return Err(NO_LIST);
    }
    Ok(lists)
}

const BROKEN_PEM: Flaw = Flaw {
    what: "is not PEM, or breaks off before its end",
    help: "write the whole file; what begins with -----BEGIN has to come to its -----END",
};
const NO_AUTHORITY: Flaw = Flaw {
    what: "holds no certificate",
    help: "it must hold the authorities that sign callers' certificates, each from -----BEGIN CERTIFICATE----- on",
};
const UNFIT_AUTHORITY: Flaw = Flaw {
    what: "holds what is no certificate of X.509",
    help: "make the file anew; openssl x509 -in authorities.pem -text shows what is in its first",
};
const NO_LIST: Flaw = Flaw {
    what: "holds no list of revoked certificates",
    help: "it must hold one of each authority, from -----BEGIN X509 CRL----- on; openssl crl -inform der -in list.crl makes one of a list in DER",
};
const UNFIT_LIST: Flaw = Flaw {
    what: "holds what is no list of revoked certificates, or one of a kind that is not understood",
    help: "it must be whole, of version 2, and of all reasons; openssl crl -in list.pem -text shows what is in it",
};

impl PartialEq for Clients {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
            && self.revoked == other.revoked
            && self.demand == other.demand
    }
}

impl Eq for Clients {}

/// Shows by what two are told apart.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hash = Context::new(&SHA256);
        self.parts().for_each(|part| hash.update(part));
        let hash = hash.finish();
        write!(
            f,
            "Clients({:?}, {})",
            self.demand,
            digits(hash.as_ref(), 16)
        )
    }
}
