//! Credentials and sandboxes that routes name, or should.

use super::Cross;
use crate::config::nearest::nearest;
use crate::config::path::KeyPath;

/// Reports that the route at `path` must name one of `names`, which stand at `all`.
pub(super) fn missing<'a>(
    what: &str,
    path: &KeyPath,
    all: &KeyPath,
    names: impl Iterator<Item = &'a str>,
    cross: &mut Cross<'_>,
) {
    let names: Vec<&str> = names.collect();
    // Without routes this has been said once for all.
    let written = cross.root.at(path).is_some();
    if names.len() > 1 && written && !cross.report.is_lost(all) && !cross.report.is_full() {
        let message = format!("is missing: there is more than one {what}");
        let help = format!("the {what} may be {}", names.join(", "));
        cross.fault(&path.key(what), &[], message, |fault| fault.help(help));
    }
}

/// Reports that the value at `path` names none of `names`, which stand at `all`.
pub(super) fn unknown_at<'a>(
    what: &str,
    name: &str,
    path: &KeyPath,
    all: &KeyPath,
    names: impl Iterator<Item = &'a str>,
    cross: &mut Cross<'_>,
) {
    if is_in_vain(path, all, cross) {
        return;
    }
    // It may have come from elsewhere.
    let message = format!("no {what} is named `{}`", cross.written(path));
    let help = help(what, name, names);
    cross.fault(path, &[], message, |fault| fault.help(help));
}

/// Reports that the key at `path` names none of `names`, which stand at `all`.
pub(super) fn unknown_key_at<'a>(
    what: &str,
    name: &str,
    path: &KeyPath,
    all: &KeyPath,
    names: impl Iterator<Item = &'a str>,
    cross: &mut Cross<'_>,
) {
    if is_in_vain(path, all, cross) {
        return;
    }
    let message = format!("no {what} is named `{name}`");
    let help = help(what, name, names);
    cross.fault_of_key(path, &[], message, |fault| fault.help(help));
}

/// Tells whether nothing would be gained by saying that there is no such name.
fn is_in_vain(path: &KeyPath, all: &KeyPath, cross: &Cross<'_>) -> bool {
    cross.root.at(path).is_none() || cross.report.is_lost(all) || cross.report.is_full()
}

fn help<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match names.as_slice() {
            [] => format!("there is no {what}"),
            [only] => format!("there is only {only}"),
            _ => format!("there are {}", names.join(", ")),
        },
    }
}
