//! Which proxy an origin is reached through: the file's, the environment's, or none.

use super::Cross;
use crate::config::environment;
use crate::config::format::Written;
use crate::config::name::EgressProxy;
use crate::config::path::KeyPath;
use crate::connect::{Origin, Proxy};

/// Returns the proxy for `origin`, whose section of the file is at `path`.
pub(super) fn of(
    written: Option<&Written<EgressProxy>>,
    origin: &Origin,
    has_address: bool,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Option<Proxy> {
    let (key, address) = (path.key("egress_proxy"), path.key("address"));
    match written.map(|written| &written.0) {
        Some(EgressProxy::None) => None,
        Some(EgressProxy::Through(proxy)) => {
            if has_address {
                let message = "says where to connect, and so does `address`";
                cross.fault(&key, &[&address], message, |fault| {
                    fault.help("leave one of them out; a proxy connects to what is named in `url`")
                });
            }
            Some(proxy.clone())
        }
        // An address says where to connect.
        None if has_address => None,
        None => match environment::proxy(origin, cross.sources) {
            Ok(proxy) => proxy,
            Err(fault) => {
                cross.fault(&key, &[&path.key("url")], fault.message, |of_key| {
                    of_key.help("correct the variable, or write `egress_proxy`, which comes before it: `none` for no proxy")
                });
                None
            }
        },
    }
}
