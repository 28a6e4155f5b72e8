//! Who signs the tokens of callers: keys fetched over real sockets, and tokens verified with them.

mod cluster;
mod faults;
mod process;
mod rotation;

use std::future::Future;
use std::time::Duration;

use profile_gateway::clock::Clock;
use profile_gateway::config::{self, Supplied};
use profile_gateway::issuers::{Claims, Issuers, Keepers, Refusal, Settings, Verifier};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::support::signer::{Signer, discovery, set};

/// Reads the section `issuers` of a configuration.
fn settings(issuers: &str, files: &Supplied) -> Settings {
    let text = format!(
        "sandboxes: {{ dev: {{}} }}\ncredentials: {{ a: {{ organization: o@AdobeOrg, client_id: c, client_secrets: [s] }} }}\n\
         issuers: {{ {issuers} }}\n"
    );
    let settings = config::parse("test.yaml", &text, files);
    settings.unwrap_or_else(|faults| panic!("{faults}")).issuers
}

/// Runs `test` beside the tasks that fetch the keys of these issuers.
fn kept<F: Future<Output = ()>>(settings: &Settings, test: impl FnOnce(Verifier) -> F) {
    let issuers = Issuers::new(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut keepers = Keepers::default();
        keepers.keep(&issuers);
        test(Verifier::new(issuers)).await;
    });
}

fn verify(verifier: &Verifier, token: &str) -> Result<Claims, Refusal> {
    verifier.verify(token.as_bytes(), Clock::default().now())
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}
