//! Takes another configuration while the gateway runs: whole, or not at all.
//!
//! It is read and checked, and everything that can fail is prepared, away from the control thread. Only then is it put in
//! place, in steps that cannot fail.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::plan::{self, dialer};
use super::worker::Crew;
use super::{StartError, warn_of};
use crate::config::{Diagnostics, Drain, Outline, Settings, Watch};
use crate::connect::Dialer;
use crate::gateway::Plan;
use crate::identify;
use crate::ims::{Credential, Credentials, Current, Keepers};
use crate::issuers::{self, Issuers};
use crate::listener::{self, Handle};
use crate::shared::{Prepared, Store};
use crate::telemetry::audit::{self, Audit};
use crate::telemetry::{Log, ReloadOutcome, Reloads};

/// Follows the changes of a configuration.
#[derive(Debug)]
pub(super) struct Reloader {
    files: Watch,
    present: Present,
    lasting: Lasting,
    /// Somebody asks for a reload.
    asked: Arc<Notify>,
}

/// What outlasts configurations, and is told of each.
#[derive(Debug)]
pub(super) struct Lasting {
    pub(super) audit: Arc<Audit>,
    pub(super) crew: Crew,
    pub(super) current: Current,
    pub(super) drain: watch::Sender<Drain>,
    pub(super) issuers: issuers::Current,
    pub(super) log: Arc<Log>,
    pub(super) reloads: Reloads,
    pub(super) store: Option<Store>,
}

/// The configuration in use.
#[derive(Clone, Debug)]
struct Present {
    settings: Arc<Settings>,
    plan: Arc<Plan>,
    moves: Moves,
    started: Started,
}

/// What the credentials in use have seen change since they were begun.
///
/// They see one of both at most, and are begun anew before the other: so each token goes only to an upstream that some
/// configuration named together with the token service that it is from. Else the token of one world would be sent to the
/// other's upstream, by a stack of the old configuration or of the new one.
#[derive(Clone, Copy, Debug, Default)]
struct Moves {
    service: bool,
    upstream: bool,
}

impl Moves {
    /// Adds those from one configuration to the next.
    fn and(self, before: &Settings, after: &Settings) -> Self {
        Self {
            service: self.service || !before.ims.asks_like(&after.ims),
            upstream: self.upstream || before.upstream.reached() != after.upstream.reached(),
        }
    }
}

/// What of the configuration that the gateway was started with is still in use, whatever is read later.
#[derive(Clone, Debug)]
struct Started {
    outline: Outline,
    /// Whether there is a store that replicas share.
    shares: bool,
    listeners: Vec<Handle>,
    workers: NonZeroUsize,
}

/// A configuration that can be put in place without anything that can fail.
#[derive(Debug)]
struct Ready {
    settings: Settings,
    plan: Plan,
    /// Where the audit goes on, if not where it is.
    audit: Option<audit::Prepared>,
    /// Makes token calls, where that is done in another way now.
    ims: Option<Dialer>,
    listeners: Vec<listener::Prepared>,
    store: Option<Prepared>,
    moves: Moves,
    /// The key paths of what differs from the one in use.
    changed: Vec<String>,
}

/// Why a configuration is not put in place.
#[derive(Debug)]
enum Not {
    Faulty(Diagnostics),
    Impossible(StartError),
    Unchanged,
}

impl Reloader {
    /// Prepares to follow the changes of a configuration that `settings` were loaded from and `plan` was made from.
    pub(super) fn new(
        files: Watch,
        settings: &Settings,
        plan: Arc<Plan>,
        listeners: Vec<Handle>,
        lasting: Lasting,
        asked: Arc<Notify>,
    ) -> Self {
        Self {
            files,
            present: Present {
                settings: Arc::new(settings.clone()),
                plan,
                moves: Moves::default(),
                started: Started {
                    outline: settings.outline.clone(),
                    shares: settings.shared.is_some(),
                    listeners,
                    workers: settings.workers,
                },
            },
            lasting,
            asked,
        }
    }

    /// Looks at the files for ever, and puts in place what is new and sound.
    pub(super) async fn follow(mut self, keepers: &mut Keepers, issuers: &mut issuers::Keepers) {
        let mut looks = interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                () = self.asked.notified() => true,
                _ = looks.tick() => false,
            };
            let (mut files, present) = (self.files, self.present.clone());
            let store = self.lasting.store.clone();
            let looking = spawn_blocking(move || {
                let read = if asked {
                    Some(files.read())
                } else {
                    files.look()
                };
                let prepared = read.map(|read| prepare(read, &present, store.as_ref()));
                (files, prepared)
            });
            let Ok((files, prepared)) = looking.await else {
                self.lasting.reloads.count(ReloadOutcome::Refused);
                return tracing::error!(
                    "files of the configuration are not looked at any more; the gateway goes on with the one there is"
                );
            };
            self.files = files;
            match prepared {
                None => {}
                Some(Ok(ready)) => self.apply(*ready, keepers, issuers).await,
                Some(Err(not)) => self.leave(not),
            }
        }
    }

    /// Puts a configuration in place. Nothing here can fail but to change the file of a Unix socket, which others may have
    /// replaced.
    async fn apply(&mut self, ready: Ready, keepers: &mut Keepers, issuers: &mut issuers::Keepers) {
        let Ready {
            settings,
            plan,
            audit,
            ims,
            listeners,
            store,
            moves,
            changed,
        } = ready;
        let Lasting {
            audit: audited,
            crew,
            current,
            drain,
            issuers: current_issuers,
            log,
            reloads,
            store: shared,
        } = &self.lasting;
        let (settings, plan) = (Arc::new(settings), Arc::new(plan));
        // Before the workers make stacks, which write access lines or do not.
        log.set_level(settings.log.level);
        if let (Some(shared), Some(store)) = (shared, store) {
            shared.take(store);
            tracing::info!("the shared store is used with new settings");
        }
        // Before the workers make stacks, which write to it.
        if let Some(audit) = audit {
            audited.take(audit);
        }
        for listener in listeners {
            if let Err(error) = listener.take() {
                tracing::error!(
                    error = chain(&error),
                    "a listener goes on with its old settings"
                );
            }
        }
        drain.send_replace(settings.drain);
        // First, so that no secret of theirs goes where calls are made from now on.
        keepers.part_with_others(&plan.credentials);
        if let Some(dialer) = ims {
            keepers.call_with(settings.ims.clone(), dialer);
        }
        // Before requests ask for them.
        plan.credentials.update(&settings.ims);
        keepers.keep(&plan.credentials);
        issuers.keep(&plan.issuers);
        tokio::join!(
            self.wait_for_first_tokens(&plan.credentials),
            wait_for_first_keys(&plan.issuers),
        );
        current.set(plan.credentials.clone());
        current_issuers.set(plan.issuers.clone());
        if !crew.hand_over(&plan).await {
            tracing::error!("a worker has not taken the new configuration yet");
        }
        tracing::info!(changed = list(&changed), "the configuration was reloaded");
        warn_of(&settings);
        self.present.settings = settings;
        self.present.plan = plan;
        self.present.moves = moves;
        self.tell_what_waits(&changed);
        reloads.count(ReloadOutcome::Applied);
    }

    /// Gives credentials that have come the time for a token, so that no request has to wait for one that did not before.
    async fn wait_for_first_tokens(&self, credentials: &Credentials) {
        let until = Instant::now() + FIRST_TOKENS;
        let known = |credential: &&Arc<Credential>| {
            let mut before = self.present.plan.credentials.iter();
            before.any(|other| Arc::ptr_eq(other, credential))
        };
        for credential in credentials.iter().filter(|credential| !known(credential)) {
            if let Err(error) = credential.wait(until).await {
                tracing::warn!(
                    credential = credential.name(),
                    error = error.chain(),
                    "a credential that has come has no token yet; its routes do without until it has"
                );
            }
        }
    }

    /// Says why a configuration is not put in place.
    fn leave(&self, not: Not) {
        let outcome = match not {
            Not::Faulty(faults) => {
                tracing::error!(
                    faults = faults.to_string(),
                    "files of the configuration are not taken: they have faults"
                );
                ReloadOutcome::Refused
            }
            Not::Impossible(error) => {
                tracing::error!(
                    error = chain(&error),
                    "files of the configuration are not taken: it cannot be put in place"
                );
                ReloadOutcome::Refused
            }
            Not::Unchanged => {
                tracing::info!("the configuration was read anew and has not changed");
                ReloadOutcome::Unchanged
            }
        };
        self.lasting.reloads.count(outcome);
    }

    /// Says, once a change, what takes effect at the next start.
    fn tell_what_waits(&self, changed: &[String]) {
        let Present {
            settings, started, ..
        } = &self.present;
        let mut waits = started.outline.differences(&settings.outline);
        let shares = settings.shared.is_some();
        waits.retain(|path| {
            let whole = path == "shared" && shares != started.shares;
            whole || AT_START.iter().any(|key| is_at_or_below(path, key)) || is_of_a_bind(path)
        });
        let shut = self.go_by_former_proofs();
        if !shut.is_empty() {
            tracing::warn!(
                routes = list(&shut),
                "routes go by a field that held proofs of callers; it is taken out of requests until the next start"
            );
        }
        let needed = !waits.is_empty() || !shut.is_empty();
        self.lasting.reloads.set_restart_needed(needed);
        waits.retain(|path| changed.iter().any(|changed| is_at_or_below(changed, path)));
        if !waits.is_empty() {
            tracing::warn!(
                keys = list(&waits),
                "a part of the configuration takes effect at the next start"
            );
        }
    }

    /// Returns the routes that go by a field which a configuration before this one took proofs from.
    fn go_by_former_proofs(&self) -> Vec<String> {
        let Present { settings, plan, .. } = &self.present;
        let own = &settings.identify.fields;
        let former = plan.identify.fields.iter();
        let former: Vec<_> = former.filter(|it| !own.contains(it)).cloned().collect();
        let former = identify::Fields::new(&former);
        let routes = settings.route.routes.iter().filter(|rule| {
            let mut headers = rule.headers.iter();
            headers.any(|condition| former.hold(&condition.name))
        });
        routes.map(|rule| rule.name.clone()).collect()
    }
}

/// Gives issuers that have come the time for their keys.
async fn wait_for_first_keys(issuers: &Issuers) {
    for issuer in issuers.first_keys(Instant::now() + FIRST_TOKENS).await {
        tracing::warn!(
            issuer,
            "an issuer has no keys yet; its tokens are answered with 503 until it has"
        );
    }
}

/// Prepares a configuration that has been read, so that nothing is left that can fail. Changes nothing that is in use.
fn prepare(
    read: Result<Settings, Diagnostics>,
    present: &Present,
    store: Option<&Store>,
) -> Result<Box<Ready>, Not> {
    let settings = read.map_err(Not::Faulty)?;
    let changed = present.settings.outline.differences(&settings.outline);
    if changed.is_empty() {
        return Err(Not::Unchanged);
    }
    let ims = &settings.ims;
    let ims = if present.settings.ims.calls_like(ims) {
        None
    } else {
        Some(dialer(ims.connect.clone()).map_err(Not::Impossible)?)
    };
    let store = match (store, &settings.shared) {
        (Some(store), Some(shared)) => store
            .prepare(shared)
            .map_err(|error| Not::Impossible(StartError::Share(error)))?,
        (Some(_), None) | (None, _) => None,
    };
    let listeners = listeners(&settings, present).map_err(Not::Impossible)?;
    let audit = audit(&settings, present).map_err(Not::Impossible)?;
    let moves = present.moves.and(&present.settings, &settings);
    let (credentials, moves) = if moves.service && moves.upstream {
        (Credentials::new(&settings.ims), Moves::default())
    } else {
        (present.plan.credentials.renewed(&settings.ims), moves)
    };
    let workers = present.started.workers;
    let plan = plan::next(&settings, credentials, &present.plan, workers);
    Ok(Box::new(Ready {
        plan: plan.map_err(Not::Impossible)?,
        settings,
        audit,
        ims,
        listeners,
        store,
        moves,
        changed,
    }))
}

/// Opens where the audit goes on, where that is another target. Without one what is in flight is still written to the one there
/// is.
fn audit(settings: &Settings, present: &Present) -> Result<Option<audit::Prepared>, StartError> {
    let target = |settings: &Settings| settings.audit.as_ref().map(|audit| audit.target.clone());
    match target(settings) {
        Some(next) if target(&present.settings).as_ref() != Some(&next) => {
            Audit::prepare(&next).map(Some).map_err(StartError::Audit)
        }
        Some(_) | None => Ok(None),
    }
}

/// Prepares what listeners take while they are bound. Those that have come or gone wait for the next start.
fn listeners(
    settings: &Settings,
    present: &Present,
) -> Result<Vec<listener::Prepared>, StartError> {
    let mut left: Vec<_> = settings.listeners.iter().collect();
    let mut prepared = Vec::new();
    for handle in &present.started.listeners {
        let address = handle.address();
        // The first that is left, since at port 0 there may be several.
        let place = left.iter().position(|it| it.address == address);
        let Some(settings) = place.map(|place| left.remove(place)) else {
            continue;
        };
        let of_one = handle.prepare(settings);
        prepared.push(of_one.map_err(|source| StartError::Bind {
            address,
            source: source.into(),
        })?);
    }
    Ok(prepared)
}

/// Keys that are read at the start only, with all below them.
const AT_START: [&str; 3] = ["admin.address", "log.format", "workers"];

/// Tells whether a key path is of what a listener's socket is made with, or of a listener that has come or gone.
fn is_of_a_bind(path: &str) -> bool {
    let Some(listener) = path.strip_prefix("listeners") else {
        return false;
    };
    // Addresses of IPv6 have brackets of their own.
    let key = listener.rsplit_once(']').map_or("", |(_, key)| key);
    matches!(key, "" | ".backlog" | ".reuse_port" | ".tls")
}

fn is_at_or_below(path: &str, key: &str) -> bool {
    path.strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Writes key paths as one text, of which a line can hold the most important part.
fn list(paths: &[String]) -> String {
    match paths.get(..MOST_LISTED) {
        Some(first) if paths.len() > MOST_LISTED => {
            let more = paths.len() - MOST_LISTED;
            format!("{} and {more} more", first.join(", "))
        }
        _ => paths.join(", "),
    }
}

const MOST_LISTED: usize = 50;

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// How long a configuration waits for tokens of credentials that it brings, and for keys of issuers.
const FIRST_TOKENS: Duration = Duration::from_secs(10);

/// With the two looks that a change takes, and the time that a kubelet takes, soon enough.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
