//! What a route says of callers and hosts that can never come to anything.

use super::Cross;
use super::callers::kinds;
use super::places::Places;
use crate::aep::{Kinds, SandboxName};
use crate::authorize::{Allowed, Callers, Grant, Rule, Source};
use crate::config::file::{
    FoundSandbox, Hosts, OnMismatch, Route, RouteCaller, RouteSandbox, SandboxFrom,
};
use crate::config::format::Written;
use crate::config::name::Name;
use crate::config::path::KeyPath;
use crate::context::CallerId;

/// Reports what comes to nothing of what the route at `path` says.
pub(super) fn check(
    route: &Route,
    rule: &Rule,
    places: &Places<'_>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    let found = match &route.sandbox {
        Some(RouteSandbox::Found(found)) => Some(found),
        Some(RouteSandbox::Name(_)) | None => None,
    };
    if let Some(found) = found {
        let of_sandbox = path.key("sandbox");
        check_hosts(
            route,
            found,
            &path.key("match").key("host"),
            &of_sandbox,
            cross,
        );
        check_others(rule, found, places, path, cross);
        if found.from == SandboxFrom::Header && found.on_mismatch == OnMismatch::Ignore {
            let message =
                "means nothing here: with `from: header` the field says where a request works";
            let rests_on = [&of_sandbox.key("from")];
            cross.fault(
                &of_sandbox.key("on_mismatch"),
                &rests_on,
                message,
                |fault| fault.help("leave it out, or change `from`"),
            );
        }
    }
    for (index, caller) in route.callers.iter().flatten().enumerate() {
        let path = path.key("callers").index(index);
        let (Written(Name(name)), path) = match caller {
            RouteCaller::Name(name) => (name, path),
            RouteCaller::Grant(grant) => (&grant.name, path.key("name")),
        };
        check_caller(name, found, rule, places, &path, cross);
    }
}

/// Reports hosts that no request of the route addresses.
fn check_hosts(
    route: &Route,
    found: &FoundSandbox,
    of_route: &KeyPath,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    let hosts = route.matching.host.as_ref().map(Hosts::list);
    for host in found.by_host.iter().flatten().map(|(host, _)| host) {
        let path = path.key("by_host").key(host);
        if host.ends_with('.') {
            let message = "ends with a dot, and hosts are compared without one";
            cross.fault_of_key(&path, &[], message, |fault| fault.help("leave the dot out"));
        } else if hosts.is_some_and(|hosts| !hosts.iter().any(|it| it.0.takes(host))) {
            let message = "is none of the hosts that the route is for";
            cross.fault_of_key(&path, &[of_route], message, |fault| {
                fault.help("add it to `match.host`, or leave it out here")
            });
        }
    }
}

/// Reports callers who have a sandbox of a route that is not for them.
fn check_others(
    rule: &Rule,
    found: &FoundSandbox,
    places: &Places<'_>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    // Whom a route is not for works there in a dry run.
    if rule.dry_run {
        return;
    }
    let of_route = path.key("callers");
    for name in found.by_caller.iter().flatten().map(|(name, _)| name) {
        let Some(id) = places.callers().id(name) else {
            continue;
        };
        let is_for = match &rule.callers {
            Callers::All => true,
            Callers::Known => id != CallerId::ANONYMOUS,
            Callers::These(these) => these.contains_key(&id),
        };
        if !is_for {
            let path = path.key("sandbox").key("by_caller").key(name);
            let message = format!("the route is not for {name}");
            let help = "add the caller to the route's `callers`, or leave it out here";
            let place = cross.root.place_of_key(&path);
            cross.warn(place, &path, &[&of_route], message, help);
        }
    }
}

/// Reports a caller of the route's list whose every request would be refused.
fn check_caller(
    name: &str,
    found: Option<&FoundSandbox>,
    rule: &Rule,
    places: &Places<'_>,
    path: &KeyPath,
    cross: &mut Cross<'_>,
) {
    let (Some(id), Callers::These(these)) = (places.callers().id(name), &rule.callers) else {
        return;
    };
    let Some(granted) = these.get(&id) else {
        return;
    };
    let by_caller = found.and_then(|found| found.by_caller.as_ref());
    if let Source::Caller(_) = rule.source
        && by_caller.is_some_and(|by_caller| !by_caller.contains_key(name))
    {
        let message =
            format!("{name} has no sandbox in `by_caller`, so that all it asks is refused");
        let help = "add the caller there, or leave it out here";
        return cross.warn(cross.root.place_of(path), path, &[], message, help);
    }
    if rule.dry_run {
        return;
    }
    let Some(permits) = permits(name, id, granted, rule, places) else {
        return;
    };
    let message = match permits.as_slice() {
        [] => {
            "none of the route's sandboxes is one that it may work in, here and by its own `sandboxes`"
        }
        some if some.iter().all(|permit| *permit == Kinds::NONE) => {
            "nothing that the route permits is permitted to it, here and by its own `permit`"
        }
        _ => return,
    };
    let message = format!("{name} can do nothing by this route: {message}");
    let help = "leave the caller out, or give it more";
    cross.warn(cross.root.place_of(path), path, &[], message, help);
}

/// Returns what a caller may do in each of the sandboxes that it may work in. `None`: something else is wrong with them.
fn permits(
    name: &str,
    id: CallerId,
    granted: &Grant,
    rule: &Rule,
    places: &Places<'_>,
) -> Option<Vec<Kinds>> {
    let own = places.caller_of_file(name);
    let own_sandboxes = own.and_then(|own| own.sandboxes.as_ref());
    let own_permit = own
        .and_then(|own| own.permit.as_ref())
        .map_or(Kinds::ALL, |permit| kinds(permit));
    let its = match &rule.source {
        Source::Caller(by_caller) => Some(*by_caller.get(&id)?),
        Source::Fixed | Source::Header(_) | Source::Host(_) | Source::Path => None,
    };
    if rule.allow.is_empty() {
        return None;
    }
    let within = rule.allow.iter().filter(|allowed| {
        let sandbox = places.sandbox(allowed.place);
        let named = |Written(name): &Written<SandboxName>| Some(name.as_str()) == sandbox;
        its.is_none_or(|its| its == allowed.place)
            && granted.places.contain(allowed.place)
            && own_sandboxes.is_none_or(|own| own.iter().any(named))
    });
    let permit = |allowed: &Allowed| allowed.permit.and(granted.permit).and(own_permit);
    Some(within.map(permit).collect())
}
