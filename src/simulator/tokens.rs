//! The access tokens IMS has handed out, and which of them still count.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Client;
use crate::aep::{ClientId, OrgId};

/// How many tokens are remembered; beyond that the oldest stops counting.
const REMEMBERED: usize = 65_536;
/// An RSA signature with a 2048-bit key.
const SIGNATURE_BYTES: usize = 256;

/// What a token stands for.
#[derive(Clone, Debug)]
pub(super) struct Minted {
    pub(super) client: ClientId,
    pub(super) organization: OrgId,
    pub(super) expires_at_ms: u64,
    /// The claims inside the token.
    pub(super) claims: Value,
}

/// Every token that was minted, not revoked and not forgotten.
pub(super) struct Tokens {
    known: HashMap<String, Minted>,
    order: VecDeque<String>,
    minted: BTreeMap<ClientId, u64>,
    random: fastrand::Rng,
}

impl Tokens {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            minted: BTreeMap::new(),
            random,
        }
    }

    /// Makes a token for `client` that counts for `lifetime_ms` from `now_ms`.
    ///
    /// It has the form of a genuine one: three base64url parts, claims as text in milliseconds, no `exp`.
    /// Its signature is random bytes, since nobody but IMS and Adobe's gateway checks it.
    pub(super) fn mint(
        &mut self,
        client: &Client,
        scope: &str,
        now_ms: u64,
        lifetime_ms: u64,
    ) -> String {
        let account = &client.technical_account;
        let header = json!({
            "alg": "RS256", "x5u": "ims_na1-key-at-1.cer", "kid": "ims_na1-key-at-1", "itt": "at",
        });
        let claims = json!({
            "id": format!("{now_ms}_{:012x}_ue1", self.random.u64(..1 << 48)),
            "type": "access_token",
            "client_id": client.id.as_str(),
            "user_id": account,
            "as": "ims-na1",
            "aa_id": account,
            "ctp": 0,
            "fg": self.upper_case(26),
            "moi": format!("{:08x}", self.random.u32(..)),
            "state": "",
            "created_at": now_ms.to_string(),
            "expires_in": lifetime_ms.to_string(),
            "scope": scope,
        });
        let mut signature = [0; SIGNATURE_BYTES];
        self.random.fill(&mut signature);
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string()),
            URL_SAFE_NO_PAD.encode(signature),
        );
        let minted = Minted {
            client: client.id.clone(),
            organization: client.organization.clone(),
            expires_at_ms: now_ms.saturating_add(lifetime_ms),
            claims,
        };
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(token.clone());
        self.known.insert(token.clone(), minted);
        *self.minted.entry(client.id.clone()).or_default() += 1;
        token
    }

    /// Returns what `token` stands for, unless it is unknown, revoked or expired.
    pub(super) fn valid(&self, token: &str, now_ms: u64) -> Option<&Minted> {
        self.known
            .get(token)
            .filter(|minted| now_ms < minted.expires_at_ms)
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.known.remove(token);
    }

    /// Revokes every token.
    pub(super) fn revoke_all(&mut self) {
        self.known.clear();
        self.order.clear();
    }

    pub(super) fn live(&self, now_ms: u64) -> usize {
        self.known
            .values()
            .filter(|minted| now_ms < minted.expires_at_ms)
            .count()
    }

    /// Returns how often each client has been given a token.
    pub(super) fn minted(&self) -> &BTreeMap<ClientId, u64> {
        &self.minted
    }

    /// Forgets tokens and counts.
    pub(super) fn reset(&mut self) {
        self.revoke_all();
        self.minted.clear();
    }

    fn upper_case(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| self.random.alphanumeric().to_ascii_uppercase())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_token_looks_like_a_genuine_one() {
        let token = tokens().mint(
            &Client::demo(),
            "openid,AdobeID",
            1_645_197_489_007,
            86_400_000,
        );

        let parts: Vec<_> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        assert_eq!(parts.len(), 3);
        let header: Value = serde_json::from_slice(&parts[0]).unwrap();
        let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
        assert_eq!(header["alg"], "RS256");
        assert_eq!(claims["created_at"], "1645197489007");
        assert_eq!(claims["expires_in"], "86400000");
        assert_eq!(claims.get("exp"), None);
        assert!((900..2048).contains(&token.len()), "{}", token.len());
    }

    #[test]
    fn a_new_token_leaves_older_ones_alone() {
        let mut tokens = tokens();
        let first = tokens.mint(&Client::demo(), "openid", 0, 1000);
        let second = tokens.mint(&Client::demo(), "openid", 0, 2000);

        assert_ne!(first, second);
        assert!(tokens.valid(&first, 999).is_some());
        assert!(tokens.valid(&first, 1000).is_none());
        assert!(tokens.valid(&second, 1000).is_some());
        assert_eq!(tokens.live(1000), 1);
        assert_eq!(tokens.minted()[&Client::demo().id], 2);
    }

    #[test]
    fn a_revoked_token_no_longer_counts() {
        let mut tokens = tokens();
        let first = tokens.mint(&Client::demo(), "openid", 0, 1000);
        let second = tokens.mint(&Client::demo(), "openid", 0, 1000);

        tokens.revoke(&first);
        assert!(tokens.valid(&first, 0).is_none());
        assert!(tokens.valid(&second, 0).is_some());
        tokens.revoke_all();
        assert_eq!(tokens.live(0), 0);
    }
}
