//! Who signs the tokens of callers, with a key of the tests.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use profile_gateway::clock::since_epoch;
use serde_json::{Value, json};

/// Somebody with a private key.
pub(crate) struct Signer {
    key: EncodingKey,
    kid: &'static str,
}

/// Whom the tokens speak for, unless they are changed.
pub(crate) const SUBJECT: &str = "system:serviceaccount:shop:checkout";

impl Signer {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self::with(kid, include_bytes!("../../keys/rsa-pkcs8.pem"))
    }

    pub(crate) fn other(kid: &'static str) -> Self {
        Self::with(kid, include_bytes!("../../keys/rsa-other.pem"))
    }

    fn with(kid: &'static str, pem: &[u8]) -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = EncodingKey::from_rsa_pem(pem).unwrap();
        Self { key, kid }
    }

    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns a token as a cluster makes them, which counts for an hour.
    pub(crate) fn token(&self, issuer: &str) -> String {
        self.token_with(issuer, &json!({}), &json!({}))
    }

    /// Returns a token of which these members of header and claims are others; `null` leaves one out.
    pub(crate) fn token_with(&self, issuer: &str, header: &Value, claims: &Value) -> String {
        let header = changed(self.header(), header);
        let claims = changed(good_claims(issuer), claims);
        self.sign(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "RS256", "kid": self.kid, "typ": "JWT" })
    }

    /// Returns a token of these two, whatever they say.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = unsigned(header, claims);
        let signature = crypto::sign(signed.as_bytes(), &self.key, Algorithm::RS256).unwrap();
        format!("{signed}.{signature}")
    }
}

/// Returns the claims of a token as a cluster makes them.
pub(crate) fn good_claims(issuer: &str) -> Value {
    let now = since_epoch().as_secs();
    json!({
        "iss": issuer,
        "aud": ["profile-gateway"],
        "sub": SUBJECT,
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "checkout" } },
    })
}

/// Returns the first two parts of a token.
pub(crate) fn unsigned(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
    format!("{header}.{claims}")
}

fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

/// Returns the public keys as a JWK set.
pub(crate) fn set(keys: &[&Signer]) -> String {
    let keys: Vec<_> = keys.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

pub(crate) fn discovery(issuer: &str, jwks_uri: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"] })
        .to_string()
}
