//! What a service account shows instead of asking for scopes: a statement about itself, signed with its key.
//!
//! # Source
//! Adobe's guide to service accounts (JWT) and the errors its token service gives, read 2026-11-26.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use aws_lc_rs::rsa::KeyPair;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value};

use super::answer::{Class, Failure};
use crate::aep::{ClientId, OrgId, TechnicalAccount};
use crate::connect::Origin;
use crate::secret::Secret;

/// An account of the older kind, which proves itself with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The account the token speaks for.
    pub technical_account: TechnicalAccount,
    /// The key whose certificate the developer console knows.
    pub key: SigningKey,
    /// What the token is for.
    pub metascopes: Vec<Metascope>,
}

/// One set of rights a service account asks for, by its name or its whole URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metascope(String);

/// Why a text is no metascope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a metascope such as ent_dataservices_sdk, or its whole URL")]
pub struct InvalidMetascope;

/// A private RSA key. It is never printed, and what is kept of it is erased from memory when dropped.
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<EncodingKey>,
    /// By which two keys are told apart.
    hash: [u8; SHA256_OUTPUT_LEN],
}

/// Why a text is no key that can sign an assertion. It says nothing of what the text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is a certificate.
    #[error("is a certificate, not a private key")]
    Certificate,
    /// It is a key for elliptic curves.
    #[error("is a key for elliptic curves; a service account signs with RSA")]
    EllipticCurve,
    /// It is protected by a passphrase.
    #[error("is encrypted with a passphrase")]
    Encrypted,
    /// It begins and does not end.
    #[error("breaks off before its end, like a file that is only half written")]
    HalfWritten,
    /// It has no PEM block in it.
    #[error("is not PEM")]
    NotPem,
    /// It is a key's public half.
    #[error("is a public key, not the private one")]
    Public,
    /// Its modulus is short.
    #[error("is an RSA key of fewer than 2048 bits")]
    Short,
    /// It is PEM, but what is in it is no RSA key.
    #[error("is damaged, or not an RSA key in PKCS#1 or PKCS#8")]
    Unreadable,
}

impl ServiceAccount {
    /// Returns an assertion that counts for five minutes from `now`, the time since the Unix epoch.
    ///
    /// `ims` is the token service that will read it: its origin is part of the claims. `id` makes it unlike every
    /// other one; below 2⁵³ every reader of JSON keeps it exact.
    ///
    /// # Errors
    /// [`Class::Configuration`] when the key does not sign, which a key that was parsed does.
    pub fn assertion(
        &self,
        ims: &Origin,
        organization: &OrgId,
        client_id: &ClientId,
        now: Duration,
        id: u64,
    ) -> Result<Secret, Failure> {
        let mut claims = Map::new();
        // Seconds, where the claims of IMS's own tokens are milliseconds.
        claims.insert("exp".to_owned(), (now + LIFETIME).as_secs().into());
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("jti".to_owned(), id.into());
        claims.insert("iss".to_owned(), organization.as_str().into());
        claims.insert("sub".to_owned(), self.technical_account.as_str().into());
        claims.insert("aud".to_owned(), format!("{ims}/c/{client_id}").into());
        for metascope in &self.metascopes {
            claims.insert(metascope.claim(ims), Value::Bool(true));
        }
        encode(&Header::new(Algorithm::RS256), &claims, &self.key.key)
            .map(Secret::new)
            .map_err(|_| Failure::new(Class::Configuration, "the assertion could not be signed"))
    }
}

/// How long an assertion counts. Adobe advises three to five minutes; clocks that differ by less do not matter.
const LIFETIME: Duration = Duration::from_mins(5);

impl Metascope {
    /// Returns the claim that asks for it: a URL at the token service, unless it is one already.
    fn claim(&self, ims: &Origin) -> String {
        if self.0.contains("://") {
            self.0.clone()
        } else {
            format!("{ims}/s/{}", self.0)
        }
    }
}

impl FromStr for Metascope {
    type Err = InvalidMetascope;

    fn from_str(text: &str) -> Result<Self, InvalidMetascope> {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let path = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let legal = match path {
            Some(path) => path.contains("/s/") && path.bytes().all(|byte| byte.is_ascii_graphic()),
            None => !text.is_empty() && text.bytes().all(name),
        };
        legal.then(|| Self(text.to_owned())).ok_or(InvalidMetascope)
    }
}

impl fmt::Display for Metascope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SigningKey {
    /// Reads a private RSA key of at least 2048 bits from PEM, in PKCS#1 or PKCS#8.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        // No key exists without a provider, so that signing cannot meet a process that has none.
        LazyLock::force(&PROVIDER);
        let block = private_block(pem)?;
        // First aws-lc's own reader, which signing will use: what it refuses never reaches the one below, whose
        // recursion the file could steer.
        let der = PrivateKeyDer::from_pem_slice(block.as_bytes());
        let der = der.map_err(|_| InvalidKey::Unreadable)?;
        let bytes = der.secret_der();
        if bytes.len() > MOST_DER_BYTES {
            return Err(InvalidKey::Unreadable);
        }
        let known = if matches!(der, PrivateKeyDer::Pkcs8(_)) {
            KeyPair::from_pkcs8(bytes)
        } else {
            KeyPair::from_der(bytes)
        };
        known.map_err(|rejected| {
            let curve = bytes.windows(CURVE.len()).any(|part| part == CURVE);
            match rejected.to_string().as_str() {
                "TooSmall" => InvalidKey::Short,
                _ if curve => InvalidKey::EllipticCurve,
                _ => InvalidKey::Unreadable,
            }
        })?;
        let key = EncodingKey::from_rsa_pem(block.as_bytes());
        let key = key.map_err(|_| InvalidKey::Unreadable)?;
        let mut hash = [0; SHA256_OUTPUT_LEN];
        for (place, byte) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
            *place = *byte;
        }
        Ok(Self {
            key: Arc::new(key),
            hash,
        })
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl InvalidKey {
    /// Returns what the operator can do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Certificate | Self::Public => {
                "the console has the certificate; the gateway needs the private key it was made with"
            }
            Self::EllipticCurve | Self::Short => {
                "make an RSA key and certificate of 2048 bits or more, and add the certificate in the console"
            }
            Self::Encrypted => {
                "take the passphrase off: openssl rsa -in encrypted.pem -out private.pem"
            }
            Self::HalfWritten => "wait until the file is whole, or copy it again",
            Self::NotPem => {
                "it must begin with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
            }
            Self::Unreadable => {
                "look at it with openssl rsa -check -noout, and keep its line breaks"
            }
        }
    }
}

/// Bytes. A key of 8192 bits takes 4.7 KiB.
const MOST_DER_BYTES: usize = 8 * 1024;

/// The object identifier of keys for elliptic curves (RFC 5480 §2.1.1), as DER writes it.
const CURVE: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Chooses the library that signs; without the choice, signing panics where it finds more than one.
static PROVIDER: LazyLock<()> = LazyLock::new(|| {
    // Somebody else's choice is as good.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
});

/// Returns the PEM block with the private key, which may stand beside its certificate.
fn private_block(pem: &str) -> Result<&str, InvalidKey> {
    let mut first = Err(InvalidKey::NotPem);
    let mut rest = pem;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let begun = rest.len() - block.len() - BEGIN.len();
        let (label, _) = block.split_once("-----").ok_or(InvalidKey::HalfWritten)?;
        let end = format!("-----END {label}-----");
        let (content, after) = block
            .split_once(end.as_str())
            .ok_or(InvalidKey::HalfWritten)?;
        let problem = match label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" if content.contains("ENCRYPTED") => {
                InvalidKey::Encrypted
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" => {
                let ended = rest.len() - after.len();
                return rest.get(begun..ended).ok_or(InvalidKey::Unreadable);
            }
            "ENCRYPTED PRIVATE KEY" => InvalidKey::Encrypted,
            "EC PRIVATE KEY" | "EC PARAMETERS" => InvalidKey::EllipticCurve,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => InvalidKey::Public,
            label if label.contains("CERTIFICATE") => InvalidKey::Certificate,
            _ => InvalidKey::Unreadable,
        };
        if first == Err(InvalidKey::NotPem) {
            first = Err(problem);
        }
        rest = after;
    }
    first
}

const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PKCS1: &str = include_str!("../../tests/keys/rsa-pkcs1.pem");
    const PKCS8: &str = include_str!("../../tests/keys/rsa-pkcs8.pem");
    const PUBLIC: &str = include_str!("../../tests/keys/rsa-public.pem");
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn account(pem: &str) -> ServiceAccount {
        ServiceAccount {
            technical_account: "1122334455667788990011AA@techacct.adobe.com"
                .parse()
                .unwrap(),
            key: SigningKey::from_pem(pem).unwrap(),
            metascopes: [
                "ent_dataservices_sdk",
                "https://ims.example.com/s/ent_other",
            ]
            .map(|metascope| metascope.parse().unwrap())
            .to_vec(),
        }
    }

    fn assertion(pem: &str, id: u64) -> String {
        let ims = "https://ims-na1.adobelogin.com".parse().unwrap();
        let organization = "0A1B2C3D4E5F60718293A4B5@AdobeOrg".parse().unwrap();
        let client_id = "client".parse().unwrap();
        let made = account(pem).assertion(&ims, &organization, &client_id, NOW, id);
        made.unwrap().expose().to_owned()
    }

    #[test]
    fn the_claims_are_those_adobe_asks_for() {
        let assertion = assertion(PKCS8, 7);

        let parts: Vec<_> = assertion
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        let header: Value = serde_json::from_slice(&parts[0]).unwrap();
        let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
        assert_eq!(header, json!({"typ": "JWT", "alg": "RS256"}));
        assert_eq!(
            claims,
            json!({
                "exp": 1_700_000_300, "iat": 1_700_000_000, "jti": 7,
                "iss": "0A1B2C3D4E5F60718293A4B5@AdobeOrg",
                "sub": "1122334455667788990011AA@techacct.adobe.com",
                "aud": "https://ims-na1.adobelogin.com/c/client",
                "https://ims-na1.adobelogin.com/s/ent_dataservices_sdk": true,
                "https://ims.example.com/s/ent_other": true,
            })
        );
    }

    #[test]
    fn both_forms_of_a_key_sign_alike_and_the_public_key_verifies_it() {
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
        use rustls_pki_types::SubjectPublicKeyInfoDer;
        let assertion = assertion(PKCS1, 7);
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = SubjectPublicKeyInfoDer::from_pem_slice(PUBLIC.as_bytes()).unwrap();

        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
            .verify(message.as_bytes(), &signature)
            .unwrap();
        assert_eq!(assertion, self::assertion(PKCS8, 7));
    }

    #[test]
    fn what_is_no_usable_key_is_told_apart_and_never_quoted() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let empty = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
        let damaged = PKCS8.replacen("AgEAAo", "AgEBAo", 1);
        // Lists within lists, deep enough to exhaust the stack of a reader that follows them.
        let deep = STANDARD.encode([0x30, 0x80].repeat(24 * 1024));
        let deep = format!("{BEGIN}PRIVATE KEY-----\n{deep}\n-----END PRIVATE KEY-----");
        for (pem, expected) in [
            ("", InvalidKey::NotPem),
            ("hunter2", InvalidKey::NotPem),
            (certificate, InvalidKey::Certificate),
            (PUBLIC, InvalidKey::Public),
            (PKCS1.split_at(400).0, InvalidKey::HalfWritten),
            (
                PKCS8.trim_end().trim_end_matches('-'),
                InvalidKey::HalfWritten,
            ),
            ("-----BEGIN PRIV", InvalidKey::HalfWritten),
            (empty, InvalidKey::Unreadable),
            (&damaged, InvalidKey::Unreadable),
            (&deep, InvalidKey::Unreadable),
            (
                include_str!("../../tests/keys/ec.pem"),
                InvalidKey::EllipticCurve,
            ),
            (
                include_str!("../../tests/keys/ec-sec1.pem"),
                InvalidKey::EllipticCurve,
            ),
            (
                include_str!("../../tests/keys/rsa-1024.pem"),
                InvalidKey::Short,
            ),
            (
                include_str!("../../tests/keys/rsa-encrypted.pem"),
                InvalidKey::Encrypted,
            ),
            (
                include_str!("../../tests/keys/rsa-encrypted-pkcs1.pem"),
                InvalidKey::Encrypted,
            ),
        ] {
            assert_eq!(SigningKey::from_pem(pem).unwrap_err(), expected, "{pem}");
        }
    }

    #[test]
    fn a_key_beside_its_certificate_or_with_other_line_breaks_is_found() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in [
            format!("{certificate}{PKCS8}"),
            format!("{PKCS8}{certificate}"),
            PKCS1.replace('\n', "\r\n"),
            PKCS8.trim_end().to_owned(),
        ] {
            let key = SigningKey::from_pem(&pem).unwrap();
            assert_eq!(format!("{key:?}"), "SigningKey(…)");
        }
    }

    #[test]
    fn a_metascope_is_a_name_or_a_url() {
        for legal in ["ent_dataservices_sdk", "https://ims-na1.adobelogin.com/s/x"] {
            assert!(legal.parse::<Metascope>().is_ok(), "{legal}");
        }
        for wrong in [
            "",
            "a b",
            "s/ent",
            "https://",
            "https://x/y",
            "https://x/s/a b",
            "ftp://x/s/a",
        ] {
            assert!(wrong.parse::<Metascope>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn reading_a_key_is_total(text in any::<String>()) {
            let _ = SigningKey::from_pem(&text);
            let _ = SigningKey::from_pem(&format!("{BEGIN}PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----"));
        }

        #[test]
        fn a_damaged_key_is_refused_or_signs(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
            pkcs1 in any::<bool>(),
        ) {
            let (pem, label) = if pkcs1 { (PKCS1, "RSA PRIVATE KEY") } else { (PKCS8, "PRIVATE KEY") };
            let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = STANDARD.decode(lines).unwrap();
            for (place, byte) in damage {
                *place.get_mut(&mut der) = byte;
            }
            if let Some(cut) = cut {
                der.truncate(cut.index(der.len()));
            }
            let pem = format!("{BEGIN}{label}-----\n{}\n-----END {label}-----", STANDARD.encode(der));

            if SigningKey::from_pem(&pem).is_ok() {
                prop_assert!(!assertion(&pem, 1).is_empty());
            }
        }
    }
}
