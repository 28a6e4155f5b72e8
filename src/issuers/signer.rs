//! Makes tokens for tests, with another library than the one that verifies them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// Somebody who signs tokens.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
    jwk: Value,
}

impl Signer {
    /// One with the RSA key of the tests.
    pub(super) fn rsa() -> Self {
        Self::from_rsa(include_bytes!("../../tests/keys/rsa-pkcs8.pem"))
    }

    /// One with another RSA key.
    pub(super) fn other_rsa() -> Self {
        Self::from_rsa(include_bytes!("../../tests/keys/rsa-other.pem"))
    }

    fn from_rsa(pem: &[u8]) -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = EncodingKey::from_rsa_pem(pem).unwrap();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
        let AlgorithmParameters::RSA(parts) = jwk.algorithm else {
            panic!("it is an RSA key");
        };
        Self {
            algorithm: Algorithm::RS256,
            key,
            jwk: json!({ "kty": "RSA", "n": parts.n, "e": parts.e }),
        }
    }

    /// One with a new key on the curve P-256.
    pub(super) fn p256() -> Self {
        Self::ec(&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256, "P-256")
    }

    /// One with a new key on the curve P-384.
    pub(super) fn p384() -> Self {
        Self::ec(&rcgen::PKCS_ECDSA_P384_SHA384, Algorithm::ES384, "P-384")
    }

    fn ec(kind: &'static rcgen::SignatureAlgorithm, algorithm: Algorithm, curve: &str) -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let pair = KeyPair::generate_for(kind).unwrap();
        let (x, y) = {
            let point = pair.public_key_raw();
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
        };
        Self {
            algorithm,
            key: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
            jwk: json!({ "kty": "EC", "crv": curve, "x": x, "y": y }),
        }
    }

    /// One with a new key for Ed25519.
    pub(super) fn ed25519() -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        Self {
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap(),
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        }
    }

    /// Returns the public key, with these members besides.
    pub(super) fn jwk(&self, more: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        let members = more.as_object().unwrap().clone();
        jwk.as_object_mut().unwrap().extend(members);
        jwk
    }

    /// Returns a token with this header and these claims, which are signed whatever they say.
    pub(super) fn token(&self, header: &str, claims: &str) -> String {
        let signed = signed(header, claims);
        let signature = crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// Returns the first two parts of a token.
pub(super) fn signed(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
    format!("{header}.{claims}")
}

/// Returns a JWK set.
pub(super) fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}
