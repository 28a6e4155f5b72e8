//! What a request may do by what the configuration was written from, read as an operator would read it.

use std::num::NonZeroU32;

use profile_gateway::aep::{Kind, Operation, Operations, Row};

use super::requests::Sent;
use super::world::{
    Area, Bounds, CALLERS, CREDENTIALS, Credential, Narrow, Permit, ROWS, Route, SANDBOXES,
    Sandbox, Source, World, key,
};

/// What a request is at Adobe.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) operation: &'static str,
    pub(super) kind: Kind,
}

/// Returns the operation whose template fits, of several the one with more that is literal.
fn known(operations: &Operations, method: &str, path: &str) -> Option<&'static Operation> {
    let segments = |path: &str| -> Vec<String> {
        let all = path.split('/').filter(|segment| !segment.is_empty());
        all.map(str::to_ascii_lowercase).collect()
    };
    let path = segments(path);
    let literal = |segment: &String| !segment.starts_with('{');
    let of_method = |operation: &&Operation| {
        let own = operation.method.as_ref();
        own.is_some_and(|own| own.as_str() == method)
    };
    let fits = |operation: &&Operation| {
        let template = segments(operation.template);
        let mut both = template.iter().zip(&path);
        template.len() == path.len() && both.all(|(known, it)| !literal(known) || known == it)
    };
    let all = operations.all().filter(of_method).filter(fits);
    all.max_by_key(|operation| {
        segments(operation.template)
            .iter()
            .filter(|it| literal(it))
            .count()
    })
}

/// Where a request may work, and as whom.
pub(super) type Granted = (&'static Sandbox, &'static Credential);

impl World {
    /// Reads a path as the most forgiving of servers would: an encoded slash is a slash, case and empty segments do not count.
    /// What no operation of Adobe's or the operator's is so is read as it stands, and else known by its method.
    pub(super) fn target(&self, method: &str, path: &str) -> Target {
        let rows = self.rows.iter().map(|it| &ROWS[*it]);
        let operations = Operations::with(rows.map(|row| Row {
            name: row.name.to_owned(),
            method: row.method.parse().unwrap(),
            template: row.path.to_owned(),
            kind: row.kind.parse().unwrap(),
            replay_safe: false,
            payload: false,
            cost: NonZeroU32::MIN,
        }));
        let method = if method == "HEAD" { "GET" } else { method };
        let path = path.to_ascii_lowercase();
        let decoded = known(&operations, method, &path.replace("%2f", "/"));
        let known = decoded.or_else(|| known(&operations, method, &path));
        match (known, method) {
            (Some(known), _) => Target {
                operation: known.name,
                kind: known.kind,
            },
            (None, "GET") => Target {
                operation: "unknown.read",
                kind: Kind::Read,
            },
            (None, "DELETE") => Target {
                operation: "unknown.delete",
                kind: Kind::Delete,
            },
            (None, _) => Target {
                operation: "unknown.write",
                kind: Kind::Write,
            },
        }
    }

    /// Returns the sandbox and the credential that a request may reach which is `target` at Adobe, or why it may reach none.
    pub(super) fn granted(&self, sent: &Sent, target: &Target) -> Result<Granted, String> {
        let caller = self.caller(sent)?;
        let route = self.route(sent, target)?;
        let sandbox = meant(route, caller, sent)?;
        let named = sent.values("x-sandbox-name");
        let other = |named: &&str| *named != SANDBOXES[sandbox].key;
        if !route.ignores_mismatch && named.iter().any(other) {
            return Err("another sandbox is named".to_owned());
        }
        let credential = SANDBOXES[sandbox].credential.unwrap_or(route.credential);
        let granted = (&SANDBOXES[sandbox], &CREDENTIALS[credential]);
        if route.dry_run {
            return Ok(granted);
        }
        let grant = match &route.callers {
            None if caller == 0 => return Err("the route is for known callers".to_owned()),
            None => None,
            Some(these) => {
                let its = these.iter().find(|(it, _)| *it == caller);
                let (_, grant) = its.ok_or("the route is for others")?;
                Some(grant)
            }
        };
        let own = caller.checked_sub(1).map(|index| &self.callers[index]);
        let kind = target.kind.as_str();
        for bounds in grant.into_iter().chain(own) {
            if !within(bounds, kind, sandbox) {
                return Err(format!("{bounds:?} does not go that far"));
            }
        }
        if permits(route, sandbox, kind) {
            Ok(granted)
        } else {
            Err(format!("the route does not permit {kind}"))
        }
    }

    fn caller(&self, sent: &Sent) -> Result<usize, String> {
        match sent.values("x-caller-key").as_slice() {
            [] if self.anonymous => Ok(0),
            [] => Err("nobody is served who shows nothing".to_owned()),
            [shown] => {
                let mut all = 1..=CALLERS;
                let whose = all.find(|caller| key(*caller) == *shown);
                whose.ok_or_else(|| "nobody has that key".to_owned())
            }
            _ => Err("several keys are shown".to_owned()),
        }
    }

    fn area(&self, sent: &Sent) -> Result<&Area, String> {
        let first = sent.path.split('/').nth(1).unwrap_or_default();
        let index = first
            .strip_prefix('a')
            .and_then(|index| index.parse::<usize>().ok());
        let area = index.and_then(|index| self.areas.get(index));
        area.ok_or_else(|| format!("no route begins with {first}"))
    }

    fn route(&self, sent: &Sent, target: &Target) -> Result<&Route, String> {
        let area = self.area(sent)?;
        Ok(match &area.narrow {
            Some((narrow, route)) if takes(narrow, sent, target) => route,
            Some(_) | None => &area.wide,
        })
    }
}

fn takes(narrow: &Narrow, sent: &Sent, target: &Target) -> bool {
    match narrow {
        Narrow::Field => {
            let teams = sent.values("x-team");
            !teams.is_empty() && teams.iter().all(|team| *team == "crm")
        }
        Narrow::Host(host) => sent.host_name() == *host,
        Narrow::Kinds(kinds) => kinds.contains(&target.kind.as_str()),
        Narrow::Operations(names) => names.iter().any(|name| match name.strip_suffix(".*") {
            Some(group) => target.operation.split('.').next() == Some(group),
            None => *name == target.operation,
        }),
    }
}

/// Returns the sandbox that a request means, if it is one of the route's.
fn meant(route: &Route, caller: usize, sent: &Sent) -> Result<usize, String> {
    let called = |allow: &[usize], name: &str| {
        let mut all = allow.iter();
        all.find(|it| SANDBOXES[**it].key == name).copied()
    };
    let found = match &route.source {
        Source::Caller(by) => by.iter().find(|(of, _)| *of == caller).map(|(_, it)| *it),
        Source::Fixed(it) => Some(*it),
        Source::Header(allow, default) => match sent.values("x-sandbox-name").as_slice() {
            [] => *default,
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                called(allow, first)
            }
            _ => None,
        },
        Source::Host(by) => {
            let host = sent.host_name();
            by.iter().find(|(of, _)| *of == host).map(|(_, it)| *it)
        }
        Source::Path(allow) => called(allow, sent.path.split('/').nth(2).unwrap_or_default()),
    };
    found.ok_or_else(|| "no sandbox of the route is meant".to_owned())
}

pub(super) fn permits(route: &Route, sandbox: usize, kind: &str) -> bool {
    let usual = !SANDBOXES[sandbox].production || kind == "read";
    match &route.permit {
        Permit::BySandbox(by) => match by.iter().find(|(it, _)| *it == sandbox) {
            Some((_, kinds)) => kinds.contains(&kind),
            None => usual,
        },
        Permit::Default => usual,
        Permit::Everywhere(kinds) => kinds.contains(&kind),
    }
}

pub(super) fn within(bounds: &Bounds, kind: &str, sandbox: usize) -> bool {
    let permit = bounds.permit.as_ref();
    let sandboxes = bounds.sandboxes.as_ref();
    permit.is_none_or(|kinds| kinds.contains(&kind))
        && sandboxes.is_none_or(|all| all.contains(&sandbox))
}
