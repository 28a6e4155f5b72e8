//! A small Adobe: IMS and the Real-Time Customer Profile API, in memory, on one loopback port.
//!
//! It checks what the real one checks, refuses in the real one's words, and is as dangerous: a request
//! without a sandbox header reaches production data. What it received, and what goes wrong, is in the hands
//! of [`Control`]; the same is offered over HTTP below `/_simulator/`. `docs/simulator.md` is its manual.

mod control;
mod app;
mod server;
mod socket;
mod tls;
mod body;
mod answer;
mod call;
mod journal;
mod fault;
mod faults;
mod errors;
mod ims;
mod tokens;
mod gatekeeper;
mod world;
mod collection;
mod profiles;
mod filter;
mod seed;
mod platform;
mod time;

pub use control::{Control, Counts, InvalidSecrets};
pub use fault::{Fault, InvalidFault, Place, Wire};
pub use journal::{KEPT_BODY_BYTES, KEPT_REQUESTS, Seen};

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpListener;

use crate::aep::{ClientId, OrgId, SandboxName};
use app::State;
use server::Server;
use socket::Connection;
use tls::Identity;

/// What a simulator needs to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. Default `127.0.0.1:0`, which takes a free port.
    pub address: SocketAddr,
    /// Serves TLS with a certificate of its own. Default: clear text.
    pub tls: Option<Tls>,
    /// The clients IMS knows; their organisations are the ones that exist. Default: [`Client::demo`].
    pub clients: Vec<Client>,
    /// The sandboxes of each organisation, all with the same people. Default `prod`, `dev`, `dev-2`; `prod`
    /// is there in any case, since it is where requests without a sandbox go.
    pub sandboxes: Vec<SandboxName>,
    /// How long tokens count. Default 24 hours, as at Adobe.
    pub token_lifetime: Duration,
    /// How long a job stays in each of its states, and an accepted deletion takes. Default 1 second.
    pub job_step: Duration,
    /// The longest request body that is taken, in bytes. Default 64 MiB.
    pub body_limit: usize,
    /// Answers every known operation that passes the header checks with 200 and `{}`, whatever its body.
    pub lenient: bool,
    /// Makes tokens, ids and the chance of faults repeatable. Default: different on every start.
    pub seed: Option<u64>,
}

/// Wishes for the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Names and addresses the certificate holds besides `localhost` and `127.0.0.1`.
    pub names: Vec<String>,
}

/// A client that IMS gives tokens to.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// The client id, which is also the API key.
    pub id: ClientId,
    /// The secrets it may use; Adobe allows two.
    pub secrets: Vec<String>,
    /// The organisation its tokens are for.
    pub organization: OrgId,
    /// The account its tokens speak for.
    pub technical_account: String,
    /// The scopes it may ask for.
    pub scopes: Vec<String>,
    /// The ways it may get a token.
    pub grants: Vec<Grant>,
    /// What its assertions are held against. Default: nothing, so that any signature will do.
    pub public_key: Option<PublicKey>,
}

/// The public half of a client's RSA key, of 2048 bits or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// Reads a PEM block `PUBLIC KEY`, or returns `None` when there is none.
    pub fn from_pem(pem: &str) -> Option<Self> {
        SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .ok()
            .map(Self)
    }
}

/// A way to get a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// OAuth server-to-server.
    ClientCredentials,
    /// The older service account, with a signed assertion.
    JwtExchange,
}

/// A running simulator. Dropping it ends it at once; [`Simulator::stop`] lets open requests finish.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    certificate: Option<String>,
    control: Control,
    server: Server,
}

impl Simulator {
    /// Binds the address and serves, in tasks on the current runtime that the handle owns.
    ///
    /// # Errors
    /// The address cannot be bound, or a name in [`Tls`] cannot stand in a certificate.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let identity = settings.tls.as_ref().map(Identity::new).transpose()?;
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let control = Control::new(Arc::clone(&state));
        let router = control::router(control.clone()).fallback(move |request: Request<Body>| {
            let connection = request
                .extensions()
                .get::<Arc<Connection>>()
                .map(Arc::clone);
            app::serve(Arc::clone(&state), connection, request)
        });
        let (acceptor, certificate) = match identity {
            Some(identity) => (Some(identity.acceptor), Some(identity.authority_pem)),
            None => (None, None),
        };
        Ok(Self {
            address,
            certificate,
            control,
            server: Server::start(listener, acceptor, router),
        })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL for both IMS and the platform, without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate clients must trust, when TLS is on.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Returns the handle for tests and operators.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops accepting, gives open requests two seconds to finish, and closes what is left.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            clients: vec![Client::demo()],
            sandboxes: ["prod", "dev", "dev-2"]
                .map(|name| name.parse().expect("the name is a legal one"))
                .to_vec(),
            token_lifetime: Duration::from_hours(24),
            job_step: Duration::from_secs(1),
            body_limit: 64 * 1024 * 1024,
            lenient: false,
            seed: None,
        }
    }
}

impl Client {
    /// Returns the client that every simulator knows unless told otherwise: `demo-client`, `demo-secret`.
    pub fn demo() -> Self {
        let id = "demo-client".parse().expect("the id is a legal one");
        let organization = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
            .parse()
            .expect("the organisation is a legal one");
        Self::new(id, "demo-secret", organization)
    }

    /// Returns a client with one secret that may use both grants and ask for the scopes of Experience Platform.
    pub fn new(id: ClientId, secret: &str, organization: OrgId) -> Self {
        let scopes = [
            "openid",
            "AdobeID",
            "read_organizations",
            "additional_info.projectedProductContext",
            "session",
        ];
        Self {
            id,
            secrets: vec![secret.to_owned()],
            organization,
            technical_account: "1122334455667788990011AA@techacct.adobe.com".to_owned(),
            scopes: scopes.map(str::to_owned).to_vec(),
            grants: vec![Grant::ClientCredentials, Grant::JwtExchange],
            public_key: None,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("secrets", &format_args!("{} hidden", self.secrets.len()))
            .field("organization", &self.organization)
            .field("technical_account", &self.technical_account)
            .field("scopes", &self.scopes)
            .field("grants", &self.grants)
            .field("public_key", &self.public_key.is_some())
            .finish()
    }
}

/// Locks a mutex. A panic while it was held is no reason to stop: no invariant spans two writes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
