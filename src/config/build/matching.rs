//! Which requests each route takes, and as what paths they go upstream.

use std::collections::HashSet;
use std::time::Duration;

use http::HeaderName;

use super::Cross;
use crate::aep::{self, Operation, Operations};
use crate::config::file::{
    EncodedSlashes, HeaderMatch, Hosts, Kind, Match, Method, Paths, Prefixes, Route, RouteSandbox,
    SandboxFrom,
};
use crate::config::format::Written;
use crate::config::nearest::nearest;
use crate::config::path::{KeyPath, top};
use crate::identify::Fields;
use crate::rewrite::{Prefix, Rewrite};
use crate::route::{Expected, HeaderCondition, OperationPattern, Rule, SANDBOX};

/// Makes the rule of a route. What is wrong with it is reported by [`check`].
pub(super) fn rule(route: &Route) -> Rule {
    let matching = &route.matching;
    let everywhere = matching.path.is_none() && matching.prefix.is_none();
    let prefixes = several(matching.prefix.as_ref(), Prefixes::list);
    Rule {
        name: route.name.0.0.clone(),
        templates: several(matching.path.as_ref(), Paths::list),
        prefixes: if everywhere {
            vec!["/".parse().expect("it is the beginning of every path")]
        } else {
            prefixes
        },
        methods: matching.methods.iter().copied().map(verb).collect(),
        hosts: several(matching.host.as_ref(), Hosts::list),
        headers: matching.headers.iter().map(condition).collect(),
        operations: unwritten(matching.operations.as_deref()),
        kinds: kinds(matching).collect(),
        rewrite: rewrite(route),
        take_off: finds_in_path(route),
        encoded_slashes: route.encoded_slashes == EncodedSlashes::Pass,
        timeout: route.timeout.0,
        total_timeout: route
            .timeouts
            .total
            .as_ref()
            .map(|time: &Written<Duration>| time.0),
    }
}

/// Reports what is wrong with what a route of the file says it matches, and with how it rewrites paths.
pub(super) fn check(
    index: usize,
    route: &Route,
    rule: &Rule,
    operations: &Operations,
    proofs: &Fields,
    cross: &mut Cross<'_>,
) {
    let path = top("routes").index(index);
    let matching = path.key("match");
    check_paths(&route.matching, &matching, cross);
    let headers = &route.matching.headers;
    check_headers(headers, proofs, &matching.key("headers"), cross);
    check_operations(&route.matching, rule, &matching, operations, cross);
    check_rewrite(route, rule, &path, cross);
    check_segment(route, rule, &path, cross);
}

/// Tells whether the sandbox of a route's requests stands in their path.
fn finds_in_path(route: &Route) -> bool {
    match &route.sandbox {
        Some(RouteSandbox::Found(found)) => found.from == SandboxFrom::Path,
        Some(RouteSandbox::Name(_)) | None => false,
    }
}

fn check_segment(route: &Route, rule: &Rule, path: &KeyPath, cross: &mut Cross<'_>) {
    let from = path.key("sandbox").key("from");
    let matching = path.key("match");
    let alone = matches!(route.matching.path, Some(Paths::One(_)));
    for (index, template) in rule.templates.iter().enumerate() {
        let of_all = matching.key("path");
        let of_template = if alone { of_all } else { of_all.index(index) };
        let segment = format!("{{{SANDBOX}}}");
        let segments = template.as_str().split('/');
        let count = segments.filter(|it| *it == segment).count();
        let (message, help) = if count > 1 {
            (
                "has the segment {sandbox} twice, and a request works in one",
                "give the other one another name",
            )
        } else if count == 1 && !finds_in_path(route) {
            (
                "has the segment {sandbox}, and the route does not find its sandbox there",
                "write `from: path` and `allow` in the route's `sandbox`, or give the segment another name",
            )
        } else {
            continue;
        };
        cross.fault(&of_template, &[&path.key("sandbox")], message, |fault| {
            fault.help(help)
        });
    }
    if !finds_in_path(route) {
        return;
    }
    let mut templates = rule.templates.iter();
    let without = templates.find(|template| template.place_of(SANDBOX).is_none());
    let without = without.map(ToString::to_string);
    let mut prefixes = rule.prefixes.iter();
    let Some(without) = without.or_else(|| prefixes.next().map(ToString::to_string)) else {
        return;
    };
    let message = format!("is `path`, and `{without}` has no segment {{sandbox}}");
    let rests_on = [&matching.key("path"), &matching.key("prefix")];
    cross.fault(&from, &rests_on, message, |fault| {
        fault.help("write every path of the route as in /{sandbox}/data/core/{*rest}")
    });
}

fn check_paths(matching: &Match, path: &KeyPath, cross: &mut Cross<'_>) {
    let says = |key: &str, said: bool| said || cross.report.is_tainted(&path.key(key));
    let by_path = says("path", matching.path.is_some());
    let by_prefix = says("prefix", matching.prefix.is_some());
    let by_operation = says("operations", matching.operations.is_some())
        || says("kinds", matching.kinds.is_some());
    if by_path && by_prefix {
        let message = "excludes `path`: a path is matched whole, or by its beginning";
        let rests_on = [&path.key("path")];
        cross.fault(&path.key("prefix"), &rests_on, message, |fault| {
            fault.help(
                "make two routes of it, or write the beginning as a template: /data/core/{*rest}",
            )
        });
    }
    if !by_path && !by_prefix && !by_operation {
        let message = "is missing: nothing says which paths the route takes";
        cross.fault(&path.key("path"), &[], message, |fault| {
            fault.help("a path template or a list of them, such as /data/core/ups/access/entities, a `prefix`, or `operations`")
        });
    }
}

fn check_headers(headers: &[HeaderMatch], proofs: &Fields, path: &KeyPath, cross: &mut Cross<'_>) {
    let mut seen: HashSet<&HeaderName> = HashSet::new();
    for (index, header) in headers.iter().enumerate() {
        let path = path.index(index);
        let said = [
            ("exact", header.exact.is_some()),
            ("prefix", header.prefix.is_some()),
            ("present", header.present.is_some()),
        ];
        let said: Vec<&str> = said
            .into_iter()
            .filter_map(|(key, said)| {
                (said || cross.report.is_tainted(&path.key(key))).then_some(key)
            })
            .collect();
        match said.as_slice() {
            [_] => {}
            [] => {
                let message = "says nothing of the field but its name";
                cross.fault(&path, &[], message, |fault| {
                    fault.help("add one of `exact`, `prefix` and `present`")
                });
            }
            [first, second, ..] => {
                let message = format!("excludes `{first}`: a field has one condition");
                cross.fault(&path.key(second), &[], message, |fault| fault);
            }
        }
        if proofs.hold(&header.name.0.0) {
            let message = "is a field that callers show a proof in, which is taken out before routes are looked at";
            let rests_on = [&top("listeners")];
            cross.fault(&path.key("name"), &rests_on, message, |fault| {
                fault.help("choose another field; whom a route is for, `callers` says")
            });
        }
        if !seen.insert(&header.name.0.0) {
            let message = "stands in the list twice: a field has one condition";
            cross.fault(&path.key("name"), &[], message, |fault| fault);
        }
    }
}

fn check_operations(
    matching: &Match,
    rule: &Rule,
    path: &KeyPath,
    operations: &Operations,
    cross: &mut Cross<'_>,
) {
    let kinds: Vec<aep::Kind> = kinds(matching).collect();
    if kinds.len() == aep::Kind::ALL.len() {
        let message = "names every kind, which says nothing";
        cross.fault(&path.key("kinds"), &[], message, |fault| {
            fault.help("leave it out")
        });
    }
    if cross.report.is_lost(&top("operations")) {
        return;
    }
    let patterns = matching.operations.iter().flatten();
    for (index, Written(pattern)) in patterns.enumerate() {
        let path_of_pattern = path.key("operations").index(index);
        let taken = || operations.all_and_unknown().filter(|it| pattern.takes(it));
        if taken().next().is_none() {
            let names: Vec<&str> = operations.all_and_unknown().map(|it| it.name).collect();
            let (what, near) = match pattern {
                OperationPattern::Group(group) => {
                    let groups = names
                        .iter()
                        .filter_map(|name| Some(name.split_once('.')?.0));
                    (
                        "group of operations",
                        nearest(group, groups).map(|near| format!("{near}.*")),
                    )
                }
                OperationPattern::Name(name) => (
                    "operation",
                    nearest(name, names.iter().copied()).map(str::to_owned),
                ),
            };
            let message = format!("no {what} is named `{}`", cross.written(&path_of_pattern));
            let rests_on = [&top("operations")];
            cross.fault(&path_of_pattern, &rests_on, message, |fault| match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help("`operations` can add it"),
            });
        } else if !kinds.is_empty() && !taken().any(|it| kinds.contains(&it.kind)) {
            let message = "is of none of the `kinds`, so that nothing matches";
            let rests_on = [&path.key("kinds"), &top("operations")];
            cross.fault(&path_of_pattern, &rests_on, message, |fault| fault);
        } else if !taken().any(|it| comes(it, rule)) {
            in_no_method(&path_of_pattern, path, rule, cross);
        }
    }
    for (index, written) in matching.kinds.iter().flatten().enumerate() {
        let mut of_kind = operations.all_and_unknown();
        if !of_kind.any(|it| it.kind == kind(*written) && comes(it, rule)) {
            in_no_method(&path.key("kinds").index(index), path, rule, cross);
        }
    }
}

/// Tells whether any method of the route is one of the operation's.
fn comes(operation: &Operation, rule: &Rule) -> bool {
    let mut methods = rule.methods.iter();
    methods.any(|method| operation.comes_with(method))
}

/// Reports an operation or kind that none of the route's methods can be.
fn in_no_method(path: &KeyPath, matching: &KeyPath, rule: &Rule, cross: &mut Cross<'_>) {
    let methods: Vec<_> = rule.methods.iter().map(http::Method::as_str).collect();
    let message = format!(
        "can be no request of this route, whose methods are {}",
        methods.join(", ")
    );
    let rests_on = [&matching.key("methods"), &top("operations")];
    cross.fault(path, &rests_on, message, |fault| {
        fault.help("add the method to `methods`, or leave this out")
    });
}

fn check_rewrite(route: &Route, rule: &Rule, path: &KeyPath, cross: &mut Cross<'_>) {
    let Some(written) = &route.rewrite else {
        return;
    };
    let rewriting = path.key("rewrite");
    let replace = rewriting.key("replace_prefix");
    let strip = rewriting.key("strip_prefix");
    let from = match (&written.replace_prefix, &written.strip_prefix) {
        (Some(_), Some(_)) => {
            let message = "excludes `replace_prefix`";
            cross.fault(&strip, &[&replace], message, |fault| fault);
            return;
        }
        (None, None) => {
            let message = "says nothing";
            cross.fault(&rewriting, &[], message, |fault| {
                fault.help("add `strip_prefix`, or `replace_prefix` with `from` and `to`")
            });
            return;
        }
        (Some(_), None) => replace.key("from"),
        (None, Some(_)) => strip,
    };
    let Some(rewrite) = &rule.rewrite else {
        return;
    };
    let without = |template: &crate::route::Template| {
        rule.take_off.then(|| template.place_of(SANDBOX)).flatten()
    };
    let other = rule
        .templates
        .iter()
        .find(|template| !template.begins_with(&rewrite.from, without(template)))
        .map(ToString::to_string);
    let other = other.or_else(|| {
        let mut prefixes = rule.prefixes.iter();
        let other = prefixes.find(|prefix| rewrite.from.strip(prefix.as_str()).is_none());
        other.map(ToString::to_string)
    });
    if let Some(other) = other {
        let message = format!("is not how every path of the route begins: `{other}` does not");
        let rests_on = [
            &path.key("match").key("path"),
            &path.key("match").key("prefix"),
        ];
        cross.fault(&from, &rests_on, message, |fault| {
            fault.help("a beginning is made of whole literal segments")
        });
    }
}

fn condition(header: &HeaderMatch) -> HeaderCondition {
    let text = |value: &crate::config::name::FieldValue| value.0.clone();
    let expected = match (&header.exact, &header.prefix, header.present) {
        (Some(Written(value)), _, _) => Expected::Exact(text(value)),
        (None, Some(Written(value)), _) => Expected::Prefix(text(value)),
        (None, None, Some(false)) => Expected::Absent,
        (None, None, Some(true) | None) => Expected::Present,
    };
    HeaderCondition {
        name: header.name.0.0.clone(),
        expected,
    }
}

fn rewrite(route: &Route) -> Option<Rewrite> {
    let written = route.rewrite.as_ref()?;
    let nothing: Prefix = "/".parse().expect("it is the beginning of every path");
    let (from, to) = match (&written.replace_prefix, &written.strip_prefix) {
        (Some(replace), _) => (replace.from.0.clone(), replace.to.0.clone()),
        (None, Some(strip)) => (strip.0.clone(), nothing),
        (None, None) => return None,
    };
    Some(Rewrite { from, to })
}

/// Returns the kinds that a route goes by.
pub(super) fn kinds(matching: &Match) -> impl Iterator<Item = aep::Kind> {
    matching.kinds.iter().flatten().copied().map(kind)
}

fn several<F, T: Clone>(said: Option<&F>, list: fn(&F) -> &[Written<T>]) -> Vec<T> {
    unwritten(said.map(list))
}

fn unwritten<T: Clone>(list: Option<&[Written<T>]>) -> Vec<T> {
    let list = list.unwrap_or_default();
    list.iter().map(|Written(value)| value.clone()).collect()
}

/// Returns what a word of the file means.
pub(super) fn kind(kind: Kind) -> aep::Kind {
    match kind {
        Kind::Delete => aep::Kind::Delete,
        Kind::Job => aep::Kind::Job,
        Kind::Read => aep::Kind::Read,
        Kind::Write => aep::Kind::Write,
    }
}

fn verb(method: Method) -> http::Method {
    match method {
        Method::Delete => http::Method::DELETE,
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Patch => http::Method::PATCH,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}
