//! The table by cases, and against a matcher that tries everything.

mod model;

use http::{HeaderName, HeaderValue};

use super::*;
use crate::aep::Kind;
use crate::rewrite::Rewrite;
use crate::route::{Expected, HeaderCondition, OperationPattern};

fn rule(name: &str, template: &str, methods: &[Method]) -> Rule {
    Rule {
        templates: vec![template.parse().unwrap()],
        methods: methods.to_vec(),
        ..Rule::new(name.to_owned())
    }
}

fn settings(routes: &[Rule]) -> Settings {
    Settings {
        operations: Arc::new(Operations::built_in().clone()),
        routes: routes.to_vec(),
    }
}

fn table(routes: &[Rule]) -> Table {
    Table::new(&settings(routes)).unwrap()
}

/// A request as these tests write it.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    path: &'static str,
    host: Option<&'static str>,
    headers: HeaderMap,
}

fn request(method: Method, path: &'static str) -> Request {
    Request {
        method,
        path,
        host: None,
        headers: HeaderMap::new(),
    }
}

impl Request {
    fn to(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(name, HeaderValue::from_static(value));
        self
    }

    fn find_by(&self, table: &Table, watch: &mut impl Watch) -> Found {
        let mut headers = self.headers.clone();
        if let Some(host) = self.host {
            headers.insert("host", HeaderValue::from_static(host));
        }
        let asked = Asked {
            method: &self.method,
            uri: &self.path.parse().unwrap(),
            headers: &headers,
            encoded_slash: self.path.contains("%2F"),
        };
        table.find(&asked, watch)
    }

    fn route(&self, table: &Table) -> Option<usize> {
        match self.find_by(table, &mut Unwatched) {
            Found::Route(hit) => Some(hit.route.0),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    fn others(&self, table: &Table) -> Option<Vec<Method>> {
        match self.find_by(table, &mut Unwatched) {
            Found::Route(hit) => panic!("{hit:?}"),
            Found::OtherMethods(others) => Some(others),
            Found::Nothing => None,
        }
    }
}

const LOOKUP: &str = "/data/core/ups/access/entities";

#[test]
fn the_most_specific_route_that_takes_the_method_wins() {
    let table = table(&[
        rule("rest", "/ups/{*rest}", &[Method::GET, Method::DELETE]),
        rule("one", "/ups/{id}/x", &[Method::GET]),
        rule(
            "exact",
            "/ups/access/entities",
            &[Method::GET, Method::POST],
        ),
    ]);
    let find = |method, path| request(method, path).route(&table);

    assert_eq!(find(Method::GET, "/ups/access/entities"), Some(2));
    assert_eq!(find(Method::HEAD, "/ups/access/entities/"), Some(2));
    assert_eq!(find(Method::DELETE, "/ups/access/entities"), Some(0));
    assert_eq!(find(Method::GET, "/ups/7/x"), Some(1));
    assert_eq!(find(Method::GET, "/ups/7/y"), Some(0));
    let others = |path| request(Method::POST, path).others(&table);
    assert_eq!(others("/other"), None);
    assert_eq!(others("/"), None);
    let taken = [Method::DELETE, Method::GET, Method::HEAD];
    assert_eq!(others("/ups/7/y"), Some(taken.to_vec()));
}

#[test]
fn a_tie_names_both_routes_and_their_places() {
    let mut later = rule("b", "/x", &[Method::POST]);
    later.templates.push("/ups/{other}/".parse().unwrap());
    let routes = [
        rule("a", "/ups/{id}", &[Method::GET, Method::POST]),
        later,
        rule("c", "/ups/{id}", &[Method::PUT]),
    ];
    let tie = Table::new(&settings(&routes)).unwrap_err();

    assert_eq!((tie.first.as_str(), tie.second.as_str()), ("a", "b"));
    assert_eq!(
        (tie.method, tie.template.as_str()),
        (Method::POST, "/ups/{other}")
    );
    let seats = tie.seats.map(|seat| (seat.route.0, seat.path, seat.host));
    assert_eq!(seats, [(0, 0, None), (1, 1, None)]);
}

#[test]
fn a_named_host_comes_before_all_below_one_and_that_before_any() {
    let of = |name: &str, hosts: &[&str]| Rule {
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        ..rule(name, "/a/{id}", &[Method::GET])
    };
    let routes = [
        of("any", &[]),
        of("all", &["*.internal"]),
        of("team", &["*.crm.internal", "crm.example"]),
        of("one", &["profile.crm.internal"]),
        rule("other path", "/a/b", &[Method::GET]),
    ];
    let table = table(&routes);
    let find = |host| request(Method::GET, "/a/7").to(host).route(&table);

    assert_eq!(find("profile.crm.internal"), Some(3));
    assert_eq!(find("Profile.CRM.internal.:8080"), Some(3));
    assert_eq!(find("x.profile.crm.internal"), Some(2));
    assert_eq!(find("x.crm.internal"), Some(2));
    assert_eq!(find("crm.example"), Some(2));
    assert_eq!(find("crm.internal"), Some(1));
    assert_eq!(find("xcrm.internal"), Some(1));
    assert_eq!(find("internal"), Some(0));
    assert_eq!(find("x.crm.example"), Some(0));
    assert_eq!(request(Method::GET, "/a/7").route(&table), Some(0));
    let literal = request(Method::GET, "/a/b").to("profile.crm.internal");
    assert_eq!(literal.route(&table), Some(4), "the path comes first");
}

#[test]
fn conditions_on_fields_are_the_more_specific_the_more_and_the_closer_they_are() {
    let header = |name: &'static str, expected| HeaderCondition {
        name: HeaderName::from_static(name),
        expected,
    };
    let exact = |value: &str| Expected::Exact(value.to_owned());
    let of = |headers: &[HeaderCondition]| Rule {
        headers: headers.to_vec(),
        ..rule("r", "/a", &[Method::GET])
    };
    let table = table(&[
        of(&[]),
        of(&[header("x-team", Expected::Present)]),
        of(&[header("x-team", Expected::Prefix("cr".to_owned()))]),
        of(&[header("x-team", exact("crm"))]),
        of(&[
            header("x-team", Expected::Present),
            header("x-trace", Expected::Absent),
        ]),
        of(&[header("x-team", exact("ops"))]),
    ]);
    let find = |values: &[(&'static str, &'static str)]| {
        let asked = request(Method::GET, "/a");
        let add =
            |asked: Request, (name, value): &(&'static str, &'static str)| asked.with(name, value);
        values.iter().fold(asked, add).route(&table)
    };

    let traced = ("x-trace", "1");
    assert_eq!(find(&[]), Some(0));
    assert_eq!(find(&[("x-team", "hr")]), Some(4));
    assert_eq!(find(&[("x-team", "hr"), traced]), Some(1));
    assert_eq!(find(&[("x-team", "crx"), traced]), Some(2));
    assert_eq!(find(&[("x-team", "crm"), traced]), Some(3));
    assert_eq!(find(&[("x-team", "ops"), traced]), Some(5));
    assert_eq!(
        find(&[("x-team", "crm"), ("x-team", "ops"), traced]),
        Some(1)
    );
}

#[test]
fn operations_by_name_come_before_groups_and_kinds() {
    let of = |operations: &[&str], kinds: &[Kind]| Rule {
        prefixes: vec!["/".parse().unwrap()],
        methods: Methods::ALL.to_vec(),
        operations: operations.iter().map(|it| it.parse().unwrap()).collect(),
        kinds: kinds.to_vec(),
        ..Rule::new("r".to_owned())
    };
    let table = table(&[
        of(&["exports.*", "entities.read"], &[]),
        of(&["exports.list"], &[]),
        of(&[], &[Kind::Delete, Kind::Job]),
        of(&["exports.list"], &[Kind::Job]),
    ]);
    let find = |method, path| request(method, path).route(&table);

    let jobs = "/data/core/ups/export/jobs";
    assert_eq!(find(Method::POST, LOOKUP), Some(0));
    assert_eq!(find(Method::GET, jobs), Some(1));
    assert_eq!(find(Method::POST, jobs), Some(0), "a group before a kind");
    assert_eq!(find(Method::POST, "/data/core/ups/system/jobs"), Some(2));
    assert_eq!(find(Method::POST, "/data/core/ups/system%2Fjobs"), Some(2));
    assert_eq!(find(Method::DELETE, "/new"), Some(2));
    // Another method would be another operation.
    let asked = request(Method::PATCH, "/data/core/ups/audiences/1");
    assert_eq!(asked.others(&table), Some(vec![Method::DELETE]));
}

#[test]
fn only_methods_of_routes_whose_other_conditions_hold_are_told() {
    let team = HeaderCondition {
        name: HeaderName::from_static("x-team"),
        expected: Expected::Present,
    };
    let host = "profile.internal".parse().unwrap();
    let table = table(&[
        rule("reads", "/a", &[Method::GET]),
        Rule {
            headers: vec![team],
            ..rule("team", "/a", &[Method::PUT])
        },
        Rule {
            hosts: vec![host],
            ..rule("host", "/a", &[Method::DELETE])
        },
    ]);

    let asked = || request(Method::POST, "/a");
    assert_eq!(
        asked().others(&table),
        Some(vec![Method::GET, Method::HEAD])
    );
    assert_eq!(
        asked().with("x-team", "crm").others(&table),
        Some(vec![Method::GET, Method::HEAD, Method::PUT])
    );
    assert_eq!(
        asked().to("profile.internal").others(&table),
        Some(vec![Method::DELETE, Method::GET, Method::HEAD])
    );
}

#[test]
fn operations_are_those_of_the_path_that_goes_upstream() {
    let rewrite = |from: &str, to: &str| Rewrite {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let table = table(&[
        Rule {
            rewrite: Some(rewrite("/crm", "/data/core/ups")),
            operations: vec!["entities.read".parse().unwrap()],
            ..rule("lookups", "/crm/{*rest}", &[Method::GET])
        },
        Rule {
            take_off: true,
            kinds: vec![Kind::Delete],
            ..rule("deletes", "/{sandbox}/data/{*rest}", &[Method::POST])
        },
    ]);
    let found = |method, path| match request(method, path).find_by(&table, &mut Unwatched) {
        Found::Route(hit) => {
            let (rewritten, _) = *hit.rewritten.unwrap();
            let segment = rewritten.segment.map(String::from);
            Some((hit.operation.name, rewritten.path, segment))
        }
        Found::OtherMethods(_) | Found::Nothing => None,
    };

    assert_eq!(
        found(Method::GET, "/crm/access/entities/"),
        Some(("entities.read", format!("{LOOKUP}/"), None))
    );
    assert_eq!(found(Method::GET, "/crm/audiences"), None);
    let jobs = "/data/core/ups/system/jobs".to_owned();
    assert_eq!(
        found(Method::POST, "/dev-2/data/core/ups/system/jobs"),
        Some(("systemJobs.create", jobs, Some("dev-2".to_owned())))
    );
    assert_eq!(found(Method::POST, "/dev-2/data/core/ups/audiences"), None);
}

#[test]
fn who_watches_is_told_why_each_route_is_not_taken() {
    let team = HeaderCondition {
        name: HeaderName::from_static("x-team"),
        expected: Expected::Present,
    };
    let path = "/data/core/ups/export/jobs";
    let named = |name: &str| rule(name, path, &[Method::GET]);
    let table = table(&[
        Rule {
            hosts: vec!["*.internal".parse().unwrap()],
            ..named("host")
        },
        Rule {
            headers: vec![team],
            ..named("team")
        },
        Rule {
            operations: vec!["entities.*".parse().unwrap()],
            ..named("operation")
        },
        Rule {
            kinds: vec![Kind::Job],
            ..named("kind")
        },
        rule("method", path, &[Method::POST]),
        rule("elsewhere", "/elsewhere", &[Method::GET]),
        rule("taken", "/data/{*rest}", &[Method::GET]),
        rule("later", "/{*rest}", &[Method::GET]),
    ]);
    let mut misses = Vec::new();
    let asked = request(Method::GET, path).to("example.com");
    let found = asked.find_by(&table, &mut |route: RouteId, miss| {
        misses.push((route.0, miss));
    });

    assert!(
        matches!(
            found,
            Found::Route(Hit {
                route: RouteId(6),
                ..
            })
        ),
        "{found:?}"
    );
    let list = Operation::of(&Method::GET, path);
    assert_eq!(
        misses,
        [
            (0, Miss::Host),
            (1, Miss::Header(0)),
            (2, Miss::Operation(list)),
            (3, Miss::Kind(list)),
            (4, Miss::Method),
        ]
    );
}
