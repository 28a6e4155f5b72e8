//! Whom a route is for, and what it permits.

use std::collections::{BTreeMap, HashMap};

use super::Cross;
use super::callers::kinds;
use super::places::Places;
use crate::aep::Kinds;
use crate::authorize::{Callers, Grant, Places as Reach};
use crate::config::file::{self, Permit, Route, RouteCaller, RouteGrant};
use crate::config::format::Written;
use crate::config::name::Name;
use crate::config::path::KeyPath;
use crate::context::PlaceId;

/// Returns what is permitted in each sandbox, as far as the route says so.
pub(super) fn permits(
    route: &Route,
    names: &[String],
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> BTreeMap<String, Kinds> {
    let path = path.key("permit");
    match &route.permit {
        None => BTreeMap::new(),
        Some(Permit::Everywhere(everywhere)) => {
            let everywhere = kinds(everywhere);
            names
                .iter()
                .map(|name| (name.clone(), everywhere))
                .collect()
        }
        Some(Permit::BySandbox(by_sandbox)) => {
            for name in by_sandbox.keys().filter(|name| !names.contains(name)) {
                let all = names.iter().map(String::as_str);
                elsewhere(name, all, &path.key(name), cross);
            }
            let of = |(name, some): (&String, &file::Kinds)| (name.clone(), kinds(&some.0));
            by_sandbox.iter().map(of).collect()
        }
    }
}

/// Returns whom a route is for; `ids` are its places.
pub(super) fn callers(
    route: &Route,
    places: &Places<'_>,
    ids: &BTreeMap<String, PlaceId>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Callers {
    let Some(callers) = &route.callers else {
        return if places.callers().are_known() {
            Callers::Known
        } else {
            Callers::All
        };
    };
    let path = path.key("callers");
    let mut these = HashMap::new();
    for (index, caller) in callers.iter().enumerate() {
        let path = path.index(index);
        let (Written(Name(name)), of_name, grant) = match caller {
            RouteCaller::Name(name) => (name, path.clone(), Grant::OPEN),
            RouteCaller::Grant(file) => {
                (&file.name, path.key("name"), grant(file, ids, &path, cross))
            }
        };
        let Some(id) = places.caller(name, &of_name, cross) else {
            continue;
        };
        if these.insert(id, grant).is_some() {
            let message = format!("{name} stands in the list twice");
            cross.fault(&of_name, &[], message, |fault| fault.help("write it once"));
        }
    }
    Callers::These(these)
}

/// Returns what a route grants a caller.
fn grant(
    file: &RouteGrant,
    ids: &BTreeMap<String, PlaceId>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) -> Grant {
    let mut reach = Reach::All;
    if let Some(sandboxes) = &file.sandboxes {
        let mut places = Vec::new();
        for (index, Written(name)) in sandboxes.iter().enumerate() {
            if let Some(id) = ids.get(name.as_str()) {
                places.push(*id);
            } else {
                let names = ids.keys().map(String::as_str);
                elsewhere(
                    name.as_str(),
                    names,
                    &path.key("sandboxes").index(index),
                    cross,
                );
            }
        }
        reach = Reach::These(places);
    }
    Grant {
        permit: file
            .permit
            .as_ref()
            .map_or(Kinds::ALL, |permit| kinds(permit)),
        places: reach,
    }
}

/// Reports a sandbox that a route does not lead to.
fn elsewhere<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    let message = format!("the route does not lead to a sandbox {name}");
    let names: Vec<_> = names.collect();
    cross.fault(path, &[], message, |fault| {
        fault.help(format!("it leads to {}", names.join(", ")))
    });
}
