//! The routes: what each stage needs to know of them.

use std::time::Duration;

use super::Cross;
use super::named::{missing, unknown};
use super::quotas::Quotas;
use super::ties::{check_names, check_ties, methods_of, templates, verb};
use crate::aep::{self, SandboxName};
use crate::config::defaults;
use crate::config::file::{
    ContentType, EncodedSlashes, File, Forwarded, Kind, Match, Paths, Retries, Route, Timeouts,
    Upstream,
};
use crate::config::format::Written;
use crate::config::name::{Guarded, Name};
use crate::config::path::{KeyPath, top};
use crate::connect::Patience;
use crate::context::PerRoute;
use crate::ims::{CredentialId, CredentialSettings};
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
    credentials: &[CredentialSettings],
    cross: &mut Cross<'_>,
) -> Routes {
    let sandboxes = cross.names("sandboxes");
    let default = default_route();
    let routes = if file.routes.is_empty() {
        check_default(credentials, &sandboxes, cross);
        std::slice::from_ref(&default)
    } else {
        check_names(&file.routes, cross);
        check_ties(&file.routes, cross);
        file.routes.as_slice()
    };
    let mut quotas = Quotas::new(file, credentials, cross);
    let mut rules = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let path = top("routes").index(index);
        let credential = credential(route, &path, credentials, cross);
        let (sandbox, production) = sandbox(route, &path, file, &sandboxes, cross);
        rules.push(Rules {
            authorize: authorize::Rule {
                sandbox,
                production,
                organization: match credentials.get(credential.0) {
                    Some(credential) => credential.organization.clone(),
                    None => continue,
                },
                permit: permit(route, production),
            },
            forward: forward_rule(route, &file.upstream),
            limit: quotas.of(route, credential),
            route: route_rule(route),
            credential,
        });
    }
    Routes {
        authorize: authorize::Settings {
            routes: rules.iter().map(|rules| rules.authorize.clone()).collect(),
        },
        credentials: credentials::Settings {
            routes: rules.iter().map(|rules| rules.credential).collect(),
        },
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
        limit: limit::Settings {
            quotas: quotas.all,
            routes: rules
                .iter()
                .map(|rules| rules.limit.clone())
                .collect::<PerRoute<_>>(),
        },
        route: route::Settings {
            routes: rules.into_iter().map(|rules| rules.route).collect(),
        },
    }
}

/// What one route means for each stage.
struct Rules {
    authorize: authorize::Rule,
    credential: CredentialId,
    forward: forward::Rule,
    limit: Vec<usize>,
    route: route::Rule,
}

/// The route of a file without routes.
fn default_route() -> Route {
    let paths = [
        "/data/core/ups/{*rest}",
        "/data/core/ca/{*rest}",
        "/data/core/ais/{*rest}",
    ];
    Route {
        content_type: ContentType::default(),
        credential: None,
        encoded_slashes: EncodedSlashes::default(),
        let_through: Vec::new(),
        limits: Vec::new(),
        matching: Match {
            methods: defaults::methods(),
            path: Paths::Several(paths.into_iter().map(Written::known).collect()),
        },
        name: Written::known("default"),
        permit: None,
        retry: defaults::retry(),
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

fn credential(
    route: &Route,
    path: &KeyPath,
    credentials: &[CredentialSettings],
    cross: &mut Cross<'_>,
) -> CredentialId {
    let names = || {
        credentials
            .iter()
            .map(|credential| credential.name.as_str())
    };
    let Some(Written(Name(name))) = &route.credential else {
        if credentials.len() > 1 {
            missing("credential", path, &top("credentials"), names(), cross);
        }
        return CredentialId(0);
    };
    if let Some(index) = names().position(|known| known == name) {
        return CredentialId(index);
    }
    unknown(
        "credential",
        name,
        path,
        &top("credentials"),
        names(),
        cross,
    );
    CredentialId(0)
}

fn sandbox(
    route: &Route,
    path: &KeyPath,
    file: &File,
    sandboxes: &[String],
    cross: &mut Cross<'_>,
) -> (SandboxName, bool) {
    let names = || sandboxes.iter().map(String::as_str);
    let name = match (&route.sandbox, sandboxes) {
        (Some(Written(name)), _) => name.as_str(),
        (None, [only]) => only,
        (None, _) => {
            missing("sandbox", path, &top("sandboxes"), names(), cross);
            STAND_IN
        }
    };
    let known = file.sandboxes.get(name);
    if known.is_none() {
        unknown("sandbox", name, path, &top("sandboxes"), names(), cross);
    }
    let production = known
        .and_then(|sandbox| sandbox.production)
        .unwrap_or(name == PRODUCTION);
    let name = name
        .parse()
        .unwrap_or_else(|_| STAND_IN.parse().expect("it is a name"));
    (name, production)
}

fn permit(route: &Route, production: bool) -> Vec<aep::Kind> {
    match &route.permit {
        Some(kinds) => kinds.iter().copied().map(kind).collect(),
        None if production => vec![aep::Kind::Read],
        None => aep::Kind::ALL.to_vec(),
    }
}

fn route_rule(route: &Route) -> route::Rule {
    let templates = templates(&route.matching.path, &KeyPath::default());
    route::Rule {
        name: route.name.0.0.clone(),
        templates: templates
            .into_iter()
            .map(|(template, _)| template.clone())
            .collect(),
        methods: methods_of(route).into_iter().map(verb).collect(),
        encoded_slashes: route.encoded_slashes == EncodedSlashes::Pass,
        timeout: route.timeout.0,
        total_timeout: optional(route.timeouts.total.as_ref()),
    }
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

fn kind(kind: Kind) -> aep::Kind {
    match kind {
        Kind::Delete => aep::Kind::Delete,
        Kind::Job => aep::Kind::Job,
        Kind::Read => aep::Kind::Read,
        Kind::Write => aep::Kind::Write,
    }
}

/// The sandbox that exists in every organisation and holds production data.
const PRODUCTION: &str = "prod";
/// Stands for a sandbox that a fault was reported for. Its name gives rights to nothing.
const STAND_IN: &str = "none";
