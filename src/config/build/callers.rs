//! The callers: what they are known by, and what they may do at most.

use super::Cross;
use super::matching::kind;
use super::named::unknown_at;
use crate::aep;
use crate::config::file::{Caller, File, Kind};
use crate::config::format::Written;
use crate::config::name::{Cidr, FieldName, KeyDigest};
use crate::config::path::{KeyPath, top};
use crate::context::{ANONYMOUS, CallerId};
use crate::identify;

/// The callers, whoever shows nothing first.
pub(super) struct Callers {
    pub(super) settings: identify::Settings,
    /// Their names, in the order of their places.
    pub(super) names: Vec<String>,
}

impl Callers {
    /// Returns the caller of this name.
    pub(super) fn id(&self, name: &str) -> Option<CallerId> {
        let place = self.names.iter().position(|known| known == name);
        place.map(CallerId)
    }

    /// Tells whether there are any but whoever shows nothing.
    pub(super) fn are_known(&self) -> bool {
        self.names.len() > 1
    }
}

/// Makes the callers, and checks that nobody can be taken for somebody else.
pub(super) fn build(file: &File, cross: &mut Cross<'_>) -> Callers {
    let sandboxes = cross.names("sandboxes");
    let mut callers = vec![identify::Caller::unknown(ANONYMOUS.to_owned())];
    let mut taken = Taken::default();
    for (name, caller) in &file.callers {
        let path = top("callers").key(name);
        if name == ANONYMOUS {
            cross.fault(
                &path,
                &[],
                "is the name of whoever shows nothing, who is known by nothing",
                |fault| fault.help("choose another name"),
            );
        }
        for (index, Written(sandbox)) in caller.sandboxes.iter().flatten().enumerate() {
            if !file.sandboxes.contains_key(sandbox.as_str()) {
                let path = path.key("sandboxes").index(index);
                let names = sandboxes.iter().map(String::as_str);
                unknown_at(
                    "sandbox",
                    sandbox.as_str(),
                    &path,
                    &top("sandboxes"),
                    names,
                    cross,
                );
            }
        }
        let known = one(name, caller, &path, &mut taken, cross);
        if known.api_keys.is_empty() && known.networks.is_empty() {
            cross.fault(&path, &[], "has nothing that it is known by", |fault| {
                fault.help("add `api_key` or `network`")
            });
        }
        callers.push(known);
    }
    let fields = file.listeners.iter().map(|listener| {
        let Written(FieldName(field)) = &listener.api_key_header;
        field.clone()
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    fields.dedup();
    Callers {
        names: callers.iter().map(|caller| caller.name.clone()).collect(),
        settings: identify::Settings {
            callers: callers.into_iter().collect(),
            fields,
        },
    }
}

/// What callers are known by so far, and where that stands.
#[derive(Default)]
struct Taken {
    api_keys: Vec<(identify::KeyDigest, KeyPath)>,
    networks: Vec<(ipnet::IpNet, KeyPath)>,
}

fn one(
    name: &str,
    caller: &Caller,
    path: &KeyPath,
    taken: &mut Taken,
    cross: &mut Cross<'_>,
) -> identify::Caller {
    let mut known = identify::Caller::unknown(name.to_owned());
    if let Some(keys) = &caller.api_key {
        let path = path.key("api_key");
        let one = matches!(keys, crate::config::file::Several::One(_));
        for (index, key) in keys.all().iter().enumerate() {
            let path = if one { path.clone() } else { path.index(index) };
            let Written(KeyDigest(digest)) = key.sha256;
            unique(
                &mut taken.api_keys,
                digest,
                path.key("sha256"),
                "API key",
                cross,
            );
            known.api_keys.push(digest);
        }
    }
    if let Some(network) = &caller.network {
        for (index, Written(Cidr(net))) in network.cidr.iter().enumerate() {
            let path = path.key("network").key("cidr").index(index);
            unique(&mut taken.networks, *net, path, "network", cross);
            known.networks.push(*net);
        }
    }
    known
}

/// Reports what a caller is known by if another one is known by it already.
fn unique<T: PartialEq>(
    taken: &mut Vec<(T, KeyPath)>,
    proof: T,
    path: KeyPath,
    what: &str,
    cross: &mut Cross<'_>,
) {
    match taken.iter().find(|(known, _)| *known == proof) {
        None => taken.push((proof, path)),
        Some((_, other)) => {
            let place = cross.root.place_of(other);
            let message = format!("the {what} stands at {other} already");
            cross.fault(&path, &[other], message, |fault| {
                fault
                    .also(place, "it is here")
                    .help("nobody can be two callers; give each what only it has")
            });
        }
    }
}

/// Returns kinds as the stages know them.
pub(super) fn kinds(kinds: &[Kind]) -> aep::Kinds {
    kinds.iter().copied().map(kind).collect()
}
