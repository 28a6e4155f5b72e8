//! Finds the server that holds a name, and keeps the connections: on one server, behind sentinels, in a cluster.
//!
//! Connections are made when they are needed and kept until something goes wrong. Which node of a cluster holds a name is
//! learnt from where its nodes point, so that no map of the whole cluster is read or kept.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::time::Instant;

use super::dial::{Connection, DialError, Dialer, share};
use super::script::Call;
use super::{Login, Mode, Server};
use crate::secret::Secret;

/// The connections of a store.
pub(super) struct Links {
    mode: Mode,
    login: Option<Login>,
    dialer: Dialer,
    open: Mutex<Open>,
    /// Held by whoever connects, so that the others find the connection instead of making their own.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<Server, Connection>,
    /// Which server holds a name. Outside a cluster, all names are one.
    homes: HashMap<String, Server>,
}

/// A connection to a server.
struct Link {
    server: Server,
    connection: Connection,
    /// Whether it was open before, so that it may have died since.
    reused: bool,
    /// The server that should have been connected to, and why it could not be.
    instead: Option<(Server, Fault)>,
}

/// Why the store could not be asked, in the operator's words, without a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(pub(super) String);

impl Links {
    pub(super) fn new(mode: Mode, login: Option<Login>, dialer: Dialer) -> Self {
        Self {
            mode,
            login,
            dialer,
            open: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
        }
    }

    /// Runs a script where `name` is held. Connecting keeps to `deadline`; the rest is for the caller to bound.
    ///
    /// It may run twice, when its answer is lost with an old connection.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        name: &str,
        call: &Call,
        deadline: Instant,
    ) -> Result<T, Fault> {
        let mut again = true;
        for _ in 0..MOST_HOPS {
            let link = self.link(name, deadline).await?;
            let error = match ask(&link.connection, call).await {
                Ok(value) => return self.convert(&link.server, value),
                Err(error) => error,
            };
            if let Some(server) = pointed(&error, &link.server) {
                if !matches!(self.mode, Mode::Cluster { .. }) {
                    let said = "it is a node of a cluster, and `mode` is another";
                    return Err(self.fault_text(&link.server, said));
                }
                match link.instead {
                    Some((unreached, fault)) if unreached == server => return Err(fault),
                    _ => self.settle(name, server),
                }
                continue;
            }
            self.forget(&link.server);
            // The connection may have died since it was used last, or its server have become a replica.
            let stale =
                error.is_io_error() || error.is_unrecoverable_error() || is_read_only(&error);
            if !(link.reused && again && stale) {
                return Err(self.fault(&link.server, &error));
            }
            again = false;
        }
        Err(Fault(
            "the nodes of the cluster keep pointing at each other".to_owned(),
        ))
    }

    /// Drops all connections and what is known of the servers.
    pub(super) fn forget_all(&self) {
        *self.open() = Open::default();
    }

    /// Returns the connection for a name, and makes it when there is none.
    async fn link(&self, name: &str, deadline: Instant) -> Result<Link, Fault> {
        if let Some(link) = self.known(name) {
            return Ok(link);
        }
        let _turn = self.dialing.lock().await;
        if let Some(link) = self.known(name) {
            return Ok(link);
        }
        let link = match &self.mode {
            Mode::Cluster { seeds } => self.by_nodes(name, seeds, deadline).await?,
            Mode::Sentinel {
                sentinels,
                service,
                login,
                database,
            } => {
                self.by_sentinels(sentinels, service, login.as_ref(), *database, deadline)
                    .await?
            }
            Mode::Single { server, database } => self.dial(server, *database, deadline).await?,
        };
        self.keep(name, &link);
        Ok(link)
    }

    fn known(&self, name: &str) -> Option<Link> {
        let open = self.open();
        let in_cluster = matches!(self.mode, Mode::Cluster { .. });
        let (server, connection) = match open.homes.get(self.home(name)) {
            Some(server) => open.connections.get_key_value(server)?,
            // Any node of a cluster knows where to.
            None if in_cluster => open.connections.iter().next()?,
            None => return None,
        };
        Some(Link {
            server: server.clone(),
            connection: connection.clone(),
            reused: true,
            instead: None,
        })
    }

    /// Connects to the node that is known to hold the name, else to any.
    async fn by_nodes(
        &self,
        name: &str,
        seeds: &[Server],
        deadline: Instant,
    ) -> Result<Link, Fault> {
        let home = self.open().homes.remove(self.home(name));
        let others = seeds.iter().filter(|seed| Some(*seed) != home.as_ref());
        let servers: Vec<&Server> = home.iter().chain(others).collect();
        let mut last = Fault("no node is configured".to_owned());
        let mut instead = None;
        for (index, server) in servers.iter().enumerate() {
            let until = share(deadline, servers.len() - index);
            match self.dial(server, 0, until).await {
                Ok(link) => return Ok(Link { instead, ..link }),
                Err(fault) => last = fault,
            }
            if home.as_ref() == Some(*server) {
                instead = Some(((*server).clone(), last.clone()));
            }
        }
        Err(last)
    }

    /// Connects to the server that the first sentinel names whose answer holds.
    async fn by_sentinels(
        &self,
        sentinels: &[Server],
        service: &str,
        login: Option<&Login>,
        database: u16,
        deadline: Instant,
    ) -> Result<Link, Fault> {
        let mut last = Fault("no sentinel is configured".to_owned());
        for (index, sentinel) in sentinels.iter().enumerate() {
            let until = share(deadline, sentinels.len() - index);
            let found = async {
                let server = self.ask_sentinel(sentinel, service, login, until).await?;
                let link = self.dial(&server, database, until).await?;
                self.check_role(&link).await?;
                Ok(link)
            };
            match tokio::time::timeout_at(until, found).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(fault)) => last = fault,
                Err(_) => last = Fault(format!("the sentinel {sentinel} gives no answer in time")),
            }
        }
        Err(last)
    }

    async fn ask_sentinel(
        &self,
        sentinel: &Server,
        service: &str,
        login: Option<&Login>,
        deadline: Instant,
    ) -> Result<Server, Fault> {
        let mut connection = self
            .dialer
            .dial(sentinel, login, 0, deadline)
            .await
            .map_err(|error| self.dial_fault(sentinel, &error))?;
        let found: Option<(String, String)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(service)
            .query_async(&mut connection.pipeline)
            .await
            .map_err(|error| self.fault(sentinel, &error))?;
        let Some((host, port)) = found else {
            return Err(Fault(format!(
                "the sentinel {sentinel} knows no service {service}"
            )));
        };
        Server::of(&host, &port).map_err(|_| {
            Fault(format!(
                "the sentinel {sentinel} names something that is no server"
            ))
        })
    }

    /// Makes sure that the server is no replica: after a failover a sentinel may be the last to know.
    async fn check_role(&self, link: &Link) -> Result<(), Fault> {
        let mut connection = link.connection.clone();
        let role: Vec<Value> = redis::cmd("ROLE")
            .query_async(&mut connection.pipeline)
            .await
            .map_err(|error| self.fault(&link.server, &error))?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(()),
            _ => Err(Fault(format!(
                "{} was named by a sentinel, but is not the primary",
                link.server
            ))),
        }
    }

    async fn dial(&self, server: &Server, database: u16, deadline: Instant) -> Result<Link, Fault> {
        let connection = self
            .dialer
            .dial(server, self.login.as_ref(), database, deadline)
            .await
            .map_err(|error| self.dial_fault(server, &error))?;
        Ok(Link {
            server: server.clone(),
            connection,
            reused: false,
            instead: None,
        })
    }

    fn keep(&self, name: &str, link: &Link) {
        let mut open = self.open();
        open.connections
            .insert(link.server.clone(), link.connection.clone());
        open.homes
            .insert(self.home(name).to_owned(), link.server.clone());
    }

    /// Notes that a name is held by `server`, connected or not.
    fn settle(&self, name: &str, server: Server) {
        self.open().homes.insert(self.home(name).to_owned(), server);
    }

    fn forget(&self, server: &Server) {
        let mut open = self.open();
        open.connections.remove(server);
        open.homes.retain(|_, home| home != server);
    }

    fn home<'a>(&self, name: &'a str) -> &'a str {
        match &self.mode {
            Mode::Cluster { .. } => name,
            Mode::Sentinel { .. } | Mode::Single { .. } => "",
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn convert<T: FromRedisValue>(&self, server: &Server, value: Value) -> Result<T, Fault> {
        redis::from_redis_value(value)
            .map_err(|_| self.fault_text(server, "it gives an answer that makes no sense"))
    }

    fn dial_fault(&self, server: &Server, error: &DialError) -> Fault {
        match error {
            DialError::Redis(error) => self.fault(server, error),
            DialError::Io(_) | DialError::Late | DialError::Plain => {
                self.fault_text(server, &error.to_string())
            }
        }
    }

    fn fault(&self, server: &Server, error: &RedisError) -> Fault {
        let said = match (error.kind(), error.code(), error.detail()) {
            // The library keeps the server's own words to itself.
            (ErrorKind::AuthenticationFailed, ..) => {
                "it does not take the username and password".to_owned()
            }
            (_, Some(code), Some(detail)) => format!("{code} {detail}"),
            _ => error.to_string(),
        };
        self.fault_text(server, &said)
    }

    /// Servers repeat what they do not understand, and one that is hostile what it pleases.
    fn fault_text(&self, server: &Server, said: &str) -> Fault {
        let of_sentinels = match &self.mode {
            Mode::Sentinel { login, .. } => login.as_ref(),
            Mode::Cluster { .. } | Mode::Single { .. } => None,
        };
        let passwords = [self.login.as_ref(), of_sentinels];
        let said = passwords
            .into_iter()
            .flatten()
            .fold(said.to_owned(), |said, login| {
                Secret::taken_out_of(&login.password, &said)
            });
        Fault(format!("{server}: {said}"))
    }
}

/// Runs the script on a server, which may have to be told what it is.
async fn ask(connection: &Connection, call: &Call) -> Result<Value, RedisError> {
    let mut pipeline = connection.pipeline.clone();
    match call.by_hash().query_async(&mut pipeline).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            call.by_code().query_async(&mut pipeline).await
        }
        answer => answer,
    }
}

/// Returns where a node of a cluster says that the name is kept.
///
/// While a name moves, its nodes point to each other by `ASK`, but take no call with several keys: that is a failure until
/// they point by `MOVED`.
fn pointed(error: &RedisError, by: &Server) -> Option<Server> {
    let moved = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
    let (text, _) = error.redirect_node().filter(|_| moved)?;
    Server::named_by(by, text).ok()
}

fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// A call follows at most this many pointers of a cluster, or tries as often.
const MOST_HOPS: usize = 5;
