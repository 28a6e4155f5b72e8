//! Takes secrets from files that change while the gateway runs.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Diagnostics, Settings, Watch};
use crate::ims::Credentials;

/// Follows the changes of a configuration.
#[derive(Debug)]
pub(super) struct Changes {
    watch: Watch,
    /// What the gateway was started with, but for what it takes while it runs.
    fixed: String,
}

impl Changes {
    /// Prepares to follow the changes of a configuration that `settings` were loaded from.
    pub(super) fn new(watch: Watch, settings: &Settings) -> Self {
        Self {
            watch,
            fixed: fixed(settings),
        }
    }

    /// Looks at the files for ever, and gives new secrets to the credentials.
    pub(super) async fn follow(mut self, credentials: &Credentials) {
        let mut looks = interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let looking = spawn_blocking(move || {
                let changed = self.watch.look();
                (self, changed)
            });
            let Ok((changes, changed)) = looking.await else {
                // The panic is in the log. Tokens are kept fresh with the secrets there are.
                return;
            };
            self = changes;
            if let Some(loaded) = changed {
                self.take(credentials, loaded);
            }
        }
    }

    fn take(&mut self, credentials: &Credentials, loaded: Result<Settings, Diagnostics>) {
        match loaded {
            Ok(settings) => {
                tracing::info!("files of the configuration changed");
                credentials.update(&settings.ims);
                let fixed = fixed(&settings);
                if fixed != self.fixed {
                    self.fixed = fixed;
                    tracing::warn!(
                        "the configuration changed in more than secrets, scopes and keys; that takes effect at the next start"
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
    format!("{settings:?}")
}

/// With the two looks that a change takes, and the time that a kubelet takes, soon enough.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
