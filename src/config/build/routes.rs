//! The routes: what each stage needs to know of them.

use std::sync::Arc;
use std::time::Duration;

use super::Cross;
use super::callers::Callers;
use super::places::Places;
use super::quotas::Quotas;
use super::ties::{check_names, check_ties};
use super::{matching, operations};
use crate::config::defaults;
use crate::config::file::{
    ContentType, EncodedSlashes, File, Forwarded, Match, Paths, Retries, Route, Timeouts, Upstream,
};
use crate::config::format::Written;
use crate::config::name::Guarded;
use crate::config::path::top;
use crate::connect::Patience;
use crate::identify::Fields;
use crate::ims::CredentialSettings;
use crate::{authorize, credentials, forward, limit, route};

/// What the routes mean for each stage.
pub(super) struct Routes {
    pub(super) authorize: authorize::Settings,
    pub(super) credentials: credentials::Settings,
    pub(super) forward: forward::Settings,
    pub(super) limit: limit::Settings,
    pub(super) route: route::Settings,
}

/// Makes the settings of the stages that go by route.
pub(super) fn build(
    file: &File,
    callers: &Callers,
    credentials: &[CredentialSettings],
    cross: &mut Cross<'_>,
) -> Routes {
    let mut places = Places::new(file, callers, credentials, cross);
    let operations = Arc::new(operations::build(file, cross));
    let default = default_route();
    let routes = if file.routes.is_empty() {
        check_default(credentials, places.sandboxes(), cross);
        std::slice::from_ref(&default)
    } else {
        check_names(&file.routes, cross);
        file.routes.as_slice()
    };
    let route = route::Settings {
        operations,
        routes: routes.iter().map(matching::rule).collect(),
    };
    if !file.routes.is_empty() {
        let both = file.routes.iter().zip(&route.routes);
        let proofs = Fields::new(&callers.settings.fields);
        for (index, (written, rule)) in both.enumerate() {
            matching::check(index, written, rule, &route.operations, &proofs, cross);
        }
        check_ties(&file.routes, &route, cross);
    }
    let mut quotas = Quotas::new(file, credentials, cross);
    let mut rules = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let path = top("routes").index(index);
        let Some(authorize) = places.rule(route, &path, cross) else {
            continue;
        };
        rules.push(Rules {
            authorize,
            forward: forward_rule(route, &file.upstream),
            limit: quotas.of(route),
        });
    }
    places.check_production(cross);
    let authorize = rules.iter().map(|rules| rules.authorize.clone());
    let authorize: Vec<_> = authorize.collect();
    let (authorize, places) = places.settings(authorize.into_iter());
    Routes {
        authorize,
        limit: limit::Settings {
            routes: rules.iter().map(|rules| rules.limit.clone()).collect(),
            places: places
                .iter()
                .map(|(_, id)| quotas.of_credential(*id))
                .collect(),
            quotas: quotas.all,
        },
        credentials: credentials::Settings { places },
        forward: forward::Settings {
            drop_answer_fields: file
                .upstream
                .drop_answer_fields
                .iter()
                .map(|field| field.0.clone())
                .collect(),
            forwarded: match file.upstream.forwarded {
                Forwarded::Drop => forward::Forwarded::Drop,
                Forwarded::Pass => forward::Forwarded::Pass,
            },
            request_body_bytes: file.upstream.request_body.0.0,
            retries: retries(&file.upstream.retries),
            rewrite_links: file
                .upstream
                .rewrite_links
                .then(|| file.upstream.url.0.clone()),
            routes: rules.iter().map(|rules| rules.forward.clone()).collect(),
            token_refused_by: file
                .upstream
                .token_refused_by
                .iter()
                .map(|sign| sign.0.clone())
                .collect(),
        },
        route,
    }
}

/// What one route means for each stage.
struct Rules {
    authorize: authorize::Rule,
    forward: forward::Rule,
    limit: Vec<usize>,
}

/// The route of a file without routes.
fn default_route() -> Route {
    let paths = [
        "/data/core/ups/{*rest}",
        "/data/core/ca/{*rest}",
        "/data/core/ais/{*rest}",
    ];
    Route {
        callers: None,
        content_type: ContentType::default(),
        credential: None,
        dry_run: false,
        encoded_slashes: EncodedSlashes::default(),
        let_through: Vec::new(),
        limits: Vec::new(),
        matching: Match {
            headers: Vec::new(),
            host: None,
            kinds: None,
            methods: defaults::methods(),
            operations: None,
            path: Some(Paths::Several(
                paths.into_iter().map(Written::known).collect(),
            )),
            prefix: None,
        },
        name: Written::known("default"),
        permit: None,
        retry: defaults::retry(),
        rewrite: None,
        sandbox: None,
        timeout: defaults::timeout(),
        timeouts: Timeouts::default(),
    }
}

fn check_default(credentials: &[CredentialSettings], sandboxes: &[String], cross: &mut Cross<'_>) {
    let several = match (credentials.len(), sandboxes.len()) {
        (0 | 1, 0 | 1) => return,
        (0 | 1, _) => "more than one sandbox",
        (_, 0 | 1) => "more than one credential",
        _ => "more than one credential and sandbox",
    };
    let message = format!("there is {several}, and no route that says which is used for what");
    if cross.report.is_lost(&top("credentials")) || cross.report.is_lost(&top("sandboxes")) {
        return;
    }
    cross.fault(&top("routes"), &[], message, |fault| {
        fault.help("add `routes`, each with its `credential` and `sandbox`")
    });
}

fn forward_rule(route: &Route, upstream: &Upstream) -> forward::Rule {
    let fields = route
        .let_through
        .iter()
        .filter_map(|guarded| match &guarded.0 {
            Guarded::Field(name) => Some(name.clone()),
            Guarded::Parameter => None,
        });
    let timeouts = &route.timeouts;
    let request_idle = timeouts.request_idle.as_ref();
    let response_idle = timeouts.response_idle.as_ref();
    forward::Rule {
        attempt_timeout: optional(timeouts.attempt.as_ref()),
        connection_timeout: optional(timeouts.connection.as_ref()),
        patience: Patience {
            connect: optional(timeouts.connect.as_ref()),
            tls: optional(timeouts.tls.as_ref()),
        },
        content_type: match route.content_type {
            ContentType::Pass => forward::ContentType::Pass,
            ContentType::Require => forward::ContentType::Require,
        },
        let_through: fields.collect(),
        let_api_key_through: route
            .let_through
            .iter()
            .any(|guarded| guarded.0 == Guarded::Parameter),
        repeats: route.retry,
        request_idle_timeout: request_idle
            .map_or_else(|| defaults::request_idle().0, |time| time.0),
        response_idle_timeout: response_idle.unwrap_or(&upstream.response_idle_timeout).0,
    }
}

fn retries(file: &Retries) -> forward::retry::Settings {
    forward::retry::Settings {
        attempts: file.attempts,
        budget_percent: file.budget_percent,
        budget_floor: file.budget_floor,
        pause: file.pause.0,
        longest_pause: file.longest_pause.0,
    }
}

fn optional(time: Option<&Written<Duration>>) -> Option<Duration> {
    time.map(|time| time.0)
}
