//! Finds the route of a path and method.

use http::Method;

use super::Rule;
use crate::context::RouteId;
use crate::path_tree::PathTree;

/// The routes, ready to be matched: the most specific template wins, method by method.
///
/// A literal segment is more specific than a parameter, and that than the rest of the path.
#[derive(Clone, Debug)]
pub struct Table {
    methods: Vec<(Method, PathTree<RouteId>)>,
}

/// Two routes match the same path and method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} both match {method} {template}")]
pub struct Tie {
    /// The name of the earlier route.
    pub first: String,
    /// The name of the later route.
    pub second: String,
    /// The method both take.
    pub method: Method,
    /// The template of the later route.
    pub template: String,
}

/// What the table says of a path and method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A route takes it.
    Route(RouteId),
    /// Routes take the path, but only with these methods.
    OtherMethods(Vec<Method>),
    /// No route takes the path.
    Nothing,
}

impl Table {
    /// Prepares the routes for matching.
    ///
    /// # Errors
    /// [`Tie`] when two routes would match the same requests.
    pub fn new(rules: &[Rule]) -> Result<Self, Tie> {
        let mut table = Self {
            methods: Vec::new(),
        };
        for (index, rule) in rules.iter().enumerate() {
            for method in with_head(&rule.methods) {
                for template in &rule.templates {
                    if let Err(taken) = table
                        .tree(&method)
                        .insert(template.as_str(), RouteId(index))
                    {
                        let first = rules.get(taken.0);
                        return Err(Tie {
                            first: first.map_or_else(String::new, |rule| rule.name.clone()),
                            second: rule.name.clone(),
                            method,
                            template: template.to_string(),
                        });
                    }
                }
            }
        }
        Ok(table)
    }

    fn tree(&mut self, method: &Method) -> &mut PathTree<RouteId> {
        let place = self.methods.iter().position(|(known, _)| known == method);
        let place = place.unwrap_or_else(|| {
            self.methods.push((method.clone(), PathTree::default()));
            self.methods.len() - 1
        });
        let (_, tree) = self
            .methods
            .get_mut(place)
            .expect("the place was just found or made");
        tree
    }

    /// Finds the route of a canonical path. One trailing slash is ignored.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let path = match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => path,
        };
        let own = self.methods.iter().find(|(known, _)| known == method);
        if let Some(route) = own.and_then(|(_, tree)| tree.find(path)) {
            return Found::Route(*route);
        }
        let others: Vec<_> = self
            .methods
            .iter()
            .filter(|(_, tree)| tree.find(path).is_some())
            .map(|(method, _)| method.clone())
            .collect();
        if others.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(others)
        }
    }
}

/// Adds `HEAD` to methods with `GET`, since it asks for the same (RFC 9110 §9.3.2).
fn with_head(methods: &[Method]) -> Vec<Method> {
    let mut all = methods.to_vec();
    if all.contains(&Method::GET) && !all.contains(&Method::HEAD) {
        all.push(Method::HEAD);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rule(name: &str, template: &str, methods: &[Method]) -> Rule {
        Rule {
            name: name.to_owned(),
            templates: vec![template.parse().unwrap()],
            methods: methods.to_vec(),
            encoded_slashes: false,
            timeout: Duration::from_secs(65),
            total_timeout: None,
        }
    }

    #[test]
    fn the_most_specific_route_that_takes_the_method_wins() {
        let table = Table::new(&[
            rule("rest", "/ups/{*rest}", &[Method::GET, Method::DELETE]),
            rule("one", "/ups/{id}/x", &[Method::GET]),
            rule(
                "exact",
                "/ups/access/entities",
                &[Method::GET, Method::POST],
            ),
        ])
        .unwrap();
        let find = |method, path| table.find(&method, path);

        assert_eq!(
            find(Method::GET, "/ups/access/entities"),
            Found::Route(RouteId(2))
        );
        assert_eq!(
            find(Method::HEAD, "/ups/access/entities/"),
            Found::Route(RouteId(2))
        );
        assert_eq!(
            find(Method::DELETE, "/ups/access/entities"),
            Found::Route(RouteId(0))
        );
        assert_eq!(find(Method::GET, "/ups/7/x"), Found::Route(RouteId(1)));
        assert_eq!(find(Method::GET, "/ups/7/y"), Found::Route(RouteId(0)));
        assert_eq!(find(Method::GET, "/other"), Found::Nothing);
        assert_eq!(find(Method::GET, "/"), Found::Nothing);
        assert_eq!(
            find(Method::POST, "/ups/7/y"),
            Found::OtherMethods(vec![Method::GET, Method::DELETE, Method::HEAD])
        );
    }

    #[test]
    fn a_tie_names_both_routes() {
        let tie = Table::new(&[
            rule("a", "/ups/{id}", &[Method::GET, Method::POST]),
            rule("b", "/ups/{other}/", &[Method::POST]),
        ])
        .unwrap_err();

        assert_eq!(
            (tie.first.as_str(), tie.second.as_str(), tie.method),
            ("a", "b", Method::POST)
        );
    }

    #[test]
    fn one_path_may_have_a_route_a_method() {
        let table = Table::new(&[
            rule("reads", "/ups/{id}", &[Method::GET]),
            rule("writes", "/ups/{id}", &[Method::PUT]),
        ])
        .unwrap();

        assert_eq!(table.find(&Method::PUT, "/ups/7"), Found::Route(RouteId(1)));
    }
}
