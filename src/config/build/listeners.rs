//! Where callers and operators connect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;

use super::Cross;
use super::acceptance;
use super::callers::Callers;
use crate::config::file::{self, File, Listener, ListenerTls, TlsVersion};
use crate::config::format::Written;
use crate::config::name::{Account, FileMode, FilePath};
use crate::config::path::{KeyPath, top};
use crate::config::sources::reason;
use crate::listener::{
    self, Access, Address, Clients, Demand, Identity, InvalidClients, InvalidIdentity, Tls,
};

/// Makes the settings of the callers' listeners, and checks that all listeners can stand side by side.
pub(super) fn build(
    file: &File,
    callers: &Callers,
    cross: &mut Cross<'_>,
) -> Vec<listener::Settings> {
    let mut taken = vec![(
        Address::Ip(file.admin.address.0),
        top("admin").key("address"),
    )];
    let mut listeners = Vec::new();
    for (index, listener) in file.listeners.iter().enumerate() {
        let path = top("listeners").index(index);
        let address_path = path.key("address");
        let address = listener.address.0.clone();
        check_unique(&address, &address_path, &taken, cross);
        taken.push((address, address_path));
        listeners.push(listener::Settings {
            upstream_connections: file.upstream.connections.get(),
            ..one(listener, callers, &path, cross)
        });
    }
    acceptance::check(file, &listeners, cross);
    listeners
}

fn check_unique(
    address: &Address,
    path: &KeyPath,
    taken: &[(Address, KeyPath)],
    cross: &mut Cross<'_>,
) {
    let Some((_, other)) = taken.iter().find(|(other, _)| address.collides_with(other)) else {
        return;
    };
    let place = cross.root.place_of(other);
    let message = format!("the address is taken by {other} already");
    cross.fault(path, &[other], message, |fault| {
        // The default has no place of its own to show.
        let fault = if place.line > 0 {
            fault.also(place, "it is taken here")
        } else {
            fault
        };
        fault.help(match address {
            Address::Ip(_) => "choose another port; [::] takes callers over IPv4 too",
            Address::Unix(_) => "choose another path",
        })
    });
}

fn one(
    listener: &Listener,
    callers: &Callers,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> listener::Settings {
    let address = listener.address.0.clone();
    if listener.api_key_header == listener.token_header {
        let message = "is the field for tokens, too";
        cross.fault(
            &path.key("api_key_header"),
            &[&path.key("token_header")],
            message,
            |fault| fault.help("a field shows one or the other; choose another one"),
        );
    }
    let limits = &listener.limits;
    if limits.target.0.0 > limits.head.0.0 {
        let path = path.key("limits");
        let message = "is larger than `head`, which holds the target";
        cross.fault(
            &path.key("target"),
            &[&path.key("head")],
            message,
            |fault| fault.help("raise `head` as well, or lower `target`"),
        );
    }
    if !matches!(address, Address::Unix(_)) {
        for key in ["mode", "owner", "group"] {
            only_with(
                path,
                key,
                "address",
                "is of a Unix socket, and this is an IP address",
                cross,
            );
        }
    }
    if matches!(address, Address::Unix(_)) && listener.reuse_port {
        let message = "a Unix socket has one process at a time";
        cross.fault(
            &path.key("reuse_port"),
            &[&path.key("address")],
            message,
            |fault| fault.help("leave it out"),
        );
    }
    if listener.tls.is_none() {
        let path = path.key("limits");
        only_with(
            &path,
            "tls_timeout",
            "tls",
            "is of TLS, and this listener has none",
            cross,
        );
    }
    let tls = listener.tls.as_ref().and_then(|tls| {
        let timeout = limits.tls_timeout.as_ref().map_or(TLS_TIMEOUT, |it| it.0);
        self::tls(tls, timeout, &path.key("tls"), cross)
    });
    listener::Settings {
        accepts: Arc::new(acceptance::of_one(listener, callers, path, cross)),
        access: access(listener, path, cross),
        address,
        backlog: listener.backlog,
        http2: listener.http2,
        limits: listener::Limits {
            head_bytes: limits.head.0.length(),
            fields: limits.fields,
            target_bytes: limits.target.0.length(),
            write_timeout: limits.write_timeout.0,
            head_timeout: limits.head_timeout.0,
            idle_timeout: limits.idle_timeout.0,
            connections: limits.connections,
        },
        public_url: listener
            .public_url
            .as_ref()
            .map(|Written(url)| url.to_string().into()),
        reuse_port: listener.reuse_port,
        tls,
        upstream_connections: 0,
    }
}

/// Reports a key that means nothing as things stand.
fn only_with(map: &KeyPath, key: &str, other: &str, message: &str, cross: &mut Cross<'_>) {
    let path = map.key(key);
    if cross.root.at(&path).is_some() {
        cross.fault(&path, &[&map.key(other)], message, |fault| {
            fault.help("leave it out")
        });
    }
}

const TLS_TIMEOUT: Duration = Duration::from_secs(10);

fn access(listener: &Listener, path: &KeyPath, cross: &mut Cross<'_>) -> Access {
    let default = Access::default();
    let mut account = |written: &Option<_>, key, names| {
        let Written(account) = written.as_ref()?;
        number(account, &path.key(key), Path::new(names), cross)
    };
    Access {
        owner: account(&listener.owner, "owner", "/etc/passwd"),
        group: account(&listener.group, "group", "/etc/group"),
        mode: match listener.mode {
            Some(Written(FileMode(mode))) => mode,
            None => default.mode,
        },
    }
}

/// Returns the number of an account, whose name is looked up in the file `names`.
fn number(account: &Account, path: &KeyPath, names: &Path, cross: &mut Cross<'_>) -> Option<u32> {
    let name = match account {
        Account::Number(number) => return Some(*number),
        Account::Name(name) => name,
    };
    if cross.report.is_tainted(path) {
        return None;
    }
    let shown = names.display();
    let content = match cross.sources.file(names, MOST_BYTES) {
        Ok(content) => content,
        Err(error) => {
            let message = format!("is a name, and the file {shown} {}", reason(&error));
            cross.fault(path, &[], message, |fault| fault.help("write the number"));
            return None;
        }
    };
    // Name, password, number, and more that does not matter here: passwd(5), group(5).
    let text = String::from_utf8_lossy(&content);
    let found = text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let number = (parts.next() == Some(name)).then(|| parts.nth(1))?;
        number?.parse().ok()
    });
    if found.is_none() {
        let message = format!("the file {shown} has no `{name}`");
        cross.fault(path, &[], message, |fault| {
            fault.help("write the number of an account that is known elsewhere")
        });
    }
    found
}

fn tls(
    file: &ListenerTls,
    timeout: Duration,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<Tls> {
    let of_certificate = path.key("certificate");
    let of_key = path.key("key");
    let certificate = read(&file.certificate.0, &of_certificate, cross);
    let key = read(&file.key.0, &of_key, cross);
    cross.holders.add(&file.key.0.0);
    let identity = match Identity::from_pem(&certificate?, &key?) {
        Ok(identity) => identity,
        Err(invalid) => {
            let (path, FilePath(name), flaw) = match invalid {
                InvalidIdentity::Certificate(flaw) => (of_certificate, &file.certificate.0, flaw),
                InvalidIdentity::Key(flaw) => (of_key, &file.key.0, flaw),
            };
            let message = format!("the file {} {}", name.display(), flaw.what);
            cross.fault(&path, &[], message, |fault| fault.help(flaw.help));
            return None;
        }
    };
    Some(Tls {
        clients: clients(file, path, cross),
        identity,
        min_version: match file.min_version {
            TlsVersion::Tls12 => listener::Version::Tls12,
            TlsVersion::Tls13 => listener::Version::Tls13,
        },
        timeout,
    })
}

/// Reads whose certificates callers may show.
fn clients(file: &ListenerTls, path: &KeyPath, cross: &mut Cross<'_>) -> Option<Clients> {
    let (of_authorities, of_lists) = (path.key("client_ca"), path.key("client_crl"));
    let Some(authorities) = &file.client_ca else {
        for key in ["client_certificate", "client_crl"] {
            let path = path.key(key);
            if cross.root.at(&path).is_some() {
                let message = "is of callers' certificates, and no authority of theirs is named";
                cross.fault(&path, &[&of_authorities], message, |fault| {
                    fault.help("name the file of their authorities in `client_ca`, or leave it out")
                });
            }
        }
        return None;
    };
    let content = read(&authorities.0, &of_authorities, cross);
    let lists = match &file.client_crl {
        Some(lists) => Some(read(&lists.0, &of_lists, cross)?),
        None => None,
    };
    let demand = match file.client_certificate {
        Some(file::Demand::Require) => Demand::Require,
        Some(file::Demand::Request) | None => Demand::Request,
    };
    let lists = lists.as_ref().map(|lists| lists.as_slice());
    match Clients::from_pem(&content?, lists, demand) {
        Ok(clients) => Some(clients),
        Err(invalid) => {
            let (path, file, flaw) = match invalid {
                InvalidClients::Authorities(flaw) => (&of_authorities, Some(authorities), flaw),
                InvalidClients::Revoked(flaw) => (&of_lists, file.client_crl.as_ref(), flaw),
            };
            let name = file.map_or(Path::new(""), |Written(FilePath(name))| name);
            let message = format!("the file {} {}", name.display(), flaw.what);
            cross.fault(path, &[], message, |fault| fault.help(flaw.help));
            None
        }
    }
}

/// Reads a file, whose name the excerpt of a fault may have to hide.
fn read(
    FilePath(file): &FilePath,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    // Without the check, the file of a stand-in would be opened.
    if cross.report.is_tainted(path) {
        return None;
    }
    match cross.sources.file(file, MOST_BYTES) {
        Ok(content) => Some(Zeroizing::new(content)),
        Err(error) => {
            let message = format!("the file {} {}", file.display(), reason(&error));
            cross.fault(path, &[], message, |fault| {
                fault.help(
                    "check that it is mounted, and readable by the user that the gateway runs as",
                )
            });
            None
        }
    }
}

/// Bytes. Chains, keys and lists of accounts are far smaller.
const MOST_BYTES: u64 = 1024 * 1024;
