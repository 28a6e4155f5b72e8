//! Which requests each route takes, and that no two routes take the same.

use std::collections::HashMap;

use super::Cross;
use crate::config::file::{Method, Paths, Route};
use crate::config::path::{KeyPath, top};
use crate::route::Template;

/// Reports routes that have the name of an earlier one.
pub(super) fn check_names(routes: &[Route], cross: &mut Cross<'_>) {
    let mut seen: HashMap<&str, KeyPath> = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        let path = top("routes").index(index).key("name");
        if let Some(first) = seen.get(route.name.0.0.as_str()) {
            let place = cross.root.place_of(first);
            let message = "another route has this name already";
            cross.fault(&path, &[first], message, |fault| {
                fault.also(place, "the other one is here")
            });
        } else {
            seen.insert(&route.name.0.0, path);
        }
    }
}

/// Reports routes that tie: two of one shape and method would leave it to chance which of them a request takes.
pub(super) fn check_ties(routes: &[Route], cross: &mut Cross<'_>) {
    let mut seen: HashMap<(String, Method), KeyPath> = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        let matching = top("routes").index(index).key("match");
        let path = matching.key("path");
        let methods = matching.key("methods");
        for (template, path) in templates(&route.matching.path, &path) {
            let tied: Option<(Method, KeyPath)> = methods_of(route)
                .into_iter()
                .find_map(|method| Some((method, seen.get(&(template.shape(), method))?.clone())));
            if let Some((method, first)) = tied {
                let message = format!(
                    "`{} {}` ties with `{}`: neither is more specific",
                    verb(method),
                    cross.written(&path),
                    cross.written(&first),
                );
                let place = cross.root.place_of(&first);
                cross.fault(&path, &[&first, &methods], message, |fault| {
                    fault
                        .also(place, "the other one is here")
                        .help("give the two different methods or paths, or make them one route")
                });
            }
            for method in methods_of(route) {
                seen.entry((template.shape(), method))
                    .or_insert_with(|| path.clone());
            }
        }
    }
}

/// Returns the templates at `path`, each with its own path.
pub(super) fn templates<'a>(paths: &'a Paths, path: &KeyPath) -> Vec<(&'a Template, KeyPath)> {
    match paths {
        Paths::One(template) => vec![(&template.0, path.clone())],
        Paths::Several(templates) => templates
            .iter()
            .enumerate()
            .map(|(index, template)| (&template.0, path.index(index)))
            .collect(),
    }
}

/// Returns the methods of a route, in the order of the file, `GET` followed by the `HEAD` it brings.
pub(super) fn methods_of(route: &Route) -> Vec<Method> {
    let mut methods = Vec::new();
    for method in &route.matching.methods {
        let brought = (*method == Method::Get).then_some(Method::Head);
        for method in [Some(*method), brought].into_iter().flatten() {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
    }
    methods
}

/// Returns the method that a word of the file means.
pub(super) fn verb(method: Method) -> http::Method {
    match method {
        Method::Delete => http::Method::DELETE,
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Patch => http::Method::PATCH,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}
