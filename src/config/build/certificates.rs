//! Certificates to trust besides the system's, and those that are shown.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Cross;
use crate::config::file;
use crate::config::format::Written;
use crate::config::name::FilePath;
use crate::config::path::KeyPath;
use crate::config::sources::reason;
use crate::connect::ClientCertificate;
use crate::secret::SecretBytes;

/// Reads the certificates of the PEM file named at `path`.
pub(super) fn read(
    file: Option<&Written<FilePath>>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Vec<CertificateDer<'static>> {
    let Some(content) = file.and_then(|file| content(file, path, cross)) else {
        return Vec::new();
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let message = match certificates {
        Ok(certificates) if !certificates.is_empty() => return certificates,
        Ok(_) => "the file holds no certificate",
        Err(_) => "the file is not PEM",
    };
    cross.fault(path, &[], message, |fault| {
        fault.help("it must hold one or more blocks that begin with -----BEGIN CERTIFICATE-----")
    });
    Vec::new()
}

/// Reads what is shown to servers that ask for a certificate, from the files named below `client_certificate` of the
/// section at `path`.
pub(super) fn client(
    file: Option<&file::ClientCertificate>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<ClientCertificate> {
    let file = file?;
    let path = path.key("client_certificate");
    let (chain_path, key_path) = (path.key("certificate"), path.key("key"));
    let chain = content(&file.certificate, &chain_path, cross);
    let key = content(&file.key, &key_path, cross).map(SecretBytes::new);
    cross.holders.add(&file.key.0.0);
    match ClientCertificate::from_pem(&chain?, key?.expose()) {
        Ok(certificate) => Some(certificate),
        Err(invalid) => {
            let path = if invalid.is_of_key() {
                &key_path
            } else {
                &chain_path
            };
            cross.fault(path, &[], format!("the file {invalid}"), |fault| fault);
            None
        }
    }
}

/// Reads the file named at `path`.
pub(super) fn content(
    Written(FilePath(file)): &Written<FilePath>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<Vec<u8>> {
    // The file of a stand-in is not opened.
    if cross.report.is_tainted(path) {
        return None;
    }
    match cross.sources.file(file, MOST_BYTES) {
        Ok(content) => Some(content),
        Err(error) => {
            let message = format!("the file {}", reason(&error));
            cross.fault(path, &[], message, |fault| fault);
            None
        }
    }
}

/// Bytes. The certificates of all public authorities together are a quarter of this.
const MOST_BYTES: u64 = 1024 * 1024;
