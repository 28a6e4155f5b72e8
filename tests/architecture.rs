//! Holds the floors of ARCHITECTURE.md: a module imports only from lower floors, and no stage from another.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of each floor, lowest first. Those of floor 0 may use each other: they are one vocabulary.
const FLOORS: [&[&str]; 7] = [
    &[
        "aep",
        "body",
        "clock",
        "context",
        "deadline",
        "descriptors",
        "error",
        "gate",
        "path_tree",
        "peer",
        "rewrite",
        "secret",
        "stage",
    ],
    &["connect", "shared", "telemetry"],
    &["ims", "issuers", "simulator"],
    &[
        "identify",
        "route",
        "authorize",
        "limit",
        "credentials",
        "forward",
        "respond",
    ],
    &["listener", "gateway", "explain", "admin"],
    &["config"],
    &["run", "cli"],
];

/// Imports between neighbours that the rule cannot tell from a tangle, each with its reason.
const ALLOWED: [(&str, &str); 3] = [
    // What would be decided is decided beside the stages, for a shadow.
    ("gateway", "explain"),
    // What is explained begins at the door: who is let in there, and with what head.
    ("explain", "listener"),
    // The process is one floor; commands are its outside.
    ("cli", "run"),
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn modules_import_only_from_lower_floors() {
    let mut wrong = Vec::new();
    for (path, module) in modules() {
        let Some(height) = floor(&module) else {
            wrong.push(format!(
                "{module}: stands on no floor; add it to FLOORS and lib.rs"
            ));
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        if code(&text).contains("super::super::super") {
            wrong.push(format!(
                "{}: says crate:: in a way this test cannot follow",
                path.display()
            ));
        }
        for target in imports(&fs::read_to_string(&path).unwrap()) {
            let below = floor(&target).is_some_and(|other| other < height);
            let allowed = ALLOWED.contains(&(module.as_str(), target.as_str()));
            if target != module && !below && !allowed && height > 0 {
                wrong.push(format!("{}: imports crate::{target}", path.display()));
            } else if height == 0 && floor(&target) != Some(0) {
                wrong.push(format!(
                    "{}: floor 0 imports crate::{target}",
                    path.display()
                ));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lib_lists_the_modules_floor_by_floor() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: Vec<_> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(|module| (floor(module).unwrap(), module))
        .collect();

    assert!(listed.is_sorted_by_key(|(floor, _)| *floor), "{listed:?}");
    assert_eq!(
        listed.len(),
        FLOORS.iter().map(|floor| floor.len()).sum::<usize>()
    );
}

#[test]
fn floor_0_does_no_io() {
    for (path, module) in modules() {
        if floor(&module) == Some(0) {
            let text = code(&fs::read_to_string(&path).unwrap());
            for door in [
                "std::fs",
                "std::net::Tcp",
                "tokio::net",
                "tokio::fs",
                "std::env",
                "hyper::",
            ] {
                assert!(!text.contains(door), "{} uses {door}", path.display());
            }
        }
    }
}

/// All files below `src` but `lib.rs` and `main.rs`, with the top-level module each belongs to.
fn modules() -> Vec<(PathBuf, String)> {
    let src = root().join("src");
    let mut files = BTreeMap::new();
    visit(&src, &mut |path| {
        let first = path
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let module = first
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if module != "lib" && module != "main" {
            files.insert(path.to_owned(), module);
        }
    });
    assert!(files.len() > 50);
    files.into_iter().collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path);
        }
    }
}

/// Returns the text without comments.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the top-level modules that `crate::` leads to, also in `use crate::{a, b::c};`.
fn imports(text: &str) -> Vec<String> {
    let text = code(text);
    let mut found = Vec::new();
    for piece in text.split("crate::").skip(1) {
        let names: Vec<&str> = match piece.strip_prefix('{') {
            Some(group) => top_level(group),
            None => vec![piece],
        };
        for name in names {
            let name: String = name
                .trim()
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            // Macros and re-exports of the crate itself have no floor.
            if floor(&name).is_some() {
                found.push(name);
            }
        }
    }
    found
}

/// Splits the inside of a group of imports at its own commas, up to its closing brace.
fn top_level(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut begun = 0;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(group.get(begun..at));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(group.get(begun..at));
                begun = at + 1;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn imports_are_found_in_groups_too() {
    let text = "use crate::{admin, route::{self, Table}, limit};\nuse crate::error::Error; // crate::cli\n";

    assert_eq!(imports(text), ["admin", "route", "limit", "error"]);
}
