//! Another configuration, whose rules are only looked at.

use std::sync::Arc;

use super::file::File;
use super::format::Written;
use super::name::FilePath;
use super::path::top;
use super::report::{Fault, Report};
use super::sources::Sources;
use super::tree::Node;
use super::{Settings, Standing, load, settle};
use crate::explain::shadow;

/// Reads the configuration that `file` names as its shadow, and adds its rules to `settings`.
///
/// It is checked as one that counts, so that what was tried can be put in its place.
pub(super) fn add(
    file: &File,
    root: &Node,
    standing: Standing,
    sources: &dyn Sources,
    settings: &mut Settings,
    report: &mut Report,
) {
    let Some(Written(FilePath(path))) = &file.shadow else {
        return;
    };
    let key = top("shadow");
    if report.is_tainted(&key) {
        return;
    }
    let place = root.place_of(&key);
    if standing == Standing::Shadow {
        let fault = Fault::new(
            place,
            &key,
            "stands in a configuration that is a shadow itself",
        );
        return report.add(fault.help("leave it out here"));
    }
    let mut own = Report::default();
    let mut root = load::read(path, sources, &mut own);
    let read = settle(&mut root, sources, Standing::Shadow, &mut own);
    report.take_in(own, place);
    let Some(read) = read else {
        return;
    };
    settings.outline.put("shadow", read.outline);
    for exposed in read.exposed {
        if !settings.exposed.contains(&exposed) {
            settings.exposed.push(exposed);
        }
    }
    let rules = shadow::Settings::beside(&settings.authorize, read.authorize, read.route);
    settings.shadow = Some(Arc::new(rules));
}
