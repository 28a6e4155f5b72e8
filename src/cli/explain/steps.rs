//! A decision step by step, each with the rule behind it and where that is written.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};

use crate::authorize::{Place, Policy, Refusal, Source};
use crate::config::{Lines, Said, Settings};
use crate::context::{CallerId, PlaceId, RouteId};
use crate::explain::{Explanation, Request, Routed, Verdict};
use crate::route::Miss;

/// A decision, step by step.
#[derive(Debug)]
pub(super) struct Steps {
    method: Method,
    path: String,
    caller: String,
    taken: Vec<Step>,
    outcome: Outcome,
}

/// One step.
#[derive(Debug)]
struct Step {
    name: &'static str,
    text: String,
    /// The rules behind it.
    said: Vec<Said>,
}

/// What it comes to.
#[derive(Debug)]
struct Outcome {
    verdict: &'static str,
    status: Option<u16>,
    reason: Option<&'static str>,
    detail: Option<String>,
}

impl Steps {
    pub(super) fn of(
        request: &Request,
        caller: CallerId,
        explanation: &Explanation,
        policy: &Policy,
        settings: &Settings,
        lines: &Lines,
    ) -> Self {
        let teller = Teller {
            policy,
            settings,
            lines,
        };
        let mut steps = vec![teller.caller(caller)];
        steps.extend(
            explanation
                .missed
                .iter()
                .map(|(id, miss)| teller.missed(*id, *miss)),
        );
        let outcome = match &explanation.routed {
            Ok(routed) => {
                steps.extend(teller.routed(request, caller, routed));
                Outcome::of(&routed.verdict)
            }
            Err(error) => Outcome::refused("refused", error),
        };
        Self {
            method: request.method.clone(),
            path: request.uri.path().to_owned(),
            caller: teller.caller_name(caller).to_owned(),
            taken: steps,
            outcome,
        }
    }

    pub(super) fn in_words(&self) -> String {
        let mut text = format!("{} {} from {}\n\n", self.method, self.path, self.caller);
        let width = self
            .taken
            .iter()
            .map(|step| step.name.len())
            .max()
            .unwrap_or(0);
        for Step {
            name,
            text: told,
            said,
        } in &self.taken
        {
            let _ = write!(text, "  {name:width$}  {told}");
            for (index, Said { key, at }) in said.iter().enumerate() {
                let (open, at) = match (index, at) {
                    (0, Some(at)) => (" [", format!("{key} at {at}")),
                    (0, None) => (" [", format!("{key}, by default")),
                    (_, Some(at)) => ("; ", format!("{key} at {at}")),
                    (_, None) => ("; ", format!("{key}, by default")),
                };
                let _ = write!(text, "{open}{at}");
            }
            text.push_str(if said.is_empty() { "\n" } else { "]\n" });
        }
        let Outcome {
            verdict,
            status,
            reason,
            detail,
        } = &self.outcome;
        let verdict = match *verdict {
            "would_refuse" => "allowed, since it is a dry run; otherwise refused",
            verdict => verdict,
        };
        let _ = match (status, reason, detail) {
            (Some(status), Some(reason), Some(detail)) => {
                write!(text, "\n{verdict}: {status} {reason}: {detail}")
            }
            _ => write!(text, "\n{verdict}"),
        };
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let said = |Said { key, at }: &Said| json!({ "key": key, "at": at });
        let step = |step: &Step| {
            json!({
                "step": step.name,
                "text": step.text,
                "rules": step.said.iter().map(said).collect::<Vec<_>>(),
            })
        };
        let Outcome {
            verdict,
            status,
            reason,
            detail,
        } = &self.outcome;
        json!({
            "method": self.method.as_str(),
            "path": self.path,
            "caller": self.caller,
            "steps": self.taken.iter().map(step).collect::<Vec<_>>(),
            "verdict": verdict,
            "status": status,
            "reason": reason,
            "detail": detail,
        })
    }
}

impl Outcome {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allowed(_) => Self {
                verdict: "allowed",
                status: None,
                reason: None,
                detail: None,
            },
            Verdict::Refused(error) => Self::refused("refused", error),
            Verdict::WouldRefuse(_, error) => Self::refused("would_refuse", error),
        }
    }

    fn refused(verdict: &'static str, error: &crate::error::Error) -> Self {
        let meaning = error.reason().meaning();
        Self {
            verdict,
            status: Some(meaning.status.as_u16()),
            reason: Some(meaning.code),
            detail: Some(error.detail().to_owned()),
        }
    }
}

/// Tells steps, with what a configuration says.
struct Teller<'a> {
    policy: &'a Policy,
    settings: &'a Settings,
    lines: &'a Lines,
}

impl Teller<'_> {
    fn caller_name(&self, id: CallerId) -> &str {
        let caller = self.settings.identify.callers.get(id);
        caller.map_or("", |caller| caller.name.as_str())
    }

    fn caller(&self, id: CallerId) -> Step {
        let name = self.caller_name(id);
        let anonymous = id == CallerId::ANONYMOUS;
        Step {
            name: "caller",
            text: if anonymous {
                "anonymous, where a listener serves who shows nothing".to_owned()
            } else {
                format!("{name}, where a listener knows it")
            },
            said: if anonymous {
                Vec::new()
            } else {
                vec![self.lines.of(&["callers", name])]
            },
        }
    }

    /// Returns where a key of a route is said. Without routes there is one that nobody wrote.
    fn of_route(&self, id: RouteId, keys: &[&str]) -> Said {
        let index = id.0.to_string();
        let steps: Vec<_> = ["routes", index.as_str()]
            .into_iter()
            .chain(keys.iter().copied())
            .collect();
        self.lines.of(&steps)
    }

    fn route_name(&self, id: RouteId) -> &str {
        let rule = self.settings.route.routes.get(id.0);
        rule.map_or("", |rule| rule.name.as_str())
    }

    fn missed(&self, id: RouteId, miss: Miss) -> Step {
        let name = self.route_name(id);
        let (why, keys) = match miss {
            Miss::Header(index) => {
                let rule = self.settings.route.routes.get(id.0);
                let header = rule.and_then(|rule| rule.headers.get(index));
                let header = header.map_or("", |header| header.name.as_str());
                (
                    format!("its condition on {header} does not hold"),
                    "headers",
                )
            }
            Miss::Host => ("it is for another host".to_owned(), "host"),
            Miss::Kind(operation) => (format!("it takes no {}", operation.kind), "kinds"),
            Miss::Method => ("it takes other methods".to_owned(), "methods"),
            Miss::Operation(operation) => {
                (format!("it does not take {}", operation.name), "operations")
            }
            Miss::Path => ("its paths begin otherwise".to_owned(), "path"),
        };
        Step {
            name: "not",
            text: format!("route {name}: {why}"),
            said: vec![self.of_route(id, &["match", keys])],
        }
    }

    fn routed(&self, request: &Request, caller: CallerId, routed: &Routed) -> Vec<Step> {
        let Routed {
            route,
            operation,
            path,
            ..
        } = routed;
        let plain = |name, text: String| Step {
            name,
            text,
            said: Vec::new(),
        };
        let mut steps = vec![
            Step {
                name: "route",
                text: self.route_name(*route).to_owned(),
                said: vec![self.of_route(*route, &["match"])],
            },
            plain(
                "operation",
                format!("{}, a {}", operation.name, operation.kind),
            ),
        ];
        if path != request.uri.path() {
            steps.push(Step {
                name: "path",
                text: format!("goes on as {path}"),
                said: ["rewrite", "sandbox"]
                    .map(|key| self.of_route(*route, &[key]))
                    .into_iter()
                    .filter(|said| said.at.is_some())
                    .collect(),
            });
        }
        steps.push(self.granted(*route, caller, routed));
        steps.extend(self.sandbox(*route, routed));
        steps.extend(self.permitted(*route, caller, routed));
        if let Some(place) = routed.verdict.place() {
            steps.extend(self.sent(*route, place));
        }
        steps
    }

    fn granted(&self, route: RouteId, caller: CallerId, routed: &Routed) -> Step {
        let name = self.caller_name(caller);
        Step {
            name: "granted",
            text: match routed.ruling.caller {
                Ok(()) => format!("the route is for {name}"),
                Err(_) => format!("the route is not for {name}"),
            },
            said: vec![self.of_route(route, &["callers"])],
        }
    }

    fn place(&self, id: PlaceId) -> Option<&Place> {
        self.settings.authorize.places.get(id).ok()
    }

    fn sandbox(&self, route: RouteId, routed: &Routed) -> Vec<Step> {
        let rule = self.settings.authorize.routes.get(route).ok();
        let by = match rule.map(|rule| &rule.source) {
            None | Some(Source::Fixed) => "by the route",
            Some(Source::Caller(_)) => "by the caller",
            Some(Source::Header(_)) => "by x-sandbox-name",
            Some(Source::Host(_)) => "by the host",
            Some(Source::Path) => "by the path",
        };
        let said = vec![self.of_route(route, &["sandbox"])];
        let text = match &routed.ruling.place {
            Ok(place) => self.place(*place).map_or_else(String::new, |place| {
                let kind = if place.production { ", production" } else { "" };
                format!("{}{kind}, {by}, in {}", place.sandbox, place.organization)
            }),
            Err(Refusal::Mismatch(_)) => {
                format!("none: x-sandbox-name says another one than is found {by}")
            }
            Err(Refusal::NoSandbox) => "none: the request names none".to_owned(),
            Err(_) => format!("none of those that the route allows is found {by}"),
        };
        let mut steps = vec![Step {
            name: "sandbox",
            text,
            said,
        }];
        if routed.ruling.reach.is_err() {
            steps.push(Step {
                name: "reach",
                text: "the caller may not work there".to_owned(),
                said: vec![self.of_route(route, &["callers"])],
            });
        }
        steps
    }

    fn permitted(&self, route: RouteId, caller: CallerId, routed: &Routed) -> Option<Step> {
        let place = *routed.ruling.place.as_ref().ok()?;
        let permit = self.policy.permit(route, caller, place).ok().flatten()?;
        let mut said = vec![self.of_route(route, &["permit"])];
        if caller != CallerId::ANONYMOUS {
            said.push(
                self.lines
                    .of(&["callers", self.caller_name(caller), "permit"]),
            );
        }
        Some(Step {
            name: "permitted",
            text: permit.to_string(),
            said,
        })
    }

    fn sent(&self, route: RouteId, place: PlaceId) -> Vec<Step> {
        let credential = self.settings.credentials.places.get(place).ok();
        let credential = credential.and_then(|id| self.settings.ims.credentials.get(id.0));
        let own = self.settings.limit.routes.get(route).ok();
        let shared = self.settings.limit.places.get(place).ok();
        let quotas = own
            .into_iter()
            .flatten()
            .chain(shared.into_iter().flatten());
        let quotas = quotas.filter_map(|index| self.settings.limit.quotas.get(*index));
        let limits: Vec<_> = quotas
            .map(|quota| format!("{}: {} in {:?}", quota.name, quota.requests, quota.period))
            .collect();
        let mut steps = Vec::new();
        if let Some(credential) = credential {
            steps.push(Step {
                name: "credential",
                text: credential.name.clone(),
                said: vec![self.lines.of(&["credentials", &credential.name])],
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
