//! By what callers may be known at each listener, and whether each of them can be at one.

use super::Cross;
use super::callers::Callers;
use crate::config::file::{self, Anonymous, File, Listener, Means, RouteCaller};
use crate::config::format::Written;
use crate::config::name::{FieldName, Name};
use crate::config::path::{KeyPath, top};
use crate::context::{ANONYMOUS, Accepts};
use crate::listener::{self, Address};

/// Says by what callers may be known at a listener, and reports what is written of it that can never count.
pub(super) fn of_one(
    listener: &Listener,
    callers: &Callers,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Accepts {
    let local = listener.address.0.is_local();
    let by = |means| {
        let listed = listener.identify.as_ref();
        callers.has(means)
            && listed.is_none_or(|listed| listed.contains(&means))
            && lacks(listener, means).is_none()
    };
    let default = local && !callers.are_known();
    let Written(FieldName(api_key)) = &listener.api_key_header;
    let Written(FieldName(token)) = &listener.token_header;
    let accepts = Accepts {
        anonymous: listener
            .anonymous
            .map_or(default, |anonymous| anonymous == Anonymous::Allow),
        api_key: by(Means::ApiKey).then(|| api_key.clone()),
        client_certificate: by(Means::ClientCertificate),
        network: by(Means::Network),
        workload_token: by(Means::WorkloadToken).then(|| token.clone()),
        unix_peer: by(Means::UnixPeer),
    };
    check_identify(listener, path, cross);
    if !local && listener.anonymous.is_none() && !lets_any_be_known(&accepts) {
        check_reach(callers, path, cross);
    }
    accepts
}

/// Reports callers that no listener can know, and routes for nobody but those whom every listener refuses.
pub(super) fn check(file: &File, listeners: &[listener::Settings], cross: &mut Cross<'_>) {
    let of_listeners = top("listeners");
    let counts = |means: Means| {
        let mut all = listeners.iter();
        all.any(|listener| is_accepted(&listener.accepts, means))
    };
    for (name, caller) in &file.callers {
        let own: Vec<Means> = ALL
            .into_iter()
            .filter(|means| shows(caller, *means))
            .collect();
        if own.is_empty() || own.iter().any(|means| counts(*means)) {
            continue;
        }
        let needs: Vec<&str> = own.into_iter().map(needs).collect();
        let message = format!("no listener can know it: {}", needs.join("; "));
        let path = top("callers").key(name);
        let help = "give it something that counts at a listener, or a listener what it takes; `identify` there, if it is written, has to list it too";
        let place = cross.root.place_of(&path);
        cross.warn(place, &path, &[&of_listeners], message, help);
    }
    if listeners.iter().any(|listener| listener.accepts.anonymous) {
        return;
    }
    for (index, route) in file.routes.iter().enumerate() {
        let callers = route.callers.as_deref().unwrap_or_default();
        if !callers.is_empty() && callers.iter().all(is_anonymous) && !route.dry_run {
            let path = top("routes").index(index).key("callers");
            let message = "names only anonymous, and every listener refuses who shows nothing";
            let help = "write `anonymous: allow` at a listener, or name callers that can be known";
            let place = cross.root.place_of(&path);
            cross.warn(
                place,
                &path,
                &[&of_listeners, &top("callers")],
                message,
                help,
            );
        }
    }
}

/// Reports a listener that others reach and nobody can be known at, where nothing says what becomes of them.
fn check_reach(callers: &Callers, path: &KeyPath, cross: &mut Cross<'_>) {
    let (anonymous, of_callers) = (path.key("anonymous"), top("callers"));
    let address = path.key("address");
    if !callers.are_known() {
        let message =
            "the address can be reached from other machines, and no caller has to show who it is";
        return cross.fault(&address, &[&anonymous], message, |fault| {
            fault.help(
                "configure `callers`, or write `anonymous: allow` if everybody who reaches it may do what the routes permit, or listen on 127.0.0.1",
            )
        });
    }
    let known_by = ALL.into_iter().filter(|means| callers.has(*means));
    let known_by: Vec<&str> = known_by.map(needs).collect();
    let message = format!(
        "the address can be reached from other machines, and nobody can be known there: {}",
        known_by.join("; ")
    );
    let (tls, identify) = (path.key("tls"), path.key("identify"));
    let rests_on = [&anonymous, &of_callers, &tls, &identify];
    cross.fault(&address, &rests_on, message, |fault| {
        fault.help(
            "add what it takes; or write `anonymous: allow` if everybody who reaches it may do what the routes permit, or `anonymous: refuse`, or leave the listener out",
        )
    });
}

/// Reports what a listener says it looks at, and can never find. That no caller is known by it yet, or any more, is no fault.
fn check_identify(listener: &Listener, path: &KeyPath, cross: &mut Cross<'_>) {
    for (index, means) in listener.identify.iter().flatten().enumerate() {
        if let Some((message, key)) = lacks(listener, *means) {
            let entry = path.key("identify").index(index);
            cross.fault(&entry, &[&path.key(key)], message, |fault| {
                fault.help("leave it out, or give the listener what it takes")
            });
        }
    }
}

/// Returns what a listener is without that this takes, and the key that would give it.
fn lacks(listener: &Listener, means: Means) -> Option<(&'static str, &'static str)> {
    let is_socket = matches!(listener.address.0, Address::Unix(_));
    let mut tls = listener.tls.iter();
    match means {
        Means::ClientCertificate if !tls.any(|tls| tls.client_ca.is_some()) => {
            Some(("takes `tls.client_ca`, and the listener has none", "tls"))
        }
        Means::Network if is_socket => {
            Some(("is of IP addresses, and this is a Unix socket", "address"))
        }
        Means::UnixPeer if !is_socket => {
            Some(("is of a Unix socket, and this is an IP address", "address"))
        }
        Means::ApiKey
        | Means::ClientCertificate
        | Means::Network
        | Means::UnixPeer
        | Means::WorkloadToken => None,
    }
}

/// Says at which listeners something counts.
fn needs(means: Means) -> &'static str {
    match means {
        Means::ApiKey => "an API key counts where `identify` does not leave it out",
        Means::ClientCertificate => "a certificate counts at a listener with `tls.client_ca`",
        Means::Network => "a network counts at an IP address",
        Means::UnixPeer => "a user or group counts at a Unix socket, `unix:`",
        Means::WorkloadToken => "a workload token counts where `identify` does not leave it out",
    }
}

fn is_accepted(accepts: &Accepts, means: Means) -> bool {
    match means {
        Means::ApiKey => accepts.api_key.is_some(),
        Means::ClientCertificate => accepts.client_certificate,
        Means::Network => accepts.network,
        Means::UnixPeer => accepts.unix_peer,
        Means::WorkloadToken => accepts.workload_token.is_some(),
    }
}

fn lets_any_be_known(accepts: &Accepts) -> bool {
    ALL.into_iter().any(|means| is_accepted(accepts, means))
}

/// Tells whether the file says that a caller is known by this.
fn shows(caller: &file::Caller, means: Means) -> bool {
    match means {
        Means::ApiKey => caller.api_key.is_some(),
        Means::ClientCertificate => caller.client_certificate.is_some(),
        Means::Network => caller.network.is_some(),
        Means::UnixPeer => caller.unix_peer.is_some(),
        Means::WorkloadToken => caller.workload_token.is_some(),
    }
}

fn is_anonymous(caller: &RouteCaller) -> bool {
    let Written(Name(name)) = match caller {
        RouteCaller::Name(name) => name,
        RouteCaller::Grant(grant) => &grant.name,
    };
    name == ANONYMOUS
}

const ALL: [Means; 5] = [
    Means::WorkloadToken,
    Means::ClientCertificate,
    Means::ApiKey,
    Means::UnixPeer,
    Means::Network,
];
