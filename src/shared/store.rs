//! Records and leases, within a bound of time, and not at all while the server is away.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use redis::FromRedisValue;
use tokio::time::{Instant, timeout_at};

use super::breaker::{Breaker, Pass, Refusal};
use super::dial::Dialer;
use super::link::{Fault, Links};
use super::script::{Call, Keys};
use super::seal::Place;
use super::{Settings, SetupError};
use crate::secret::SecretBytes;

/// Small secret records that replicas share by name.
///
/// Clones are one store. It connects when it is first used. It has to be used within a [`tokio::task::LocalSet`], to
/// which the tasks of its connections belong.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    parts: ArcSwap<Parts>,
    breaker: Mutex<Breaker>,
    /// What was last wrong with the record of a name, so that it is told once.
    told: Mutex<HashMap<String, String>>,
}

/// What is made from the settings, and goes with them.
struct Parts {
    settings: Settings,
    links: Links,
}

/// Settings that a store can take without anything that can fail.
pub struct Prepared(Parts);

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared(…)")
    }
}

impl Parts {
    fn new(settings: Settings) -> Result<Self, SetupError> {
        let dialer = Dialer::new(&settings)?;
        let links = Links::new(settings.mode.clone(), settings.login.clone(), dialer);
        Ok(Self { settings, links })
    }
}

/// A record that somebody has published.
#[derive(Clone, Debug)]
pub struct Record {
    /// The fence of the lease it was published with. A later record has a greater one.
    pub fence: u64,
    /// What was published.
    pub plain: SecretBytes,
    /// How long the record has left, by the server's clock.
    pub left: Duration,
}

/// What came of asking for a lease.
#[derive(Debug)]
pub enum Leased {
    /// It is ours.
    Ours(Lease),
    /// Somebody else has it.
    Theirs {
        /// How long at most, unless it is taken anew.
        left: Duration,
    },
}

/// The turn to replace a record.
///
/// Dropped, it ends by itself when its time is over.
#[derive(Debug)]
pub struct Lease {
    name: String,
    holder: String,
    fence: u64,
    until: Instant,
}

/// The store cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared store cannot be used: {why}")]
pub struct Unavailable {
    /// Why, in plain words and without secrets.
    pub why: String,
    /// How long every call will fail at once.
    pub retry_in: Duration,
}

impl Store {
    /// Makes a store. Nothing is connected to yet.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Inner {
            parts: ArcSwap::from_pointee(Parts::new(settings)?),
            breaker: Mutex::default(),
            told: Mutex::default(),
        })))
    }

    /// Takes new settings: servers, users, passwords, keys. Calls under way end with the old ones. Tells whether anything
    /// has changed.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be set up; the old settings stay.
    pub fn update(&self, settings: &Settings) -> Result<bool, SetupError> {
        let Some(prepared) = self.prepare(settings)? else {
            return Ok(false);
        };
        self.take(prepared);
        Ok(true)
    }

    /// Prepares to take new settings; `None` when they are those there are.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be set up.
    pub fn prepare(&self, settings: &Settings) -> Result<Option<Prepared>, SetupError> {
        if self.0.parts.load().settings == *settings {
            return Ok(None);
        }
        Ok(Some(Prepared(Parts::new(settings.clone())?)))
    }

    /// Takes new settings that have been prepared. Calls under way end with the old ones.
    pub fn take(&self, Prepared(parts): Prepared) {
        self.0.parts.store(Arc::new(parts));
        // What was the matter may not be the matter any more.
        *lock(&self.0.breaker) = Breaker::default();
        lock(&self.0.told).clear();
    }

    /// Returns 16 hexadecimal digits that are the same for the same text on all replicas ([`super::Keyring::fingerprint`]).
    pub fn fingerprint(&self, text: &[u8]) -> String {
        self.0.parts.load().settings.keys.fingerprint(text)
    }

    /// Tells whether the store has answered when it was last asked, or has not been asked yet.
    pub fn is_up(&self) -> bool {
        lock(&self.0.breaker).is_closed()
    }

    /// Reads the record of `name`, or `None` when there is none that could be opened; why not is logged once.
    ///
    /// # Errors
    /// [`Unavailable`]; go on without.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn read(&self, name: &str) -> Result<Option<Record>, Unavailable> {
        let parts = self.0.parts.load_full();
        let call = Call::read(&parts.keys(name));
        let (fence, sealed, left): (Option<Vec<u8>>, Option<Vec<u8>>, i64) =
            self.run(&parts, name, &call).await?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        // What no script of ours has written has no fence, or never ends.
        let fence = fence.as_deref().and_then(number).unwrap_or(0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        match parts.settings.keys.open(parts.place(name, fence), &sealed) {
            Ok(plain) => {
                lock(&self.0.told).remove(name);
                Ok(Some(Record { fence, plain, left }))
            }
            Err(unreadable) => {
                let why = unreadable.to_string();
                let told = lock(&self.0.told).insert(name.to_owned(), why.clone());
                if told.as_ref() != Some(&why) {
                    tracing::warn!(name, why, "a shared record could not be opened");
                }
                Ok(None)
            }
        }
    }

    /// Takes the turn to replace the record of `name`, unless somebody has it. It `lasts` that long, and should outlast
    /// the work by far.
    ///
    /// # Errors
    /// [`Unavailable`]; go on without. The lease may have been taken all the same, and then nobody has it until its end.
    ///
    /// # Cancel safety
    /// As with an error.
    pub async fn lease(&self, name: &str, lasts: Duration) -> Result<Leased, Unavailable> {
        let holder = format!("{:032x}", fastrand::u128(..));
        // From before the request on, so that ours never seems to last longer than the server's.
        let until = Instant::now() + lasts.min(LONGEST);
        let parts = self.0.parts.load_full();
        let call = Call::lease(&parts.keys(name), &holder, millis(lasts));
        let (ours, number): (bool, u64) = self.run(&parts, name, &call).await?;
        Ok(if ours {
            Leased::Ours(Lease {
                name: name.to_owned(),
                holder,
                fence: number,
                until,
            })
        } else {
            Leased::Theirs {
                left: Duration::from_millis(number),
            }
        })
    }

    /// Replaces the record of the lease's name, to be kept as long as it `lives`, and ends the lease. Returns `false`,
    /// with nothing done, when a record of a later lease is there already.
    ///
    /// A lease that is over still counts while nobody has published with a later one.
    ///
    /// # Errors
    /// [`Unavailable`]; the record may have been replaced all the same.
    ///
    /// # Cancel safety
    /// As with an error.
    pub async fn publish(
        &self,
        lease: &Lease,
        plain: &[u8],
        lives: Duration,
    ) -> Result<bool, Unavailable> {
        let parts = self.0.parts.load_full();
        let place = parts.place(&lease.name, lease.fence);
        let sealed = parts
            .settings
            .keys
            .seal(place, plain)
            .map_err(|error| Unavailable {
                why: error.to_string(),
                retry_in: Duration::ZERO,
            })?;
        let keys = parts.keys(&lease.name);
        let call = Call::publish(&keys, &lease.holder, lease.fence, sealed, millis(lives));
        self.run(&parts, &lease.name, &call).await
    }

    /// Ends a lease without a record, so that the next may try at once.
    ///
    /// # Errors
    /// [`Unavailable`]; the lease then ends by itself.
    ///
    /// # Cancel safety
    /// As with an error.
    pub async fn release(&self, lease: Lease) -> Result<(), Unavailable> {
        let parts = self.0.parts.load_full();
        let call = Call::release(&parts.keys(&lease.name), &lease.holder, lease.fence);
        self.run::<bool>(&parts, &lease.name, &call).await.map(drop)
    }

    /// Runs a script unless the store is away, and notes what comes of it.
    async fn run<T: FromRedisValue>(
        &self,
        parts: &Parts,
        name: &str,
        call: &Call,
    ) -> Result<T, Unavailable> {
        let limit = parts.settings.timeout;
        let begun = Instant::now();
        let entered = lock(&self.0.breaker).enter(begun, limit);
        let pass = entered.map_err(|Refusal { why, left }| Unavailable {
            why,
            retry_in: left,
        })?;
        let deadline = begun + limit;
        // Boxed, since a connection in the making is large and seldom.
        let running = Box::pin(parts.links.run(name, call, deadline));
        match timeout_at(deadline, running).await {
            Ok(Ok(answer)) => {
                let away = lock(&self.0.breaker).succeeded(Instant::now());
                if let Some(away) = away {
                    tracing::info!(away_s = away.as_secs(), "the shared store is back");
                }
                Ok(answer)
            }
            Ok(Err(Fault(why))) => Err(self.failed(pass, why)),
            Err(_) => {
                // Who does not answer may never do so on these connections.
                parts.links.forget_all();
                Err(self.failed(pass, format!("no answer within {limit:?}")))
            }
        }
    }

    fn failed(&self, pass: Pass, why: String) -> Unavailable {
        let now = Instant::now();
        let mut breaker = lock(&self.0.breaker);
        let lost = breaker.failed(pass, now, &why, fastrand::f64());
        let retry_in = breaker.pause(now);
        drop(breaker);
        if lost {
            tracing::warn!(
                why,
                "the shared store is lost; each replica is on its own until it is back"
            );
        }
        Unavailable { why, retry_in }
    }
}

impl Parts {
    fn keys(&self, name: &str) -> Keys {
        Keys::new(&self.settings.prefix, name)
    }

    fn place<'a>(&'a self, name: &'a str, fence: u64) -> Place<'a> {
        Place {
            prefix: &self.settings.prefix,
            name,
            fence,
        }
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metric = encoder.encode_descriptor(
            "profile_gateway_shared_up",
            "Whether the store that replicas share answered when it was last asked",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(u64::from(self.is_up())).encode(metric)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("settings", &self.0.parts.load().settings)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// Returns whose record it is the turn to replace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fence: the next lease of the name has a greater one.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Returns when the lease is over, no later than the server has it.
    pub fn until(&self) -> Instant {
        self.until
    }
}

/// Redis takes no lifetime below a millisecond.
fn millis(duration: Duration) -> u64 {
    let millis = duration.min(LONGEST).as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX).max(1)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Neither Redis nor an `Instant` takes a time that its clock cannot hold.
const LONGEST: Duration = Duration::from_hours(365 * 24);
