//! Takes secrets from files that change while the gateway runs.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Diagnostics, Settings, Watch};
use crate::ims::Credentials;
use crate::shared::Store;

/// Follows the changes of a configuration.
#[derive(Debug)]
pub(super) struct Changes {
    watch: Watch,
    credentials: Credentials,
    store: Option<Store>,
    /// What the gateway was started with, but for what it takes while it runs.
    fixed: String,
}

impl Changes {
    /// Prepares to follow the changes of a configuration that `settings` were loaded from, and to give what is new to
    /// `credentials` and `store`.
    pub(super) fn new(
        watch: Watch,
        settings: &Settings,
        credentials: Credentials,
        store: Option<Store>,
    ) -> Self {
        Self {
            watch,
            credentials,
            store,
            fixed: fixed(settings),
        }
    }

    /// Looks at the files for ever, and gives on what is new.
    pub(super) async fn follow(mut self) {
        let mut looks = interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let looking = spawn_blocking(move || {
                let changed = self.watch.look();
                (self, changed)
            });
            let Ok((changes, changed)) = looking.await else {
                return tracing::error!(
                    "files of the configuration are not looked at any more; tokens are renewed with the secrets there are"
                );
            };
            self = changes;
            if let Some(loaded) = changed {
                self.take(loaded);
            }
        }
    }

    fn take(&mut self, loaded: Result<Settings, Diagnostics>) {
        match loaded {
            Ok(settings) => {
                tracing::info!("files of the configuration changed");
                self.credentials.update(&settings.ims);
                if let (Some(store), Some(settings)) = (&self.store, &settings.shared) {
                    match store.update(settings) {
                        Ok(true) => tracing::info!("the shared store is used with new settings"),
                        Ok(false) => {}
                        Err(error) => tracing::error!(
                            %error,
                            "the shared store's new settings cannot be used; the old ones are"
                        ),
                    }
                }
                let fixed = fixed(&settings);
                if fixed != self.fixed {
                    self.fixed = fixed;
                    tracing::warn!(
                        "the configuration changed in more than secrets, scopes, keys and the shared store; that takes effect at the next start"
                    );
                }
            }
            Err(faults) => tracing::error!(
                faults = faults.to_string(),
                "files of the configuration changed and are not taken: they have faults"
            ),
        }
    }
}

/// Returns all of the settings but what credentials take while the gateway runs.
fn fixed(settings: &Settings) -> String {
    let mut settings = settings.clone();
    for credential in &mut settings.ims.credentials {
        credential.forget_minting();
    }
    let shares = settings.shared.take().is_some();
    format!("{shares} {settings:?}")
}

/// With the two looks that a change takes, and the time that a kubelet takes, soon enough.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
