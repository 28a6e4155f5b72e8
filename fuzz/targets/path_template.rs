//! Templates and paths, a line each: the last line is a path. Whatever is found for it matches, and nothing that is more
//! specific does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::path_tree::PathTree;
use profile_gateway::route::template::Template;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().take(16).collect();
    let Some((path, lines)) = lines.split_last() else {
        return;
    };
    let mut tree = PathTree::default();
    let mut known: Vec<Template> = Vec::new();
    for line in lines {
        let Ok(template) = line.parse::<Template>() else {
            continue;
        };
        assert_eq!(template.as_str().parse().as_ref(), Ok(&template));
        let place = known
            .iter()
            .position(|other| other.shape() == template.shape());
        match tree.insert(template.as_str(), known.len()) {
            Ok(()) => assert_eq!(place, None),
            Err(taken) => assert_eq!(place, Some(*taken)),
        }
        if place.is_none() {
            known.push(template);
        }
    }
    if !path.starts_with('/') {
        assert_eq!(tree.find(path), None);
        return;
    }
    let matching = known
        .iter()
        .enumerate()
        .filter(|(_, template)| matches(template.as_str(), path));
    let wanted = matching.max_by_key(|(_, template)| rank(template.as_str()));
    assert_eq!(tree.find(path).copied(), wanted.map(|(index, _)| index));
});

/// Tells whether a template matches, as plainly as it can be said.
fn matches(template: &str, path: &str) -> bool {
    let mut segments = path[1..].split('/');
    let mut left = &path[1..];
    for part in template[1..].split('/') {
        if part.starts_with("{*") {
            return !left.is_empty();
        }
        let Some(segment) = segments.next() else {
            return false;
        };
        left = left[segment.len()..].strip_prefix('/').unwrap_or_default();
        let fits = if part.starts_with('{') {
            !segment.is_empty()
        } else {
            part.eq_ignore_ascii_case(segment)
        };
        if !fits {
            return false;
        }
    }
    segments.next().is_none()
}

/// Orders templates that match the same path: the first segment that differs decides.
fn rank(template: &str) -> Vec<u8> {
    template[1..]
        .split('/')
        .map(|part| match part.as_bytes() {
            [b'{', b'*', ..] => 0,
            [b'{', ..] => 1,
            _ => 2,
        })
        .collect()
}
