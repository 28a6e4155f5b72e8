//! The control thread: tokens, issuers' keys and the operators' pages, away from the requests.

use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::task::LocalSet;

use super::StartError;
use super::reload::Reloader;
use crate::admin;
use crate::ims::Keepers;
use crate::issuers;

/// What the control thread takes with it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) admin: admin::Bound,
    pub(super) facts: admin::Facts,
    pub(super) keepers: Keepers,
    pub(super) reloader: Option<Reloader>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Control {
    /// Starts the thread. It ends when `stop` turns true.
    pub(super) fn start(self) -> Result<JoinHandle<()>, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, self.run());
                // A file that hangs while it is read keeps the process from nothing.
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)
    }

    async fn run(self) {
        let Self {
            admin,
            facts,
            mut keepers,
            reloader,
            mut stop,
        } = self;
        keepers.keep(&facts.credentials.get());
        let mut issuers = issuers::Keepers::default();
        issuers.keep(&facts.issuers.get());
        let reloads = async {
            if let Some(reloader) = reloader {
                reloader.follow(&mut keepers, &mut issuers).await;
            }
            // Tokens are kept fresh even then.
            std::future::pending::<()>().await;
        };
        let pages = async {
            if let Err(error) = admin.serve(facts).await {
                tracing::error!(%error, "the admin listener failed");
            }
            // Tokens are kept fresh even then.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = reloads => {}
            () = pages => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
