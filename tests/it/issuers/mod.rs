//! Who signs the tokens of callers: keys fetched over real sockets, and tokens verified with them.

mod cluster;
mod faults;
mod process;
mod rotation;
mod server;

use std::future::Future;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use profile_gateway::clock::{Clock, since_epoch};
use profile_gateway::config::{self, Supplied};
use profile_gateway::issuers::{Claims, Issuers, Keepers, Refusal, Settings, Verifier};
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Somebody with a private key.
struct Signer {
    key: EncodingKey,
    kid: &'static str,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self::with(kid, include_bytes!("../../keys/rsa-pkcs8.pem"))
    }

    fn other(kid: &'static str) -> Self {
        Self::with(kid, include_bytes!("../../keys/rsa-other.pem"))
    }

    fn with(kid: &'static str, pem: &[u8]) -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = EncodingKey::from_rsa_pem(pem).unwrap();
        Self { key, kid }
    }

    fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns a token as a cluster makes them, which counts for an hour.
    fn token(&self, issuer: &str) -> String {
        let now = since_epoch().as_secs();
        let header = Header {
            kid: Some(self.kid.to_owned()),
            ..Header::new(Algorithm::RS256)
        };
        let claims = json!({
            "iss": issuer,
            "aud": ["profile-gateway"],
            "sub": "system:serviceaccount:shop:checkout",
            "exp": now + 3600,
            "iat": now,
            "nbf": now,
            "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "checkout" } },
        });
        encode(&header, &claims, &self.key).unwrap()
    }
}

fn set(keys: &[&Signer]) -> String {
    let keys: Vec<_> = keys.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

fn discovery(issuer: &str, jwks_uri: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"] })
        .to_string()
}

/// Reads the section `issuers` of a configuration.
fn settings(issuers: &str, files: &Supplied) -> Settings {
    let text = format!(
        "sandboxes: {{ dev: {{}} }}\ncredentials: {{ a: {{ organization: o@AdobeOrg, client_id: c, client_secrets: [s] }} }}\n\
         issuers: {{ {issuers} }}\n"
    );
    let settings = config::parse("test.yaml", &text, files);
    settings.unwrap_or_else(|faults| panic!("{faults}")).issuers
}

/// Runs `test` beside the tasks that fetch the keys of these issuers.
fn kept<F: Future<Output = ()>>(settings: &Settings, test: impl FnOnce(Verifier) -> F) {
    let issuers = Issuers::new(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut keepers = Keepers::default();
        keepers.keep(&issuers);
        test(Verifier::new(issuers)).await;
    });
}

fn verify(verifier: &Verifier, token: &str) -> Result<Claims, Refusal> {
    verifier.verify(token.as_bytes(), Clock::default().now())
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}
