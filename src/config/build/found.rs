//! How the sandbox of a request is found, where its route has several.

use std::collections::BTreeMap;

use super::Cross;
use super::callers::Callers;
use super::places::Places;
use crate::aep::SandboxName;
use crate::authorize::Source;
use crate::config::file::{FoundSandbox, SandboxFrom};
use crate::config::format::Written;
use crate::config::path::KeyPath;
use crate::context::PlaceId;

/// How a sandbox is found, by names.
pub(super) enum Found {
    Caller(BTreeMap<String, String>),
    Header(Option<String>),
    Host(BTreeMap<String, String>),
    Path,
    Route,
}

impl Found {
    /// Puts places for names.
    pub(super) fn with(self, ids: &BTreeMap<String, PlaceId>, callers: &Callers) -> Source {
        let id = |name: &String| ids.get(name).copied();
        match self {
            Self::Caller(by_caller) => {
                let of =
                    |(caller, name): (&String, &String)| Some((callers.id(caller)?, id(name)?));
                Source::Caller(by_caller.iter().filter_map(of).collect())
            }
            Self::Header(default) => Source::Header(default.as_ref().and_then(id)),
            Self::Host(by_host) => {
                let of = |(host, name): (&String, &String)| Some((host.clone(), id(name)?));
                Source::Host(by_host.iter().filter_map(of).collect())
            }
            Self::Path => Source::Path,
            Self::Route => Source::Fixed,
        }
    }
}

/// Returns the names of the sandboxes that a request may find, and how it finds one.
pub(super) fn find(
    found: &FoundSandbox,
    places: &Places<'_>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> (Vec<String>, Found) {
    for (key, written, with) in [
        ("by_caller", found.by_caller.is_some(), SandboxFrom::Caller),
        ("by_host", found.by_host.is_some(), SandboxFrom::Host),
        ("default", found.default.is_some(), SandboxFrom::Header),
    ] {
        if written && found.from != with {
            let message = format!("means nothing here: it belongs to `from: {}`", word(with));
            cross.fault(&path.key(key), &[&path.key("from")], message, |fault| {
                fault.help("leave it out, or change `from`")
            });
        }
    }
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: Option<String>| {
        if let Some(name) = name
            && !names.contains(&name)
        {
            names.push(name);
        }
    };
    for (index, Written(name)) in found.allow.iter().flatten().enumerate() {
        let path = path.key("allow").index(index);
        add(places.known(name.as_str(), &path, cross));
    }
    let by =
        |by: &Option<BTreeMap<String, Written<SandboxName>>>, key: &str, cross: &mut Cross<'_>| {
            let mut map = BTreeMap::new();
            for (of, Written(name)) in by.iter().flatten() {
                let path = path.key(key).key(of);
                if let Some(name) = places.known(name.as_str(), &path, cross) {
                    check_allowed(found, &name, &path, cross);
                    map.insert(of.clone(), name);
                }
            }
            map
        };
    let need = |key: &str, written: bool, cross: &mut Cross<'_>| {
        if !written {
            let message = format!("has no `{key}`, which `from: {}` needs", word(found.from));
            cross.fault(path, &[&path.key(key)], message, |fault| fault);
        }
    };
    let found = match found.from {
        SandboxFrom::Caller => {
            need("by_caller", found.by_caller.is_some(), cross);
            let by_caller = by(&found.by_caller, "by_caller", cross);
            for name in by_caller.keys() {
                places.check_caller(name, &path.key("by_caller").key(name), cross);
            }
            for name in by_caller.values() {
                add(Some(name.clone()));
            }
            Found::Caller(by_caller)
        }
        SandboxFrom::Header => {
            need("allow", found.allow.is_some(), cross);
            let default = found.default.as_ref().and_then(|Written(name)| {
                let path = path.key("default");
                let name = places.known(name.as_str(), &path, cross)?;
                check_allowed(found, &name, &path, cross);
                Some(name)
            });
            Found::Header(default)
        }
        SandboxFrom::Host => {
            need("by_host", found.by_host.is_some(), cross);
            let by_host = by(&found.by_host, "by_host", cross);
            for name in by_host.values() {
                add(Some(name.clone()));
            }
            Found::Host(by_host)
        }
        SandboxFrom::Path => {
            need("allow", found.allow.is_some(), cross);
            Found::Path
        }
        SandboxFrom::Route => {
            need("allow", found.allow.is_some(), cross);
            if names.len() > 1 {
                let message = "has more than one sandbox, and nothing says which of them is meant";
                cross.fault(&path.key("allow"), &[], message, |fault| {
                    fault.help("say by `from` how it is found: path, header, host or caller")
                });
                names.truncate(1);
            }
            Found::Route
        }
    };
    (names, found)
}

/// Reports a sandbox that `allow` is written without.
fn check_allowed(found: &FoundSandbox, name: &str, path: &KeyPath, cross: &mut Cross<'_>) {
    let Some(allow) = &found.allow else { return };
    if !allow
        .iter()
        .any(|Written(allowed)| allowed.as_str() == name)
    {
        let message = format!("sandbox {name} is not in `allow`");
        cross.fault(path, &[], message, |fault| {
            fault.help(match found.from {
                SandboxFrom::Caller | SandboxFrom::Host => "add it there, or leave `allow` out",
                SandboxFrom::Header | SandboxFrom::Path | SandboxFrom::Route => "add it there",
            })
        });
    }
}

fn word(from: SandboxFrom) -> &'static str {
    match from {
        SandboxFrom::Caller => "caller",
        SandboxFrom::Header => "header",
        SandboxFrom::Host => "host",
        SandboxFrom::Path => "path",
        SandboxFrom::Route => "route",
    }
}
