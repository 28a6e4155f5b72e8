//! Verifies tokens on one worker, and remembers those it has verified, since a signature costs some 30 µs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;

use aws_lc_rs::digest;
use tokio::time::Instant;

use super::token::{Claims, Refusal, Unproven};
use super::{IssuerId, Issuers, Newer, Wanted};
use crate::clock::Moment;

/// Verifies tokens. Each worker has its own; nothing in it is shared but the issuers' keys, which are read without a lock.
#[derive(Debug)]
pub struct Verifier {
    issuers: Issuers,
    known: RefCell<Known>,
}

impl Verifier {
    /// Makes one that has seen no token.
    pub fn new(issuers: Issuers) -> Self {
        Self {
            issuers,
            known: RefCell::default(),
        }
    }

    /// Returns what `token` proves at `now`: bytes of the compact form and nothing around them.
    ///
    /// A token that has been verified is believed again without its signature while it counts, and while its issuer's keys
    /// are the same.
    ///
    /// # Errors
    /// [`Refusal`]. When it is [wanted](Refusal::wanted), newer keys may help.
    pub fn verify(&self, token: &[u8], now: Moment) -> Result<Claims, Refusal> {
        // What is too long to be a token is not worth a digest.
        if token.len() > super::token::MOST_BYTES {
            return Err(Refusal::TooLong);
        }
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        if let Some((claims, generation)) = self.known.borrow_mut().get(&digest)
            && claims.holds_at(now.wall)
            && self.generation(claims.issuer, now) == Some(generation)
        {
            return Ok(claims);
        }
        let (claims, generation) = self.issuers.verify(token, now)?;
        let known = (claims.clone(), generation);
        self.known.borrow_mut().add(digest, known);
        Ok(claims)
    }

    /// Waits until keys have come that a token was refused for want of, see [`Issuers::newer_keys`].
    pub async fn newer_keys(&self, wanted: Wanted, deadline: Instant) -> bool {
        self.issuers.newer_keys(wanted, deadline).await
    }

    /// Returns the issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Returns the generation of an issuer's keys, if they may be used.
    fn generation(&self, issuer: IssuerId, now: Moment) -> Option<u64> {
        self.issuers.get(issuer)?.generation(now)
    }
}

impl Issuers {
    /// Verifies a token that is not remembered. Returns the generation of the keys besides.
    pub(super) fn verify(&self, token: &[u8], now: Moment) -> Result<(Claims, u64), Refusal> {
        let unproven = Unproven::read(token)?;
        let name = unproven.issuer()?;
        let (id, issuer) = self.issued_by(name).ok_or(Refusal::Issuer)?;
        let wanted = |newer_than| Wanted {
            issuer: id,
            newer_than,
        };
        // Counted before the keys are looked at, so that a fetch in between is not missed.
        let fetch = issuer.keys().fetch();
        let snapshot = issuer.snapshot(now);
        let snapshot = snapshot.ok_or(Refusal::NoKeys(wanted(Newer::Fetch(fetch))))?;
        let wanted = wanted(Newer::Generation(snapshot.generation));
        let claims = unproven.prove(id, issuer.rules(), &snapshot.set, wanted, now.wall)?;
        Ok((claims, snapshot.generation))
    }
}

/// Tokens that have been verified, by their digests: the ones seen lately, and those seen before them.
///
/// When there are enough of the first, the second are forgotten, and the first take their place. So what is used stays, and
/// nothing has to be kept in order.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<Digest, (Claims, u64)>,
    old: HashMap<Digest, (Claims, u64)>,
}

type Digest = [u8; DIGEST_BYTES];

impl Known {
    fn get(&mut self, digest: &Digest) -> Option<(Claims, u64)> {
        if let Some(known) = self.young.get(digest) {
            return Some(known.clone());
        }
        let known = self.old.remove(digest)?;
        self.add(*digest, known.clone());
        Some(known)
    }

    fn add(&mut self, digest: Digest, known: (Claims, u64)) {
        if self.young.len() >= MOST_YOUNG {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
    }
}

const DIGEST_BYTES: usize = 32;
/// With as many old ones, some 200 KiB a worker.
const MOST_YOUNG: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn known(number: u64) -> (Claims, u64) {
        let claims = Claims {
            issuer: IssuerId(0),
            subject: "s".into(),
            begins: Duration::ZERO,
            expires_at: Duration::from_secs(1),
        };
        (claims, number)
    }

    fn digest(number: u64) -> Digest {
        let mut digest = [0; DIGEST_BYTES];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn what_is_used_stays_and_there_are_never_more_than_a_thousand() {
        let mut all = Known::default();
        all.add(digest(0), known(0));

        for number in 1..10_000 {
            all.add(digest(number), known(number));
            assert_eq!(all.get(&digest(0)).unwrap().1, 0);
            assert!(all.young.len() + all.old.len() <= 2 * MOST_YOUNG);
        }

        assert_eq!(all.get(&digest(9_999)).unwrap().1, 9_999);
        assert_eq!(all.get(&digest(1)), None);
    }
}
