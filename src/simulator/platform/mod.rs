//! The services behind Adobe's API gateway: which of them answers which path.

mod entities;
mod resource;
mod kinds;
mod jobs;
mod patch;
mod previews;
mod reports;
mod external;

use std::time::Duration;

use http::Method;

use super::answer::Answer;
use super::call::Call;
use super::errors;
use super::time::millis;
use super::world::Sandbox;
use crate::aep::Operation;
use resource::Kind;

/// One admitted request, and the sandbox it is about.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) call: &'a Call,
    pub(super) sandbox: &'a mut Sandbox,
    pub(super) now_ms: u64,
    /// How long a job stays in each of its states.
    pub(super) step: Duration,
}

impl Scene<'_> {
    /// Returns when something takes effect that was accepted now.
    fn soon_ms(&self) -> u64 {
        self.now_ms.saturating_add(millis(self.step))
    }
}

/// Answers a request that the gateway let through.
pub(super) fn answer(scene: &mut Scene<'_>) -> Answer {
    let call = scene.call;
    if !call.body.is_empty() && !call.headers.contains_key(http::header::CONTENT_TYPE) {
        return errors::content_type_required();
    }
    let Some((area, segments)) = area(call) else {
        return errors::NO_SUCH_API.answer();
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (area, segments.as_slice()) {
        (Area::Profile, ["access", "entities"]) => entities::answer(scene),
        (Area::Profile, ["audiences", rest @ ..]) => kinds::AUDIENCES.answer(scene, rest),
        (Area::Profile, ["config", kind, rest @ ..]) => match configuration(kind) {
            Some(kind) => kind.answer(scene, rest),
            None => errors::NO_SUCH_API.answer(),
        },
        (Area::Profile, ["estimate", id]) => previews::estimate(scene, id),
        (Area::Profile, ["export", "jobs", rest @ ..]) => jobs::EXPORT_JOBS.answer(scene, rest),
        (Area::Profile, ["preview", rest @ ..]) => previews::preview(scene, rest),
        (Area::Profile, ["previewsamplestatus", rest @ ..]) => reports::preview_sample(scene, rest),
        (Area::Profile, ["search", what]) => reports::search(scene, what),
        (Area::Profile, ["segment", "conversion"]) => previews::convert(scene),
        (Area::Profile, ["segment", "definitions", rest @ ..]) => {
            kinds::SEGMENT_DEFINITIONS.answer(scene, rest)
        }
        (Area::Profile, ["segment", "jobs", rest @ ..]) => jobs::SEGMENT_JOBS.answer(scene, rest),
        (Area::Profile, ["system", "jobs", rest @ ..]) => jobs::SYSTEM_JOBS.answer(scene, rest),
        (Area::ComputedAttributes, ["attributes", rest @ ..]) => {
            kinds::COMPUTED_ATTRIBUTES.answer(scene, rest)
        }
        (Area::ExternalAudiences, ["external-audience", rest @ ..]) => {
            external::answer(scene, rest)
        }
        _ => errors::NO_SUCH_API.answer(),
    }
}

/// Returns the kind of object that is kept below `/config/`.
fn configuration(name: &str) -> Option<&'static Kind> {
    Some(match name {
        "computedAttributes" => &kinds::LEGACY_COMPUTED_ATTRIBUTES,
        "destinations" => &kinds::DESTINATIONS,
        "eventTypes" => &kinds::EVENT_TYPES,
        "macros" => &kinds::MACROS,
        "mergePolicies" => &kinds::MERGE_POLICIES,
        "projections" => &kinds::PROJECTIONS,
        "schedules" => &kinds::SCHEDULES,
        _ => return None,
    })
}

/// Returns the refusal of a request whose path or method Adobe does not know, and `None` for a known one.
pub(super) fn refuse_unknown(call: &Call) -> Option<Answer> {
    let known = |method: &Method| Operation::of(method, &call.path).method.is_some();
    if known(&call.method) {
        return None;
    }
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    Some(if methods.iter().any(known) {
        errors::method_not_allowed()
    } else {
        errors::NO_SUCH_API.answer()
    })
}

/// One of the three base paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    ComputedAttributes,
    ExternalAudiences,
    Profile,
}

fn area(call: &Call) -> Option<(Area, Vec<String>)> {
    [
        (Area::Profile, "/data/core/ups"),
        (Area::ComputedAttributes, "/data/core/ca"),
        (Area::ExternalAudiences, "/data/core/ais"),
    ]
    .into_iter()
    .find_map(|(area, prefix)| Some((area, call.segments(prefix)?)))
}
