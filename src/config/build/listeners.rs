//! Where callers and operators connect.

use std::net::SocketAddr;

use super::Cross;
use crate::config::file::{Anonymous, File, Listener};
use crate::config::path::{KeyPath, top};
use crate::listener;

/// Makes the settings of the callers' listeners, and checks that all listeners can stand side by side.
pub(super) fn build(file: &File, cross: &mut Cross<'_>) -> Vec<listener::Settings> {
    let mut taken = vec![(file.admin.address.0, top("admin").key("address"))];
    let mut listeners = Vec::new();
    for (index, listener) in file.listeners.iter().enumerate() {
        let path = top("listeners").index(index);
        let address_path = path.key("address");
        let address = listener.address.0;
        check_unique(address, &address_path, &taken, cross);
        taken.push((address, address_path));
        listeners.push(one(listener, &path, cross));
    }
    listeners
}

fn check_unique(
    address: SocketAddr,
    path: &KeyPath,
    taken: &[(SocketAddr, KeyPath)],
    cross: &mut Cross<'_>,
) {
    let Some((_, other)) = taken.iter().find(|(other, _)| collide(address, *other)) else {
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
        fault.help("choose another port")
    });
}

/// Tells whether only one of the two addresses can be bound. Port 0 takes a free port each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && covers && one.is_ipv4() == other.is_ipv4()
}

fn one(listener: &Listener, path: &KeyPath, cross: &mut Cross<'_>) -> listener::Settings {
    let address = listener.address.0;
    let loopback = address.ip().to_canonical().is_loopback();
    if !loopback && listener.anonymous.is_none() {
        let message =
            "the address can be reached from other machines, and no caller has to show who it is";
        let anonymous = path.key("anonymous");
        cross.fault(&path.key("address"), &[&anonymous], message, |fault| {
            fault.help(
                "write `anonymous: allow` if everybody who reaches it may do what the routes permit, or listen on 127.0.0.1",
            )
        });
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
    listener::Settings {
        address,
        anonymous: listener
            .anonymous
            .map_or(loopback, |anonymous| anonymous == Anonymous::Allow),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide_when_one_covers_the_other() {
        let collide =
            |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());

        assert!(collide("127.0.0.1:80", "127.0.0.1:80"));
        assert!(collide("0.0.0.0:80", "127.0.0.1:80") && collide("[::1]:80", "[::]:80"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
        assert!(
            !collide("127.0.0.1:80", "127.0.0.1:81") && !collide("127.0.0.1:80", "127.0.0.2:80")
        );
        assert!(!collide("[::]:80", "127.0.0.1:80"));
    }
}
