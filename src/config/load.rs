//! Reads a file or a folder of them, and merges the folder's parts by section.

use std::io;
use std::path::{Path, PathBuf};

use super::path::{KeyPath, top};
use super::report::{Fault, Report};
use super::sources::{Sources, reason};
use super::text::{Place, Text};
use super::tree::{Content, Entry, Node};
use super::yaml;

/// Reads the file or folder at `path`. Faults go into `report`.
pub(super) fn read(path: &Path, sources: &dyn Sources, report: &mut Report) -> Node {
    match sources.folder(path) {
        Some(files) => folder(path, files, sources, report),
        None => read_part(path, sources, report),
    }
}

fn folder(
    path: &Path,
    files: io::Result<Vec<PathBuf>>,
    sources: &dyn Sources,
    report: &mut Report,
) -> Node {
    let place = Place::whole(report.add_text(Text::new(&path.display().to_string(), "")));
    let files = match files {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => {
            return unreadable(
                path,
                "the folder holds no file that ends in .yaml or .yml",
                report,
            );
        }
        Err(error) => return unreadable(path, &format!("the folder {}", reason(&error)), report),
    };
    let mut sections = Vec::new();
    for file in files {
        let part = read_part(&file, sources, report);
        match part.content {
            Content::Map(entries) => merge(&mut sections, entries, report),
            // The fault is reported, and what the other files say can still be checked.
            Content::Broken | Content::List(_) | Content::Scalar(_) => {}
        }
    }
    Node {
        place,
        content: Content::Map(sections),
    }
}

fn read_part(file: &Path, sources: &dyn Sources, report: &mut Report) -> Node {
    match content(file, sources) {
        Ok(content) => yaml::read(&file.display().to_string(), &content, report),
        Err(message) => unreadable(file, &message, report),
    }
}

fn content(path: &Path, sources: &dyn Sources) -> Result<String, String> {
    let bytes = sources
        .file(path, MOST_BYTES)
        .map_err(|error| format!("the file {}", reason(&error)))?;
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

/// Bytes of one file, as many as the reader takes.
#[expect(
    clippy::as_conversions,
    reason = "no conversion that is checked is possible in a constant, and the number is small"
)]
pub(super) const MOST_BYTES: u64 = yaml::MOST_BYTES as u64;

fn unreadable(path: &Path, message: &str, report: &mut Report) -> Node {
    let place = Place::whole(report.add_text(Text::new(&path.display().to_string(), "")));
    let fault = Fault::new(place, &KeyPath::default(), message);
    report.add_tainting(&KeyPath::default(), fault);
    Node::broken(place)
}

/// Adds the sections of one more file: maps by their keys, lists at the end.
fn merge(sections: &mut Vec<Entry>, more: Vec<Entry>, report: &mut Report) {
    for entry in more {
        let Some(section) = sections.iter_mut().find(|section| section.key == entry.key) else {
            sections.push(entry);
            continue;
        };
        let path = top(&entry.key);
        match (&mut section.value.content, entry.value.content) {
            (Content::List(items), Content::List(more)) => items.extend(more),
            (Content::Map(entries), Content::Map(more)) => {
                for entry in more {
                    match entries.iter().find(|known| known.key == entry.key) {
                        None => entries.push(entry),
                        Some(first) => {
                            twice(&path.key(&entry.key), entry.place, first.place, report);
                        }
                    }
                }
            }
            _ => twice(&path, entry.place, section.place, report),
        }
    }
}

fn twice(path: &KeyPath, place: Place, first: Place, report: &mut Report) {
    let fault = Fault::new(place, path, "the key stands in two files");
    report.add(fault.also(first, "the first time is here"));
}
