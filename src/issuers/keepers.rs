//! The tasks that keep the keys of issuers fresh: one for each issuer with a server.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::fetch::Fetch;
use super::keeper::{Keeper, Pace};
use super::supply::Supply;
use super::{Issuer, Issuers, Server, Source};

/// The tasks that keep keys fresh. They end when this is dropped; one that panics is begun again.
#[derive(Debug, Default)]
pub struct Keepers {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    supply: Arc<Supply>,
    server: Server,
    _task: JoinSet<()>,
}

impl Keepers {
    /// Keeps the keys of these issuers fresh, and of no others, on the thread of the [`tokio::task::LocalSet`] that it is
    /// called in. The task of an issuer that has not changed goes on; one that is fetched in another way gets a new one,
    /// which begins with the keys there are.
    pub fn keep(&mut self, issuers: &Issuers) {
        let servers = issuers
            .iter()
            .filter_map(|issuer| match &issuer.settings.source {
                Source::File(_) => None,
                Source::Server(server) => Some((issuer, server.as_ref())),
            });
        let mut kept = Vec::new();
        for (issuer, server) in servers {
            let is_same =
                |kept: &Kept| Arc::ptr_eq(&kept.supply, &issuer.supply) && kept.server == *server;
            let place = self.kept.iter().position(is_same);
            let known = place.map(|place| self.kept.swap_remove(place));
            kept.extend(known.or_else(|| Kept::start(issuer, server)));
        }
        // Those that are left end here.
        self.kept = kept;
    }
}

impl Kept {
    fn start(issuer: &Issuer, server: &Server) -> Option<Self> {
        let dialer = issuer.dialer.clone()?;
        let (supply, server) = (Arc::clone(&issuer.supply), server.clone());
        let name = issuer.rules().issuer.clone();
        let pace = Pace {
            refresh: server.refresh,
            min_refresh: server.min_refresh,
        };
        let mut task = JoinSet::new();
        let keep = {
            let (supply, server) = (Arc::clone(&supply), server.clone());
            move || {
                let fetch = Fetch::new(name.clone(), server.clone(), dialer.clone());
                Keeper::new(Arc::clone(&supply), fetch, pace).run()
            }
        };
        task.spawn_local(again_and_again(keep));
        Some(Self {
            supply,
            server,
            _task: task,
        })
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
            "the task that fetches an issuer's keys ended; it is begun again"
        );
        sleep(Duration::from_secs(1)).await;
    }
}
