//! What a listener's next connections are served by, and how that changes while it is bound.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;

use super::places::Places;
use super::socket_file::SocketFile;
use super::tls::Handshakes;
use super::{Address, BindError, Settings};
use crate::clock;

/// What a connection is served by for as long as it lives: the settings of the moment it was accepted.
#[derive(Debug)]
pub struct Terms {
    /// The settings.
    pub settings: Settings,
    pub(super) handshakes: Option<Handshakes>,
}

impl Terms {
    /// Prepares what the settings ask for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, rustls::Error> {
        let handshakes = settings
            .tls
            .as_ref()
            .map(|tls| Handshakes::new(tls, settings.http2))
            .transpose()?;
        if let Some(tls) = &settings.tls
            && let Some(wrong) = tls.identity.dated(clock::since_epoch())
        {
            tracing::warn!(address = %settings.address, "the listener's certificate {wrong}: callers will refuse it");
        }
        Ok(Self {
            settings,
            handshakes,
        })
    }
}

/// What the one who accepts and those who change the settings share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) terms: ArcSwap<Terms>,
    pub(super) places: Places,
    pub(super) file: Option<SocketFile>,
    pub(super) failed_handshakes: Counter,
}

/// Changes the settings of a listener while it is bound. Clones change the same one.
#[derive(Clone, Debug)]
pub struct Handle(pub(super) Arc<Shared>);

/// What came of new settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Whether anything is different for connections that come from now on.
    pub changed: bool,
    /// The keys whose new values take effect at the next start.
    pub at_restart: Vec<&'static str>,
}

/// New settings of a listener that can be put in place.
#[derive(Debug)]
pub struct Prepared {
    listener: Arc<Shared>,
    /// `None` when nothing is different.
    terms: Option<Arc<Terms>>,
    at_restart: Vec<&'static str>,
}

impl Prepared {
    /// Puts the settings in place.
    ///
    /// # Errors
    /// When the socket's file cannot be changed. The old settings stay then.
    pub fn take(self) -> Result<Updated, BindError> {
        let Self {
            listener,
            terms,
            at_restart,
        } = self;
        let changed = terms.is_some();
        if let Some(terms) = terms {
            let access = terms.settings.access;
            let differs = access != listener.terms.load().settings.access;
            if let Some(file) = listener.file.as_ref().filter(|_| differs) {
                file.set_access(access)?;
            }
            listener.terms.store(terms);
            listener.places.changed();
        }
        Ok(Updated {
            changed,
            at_restart,
        })
    }
}

impl Handle {
    /// Returns the address as the settings have it.
    pub fn address(&self) -> Address {
        self.0.terms.load().settings.address.clone()
    }

    /// Serves connections that are accepted from now on by `settings`, as far as that can change; those that are open
    /// keep what they were accepted with.
    ///
    /// Nothing changes when the address is another one: settings made for one address may open too much at another.
    ///
    /// # Errors
    /// When TLS cannot be set up or the socket's file cannot be changed. The old settings stay then.
    pub fn update(&self, settings: &Settings) -> Result<Updated, BindError> {
        self.prepare(settings)?.take()
    }

    /// Prepares what [`Handle::update`] does, so that nothing but the socket's file is left that can fail.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, rustls::Error> {
        let Self(shared) = self;
        let terms = shared.terms.load();
        let old = &terms.settings;
        let mut prepared = Prepared {
            listener: Arc::clone(shared),
            terms: None,
            at_restart: Vec::new(),
        };
        if settings.address != old.address {
            prepared.at_restart.push("address");
            return Ok(prepared);
        }
        let mut new = settings.clone();
        if new.backlog != old.backlog {
            new.backlog = old.backlog;
            prepared.at_restart.push("backlog");
        }
        if new.reuse_port != old.reuse_port {
            new.reuse_port = old.reuse_port;
            prepared.at_restart.push("reuse_port");
        }
        if new.tls.is_some() != old.tls.is_some() {
            new.tls.clone_from(&old.tls);
            prepared.at_restart.push("tls");
        }
        if new != *old {
            prepared.terms = Some(Arc::new(Terms::new(new)?));
        }
        Ok(prepared)
    }

    /// Tells whether callers have to speak TLS.
    pub fn speaks_tls(&self) -> bool {
        self.0.terms.load().settings.tls.is_some()
    }

    /// Returns what counts the TLS handshakes that failed.
    pub fn failed_handshakes(&self) -> Counter {
        self.0.failed_handshakes.clone()
    }
}
