//! The tasks that keep tokens fresh: one for each credential there is.

use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::keeper::TakesOver;
use super::mint::Mint;
use super::{Credential, Credentials, Fingerprints, Fleet, Keeper, Settings};
use crate::connect::Dialer;
use crate::shared::Store;

/// The tasks that keep tokens fresh. They end when this is dropped.
///
/// Each has connections of its own, so that a credential whose calls hang delays no other; and one that panics is begun
/// again. With a store, replicas have one token together.
#[derive(Debug)]
pub struct Keepers {
    settings: Settings,
    dialer: Dialer,
    store: Option<Store>,
    fingerprints: Fingerprints,
    kept: Vec<Kept>,
    /// Those of credentials that have left the configuration and that requests still hold.
    leaving: JoinSet<()>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<Credential>,
    task: JoinSet<()>,
}

impl Keepers {
    /// Prepares to keep tokens fresh with calls that `dialer` makes.
    pub fn new(settings: Settings, dialer: Dialer, store: Option<Store>) -> Self {
        Self {
            fingerprints: store
                .clone()
                .map_or_else(Fingerprints::of_this_process, Fingerprints::of_all_replicas),
            settings,
            dialer,
            store,
            kept: Vec::new(),
            leaving: JoinSet::new(),
        }
    }

    /// Keeps the tokens of these credentials fresh, on the thread of the [`tokio::task::LocalSet`] that it is called in.
    ///
    /// The task of a credential that is no longer among them ends when nobody holds it for requests any more.
    pub fn keep(&mut self, credentials: &Credentials) {
        self.part_with_others(credentials);
        for credential in credentials.iter() {
            let known = |kept: &Kept| Arc::ptr_eq(credential, &kept.credential);
            if !self.kept.iter().any(known) {
                let task = self.start(credential, TakesOver::Token);
                self.kept.push(Kept {
                    credential: Arc::clone(credential),
                    task,
                });
            }
        }
    }

    /// Lets those go that are not among `credentials`. They end as they are, with the calls that they make now.
    pub fn part_with_others(&mut self, credentials: &Credentials) {
        while self.leaving.try_join_next().is_some() {}
        let stays = |kept: &mut Kept| {
            let mut all = credentials.iter();
            all.any(|it| Arc::ptr_eq(it, &kept.credential))
        };
        let left: Vec<_> = self.kept.extract_if(.., |kept| !stays(kept)).collect();
        for kept in left {
            tracing::info!(
                credential = kept.credential.name(),
                "the credential has left the configuration; its token is kept for the requests that use it"
            );
            self.leaving.spawn_local(async move {
                let Kept { credential, task } = kept;
                credential.let_go().await;
                drop(task);
            });
        }
    }

    /// Makes token calls as `settings` say from now on, with `dialer`. The tokens stay; where other answers are to be
    /// expected, since calls go elsewhere now, one is made for each at once. Pauses after failures end where calls take
    /// another way; where only times have changed, those end in which IMS was not reached.
    pub fn call_with(&mut self, settings: Settings, dialer: Dialer) {
        let takes_over = if !self.settings.asks_like(&settings) {
            TakesOver::Nothing
        } else if !self.settings.goes_like(&settings) {
            TakesOver::Token
        } else {
            TakesOver::TokenAndPause
        };
        self.settings = settings;
        self.dialer = dialer;
        let mut kept = mem::take(&mut self.kept);
        for Kept { credential, task } in &mut kept {
            // A call that is under way is given up with its task: it was made in the old way.
            *task = self.start(credential, takes_over);
        }
        self.kept = kept;
    }

    /// Starts a task.
    fn start(&self, credential: &Arc<Credential>, takes_over: TakesOver) -> JoinSet<()> {
        let (credential, fingerprints) = (Arc::clone(credential), self.fingerprints.clone());
        let (settings, dialer) = (self.settings.clone(), self.dialer.clone());
        let store = self.store.clone();
        let mut takes_over = takes_over;
        let keep = move || {
            let mint = Mint::new(&settings, dialer.clone());
            let keeper = Keeper::new(Arc::clone(&credential), mint, fingerprints.clone())
                .taking_over(mem::replace(&mut takes_over, TakesOver::TokenAndPause));
            let present = credential.settings.borrow();
            match &store {
                Some(store) => keeper
                    .sharing(Fleet::new(store.clone(), &settings, &present))
                    .run(),
                None => keeper.run(),
            }
        };
        let mut task = JoinSet::new();
        task.spawn_local(again_and_again(keep));
        task
    }
}

/// Runs a task that should never end, and begins it anew when it does.
async fn again_and_again<F: Future<Output = ()> + 'static>(mut begin: impl FnMut() -> F) {
    loop {
        let mut task = JoinSet::new();
        task.spawn_local(begin());
        let ended = task.join_next().await;
        tracing::error!(
            ?ended,
            "the task that renews tokens ended; it is begun again"
        );
        sleep(Duration::from_secs(1)).await;
    }
}
