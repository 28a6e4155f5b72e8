//! Requests that take a route, made up from what it matches.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Uri};

use super::Request;
use crate::aep::Operation;
use crate::aep::fields::X_SANDBOX_NAME;
use crate::authorize::Source;
use crate::rewrite::{Back, Way};
use crate::route::{Expected, HostPattern, Rule, SANDBOX, Template};

/// Returns requests that may take a route as `operation`, and would work in `sandbox` then. Whether they do is for who
/// decides to say.
pub(super) fn requests(
    rule: &Rule,
    source: &Source,
    operation: &Operation,
    sandbox: &str,
) -> Vec<Request> {
    let mut requests = Vec::new();
    for path in paths(rule, operation, sandbox) {
        for host in hosts(rule, source) {
            for method in methods(rule, operation) {
                let request = request(rule, source, &method, &path, host.as_deref(), sandbox);
                requests.extend(request);
            }
        }
    }
    requests
}

/// Returns paths as callers would write them.
fn paths(rule: &Rule, operation: &Operation, sandbox: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let way = |take_off| {
        Arc::new(Way {
            take_off,
            rewrite: rule.rewrite.clone(),
        })
    };
    let back = |take_off, upstream: &str| {
        let back = Back {
            way: way(take_off),
            segment: Some(sandbox.into()),
        };
        back.path(upstream)
    };
    let upstream = operation
        .is_known()
        .then(|| filled(operation.template, sandbox));
    let take_off =
        |template: &Template| rule.take_off.then(|| template.place_of(SANDBOX)).flatten();
    for template in &rule.templates {
        match &upstream {
            Some(upstream) => paths.extend(back(take_off(template), upstream)),
            None => {
                paths.insert(filled(template.as_str(), sandbox));
            }
        }
    }
    for prefix in &rule.prefixes {
        match &upstream {
            Some(upstream) => paths.extend(back(None, upstream)),
            None => {
                paths.insert(format!("{}/x", prefix.as_str()));
            }
        }
    }
    paths
}

/// Puts something in the place of parameters.
fn filled(template: &str, sandbox: &str) -> String {
    let segments = template.split('/').map(|segment| {
        let name = segment
            .strip_prefix('{')
            .and_then(|it| it.strip_suffix('}'));
        match name {
            None => segment,
            Some(SANDBOX) => sandbox,
            Some(_) => "x",
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn hosts(rule: &Rule, source: &Source) -> Vec<Option<String>> {
    let mut hosts: Vec<_> = rule.hosts.iter().map(named).collect();
    if let Source::Host(by_host) = source {
        hosts.extend(by_host.keys().cloned());
    }
    if hosts.is_empty() {
        return vec![None];
    }
    hosts.into_iter().map(Some).collect()
}

fn named(host: &HostPattern) -> String {
    match host {
        HostPattern::Below(name) => format!("x.{name}"),
        HostPattern::Exact(name) => name.clone(),
    }
}

fn methods(rule: &Rule, operation: &Operation) -> Vec<Method> {
    match &operation.method {
        Some(method) => vec![method.clone()],
        None => rule.methods.clone(),
    }
}

fn request(
    rule: &Rule,
    source: &Source,
    method: &Method,
    path: &str,
    host: Option<&str>,
    sandbox: &str,
) -> Option<Request> {
    let mut headers = HeaderMap::new();
    for condition in &rule.headers {
        let value = match &condition.expected {
            Expected::Absent => continue,
            Expected::Exact(text) | Expected::Prefix(text) => HeaderValue::from_str(text).ok()?,
            Expected::Present => HeaderValue::from_static("x"),
        };
        headers.insert(condition.name.clone(), value);
    }
    if let Some(host) = host {
        headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
    }
    if matches!(source, Source::Header(_)) {
        headers.insert(&X_SANDBOX_NAME, HeaderValue::from_str(sandbox).ok()?);
    }
    Some(Request {
        method: method.clone(),
        uri: Uri::try_from(path).ok()?,
        headers,
    })
}
