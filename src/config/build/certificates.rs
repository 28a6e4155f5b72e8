//! Certificates to trust besides the system's.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Cross;
use crate::config::format::Written;
use crate::config::name::FilePath;
use crate::config::path::KeyPath;
use crate::config::sources::reason;

/// Reads the certificates of the PEM file named at `path`.
pub(super) fn read(
    file: Option<&Written<FilePath>>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Vec<CertificateDer<'static>> {
    // Without the check, the file of a stand-in would be opened.
    let Some(Written(FilePath(file))) = file.filter(|_| !cross.report.is_tainted(path)) else {
        return Vec::new();
    };
    let content = match cross.sources.file(file, MOST_BYTES) {
        Ok(content) => content,
        Err(error) => {
            let message = format!("the file {}", reason(&error));
            cross.fault(path, &[], message, |fault| fault);
            return Vec::new();
        }
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

/// Bytes. The certificates of all public authorities together are a quarter of this.
const MOST_BYTES: u64 = 1024 * 1024;
