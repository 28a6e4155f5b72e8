//! That no two routes have one name or take the same requests.

use std::collections::HashMap;

use http::Method;

use super::Cross;
use super::matching::kinds;
use crate::aep::Kind;
use crate::config::defaults;
use crate::config::file::{Hosts, Paths, Prefixes, Route};
use crate::config::path::{KeyPath, top};
use crate::route::table::{Seat, Table};
use crate::route::{Settings, Tie};

/// Reports routes that have the name of an earlier one.
pub(super) fn check_names(routes: &[Route], cross: &mut Cross<'_>) {
    let mut seen: HashMap<&str, KeyPath> = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        let path = top("routes").index(index).key("name");
        if let Some(first) = seen.get(route.name.0.0.as_str()) {
            let place = cross.root.place_of(first);
            let message = "another route has this name already";
            cross.fault(&path, &[first], message, |fault| {
                fault.also(place, "the other one is here")
            });
        } else {
            seen.insert(&route.name.0.0, path);
        }
    }
}

/// Reports routes that tie: two that are alike would leave it to chance which of them a request takes.
pub(super) fn check_ties(routes: &[Route], settings: &Settings, cross: &mut Cross<'_>) {
    for Tie { seats, method, .. } in Table::ties(settings) {
        let [Some(first), Some(second)] = seats.map(|seat| Place::of(routes, seat)) else {
            continue;
        };
        let method = told_method(seats, method, settings);
        let message = format!(
            "`{}` of route {} ties with `{}` of route {}{}: neither is more specific",
            second.described(cross),
            cross.written(&second.name),
            first.described(cross),
            cross.written(&first.name),
            method.map_or(String::new(), |method| format!(" for {method}")),
        );
        let place = cross.root.place_of(&first.path);
        let rests_on = [&first.matching, &second.matching];
        cross.fault(&second.path, &rests_on, message, |fault| {
            fault.also(place, "the other one is here").help(
                "give the two different methods, paths or other conditions, or make them one route",
            )
        });
    }
}

/// Returns a method by which both routes take the same, unless both take all methods.
fn told_method(seats: [Seat; 2], method: Method, settings: &Settings) -> Option<Method> {
    let [first, second] = seats.map(|seat| settings.routes.get(seat.route.0));
    let (first, second) = first.zip(second)?;
    let all = defaults::methods().len();
    if first.methods.len() == all && second.methods.len() == all {
        return None;
    }
    let both = |method: &&Method| {
        let mut operations = settings.operations.all_and_unknown();
        operations.any(|it| first.takes(it, method) && second.takes(it, method))
    };
    let methods = first.methods.iter().chain(&second.methods);
    Some(methods.into_iter().find(both).cloned().unwrap_or(method))
}

/// Where a route says what it matches.
struct Place {
    name: KeyPath,
    matching: KeyPath,
    /// Of the path or prefix, or else of all that is said.
    path: KeyPath,
    /// Whether there is a path or prefix.
    has_path: bool,
    host: Option<String>,
    operations: usize,
    kinds: Vec<&'static str>,
}

impl Place {
    fn of(routes: &[Route], seat: Seat) -> Option<Self> {
        let route = routes.get(seat.route.0)?;
        let name = top("routes").index(seat.route.0).key("name");
        let matching = top("routes").index(seat.route.0).key("match");
        let path = match (&route.matching.path, &route.matching.prefix) {
            (Some(Paths::One(_)), _) => matching.key("path"),
            (Some(Paths::Several(_)), _) => matching.key("path").index(seat.path),
            (None, Some(Prefixes::One(_))) => matching.key("prefix"),
            (None, Some(Prefixes::Several(_))) => matching.key("prefix").index(seat.path),
            (None, None) => matching.clone(),
        };
        let hosts = route.matching.host.as_ref().map(Hosts::list);
        let host = seat.host.and_then(|index| hosts?.get(index));
        Some(Self {
            operations: route.matching.operations.as_ref().map_or(0, Vec::len),
            kinds: kinds(&route.matching).map(Kind::as_str).collect(),
            name,
            has_path: path != matching,
            path,
            matching,
            host: host.map(|host| host.0.to_string()),
        })
    }

    fn described(&self, cross: &Cross<'_>) -> String {
        let mut all = Vec::new();
        let path = if self.has_path {
            cross.written(&self.path)
        } else {
            ""
        };
        let place = format!("{}{path}", self.host.as_deref().unwrap_or_default());
        if !place.is_empty() {
            all.push(place);
        }
        if self.operations > 0 {
            let path = self.matching.key("operations");
            let names = (0..self.operations).map(|index| cross.written(&path.index(index)));
            let names: Vec<_> = names.collect();
            all.push(format!("operations [{}]", names.join(", ")));
        }
        if !self.kinds.is_empty() {
            all.push(format!("kinds [{}]", self.kinds.join(", ")));
        }
        all.join(", ")
    }
}
