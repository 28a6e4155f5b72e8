//! The steps of a decision in words, each with the rules that decided it.

use super::doors;
use super::rules::Rules;
use super::steps::Step;
use crate::authorize::{Named, Policy, Refusal, Source, Verdict};
use crate::context::{CallerId, PlaceId, RouteId};
use crate::explain::{Door, Request, Routed};
use crate::route::Miss;

/// Tells steps, with what a configuration says.
pub(super) struct Teller<'a> {
    pub(super) policy: &'a Policy,
    pub(super) rules: Rules<'a>,
}

impl Teller<'_> {
    pub(super) fn caller(&self, id: CallerId, all: &[Door]) -> Step {
        let name = self.rules.name(id);
        let where_in = doors::in_words(all, self.rules.settings);
        let said = if id == CallerId::ANONYMOUS {
            let listeners = 0..self.rules.settings.listeners.len();
            let anonymous = |place: usize| {
                let keys = ["listeners", &place.to_string(), "anonymous"];
                self.rules.of(&keys)
            };
            listeners.map(anonymous).collect()
        } else {
            vec![self.rules.of(&["callers", name])]
        };
        Step {
            name: "caller",
            text: format!("{name}, {where_in}"),
            said,
        }
    }

    fn route_name(&self, id: RouteId) -> &str {
        let rule = self.rules.settings.route.routes.get(id.0);
        rule.map_or("", |rule| rule.name.as_str())
    }

    pub(super) fn missed(&self, id: RouteId, miss: Miss) -> Step {
        let name = self.route_name(id);
        let why = match miss {
            Miss::Header(index) => {
                let rule = self.rules.settings.route.routes.get(id.0);
                let header = rule.and_then(|rule| rule.headers.get(index));
                let header = header.map_or("", |header| header.name.as_str());
                format!("its condition on {header} does not hold")
            }
            Miss::Host => "it is for another host".to_owned(),
            Miss::Kind(operation) => format!("it takes no {}", operation.kind),
            Miss::Method => "it takes other methods".to_owned(),
            Miss::Operation(operation) => format!("it does not take {}", operation.name),
            Miss::Path => "its paths begin otherwise".to_owned(),
        };
        Step {
            name: "not",
            text: format!("route {name}: {why}"),
            said: vec![self.rules.miss(id, miss)],
        }
    }

    pub(super) fn routed(&self, request: &Request, caller: CallerId, routed: &Routed) -> Vec<Step> {
        let Routed {
            route,
            operation,
            path,
            ..
        } = routed;
        let mut steps = vec![
            Step {
                name: "route",
                text: self.route_name(*route).to_owned(),
                said: vec![self.rules.of_route(*route, &["match"])],
            },
            Step {
                name: "operation",
                text: format!("{}, a {}", operation.name, operation.kind),
                said: self.rules.operation(operation).into_iter().collect(),
            },
        ];
        if path != request.uri.path() {
            steps.push(Step {
                name: "path",
                text: format!("goes on as {path}"),
                said: self.changes_of_path(*route),
            });
        }
        steps.push(self.granted(*route, caller, routed));
        steps.extend(self.sandbox(request, caller, routed));
        steps.extend(self.permitted(*route, caller, routed));
        if routed.ruling.dry_run {
            steps.push(Step {
                name: "dry run",
                text: match routed.verdict {
                    Verdict::Allowed(_) => "has nothing to let pass".to_owned(),
                    Verdict::Refused(_) => "lets no such request pass".to_owned(),
                    Verdict::WouldRefuse(..) => "lets pass what would be refused".to_owned(),
                },
                said: vec![self.rules.of_route(*route, &["dry_run"])],
            });
        }
        if let Some(place) = routed.verdict.place() {
            steps.extend(self.sent(*route, place));
        }
        steps
    }

    fn changes_of_path(&self, route: RouteId) -> Vec<crate::config::Said> {
        let rule = self.rules.settings.route.routes.get(route.0);
        let rewrite = rule.is_some_and(|rule| rule.rewrite.is_some());
        let take_off = rule.is_some_and(|rule| rule.take_off);
        let keys = [("rewrite", rewrite), ("sandbox", take_off)];
        let said = keys.into_iter().filter(|(_, counts)| *counts);
        said.map(|(key, _)| self.rules.of_route(route, &[key]))
            .collect()
    }

    fn granted(&self, route: RouteId, caller: CallerId, routed: &Routed) -> Step {
        let name = self.rules.name(caller);
        Step {
            name: "granted",
            text: match routed.ruling.caller {
                Ok(()) => format!("the route is for {name}"),
                Err(_) => format!("the route is not for {name}"),
            },
            said: vec![self.rules.granted(route, caller)],
        }
    }

    fn sandbox(&self, request: &Request, caller: CallerId, routed: &Routed) -> Vec<Step> {
        let rule = self.rules.settings.authorize.routes.get(routed.route).ok();
        let names_none = Named::by(&request.headers) == Named::Nothing;
        let by = match rule.map(|rule| &rule.source) {
            None | Some(Source::Fixed) => "by the route",
            Some(Source::Caller(_)) => "by the caller",
            Some(Source::Header(Some(_))) if names_none => "by default",
            Some(Source::Header(_)) => "by x-sandbox-name",
            Some(Source::Host(_)) => "by the host",
            Some(Source::Path) => "by the path",
        };
        let text = match &routed.ruling.place {
            Ok(place) => self.rules.place(*place).map_or_else(String::new, |place| {
                let kind = if place.production { ", production" } else { "" };
                format!("{}{kind}, {by}, in {}", place.sandbox, place.organization)
            }),
            Err(Refusal::Mismatch(_)) => {
                format!("none: x-sandbox-name says another one than is found {by}")
            }
            Err(Refusal::NoSandbox) => "none: the request names none".to_owned(),
            Err(_) => format!("none of those that the route allows is found {by}"),
        };
        let rules = &self.rules;
        let mut steps = vec![Step {
            name: "sandbox",
            text,
            said: rules.sandbox(caller, routed, &request.uri, &request.headers),
        }];
        if let Err(Refusal::OutOfReach(place)) = routed.ruling.reach {
            steps.push(Step {
                name: "reach",
                text: "the caller may not work there".to_owned(),
                said: rules.reach(routed.route, caller, place),
            });
        }
        steps
    }

    fn permitted(&self, route: RouteId, caller: CallerId, routed: &Routed) -> Option<Step> {
        let place = *routed.ruling.place.as_ref().ok()?;
        let permit = self.policy.permit(route, caller, place).ok().flatten()?;
        Some(Step {
            name: "permitted",
            text: permit.to_string(),
            said: self.rules.permit(route, caller, place),
        })
    }

    fn sent(&self, route: RouteId, place: PlaceId) -> Vec<Step> {
        let settings = self.rules.settings;
        let credential = settings.credentials.places.get(place).ok();
        let credential = credential.and_then(|id| settings.ims.credentials.get(id.0));
        let own = settings.limit.routes.get(route).ok();
        let shared = settings.limit.places.get(place).ok();
        let quotas = own
            .into_iter()
            .flatten()
            .chain(shared.into_iter().flatten());
        let quotas = quotas.filter_map(|index| settings.limit.quotas.get(*index));
        let limits: Vec<_> = quotas
            .map(|quota| format!("{}: {} in {:?}", quota.name, quota.requests, quota.period))
            .collect();
        let mut steps = Vec::new();
        if let Some(credential) = credential {
            steps.push(Step {
                name: "credential",
                text: credential.name.clone(),
                said: vec![self.rules.of(&["credentials", &credential.name])],
            });
        }
        steps.push(Step {
            name: "limits",
            text: if limits.is_empty() {
                "none".to_owned()
            } else {
                limits.join("; ")
            },
            said: Vec::new(),
        });
        steps.push(Step {
            name: "sends",
            text:
                "authorization, x-api-key, x-gw-ims-org-id and x-sandbox-name of the gateway's own"
                    .to_owned(),
            said: Vec::new(),
        });
        steps
    }
}
