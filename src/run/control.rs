//! The control thread: tokens and the operators' pages, away from the requests.

use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::task::LocalSet;

use super::StartError;
use super::changes::Changes;
use crate::admin;
use crate::connect::Dialer;
use crate::ims;
use crate::shared::Store;

/// What the control thread takes with it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) admin: admin::Bound,
    pub(super) facts: admin::Facts,
    pub(super) ims: ims::Settings,
    pub(super) dialer: Dialer,
    pub(super) store: Option<Store>,
    pub(super) changes: Option<Changes>,
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
                local.block_on(&runtime, self.run(&local));
                // A file that hangs while it is read keeps the process from nothing.
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)
    }

    async fn run(mut self, local: &LocalSet) {
        let _renewals =
            self.facts
                .credentials
                .keep_fresh(&self.ims, &self.dialer, self.store.as_ref(), local);
        let changes = self.changes.take();
        let changes = async {
            if let Some(changes) = changes {
                changes.follow().await;
            }
            std::future::pending::<()>().await;
        };
        let pages = async {
            if let Err(error) = self.admin.serve(self.facts).await {
                tracing::error!(%error, "the admin listener failed");
            }
            // Tokens are kept fresh even then.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = changes => {}
            () = pages => {}
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
    }
}
