//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` inside scalars.
//!
//! What a reference gives is data and never read as YAML. `$${` stands for `${` itself.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::path::KeyPath;
use super::report::{Fault, Report};
use super::sources::{Sources, reason};
use super::tree::{Content, Filled, Node};

/// Replaces the references in every scalar of the tree.
///
/// A scalar whose references cannot be replaced becomes [`Content::Broken`], its fault reported.
pub(super) fn fill(node: &mut Node, path: &KeyPath, sources: &dyn Sources, report: &mut Report) {
    match &mut node.content {
        Content::Broken => {}
        Content::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(item, &path.index(index), sources, report);
            }
        }
        Content::Map(entries) => {
            for entry in entries {
                fill(&mut entry.value, &path.key(&entry.key), sources, report);
            }
        }
        Content::Scalar(scalar) => match expand(&scalar.written, sources) {
            Ok(filled) => scalar.filled = filled,
            Err(problem) => {
                let fault = Fault::new(node.place, path, problem.message).help(problem.help);
                report.add_tainting(path, fault);
                node.content = Content::Broken;
            }
        },
    }
}

/// Why a reference has no value. It quotes only names of variables and files, since a secret may stand where a
/// reference should.
struct Problem {
    message: String,
    help: &'static str,
}

/// Returns `written` with its references replaced, or `None` when it has none.
fn expand(written: &str, sources: &dyn Sources) -> Result<Option<Filled>, Problem> {
    let (mut text, mut own) = (String::new(), Vec::new());
    let (mut references, mut files) = (Vec::new(), Vec::new());
    let mut add = |part: &str, is_own: bool| {
        let start = text.len();
        text.push_str(part);
        if is_own && !part.is_empty() {
            own.push(start..text.len());
        }
    };
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            add(before, true);
            add("${", true);
            rest = after;
            continue;
        }
        add(before, true);
        let (reference, after) = after.split_once('}').ok_or_else(|| Problem {
            message: "the reference that begins with ${ is not closed".to_owned(),
            help: "write } at its end, or $${ for a plain ${",
        })?;
        let value = resolve(reference, sources)?;
        add(&value, matches!(value, Cow::Borrowed(_)));
        // A default is a value, which may be meant as a secret.
        let source = reference
            .split_once(":-")
            .map_or(reference, |(source, _)| source);
        files.extend(reference.strip_prefix("file:").map(PathBuf::from));
        references.push(format!("${{{source}}}"));
        rest = after;
    }
    if rest.len() == written.len() {
        return Ok(None);
    }
    add(rest, true);
    let references = references.join(" and ");
    Ok(Some(Filled {
        text,
        references,
        files,
        own,
    }))
}

/// Returns what a reference gives. What is borrowed of it is its default.
fn resolve<'a>(reference: &'a str, sources: &dyn Sources) -> Result<Cow<'a, str>, Problem> {
    if reference.contains("${") {
        return Err(Problem {
            message: "the reference holds another one".to_owned(),
            help: "a default is plain text; references do not nest",
        });
    }
    match reference.split_once(':') {
        Some(("env", rest)) => match rest.split_once(":-") {
            Some((name, default)) => variable(name, Some(default), sources),
            None => variable(rest, None, sources),
        },
        Some(("file", path)) => file(path, sources).map(Cow::Owned),
        _ => Err(Problem {
            message: "what begins with ${ here is no reference".to_owned(),
            help: "write ${env:NAME}, ${env:NAME:-default} or ${file:/path}, or $${ for a plain ${",
        }),
    }
}

fn variable<'a>(
    name: &str,
    default: Option<&'a str>,
    sources: &dyn Sources,
) -> Result<Cow<'a, str>, Problem> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    if !starts_well || !name.bytes().all(legal) {
        return Err(Problem {
            message: "this cannot be the name of an environment variable".to_owned(),
            help: "names hold letters, digits and underscores; a default follows after :-",
        });
    }
    let value = sources
        .variable(name)
        .filter(|value| default.is_none() || !value.is_empty());
    match (value, default) {
        (Some(value), _) => value.into_string().map(Cow::Owned).map_err(|_| Problem {
            message: format!("the environment variable {name} does not hold UTF-8 text"),
            help: "set it to plain text",
        }),
        (None, Some(default)) => Ok(Cow::Borrowed(default)),
        (None, None) => Err(Problem {
            message: format!("the environment variable {name} is not set"),
            help: "set it, or give a default: ${env:NAME:-default}",
        }),
    }
}

fn file(path: &str, sources: &dyn Sources) -> Result<String, Problem> {
    if !Path::new(path).is_absolute() {
        return Err(Problem {
            message: "the path of the file is not absolute".to_owned(),
            help: "write the whole path, such as ${file:/var/run/secrets/ims/current}",
        });
    }
    let content = sources
        .file(Path::new(path), MOST_BYTES)
        .map_err(|error| Problem {
            message: format!("the file {path} {}", reason(&error)),
            help: "check that the file is mounted and readable, and holds nothing but the value",
        })?;
    let mut text = String::from_utf8(content).map_err(|_| Problem {
        message: format!("the file {path} does not hold UTF-8 text"),
        help: "it must hold nothing but the value",
    })?;
    // Editors end a file with a line break that is not part of the value.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Bytes. A value, not a document.
const MOST_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Supplied;

    fn expanded(written: &str) -> Result<Option<String>, String> {
        let sources = Supplied::default()
            .with_variable("A", "one")
            .with_variable("EMPTY", "")
            .with_variable("REFERENCE", "${env:A}")
            .with_file("/f", "two\n")
            .with_file("/crlf", "two\r\n\r\n")
            .with_file("/binary", [0xff_u8, 0xfe]);
        expand(written, &sources)
            .map(|filled| filled.map(|filled| filled.text))
            .map_err(|problem| problem.message)
    }

    #[test]
    fn references_are_replaced_anywhere_in_a_scalar() {
        for (written, value) in [
            ("${env:A}", "one"),
            ("x${env:A}-${file:/f}y", "xone-twoy"),
            ("${env:B:-default}", "default"),
            ("${env:EMPTY:-default}", "default"),
            ("${env:A:-default}", "one"),
            ("${env:B:-}", ""),
            ("${env:EMPTY}", ""),
            ("${env:B:-http://localhost:80}", "http://localhost:80"),
            ("${file:/crlf}", "two\r\n"),
            ("$${env:A}", "${env:A}"),
            ("$$${env:A}", "$${env:A}"),
            ("${env:REFERENCE}", "${env:A}"),
        ] {
            assert_eq!(
                expanded(written).unwrap().as_deref(),
                Some(value),
                "{written}"
            );
        }
        for written in ["", "plain", "$A", "a$b}", "{*rest}", "$$"] {
            assert_eq!(expanded(written), Ok(None), "{written}");
        }
    }

    #[test]
    fn what_stands_in_the_configuration_itself_is_known_from_what_comes_from_elsewhere() {
        let sources = Supplied::default()
            .with_variable("A", "one")
            .with_file("/f", "two");
        for (written, own) in [
            ("${env:A}${file:/f}", &[][..]),
            ("${env:A:-default}", &[]),
            ("${env:B:-}", &[]),
            ("${env:B:-default}", &["default"]),
            ("x${env:A}-${env:B:-default}y", &["x", "-", "default", "y"]),
            ("$${x${env:A}", &["${", "x"]),
        ] {
            let Ok(Some(filled)) = expand(written, &sources) else {
                panic!("{written} has a value")
            };
            let parts = filled.own.into_iter();
            let parts: Vec<_> = parts
                .map(|part| filled.text.get(part).unwrap().to_owned())
                .collect();
            assert_eq!(parts, own, "{written}");
        }
    }

    const NO_NAME: &str = "this cannot be the name of an environment variable";

    #[test]
    fn a_reference_without_a_value_is_named() {
        for (written, message) in [
            ("${env:B}", "the environment variable B is not set"),
            ("${env:}", NO_NAME),
            ("${env:A-B}", NO_NAME),
            ("${env:1A}", NO_NAME),
            ("${file:/none}", "the file /none does not exist"),
            (
                "${file:/binary}",
                "the file /binary does not hold UTF-8 text",
            ),
            ("${file:f}", "the path of the file is not absolute"),
            ("${A}", "what begins with ${ here is no reference"),
            ("${env:A", "the reference that begins with ${ is not closed"),
            ("${env:B:-${env:A}}", "the reference holds another one"),
        ] {
            assert_eq!(expanded(written), Err(message.to_owned()), "{written}");
        }
    }
}
