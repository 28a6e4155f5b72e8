//! A token service whose answers a test changes while the gateway runs.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::support::adobe::{Act, Adobe, Seen};

/// A token service that does as it was told last.
pub(super) struct TokenService {
    pub(super) adobe: Adobe,
    script: Arc<Mutex<Arc<Script>>>,
}

type Script = dyn Fn(usize, &Seen) -> Act + Send + Sync;

impl TokenService {
    /// Starts with a script, which is told how many calls there have been, this one counted.
    pub(super) fn start(script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::with(script, |script| Adobe::minting(script, |_| Act::ok()))
    }

    /// Starts with a token for everybody at a port that is open.
    pub(super) fn on(listener: TcpListener) -> Self {
        Self::with(fresh_token, |script| Adobe::minting_on(listener, script))
    }

    fn with(
        script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static,
        start: impl FnOnce(Box<Script>) -> Adobe,
    ) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let script = Arc::new(Mutex::new(script));
        let present = Arc::clone(&script);
        let adobe = start(Box::new(move |calls, seen| {
            let script = Arc::clone(&present.lock().unwrap());
            script(calls, seen)
        }));
        Self { adobe, script }
    }

    /// Does something else from now on.
    pub(super) fn turn(&self, script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Gives a day-long token to everybody from now on.
    pub(super) fn heal(&self) {
        self.turn(fresh_token);
    }

    /// Returns how many calls have been decided on; one that a script holds back is not among them.
    pub(super) fn calls(&self) -> usize {
        self.adobe.token_calls().len()
    }
}

/// A token that says which call it is from.
pub(super) fn fresh_token(calls: usize, _: &Seen) -> Act {
    Act::token(&format!("never.to.be.seen.{calls}"), 86_399)
}

/// A second credential, that readiness does not need, and which of the two a path is for.
pub(super) const SPARE: &str = "
  spare:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: spare-client
    client_secrets: [p8e-never-to-be-seen]
    required: false
routes:
  - { name: spare, match: { path: '/data/core/ca/{*rest}' }, credential: spare, sandbox: dev-2 }
  - { name: demo, match: { path: '/data/core/ups/{*rest}' }, credential: demo, sandbox: dev-2 }
";

/// A target that goes with [`SPARE`].
pub(super) const ATTRIBUTES: &str = "/data/core/ca/attributes";

/// Tells whether a token call is this client's.
pub(super) fn is_of(client: &str, seen: &Seen) -> bool {
    let form = String::from_utf8(seen.body.clone()).unwrap();
    form.contains(&format!("client_id={client}&"))
}
