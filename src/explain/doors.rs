//! At which listeners a caller can be known, and by what.

use crate::context::{CallerId, Means};
use crate::identify::Caller;
use crate::listener::{Address, Settings};

/// A listener that a caller can be known at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Its place among the listeners.
    pub listener: usize,
    /// By what, the strongest first.
    pub by: Vec<Means>,
}

/// Returns the listeners that let a caller in.
pub(super) fn doors(listeners: &[Settings], id: CallerId, caller: &Caller) -> Vec<Door> {
    let all = listeners.iter().enumerate();
    let doors = all.map(|(place, listener)| Door {
        listener: place,
        by: known_by(listener, id, caller),
    });
    doors.filter(|door| !door.by.is_empty()).collect()
}

fn known_by(listener: &Settings, id: CallerId, caller: &Caller) -> Vec<Means> {
    let accepts = &listener.accepts;
    let is_socket = matches!(listener.address, Address::Unix(_));
    let is_known = |by: &Means| match by {
        Means::WorkloadToken => accepts.workload_token.is_some() && !caller.subjects.is_empty(),
        Means::ClientCertificate => accepts.client_certificate && !caller.certificates.is_empty(),
        Means::ApiKey => accepts.api_key.is_some() && !caller.api_keys.is_empty(),
        Means::UnixPeer => accepts.unix_peer && is_socket && !caller.unix_peers.is_empty(),
        // A socket has no address that connections come from.
        Means::Network => accepts.network && !is_socket && !caller.networks.is_empty(),
        Means::Nothing => accepts.anonymous && id == CallerId::ANONYMOUS,
    };
    Means::ALL.into_iter().filter(is_known).collect()
}
