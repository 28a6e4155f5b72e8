//! The names in a caller's certificate.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::peer::CertificateNames;

/// The names in a certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is not encoded as X.509 wants it.
    #[error("the certificate is not encoded as it should be")]
    Certificate,
    /// The alternative names are not, or come twice.
    #[error("the certificate's alternative names are not encoded as they should be")]
    AlternativeNames,
}

/// Reads the names in a certificate, which has been verified.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Result<CertificateNames, Unreadable> {
    let fingerprint = digest(&SHA256, certificate);
    let parsed = Certificate::from_der(certificate).map_err(|_| Unreadable::Certificate)?;
    let parsed = parsed.tbs_certificate();
    let alternative = parsed
        .get_extension::<SubjectAltName>()
        .map_err(|_| Unreadable::AlternativeNames)?;
    let (mut uris, mut dns) = (Vec::new(), Vec::new());
    for name in alternative.into_iter().flat_map(|(_, names)| names.0) {
        match name {
            GeneralName::DnsName(name) => dns.push(name.as_str().to_ascii_lowercase().into()),
            GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().into()),
            GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::OtherName(_)
            | GeneralName::RegisteredId(_)
            | GeneralName::Rfc822Name(_) => {}
        }
    }
    let subject = parsed.subject();
    Ok(CertificateNames {
        uris: uris.into(),
        dns: dns.into(),
        subject: (!subject.is_empty()).then(|| subject.to_string().into()),
        not_after: parsed.validity().not_after.to_unix_duration(),
        fingerprint: fingerprint
            .as_ref()
            .try_into()
            .map_err(|_| Unreadable::Certificate)?,
    })
}

/// Returns a subject that somebody has written, such as `cn=nightly,O=Corp`, as [`CertificateNames::subject`] writes
/// the same one; `None` if it is no subject of RFC 4514. A backslash that belongs to a name has to be written as `\5c`.
pub fn subject(written: &str) -> Option<String> {
    // The library would take what follows two of them for escaped whatever they escape themselves.
    if written.contains(r"\\") {
        return None;
    }
    let name = Name::from_str(written).ok()?;
    (!name.is_empty()).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType,
        date_time_ymd,
    };

    use super::*;

    fn of(change: impl FnOnce(&mut CertificateParams)) -> Result<CertificateNames, Unreadable> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        names(params.self_signed(&key).unwrap().der())
    }

    fn subject_of(parts: &[(DnType, DnValue)]) -> Option<String> {
        let made = of(|params| {
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), value.clone());
            }
        });
        made.unwrap().subject.map(String::from)
    }

    #[test]
    fn all_names_and_the_end_of_a_certificate_are_read() {
        let made = of(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("Nightly.Corp".try_into().unwrap()),
                SanType::URI("spiffe://corp/Nightly".try_into().unwrap()),
                SanType::IpAddress([10, 0, 0, 1].into()),
                SanType::Rfc822Name("a@corp".try_into().unwrap()),
                SanType::DnsName("*.corp".try_into().unwrap()),
            ];
            params
                .distinguished_name
                .push(DnType::CommonName, "nightly");
            params.not_after = date_time_ymd(2026, 2, 1);
        })
        .unwrap();

        let all = |names: &[Box<str>]| names.join(" ");
        assert_eq!(all(&made.uris), "spiffe://corp/Nightly");
        assert_eq!(all(&made.dns), "nightly.corp *.corp");
        assert_eq!(made.subject.as_deref(), Some("CN=nightly"));
        // Hours since 1970.
        assert_eq!(made.not_after, Duration::from_hours(20_485 * 24));
    }

    #[test]
    fn a_certificate_may_be_without_names() {
        let made = of(|_| {}).unwrap();
        assert!(made.uris.is_empty() && made.dns.is_empty() && made.subject.is_none());
    }

    #[test]
    fn a_subject_is_written_in_one_way_and_none_passes_for_another() {
        let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
        let simple = subject_of(&[
            (DnType::OrganizationName, utf8("Corp")),
            (DnType::CommonName, utf8("nightly")),
        ]);
        assert_eq!(simple.as_deref(), Some("CN=nightly,O=Corp"));
        let printable = DnValue::PrintableString("nightly".try_into().unwrap());
        assert_eq!(
            subject_of(&[
                (DnType::OrganizationName, utf8("Corp")),
                (DnType::CommonName, printable),
            ]),
            simple
        );
        for parts in [
            &[(DnType::CommonName, utf8("nightly,O=Corp"))][..],
            &[(DnType::CommonName, utf8("nightly\\,O=Corp"))],
            &[(DnType::CommonName, utf8("nightly+O=Corp"))],
            &[
                (DnType::OrganizationName, utf8("Corp")),
                (DnType::CommonName, utf8(" nightly")),
            ],
            &[
                (DnType::OrganizationName, utf8("Corp")),
                (DnType::CommonName, utf8("nightly\0")),
            ],
            &[
                (DnType::CommonName, utf8("nightly")),
                (DnType::OrganizationName, utf8("Corp")),
            ],
            &[
                (DnType::OrganizationName, utf8("Corp")),
                (DnType::OrganizationalUnitName, utf8("")),
                (DnType::CommonName, utf8("nightly")),
            ],
        ] {
            let other = subject_of(parts);
            assert_ne!(other, simple, "{parts:?}");
            // What is written as a certificate has it is the same when it is read again.
            let other = other.unwrap();
            let written = other.replace(r"\\", r"\5c");
            assert_eq!(subject(&written).as_ref(), Some(&other), "{parts:?}");
        }
    }

    #[test]
    fn a_written_subject_is_brought_into_the_one_form() {
        for (written, expected) in [
            ("CN=nightly,O=Corp", Some("CN=nightly,O=Corp")),
            ("cn=nightly,o=Corp", Some("CN=nightly,O=Corp")),
            ("2.5.4.3=nightly", Some("CN=nightly")),
            (r"CN=a\2cb", Some(r"CN=a\,b")),
            (r"CN=a\5c\,O=b", Some(r"CN=a\\\,O=b")),
            (r"CN=a\\\,O=b", None),
            ("CN=nightly, O=Corp", None),
            ("nightly", None),
            ("", None),
            ("CN", None),
        ] {
            assert_eq!(subject(written).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn alternative_names_that_are_none_are_an_error() {
        for content in [vec![0x30, 0x02, 0xff, 0x00], vec![0x30, 0x05, 0x82], vec![]] {
            let made = of(|params| {
                let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content.clone());
                params.custom_extensions = vec![extension];
            });
            assert_eq!(made, Err(Unreadable::AlternativeNames), "{content:?}");
        }
        let twice = of(|params| {
            params.subject_alt_names = vec![SanType::DnsName("a".try_into().unwrap())];
            let another = vec![0x30, 0x03, 0x82, 0x01, b'b'];
            let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], another);
            params.custom_extensions = vec![extension];
        });
        assert_eq!(twice, Err(Unreadable::AlternativeNames));
        assert_eq!(
            names(&CertificateDer::from(vec![0x30, 0x00])),
            Err(Unreadable::Certificate)
        );
    }
}
