//! How the token service and the Profile API are reached.

use std::time::Duration;

use super::{Cross, certificates};
use crate::config::file::{Ims, Upstream};
use crate::config::path::{KeyPath, top};
use crate::connect::Origin;
use crate::{connect, ims};

/// Makes the settings of the token service.
pub(super) fn ims(
    file: &Ims,
    credentials: Vec<ims::CredentialSettings>,
    cross: &mut Cross<'_>,
) -> ims::Settings {
    let path = top("ims");
    require_tls(
        &file.url.0,
        file.allow_plain_http,
        "client secrets",
        &path,
        cross,
    );
    ims::Settings {
        connect: connect::Settings {
            origin: file.url.0.clone(),
            http2: false,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            extra_roots: certificates::read(file.ca_file.as_ref(), &path.key("ca_file"), cross),
        },
        token_path: file.token_path.0.0.clone(),
        timeout: file.timeout.0,
        credentials,
    }
}

/// Makes the settings of the Profile API.
pub(super) fn upstream(file: &Upstream, cross: &mut Cross<'_>) -> connect::Settings {
    let path = top("upstream");
    require_tls(
        &file.url.0,
        file.allow_plain_http,
        "tokens and profiles",
        &path,
        cross,
    );
    connect::Settings {
        origin: file.url.0.clone(),
        http2: file.http2,
        connect_timeout: file.connect_timeout.0,
        idle_timeout: file.idle_timeout.0,
        extra_roots: certificates::read(file.ca_file.as_ref(), &path.key("ca_file"), cross),
    }
}

fn require_tls(
    origin: &Origin,
    allow_plain_http: bool,
    what: &str,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    if origin.is_tls() || origin.is_loopback() || allow_plain_http {
        return;
    }
    let message = format!("plain http would send {what} readable over the network");
    cross.fault(&path.key("url"), &[&path.key("allow_plain_http")], message, |fault| {
        fault.help("write https://, or add `allow_plain_http: true` if the way there is protected otherwise")
    });
}

// The token service is called rarely, so these two matter little there and have no keys.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
