//! Where what replicas share is kept.

use super::{Cross, certificates};
use crate::config::file::{EncryptionKey, Redis, RedisMode};
use crate::config::format::{Format, Written};
use crate::config::name::Username;
use crate::config::path::{KeyPath, top};
use crate::secret::Secret;
use crate::shared::{Keyring, Login, Mode, SealingKey, Server, Settings};

/// Makes the settings of the store, or `None` when something about them was reported.
pub(super) fn build(file: &Redis, cross: &mut Cross<'_>) -> Option<Settings> {
    let path = top("shared").key("redis");
    check_keys(&file.encryption_keys, &path, cross);
    check_servers(file, &path, cross);
    check_tls(file, &path, cross);
    let extra_roots = certificates::read(file.ca_file.as_ref(), &path.key("ca_file"), cross);
    let login = login(file.username.as_ref(), file.password.as_ref(), &path, cross);
    let keys = file
        .encryption_keys
        .iter()
        .map(|key| (key.id.0.0.clone(), key.key.0.clone()));
    Some(Settings {
        mode: mode(file, &path, cross)?,
        tls: file.tls,
        allow_plain: file.allow_plain,
        extra_roots,
        login,
        prefix: file.prefix.0.0.clone(),
        timeout: file.timeout.0,
        keys: Keyring::new(keys)?,
    })
}

fn mode(file: &Redis, path: &KeyPath, cross: &mut Cross<'_>) -> Option<Mode> {
    let servers = || file.servers.iter().map(|server| server.0.clone());
    let mode_path = path.key("mode");
    let sentinel_path = path.key("sentinel");
    if file.sentinel.is_some() && file.mode != RedisMode::Sentinel {
        let message = "is for `mode: sentinel`";
        cross.fault(&sentinel_path, &[&mode_path], message, |fault| {
            fault.help("add `mode: sentinel` if `servers` are sentinels, or leave it out")
        });
    }
    match file.mode {
        RedisMode::Cluster => {
            if file.database != 0 {
                let path = path.key("database");
                let message = "a cluster has no database but 0";
                cross.fault(&path, &[&mode_path], message, |fault| {
                    fault.help("leave it out; `prefix` keeps gateways apart")
                });
            }
            Some(Mode::Cluster {
                seeds: servers().collect(),
            })
        }
        RedisMode::Sentinel => {
            let Some(sentinel) = &file.sentinel else {
                let message = "is missing: with `mode: sentinel` it names the service";
                cross.fault(&sentinel_path, &[&mode_path], message, |fault| {
                    fault.help("add `sentinel: { service: mymaster }`")
                });
                return None;
            };
            let login = login(
                sentinel.username.as_ref(),
                sentinel.password.as_ref(),
                &sentinel_path,
                cross,
            );
            Some(Mode::Sentinel {
                sentinels: servers().collect(),
                service: sentinel.service.0.0.clone(),
                login,
                database: file.database,
            })
        }
        RedisMode::Single => Some(Mode::Single {
            server: servers().next()?,
            database: file.database,
        }),
    }
}

fn login(
    username: Option<&Written<Username>>,
    password: Option<&Written<Secret>>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<Login> {
    if username.is_some() && password.is_none() {
        let path_of_password = path.key("password");
        let message = "there is no password for this user";
        cross.fault(
            &path.key("username"),
            &[&path_of_password],
            message,
            |fault| fault.help("add `password`"),
        );
    }
    Some(Login {
        username: username.map(|username| username.0.0.clone()),
        password: password?.0.clone(),
    })
}

fn check_keys(keys: &[EncryptionKey], path: &KeyPath, cross: &mut Cross<'_>) {
    let path = path.key("encryption_keys");
    let example = Written::known(SealingKey::EXAMPLE);
    for (index, key) in keys.iter().enumerate() {
        if key.key == example {
            let message = "is the example, which everybody knows";
            cross.fault(&path.index(index).key("key"), &[], message, |fault| {
                fault.help("`openssl rand -base64 32` makes a key")
            });
        }
        let earlier = || keys.iter().take(index);
        if let Some(other) = earlier().position(|other| other.id == key.id) {
            let other = path.index(other).key("id");
            let place = cross.root.place_of(&other);
            let message = "another key has this id already";
            cross.fault(&path.index(index).key("id"), &[&other], message, |fault| {
                fault
                    .also(place, "the other one is here")
                    .help("give each key an id of its own, and never use one again for another key")
            });
        }
        if let Some(other) = earlier().position(|other| other.key.0 == key.key.0) {
            let other = path.index(other).key("key");
            let message = format!("is the same key as {other}");
            cross.fault(&path.index(index).key("key"), &[&other], message, |fault| {
                fault.help("a second key is for rotation; leave it out until there is one")
            });
        }
    }
}

fn check_servers(file: &Redis, path: &KeyPath, cross: &mut Cross<'_>) {
    let path_of_servers = path.key("servers");
    if file.mode == RedisMode::Single && file.servers.len() > 1 {
        let message = "there is more than one server, and `mode` is `single`";
        cross.fault(
            &path_of_servers.index(1),
            &[&path.key("mode")],
            message,
            |fault| fault.help("write `mode: sentinel` or `mode: cluster`, or leave one server"),
        );
    }
    for (index, server) in file.servers.iter().enumerate() {
        let Some(other) = file
            .servers
            .iter()
            .take(index)
            .position(|other| other == server)
        else {
            continue;
        };
        let other = path_of_servers.index(other);
        let message = "stands in the list twice";
        cross.fault(&path_of_servers.index(index), &[&other], message, |fault| {
            fault
        });
    }
}

fn check_tls(file: &Redis, path: &KeyPath, cross: &mut Cross<'_>) {
    let elsewhere = |server: &Written<Server>| !server.0.is_loopback();
    if file.tls || file.allow_plain {
        return;
    }
    if let Some(index) = file.servers.iter().position(elsewhere) {
        let message = "without TLS logins would be readable on the way to this server";
        let (tls, allow_plain) = (path.key("tls"), path.key("allow_plain"));
        let server = path.key("servers").index(index);
        cross.fault(&server, &[&tls, &allow_plain], message, |fault| {
            fault.help(
                "leave `tls: false` out, or add `allow_plain: true` if the way there is protected otherwise",
            )
        });
    }
}
