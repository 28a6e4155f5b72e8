//! The keys an issuer signs with: a JWK set (RFC 7517), of which each key has one algorithm and no other.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;

/// The keys of an issuer that tokens may be signed with, at least one.
///
/// Two are equal when they were read from the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
    has_private: bool,
}

/// A public key, with the one algorithm that it is for.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    algorithm: &'static str,
    /// What the key is made from, by which two are compared.
    material: Vec<u8>,
    public: ParsedPublicKey,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What the set calls it, shortened, or its place in the set.
    pub key: String,
    /// Why.
    pub why: &'static str,
}

/// Why a document gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// It is no JSON object with a list `keys` of objects, or a member stands twice.
    #[error("is no JWK set: an object with a list `keys` of objects, each member once")]
    NotASet,
    /// There is no key that can be used.
    #[error("holds no key that tokens may be signed with")]
    NoneUsable,
    /// It has more than 256 KiB.
    #[error("is larger than 256 KiB")]
    TooLarge,
    /// It has more than a hundred keys.
    #[error("holds more than 100 keys")]
    TooMany,
}

impl KeySet {
    /// Reads a JWK set. Keys that no token may be signed with are left out: symmetric ones, those for encryption, RSA of
    /// less than 2048 bits, kinds and algorithms that are not known, and different keys with one `kid`, since it would be
    /// left to the order which of them is meant.
    ///
    /// # Errors
    /// [`InvalidKeys`]. A set without any usable key is one: it is more likely a mistake than the end of all tokens.
    pub fn read(document: &[u8]) -> Result<Self, InvalidKeys> {
        if document.len() > MOST_BYTES {
            return Err(InvalidKeys::TooLarge);
        }
        let document = json::object(document).ok_or(InvalidKeys::NotASet)?;
        let Some(Value::Array(list)) = document.get("keys") else {
            return Err(InvalidKeys::NotASet);
        };
        if list.len() > MOST_KEYS {
            return Err(InvalidKeys::TooMany);
        }
        let mut set = Self {
            keys: Vec::new(),
            left_out: Vec::new(),
            has_private: list.iter().any(|jwk| jwk.get("d").is_some()),
        };
        for (place, jwk) in list.iter().enumerate() {
            let jwk = jwk.as_object().ok_or(InvalidKeys::NotASet)?;
            match Key::read(jwk) {
                Ok(key) if set.keys.contains(&key) => {}
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(LeftOut {
                    key: name(jwk, place),
                    why,
                }),
            }
        }
        set.part_with_ambiguous();
        if set.keys.is_empty() {
            return Err(InvalidKeys::NoneUsable);
        }
        set.keys.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(set)
    }

    fn part_with_ambiguous(&mut self) {
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.clone()).collect();
        let is_ambiguous = |key: &Key| {
            let same = |id: &&Option<String>| id.is_some() && **id == key.id;
            ids.iter().filter(same).count() > 1
        };
        let ambiguous: Vec<_> = self.keys.extract_if(.., |key| is_ambiguous(key)).collect();
        self.left_out
            .extend(ambiguous.into_iter().map(|key| LeftOut {
                key: shown(key.id.as_deref().unwrap_or_default()),
                why: "another key of the set has the same kid",
            }));
    }

    /// Returns the key that is called `id`, or without one the only key there is.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// Returns how many keys there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Returns the algorithm of each key.
    pub fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(Key::algorithm)
    }

    /// Returns the keys that are not used.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Tells whether there is something among the keys that only their owner should have. It is not looked at.
    pub fn has_private(&self) -> bool {
        self.has_private
    }
}

impl Key {
    /// Returns the algorithm that tokens signed with it name.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Tells whether `signature` is this key's for `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    fn read(jwk: &Map<String, Value>) -> Result<Self, &'static str> {
        let text = |name| jwk.get(name).map(Value::as_str);
        let id = match text("kid") {
            None => None,
            Some(Some(id)) if id.len() <= MOST_ID_BYTES => Some(id.to_owned()),
            Some(_) => return Err("its kid is no text, or longer than 256 bytes"),
        };
        if !matches!(text("use"), None | Some(Some("sig"))) {
            return Err("it is not for signatures");
        }
        if let Some(operations) = jwk.get("key_ops") {
            let all = operations.as_array();
            if !all.is_some_and(|all| all.iter().any(|one| one == "verify")) {
                return Err("it is not for verifying signatures");
            }
        }
        let algorithm = match text("alg") {
            None => None,
            Some(Some(algorithm)) => Some(algorithm),
            Some(None) => return Err("its alg is no text"),
        };
        let bytes = |name| {
            let text = jwk.get(name).and_then(Value::as_str);
            text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
                .ok_or("a member that makes up the key is missing, or not in base64url")
        };
        let (algorithm, material, key) = match text("kty").flatten() {
            Some("RSA") => {
                let (algorithm, parameters) = rsa(algorithm)?;
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                let (n, e) = (without_zeros(&modulus), without_zeros(&exponent));
                let bits = bits(n);
                if bits < LEAST_RSA_BITS {
                    return Err("an RSA key has to have 2048 bits or more");
                }
                if bits > MOST_RSA_BITS {
                    return Err("an RSA key has 8192 bits at most");
                }
                // With 1 every text would be its own signature.
                if e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
                    return Err("its exponent is none that RSA works with");
                }
                let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
                (algorithm, [n, &[0], e].concat(), key)
            }
            Some("EC") => {
                let (known, parameters, length) = curve(text("crv").flatten())?;
                fits(algorithm, &[known])?;
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != length || y.len() != length {
                    return Err("its coordinates are not of its curve's length");
                }
                let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
                let key = ParsedPublicKey::new(parameters, &point);
                (known, point, key)
            }
            Some("OKP") if text("crv").flatten() == Some("Ed25519") => {
                let known = fits(algorithm, &["EdDSA", "Ed25519"])?;
                let point = bytes("x")?;
                let key = ParsedPublicKey::new(&signature::ED25519, &point);
                (known, point, key)
            }
            Some("oct") => return Err("it is a secret, and whoever verifies with it could sign"),
            Some(_) | None => return Err("keys of its kind are not known"),
        };
        Ok(Self {
            id,
            algorithm,
            material,
            public: key.map_err(|_| "what it is made of is no public key")?,
        })
    }

    fn order(&self) -> (Option<&str>, &str, &[u8]) {
        (self.id.as_deref(), self.algorithm, &self.material)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.id, self.algorithm)
    }
}

/// Returns the algorithm of an RSA key, and how it verifies.
fn rsa(written: Option<&str>) -> Result<(&'static str, &'static RsaParameters), &'static str> {
    Ok(match written {
        None | Some("RS256") => ("RS256", &signature::RSA_PKCS1_2048_8192_SHA256),
        Some("RS384") => ("RS384", &signature::RSA_PKCS1_2048_8192_SHA384),
        Some("RS512") => ("RS512", &signature::RSA_PKCS1_2048_8192_SHA512),
        Some("PS256") => ("PS256", &signature::RSA_PSS_2048_8192_SHA256),
        Some("PS384") => ("PS384", &signature::RSA_PSS_2048_8192_SHA384),
        Some("PS512") => ("PS512", &signature::RSA_PSS_2048_8192_SHA512),
        Some(_) => return Err(UNFIT),
    })
}

/// Returns the algorithm of a curve, how it verifies, and the bytes of a coordinate.
fn curve(
    name: Option<&str>,
) -> Result<
    (
        &'static str,
        &'static signature::EcdsaVerificationAlgorithm,
        usize,
    ),
    &'static str,
> {
    Ok(match name {
        Some("P-256") => ("ES256", &signature::ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => ("ES384", &signature::ECDSA_P384_SHA384_FIXED, 48),
        Some("P-521") => ("ES512", &signature::ECDSA_P521_SHA512_FIXED, 66),
        Some(_) | None => return Err("its curve is not known"),
    })
}

/// Returns which of `known` is written, the first when nothing is.
fn fits(written: Option<&str>, known: &[&'static str]) -> Result<&'static str, &'static str> {
    let mut all = known.iter().copied();
    let found = match written {
        None => all.next(),
        Some(written) => all.find(|one| *one == written),
    };
    found.ok_or(UNFIT)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Returns how many bits a number has that begins with none but the first one.
fn bits(number: &[u8]) -> usize {
    let Some(first) = number.first() else {
        return 0;
    };
    let unused = usize::try_from(first.leading_zeros()).unwrap_or_default();
    number.len() * 8 - unused
}

fn name(jwk: &Map<String, Value>, place: usize) -> String {
    match jwk.get("kid").and_then(Value::as_str) {
        Some(id) => shown(id),
        None => format!("the one at place {}", place + 1),
    }
}

/// Returns an id as a log can hold it.
fn shown(id: &str) -> String {
    let short: String = id.chars().take(64).collect();
    short.escape_debug().to_string()
}

const UNFIT: &str = "its alg is not known, or not one for keys of its kind";
/// Bytes. What large issuers publish is a tenth of it.
pub(super) const MOST_BYTES: usize = 256 * 1024;
const MOST_KEYS: usize = 100;
const MOST_ID_BYTES: usize = 256;
/// RFC 7518 §3.3.
const LEAST_RSA_BITS: usize = 2048;
const MOST_RSA_BITS: usize = 8192;
/// What a point on a curve begins with that has both of its coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests;
