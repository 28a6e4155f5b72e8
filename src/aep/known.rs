//! The operations that Adobe documents.

use std::num::NonZeroU32;

use http::Method;

use super::{Kind, Operation};

/// # Source
/// Adobe's OpenAPI files for profile, segmentation, computed attributes and external audiences, and their
/// guides, read 2026-11-23. `POST /system/jobs` deletes a whole data set or batch, hence its kind.
#[rustfmt::skip]
pub(super) fn rows() -> Vec<Operation> {
    vec![
        row("entities.read", Method::GET, "/data/core/ups/access/entities", Kind::Read, true),
        row("entities.read", Method::POST, "/data/core/ups/access/entities", Kind::Read, true),
        row("entities.delete", Method::DELETE, "/data/core/ups/access/entities", Kind::Delete, true),
        row("mergePolicies.list", Method::GET, "/data/core/ups/config/mergePolicies", Kind::Read, true),
        row("mergePolicies.create", Method::POST, "/data/core/ups/config/mergePolicies", Kind::Write, false),
        row("mergePolicies.read", Method::GET, "/data/core/ups/config/mergePolicies/{id}", Kind::Read, true),
        row("mergePolicies.replace", Method::PUT, "/data/core/ups/config/mergePolicies/{id}", Kind::Write, true),
        row("mergePolicies.update", Method::PATCH, "/data/core/ups/config/mergePolicies/{id}", Kind::Write, false),
        row("mergePolicies.delete", Method::DELETE, "/data/core/ups/config/mergePolicies/{id}", Kind::Delete, true),
        row("mergePolicies.read", Method::POST, "/data/core/ups/config/mergePolicies/bulk-get", Kind::Read, true),
        row("previewSample.read", Method::GET, "/data/core/ups/previewsamplestatus", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/dataset", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/dataset/overlap", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/namespace", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/namespace/overlap", Kind::Read, true),
        row("previewSample.report", Method::GET, "/data/core/ups/previewsamplestatus/report/unstitchedProfiles", Kind::Read, true),
        row("systemJobs.list", Method::GET, "/data/core/ups/system/jobs", Kind::Read, true),
        row("systemJobs.create", Method::POST, "/data/core/ups/system/jobs", Kind::Delete, false),
        row("systemJobs.read", Method::GET, "/data/core/ups/system/jobs/{id}", Kind::Read, true),
        row("systemJobs.delete", Method::DELETE, "/data/core/ups/system/jobs/{id}", Kind::Delete, true),
        row("exports.list", Method::GET, "/data/core/ups/export/jobs", Kind::Read, true),
        row("exports.create", Method::POST, "/data/core/ups/export/jobs", Kind::Job, false),
        row("exports.read", Method::GET, "/data/core/ups/export/jobs/{id}", Kind::Read, true),
        row("exports.delete", Method::DELETE, "/data/core/ups/export/jobs/{id}", Kind::Delete, true),
        row("destinations.list", Method::GET, "/data/core/ups/config/destinations", Kind::Read, true),
        row("destinations.create", Method::POST, "/data/core/ups/config/destinations", Kind::Write, false),
        row("destinations.read", Method::GET, "/data/core/ups/config/destinations/{id}", Kind::Read, true),
        row("destinations.replace", Method::PUT, "/data/core/ups/config/destinations/{id}", Kind::Write, false),
        row("destinations.delete", Method::DELETE, "/data/core/ups/config/destinations/{id}", Kind::Delete, true),
        row("projections.list", Method::GET, "/data/core/ups/config/projections", Kind::Read, true),
        row("projections.create", Method::POST, "/data/core/ups/config/projections", Kind::Write, false),
        row("projections.read", Method::GET, "/data/core/ups/config/projections/{id}", Kind::Read, true),
        row("projections.replace", Method::PUT, "/data/core/ups/config/projections/{id}", Kind::Write, false),
        row("projections.delete", Method::DELETE, "/data/core/ups/config/projections/{id}", Kind::Delete, true),
        row("legacyComputedAttributes.list", Method::GET, "/data/core/ups/config/computedAttributes", Kind::Read, true),
        row("legacyComputedAttributes.create", Method::POST, "/data/core/ups/config/computedAttributes", Kind::Write, false),
        row("legacyComputedAttributes.read", Method::GET, "/data/core/ups/config/computedAttributes/{id}", Kind::Read, true),
        row("legacyComputedAttributes.update", Method::PATCH, "/data/core/ups/config/computedAttributes/{id}", Kind::Write, false),
        row("legacyComputedAttributes.delete", Method::DELETE, "/data/core/ups/config/computedAttributes/{id}", Kind::Delete, true),
        row("eventTypes.list", Method::GET, "/data/core/ups/config/eventTypes", Kind::Read, true),
        row("eventTypes.create", Method::POST, "/data/core/ups/config/eventTypes", Kind::Write, false),
        row("eventTypes.read", Method::GET, "/data/core/ups/config/eventTypes/{id}", Kind::Read, true),
        row("eventTypes.replace", Method::PUT, "/data/core/ups/config/eventTypes/{id}", Kind::Write, true),
        row("eventTypes.update", Method::PATCH, "/data/core/ups/config/eventTypes/{id}", Kind::Write, false),
        row("eventTypes.delete", Method::DELETE, "/data/core/ups/config/eventTypes/{id}", Kind::Delete, true),
        row("macros.list", Method::GET, "/data/core/ups/config/macros", Kind::Read, true),
        row("macros.create", Method::POST, "/data/core/ups/config/macros", Kind::Write, false),
        row("macros.read", Method::GET, "/data/core/ups/config/macros/{id}", Kind::Read, true),
        row("macros.replace", Method::PUT, "/data/core/ups/config/macros/{id}", Kind::Write, true),
        row("macros.update", Method::PATCH, "/data/core/ups/config/macros/{id}", Kind::Write, false),
        row("macros.delete", Method::DELETE, "/data/core/ups/config/macros/{id}", Kind::Delete, true),
        row("audiences.list", Method::GET, "/data/core/ups/audiences", Kind::Read, true),
        row("audiences.create", Method::POST, "/data/core/ups/audiences", Kind::Write, false),
        row("audiences.read", Method::GET, "/data/core/ups/audiences/{id}", Kind::Read, true),
        row("audiences.replace", Method::PUT, "/data/core/ups/audiences/{id}", Kind::Write, true),
        row("audiences.update", Method::PATCH, "/data/core/ups/audiences/{id}", Kind::Write, false),
        row("audiences.delete", Method::DELETE, "/data/core/ups/audiences/{id}", Kind::Delete, true),
        row("audiences.read", Method::POST, "/data/core/ups/audiences/bulk-get", Kind::Read, true),
        row("segmentDefinitions.list", Method::GET, "/data/core/ups/segment/definitions", Kind::Read, true),
        row("segmentDefinitions.create", Method::POST, "/data/core/ups/segment/definitions", Kind::Write, false),
        row("segmentDefinitions.read", Method::GET, "/data/core/ups/segment/definitions/{id}", Kind::Read, true),
        row("segmentDefinitions.update", Method::PATCH, "/data/core/ups/segment/definitions/{id}", Kind::Write, false),
        row("segmentDefinitions.delete", Method::DELETE, "/data/core/ups/segment/definitions/{id}", Kind::Delete, true),
        row("segmentDefinitions.read", Method::POST, "/data/core/ups/segment/definitions/bulk-get", Kind::Read, true),
        row("segments.convert", Method::POST, "/data/core/ups/segment/conversion", Kind::Read, true),
        row("segmentJobs.list", Method::GET, "/data/core/ups/segment/jobs", Kind::Read, true),
        row("segmentJobs.create", Method::POST, "/data/core/ups/segment/jobs", Kind::Job, false),
        row("segmentJobs.read", Method::GET, "/data/core/ups/segment/jobs/{id}", Kind::Read, true),
        row("segmentJobs.delete", Method::DELETE, "/data/core/ups/segment/jobs/{id}", Kind::Delete, true),
        row("segmentJobs.read", Method::POST, "/data/core/ups/segment/jobs/bulk-get", Kind::Read, true),
        row("previews.create", Method::POST, "/data/core/ups/preview", Kind::Job, false),
        row("previews.read", Method::GET, "/data/core/ups/preview/{id}", Kind::Read, true),
        row("previews.delete", Method::DELETE, "/data/core/ups/preview/{id}", Kind::Delete, true),
        row("estimates.read", Method::GET, "/data/core/ups/estimate/{id}", Kind::Read, true),
        row("schedules.list", Method::GET, "/data/core/ups/config/schedules", Kind::Read, true),
        row("schedules.create", Method::POST, "/data/core/ups/config/schedules", Kind::Write, false),
        row("schedules.read", Method::GET, "/data/core/ups/config/schedules/{id}", Kind::Read, true),
        row("schedules.update", Method::PATCH, "/data/core/ups/config/schedules/{id}", Kind::Write, false),
        row("schedules.delete", Method::DELETE, "/data/core/ups/config/schedules/{id}", Kind::Delete, true),
        row("segments.search", Method::GET, "/data/core/ups/search/namespaces", Kind::Read, true),
        row("segments.search", Method::GET, "/data/core/ups/search/entities", Kind::Read, true),
        row("segments.search", Method::GET, "/data/core/ups/search/taxonomy", Kind::Read, true),
        row("computedAttributes.list", Method::GET, "/data/core/ca/attributes", Kind::Read, true),
        row("computedAttributes.create", Method::POST, "/data/core/ca/attributes", Kind::Write, false),
        row("computedAttributes.read", Method::GET, "/data/core/ca/attributes/{id}", Kind::Read, true),
        row("computedAttributes.update", Method::PATCH, "/data/core/ca/attributes/{id}", Kind::Write, false),
        row("computedAttributes.delete", Method::DELETE, "/data/core/ca/attributes/{id}", Kind::Delete, true),
        row("externalAudiences.create", Method::POST, "/data/core/ais/external-audience", Kind::Job, false),
        row("externalAudiences.create", Method::POST, "/data/core/ais/external-audience/submit", Kind::Job, false),
        row("externalAudiences.operation", Method::GET, "/data/core/ais/external-audience/operations/{id}", Kind::Read, true),
        row("externalAudiences.operation", Method::GET, "/data/core/ais/external-audience/task/{id}", Kind::Read, true),
        row("externalAudiences.read", Method::GET, "/data/core/ais/external-audience/{id}", Kind::Read, true),
        row("externalAudiences.update", Method::PATCH, "/data/core/ais/external-audience/{id}", Kind::Write, false),
        row("externalAudiences.delete", Method::DELETE, "/data/core/ais/external-audience/{id}", Kind::Delete, true),
        row("externalAudiences.run", Method::POST, "/data/core/ais/external-audience/{id}/runs", Kind::Job, false),
        row("externalAudiences.run", Method::POST, "/data/core/ais/external-audience/{id}/run", Kind::Job, false),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/runs", Kind::Read, true),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/runs/{run}", Kind::Read, true),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/run", Kind::Read, true),
        row("externalAudiences.runs", Method::GET, "/data/core/ais/external-audience/{id}/run/{run}", Kind::Read, true),
    ]
}

fn row(
    name: &'static str,
    method: Method,
    template: &'static str,
    kind: Kind,
    replay_safe: bool,
) -> Operation {
    // Of the methods without a payload only this operation has one: the identity whose profile goes.
    let payload = super::operations::brings_payload(&method) || name == "entities.delete";
    Operation {
        name,
        method: Some(method),
        template,
        kind,
        replay_safe,
        payload,
        cost: NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aep::Operations;

    #[test]
    fn no_two_rows_are_of_one_meaning() {
        assert_eq!(Operations::built_in().all().count(), rows().len());
    }
}
