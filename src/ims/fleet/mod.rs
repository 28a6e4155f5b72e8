//! One token for all replicas: whoever has the turn mints, and the others read what it publishes.

use std::future::Future;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::answer::{Class, Failure};
use super::mint::TokenService;
use super::minter::Minter;
use super::token::{Obtained, Origin};
use super::{CredentialSettings, Paths, Settings, schedule};
use crate::clock::{Clock, Moment};
use crate::secret::{Secret, SecretBytes, digits};
use crate::shared;

/// Where replicas keep records for each other. [`shared::Store`] is one.
pub trait Shelf: std::fmt::Debug {
    /// The turn to replace a record.
    type Lease: HasFence + std::fmt::Debug;

    /// Returns the record of `name`, if there is one that can be read.
    ///
    /// # Errors
    /// [`Away`] when the shelf cannot be used.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<shared::Record>, Away>>;

    /// Takes the turn to replace the record of `name`, for as long as it `lasts`; or tells how long somebody else has it.
    ///
    /// # Errors
    /// [`Away`].
    fn lease(
        &self,
        name: &str,
        lasts: Duration,
    ) -> impl Future<Output = Result<Result<Self::Lease, Duration>, Away>>;

    /// Replaces the record unless a later lease has, and ends the turn. Tells whether it did.
    ///
    /// # Errors
    /// [`Away`].
    fn publish(
        &self,
        lease: &Self::Lease,
        plain: &[u8],
        lives: Duration,
    ) -> impl Future<Output = Result<bool, Away>>;

    /// Ends the turn.
    fn release(&self, lease: Self::Lease) -> impl Future<Output = ()>;
}

/// A turn that can be told from later ones.
pub trait HasFence {
    /// Returns a number that grows from turn to turn.
    fn fence(&self) -> u64;
}

/// The shelf cannot be used now. Whoever has it has said why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// A credential's place on the shelf.
#[derive(Debug)]
pub struct Fleet<H: Shelf> {
    shelf: H,
    /// Who is asked.
    ims: String,
    paths: Paths,
    name: String,
    /// Time for one token call.
    call: Duration,
    /// How long a turn lasts: longer than a token call.
    lasts: Duration,
    /// How often in a row the turn was waited for in vain.
    denied: u32,
    /// The turn in which a call has failed, kept for the pause after it.
    turn: Option<H::Lease>,
}

/// What a token is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The fence of the token there is, if it is from the shelf: another one has to be newer.
    pub(super) newer_than: Option<u64>,
    /// How long the token there is still serves: another one has to serve longer.
    pub(super) valid_for: Duration,
}

impl Wish {
    /// Whatever can be used.
    pub(super) const ANY: Self = Self {
        newer_than: None,
        valid_for: Duration::ZERO,
    };
}

/// A token on the shelf.
#[derive(Deserialize, Serialize)]
struct Entry {
    access_token: String,
    lifetime_ms: u64,
    /// On the wall clock of who minted it, since the Unix epoch.
    asked_for_ms: u64,
}

impl<H: Shelf> Fleet<H> {
    /// Finds the place of a credential's token: replicas that ask the same token service for the same thing share it.
    pub fn new(shelf: H, settings: &Settings, credential: &CredentialSettings) -> Self {
        let (origin, address) = settings.connect.reached();
        let ims = match address {
            Some(address) => format!("{origin} at {address}"),
            None => origin.to_string(),
        };
        Self {
            shelf,
            name: name(&ims, &settings.paths, credential),
            ims,
            paths: settings.paths.clone(),
            call: settings.timeout,
            // Should the calls take longer, as with two secrets they may, the fence tells who was late.
            lasts: settings.timeout + Duration::from_secs(1),
            denied: 0,
            turn: None,
        }
    }

    /// Finds the place that the token has with these settings. Tells whether it is another one than before.
    pub(super) fn settle(&mut self, settings: &CredentialSettings) -> bool {
        let name = name(&self.ims, &self.paths, settings);
        let moved = name != self.name;
        if moved {
            // A turn at the old place ends by itself.
            self.turn = None;
            self.name = name;
        }
        moved
    }

    /// Returns a token from the shelf that is as good as is wished for, or mints one for all.
    ///
    /// While another replica has the turn it is waited for, as long as that replica and one after it may take. When the
    /// shelf is away, or gives the turn to nobody who gets anywhere, a token is minted for this replica alone.
    ///
    /// # Errors
    /// [`Failure`] of the token call, or of others' that this replica has waited for.
    pub(super) async fn obtain<S: TokenService>(
        &mut self,
        wish: impl Fn() -> Wish,
        minter: &mut Minter<S>,
        settings: &CredentialSettings,
        clock: &Clock,
    ) -> Result<Obtained, Failure> {
        if let Some(turn) = self.turn.take() {
            // It was kept after a failure, so that the others did not try as well. Now they go first, since what was the
            // matter may have been the matter with this replica.
            self.shelf.release(turn).await;
            sleep(POLL.mul_f64(1.5)).await;
        }
        let patience = Instant::now() + self.lasts + self.call + POLL * 4;
        loop {
            let turn = match self.find(wish(), clock).await {
                Ok(Some(token)) => {
                    self.denied = 0;
                    return Ok(token);
                }
                Ok(None) => self.shelf.lease(&self.name, self.lasts).await,
                Err(Away) => Err(Away),
            };
            match turn {
                Ok(Ok(turn)) => {
                    self.denied = 0;
                    // Somebody may have published between the look and the turn.
                    if let Ok(Some(token)) = self.find(wish(), clock).await {
                        self.shelf.release(turn).await;
                        return Ok(token);
                    }
                    return self.for_all(turn, minter, settings, clock).await;
                }
                // Only a pause that IMS asked for takes longer than a turn.
                Ok(Err(left)) if left > self.lasts => return Err(paused(left)),
                Ok(Err(left)) if Instant::now() < patience => {
                    sleep(left.min(POLL.mul_f64(0.5 + fastrand::f64()))).await;
                }
                Ok(Err(_)) if self.denied < MOST_DENIED || !wish().valid_for.is_zero() => {
                    self.denied += 1;
                    let message = "other replicas have tried to get a token, and have none yet";
                    return Err(Failure::new(Class::Unreachable, message));
                }
                Ok(Err(_)) | Err(Away) => return alone(wish(), minter, settings, clock).await,
            }
        }
    }

    /// Looks for a token as it is wished for.
    pub(super) async fn find(&self, wish: Wish, clock: &Clock) -> Result<Option<Obtained>, Away> {
        let found = self.shelf.read(&self.name).await?;
        Ok(found.and_then(|record| taken(&record, wish, clock.now())))
    }

    /// Mints within the turn, and publishes.
    async fn for_all<S: TokenService>(
        &mut self,
        turn: H::Lease,
        minter: &mut Minter<S>,
        settings: &CredentialSettings,
        clock: &Clock,
    ) -> Result<Obtained, Failure> {
        let mut obtained = match mint(minter, settings, clock).await {
            Ok(obtained) => obtained,
            Err(failure) if failure.class.is_permanent() => {
                // Another replica may have another secret.
                self.shelf.release(turn).await;
                return Err(failure);
            }
            Err(failure) => {
                self.turn = match failure.retry_after {
                    Some(pause) if pause > self.lasts => self.pause(turn, pause).await,
                    _ => Some(turn),
                };
                return Err(failure);
            }
        };
        let left = obtained
            .lifetime
            .saturating_sub(obtained.asked_for.age(clock.now()));
        let entry = Entry::of(&obtained);
        // Also when it is not known whether it was published: should it be read again, it is known for the same.
        obtained.fence = Some(turn.fence());
        if self.shelf.publish(&turn, &entry, left).await == Ok(false) {
            tracing::info!(
                credential = settings.name,
                "a replica with a later turn has published a token already"
            );
        }
        Ok(obtained)
    }

    /// Keeps the others from trying for as long as IMS asked.
    async fn pause(&self, turn: H::Lease, pause: Duration) -> Option<H::Lease> {
        self.shelf.release(turn).await;
        let longest = pause.min(schedule::LONGEST_PAUSE);
        self.shelf.lease(&self.name, longest).await.ok()?.ok()
    }
}

/// Says that another replica was told to wait.
fn paused(left: Duration) -> Failure {
    let message = "IMS asked another replica for a pause";
    Failure {
        retry_after: Some(left),
        ..Failure::new(Class::Throttled, message)
    }
}

/// Mints for this replica alone, after a while that differs among replicas.
async fn alone<S: TokenService>(
    wish: Wish,
    minter: &mut Minter<S>,
    settings: &CredentialSettings,
    clock: &Clock,
) -> Result<Obtained, Failure> {
    sleep(schedule::apart(wish.valid_for, fastrand::f64())).await;
    let obtained = mint(minter, settings, clock).await?;
    Ok(Obtained {
        // What is on the shelf is still no newer than it was.
        fence: wish.newer_than,
        ..obtained
    })
}

/// How often in a row a replica lets the others try before it goes alone without the turn.
const MOST_DENIED: u32 = 3;

/// How often it is looked whether another replica has published, or its turn is over.
const POLL: Duration = Duration::from_millis(100);

/// Mints with whichever secret works.
pub(super) async fn mint<S: TokenService>(
    minter: &mut Minter<S>,
    settings: &CredentialSettings,
    clock: &Clock,
) -> Result<Obtained, Failure> {
    let asked_for = clock.now();
    let (minted, secret) = minter.mint(settings).await?;
    Ok(Obtained {
        bearer: minted.bearer,
        asked_for,
        lifetime: minted.lifetime,
        fence: None,
        origin: Origin::Ims { secret },
    })
}

/// Takes a token from the shelf if it is one that is wished for.
///
/// Its age is told by the shelf's clock and by the wall clocks of both replicas, and the one that leaves less counts.
fn taken(record: &shared::Record, wish: Wish, now: Moment) -> Option<Obtained> {
    if wish.newer_than.is_some_and(|fence| record.fence <= fence) {
        return None;
    }
    let entry = Entry::read(&record.plain)?;
    let lifetime = Duration::from_millis(entry.lifetime_ms);
    let age = now
        .wall
        .saturating_sub(Duration::from_millis(entry.asked_for_ms));
    let left = record.left.min(lifetime.saturating_sub(age));
    if left <= wish.valid_for.max(schedule::margin(lifetime)) {
        return None;
    }
    Some(Obtained {
        bearer: Secret::new(entry.access_token).to_bearer()?,
        asked_for: now.minus(lifetime.saturating_sub(left))?,
        lifetime,
        fence: Some(record.fence),
        origin: Origin::Fleet,
    })
}

impl Entry {
    /// Writes what is published of a token.
    fn of(obtained: &Obtained) -> Vec<u8> {
        let bearer = obtained.bearer.to_str().unwrap_or_default();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let entry = Self {
            access_token: bearer.strip_prefix("Bearer ").unwrap_or(bearer).to_owned(),
            lifetime_ms: millis(obtained.lifetime),
            asked_for_ms: millis(obtained.asked_for.wall),
        };
        serde_json::to_vec(&entry).unwrap_or_default()
    }

    fn read(plain: &SecretBytes) -> Option<Self> {
        let entry = serde_json::from_slice(plain.expose());
        if entry.is_err() {
            tracing::warn!("a shared token is not written as this version reads it");
        }
        entry.ok()
    }
}

/// Names a token by what it is: who asks whom for what.
fn name(ims: &str, paths: &Paths, credential: &CredentialSettings) -> String {
    let parts = [
        ims.to_owned(),
        paths.of(&credential.grant).to_owned(),
        credential.client_id.as_str().to_owned(),
        credential.organization.as_str().to_owned(),
        credential.grant.asks_for(),
    ];
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    format!("token-{}", digits(hash.as_ref(), 16))
}

impl HasFence for shared::Lease {
    fn fence(&self) -> u64 {
        self.fence()
    }
}

impl Shelf for shared::Store {
    type Lease = shared::Lease;

    async fn read(&self, name: &str) -> Result<Option<shared::Record>, Away> {
        Self::read(self, name).await.map_err(|_| Away)
    }

    async fn lease(
        &self,
        name: &str,
        lasts: Duration,
    ) -> Result<Result<shared::Lease, Duration>, Away> {
        match Self::lease(self, name, lasts).await {
            Ok(shared::Leased::Ours(lease)) => Ok(Ok(lease)),
            Ok(shared::Leased::Theirs { left }) => Ok(Err(left)),
            Err(_) => Err(Away),
        }
    }

    async fn publish(
        &self,
        lease: &shared::Lease,
        plain: &[u8],
        lives: Duration,
    ) -> Result<bool, Away> {
        Self::publish(self, lease, plain, lives)
            .await
            .map_err(|_| Away)
    }

    async fn release(&self, lease: shared::Lease) {
        // Otherwise it ends by itself.
        let _ = Self::release(self, lease).await;
    }
}

#[cfg(test)]
mod tests;
