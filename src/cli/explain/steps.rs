//! A decision step by step, each with the rule behind it and where that is written.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};

use super::doors;
use super::rules::Rules;
use super::teller::Teller;
use crate::authorize::{Policy, Verdict};
use crate::config::{Lines, Said, Settings};
use crate::context::CallerId;
use crate::explain::{Explanation, Request};

/// A decision, step by step.
#[derive(Debug)]
pub(super) struct Steps {
    method: Method,
    path: String,
    caller: String,
    taken: Vec<Step>,
    outcome: Outcome,
    facts: Facts,
}

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) text: String,
    /// The rules behind it.
    pub(super) said: Vec<Said>,
}

/// What came of a request, as access lines call it.
#[derive(Debug, Default)]
struct Facts {
    listeners: Value,
    route: Option<String>,
    operation: Option<(&'static str, &'static str)>,
    sandbox: Option<String>,
    organization: Option<String>,
    credential: Option<String>,
    /// The path as it goes upstream, of a request that does.
    path: Option<String>,
    dry_run: bool,
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
            rules: Rules { settings, lines },
        };
        let mut steps = vec![teller.caller(caller, &explanation.doors)];
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
            caller: teller.rules.name(caller).to_owned(),
            taken: steps,
            outcome,
            facts: Facts::of(explanation, settings),
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
        let Facts {
            listeners,
            route,
            operation,
            sandbox,
            organization,
            credential,
            path,
            dry_run,
        } = &self.facts;
        let upstream = |path| json!({ "method": self.method.as_str(), "path": path });
        json!({
            "method": self.method.as_str(),
            "path": self.path,
            "outcome": verdict,
            "status": status,
            "reason": reason,
            "detail": detail,
            "caller": self.caller,
            "listeners": listeners,
            "route": route,
            "operation": operation.map(|(name, _)| name),
            "kind": operation.map(|(_, kind)| kind),
            "sandbox": sandbox,
            "organization": organization,
            "credential": credential,
            "upstream": path.as_ref().map(upstream),
            "dry_run": dry_run,
            "steps": self.taken.iter().map(step).collect::<Vec<_>>(),
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

impl Facts {
    fn of(explanation: &Explanation, settings: &Settings) -> Self {
        let listeners = doors::to_json(&explanation.doors, settings);
        let Ok(routed) = &explanation.routed else {
            return Self {
                listeners,
                ..Self::default()
            };
        };
        let rule = settings.route.routes.get(routed.route.0);
        // A request that is refused may have had a place all the same.
        let place = routed.ruling.place.as_ref().ok();
        let at = place.and_then(|place| settings.authorize.places.get(*place).ok());
        let passed = routed.verdict.place();
        let credential = passed.and_then(|place| settings.credentials.places.get(place).ok());
        let credential = credential.and_then(|id| settings.ims.credentials.get(id.0));
        Self {
            listeners,
            route: rule.map(|rule| rule.name.clone()),
            operation: Some((routed.operation.name, routed.operation.kind.as_str())),
            sandbox: at.map(|place| place.sandbox.clone()),
            organization: at.map(|place| place.organization.to_string()),
            credential: credential.map(|credential| credential.name.clone()),
            path: passed.map(|_| routed.path.clone()),
            dry_run: routed.ruling.dry_run,
        }
    }
}
