//! The table by cases, and against a matcher that tries everything.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

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

/// A candidate as it is said plainly: everything that one place of one rule asks for.
#[derive(Clone, Debug)]
struct Plain {
    route: usize,
    path: Vec<String>,
    is_prefix: bool,
    way: Way,
    host: Option<HostPattern>,
    methods: Vec<Method>,
    headers: Vec<HeaderCondition>,
    operations: Vec<OperationPattern>,
    kinds: Vec<Kind>,
}

/// The greater, the more specific. Candidates that match one request and have one rank are of one path and host.
type Rank = (Vec<u8>, (u8, usize), [usize; 3], u8, bool);

fn plain(rules: &[Rule]) -> Vec<Plain> {
    let mut all = Vec::new();
    for (route, rule) in rules.iter().enumerate() {
        let templates = rule.templates.iter().map(|it| (it.as_str(), false));
        let prefixes = rule.prefixes.iter().map(|it| (it.as_str(), true));
        for (text, is_prefix) in templates.chain(prefixes) {
            let path: Vec<String> = text.split('/').skip(1).map(str::to_owned).collect();
            let hosts: Vec<_> = rule.hosts.iter().cloned().map(Some).collect();
            let hosts = if hosts.is_empty() { vec![None] } else { hosts };
            let is_name = |it: &&OperationPattern| matches!(it, OperationPattern::Name(_));
            let (names, groups): (Vec<_>, Vec<_>) = rule.operations.iter().partition(is_name);
            let owned =
                |list: Vec<&OperationPattern>| list.into_iter().cloned().collect::<Vec<_>>();
            let mut lists = vec![owned(names), owned(groups)];
            if rule.operations.is_empty() {
                lists.truncate(1);
            } else {
                lists.retain(|list| !list.is_empty());
            }
            let take_off = path.iter().position(|segment| segment == "{sandbox}");
            for host in hosts {
                for operations in &lists {
                    let mut methods = rule.methods.clone();
                    if methods.contains(&Method::GET) {
                        methods.push(Method::HEAD);
                    }
                    all.push(Plain {
                        route,
                        path: path.clone(),
                        is_prefix,
                        way: Way {
                            take_off: take_off.filter(|_| rule.take_off && !is_prefix),
                            rewrite: rule.rewrite.clone(),
                        },
                        host: host.clone(),
                        methods,
                        headers: rule.headers.clone(),
                        operations: operations.clone(),
                        kinds: rule.kinds.clone(),
                    });
                }
            }
        }
    }
    all
}

impl Plain {
    fn takes_path(&self, path: &str) -> bool {
        let path = path
            .strip_suffix('/')
            .filter(|it| !it.is_empty())
            .unwrap_or(path);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        for (index, wanted) in self.path.iter().enumerate() {
            if wanted.starts_with("{*") {
                return segments.len() > index && segments != [""];
            }
            match segments.get(index) {
                Some(segment) if wanted.starts_with('{') && !segment.is_empty() => {}
                Some(segment) if segment.eq_ignore_ascii_case(wanted) => {}
                _ => return false,
            }
        }
        self.is_prefix || segments.len() == self.path.len()
    }

    fn takes_host(&self, host: Option<&str>) -> bool {
        let host = host.map(|host| host.split(':').next().unwrap().to_lowercase());
        match (&self.host, host) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(HostPattern::Exact(name)), Some(host)) => host == *name,
            (Some(HostPattern::Below(name)), Some(host)) => host.ends_with(&format!(".{name}")),
        }
    }

    fn takes_operation(&self, name: &str, kind: Kind) -> bool {
        let named = self.operations.iter().any(|pattern| match pattern {
            OperationPattern::Group(group) => name.starts_with(&format!("{group}.")),
            OperationPattern::Name(wanted) => wanted == name,
        });
        (self.operations.is_empty() || named)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }

    fn takes(&self, request: &Request) -> bool {
        let Some(there) = self.way.there(request.path) else {
            return false;
        };
        let operation = Operation::of(&request.method, &there.path);
        self.takes_path(request.path)
            && self.takes_host(request.host)
            && self.methods.contains(&request.method)
            && self.headers.iter().all(|it| it.holds(&request.headers))
            && self.takes_operation(operation.name, operation.kind)
    }

    fn rank(&self) -> Rank {
        let mut path: Vec<u8> = self
            .path
            .iter()
            .map(|segment| match segment.as_bytes() {
                [b'{', b'*', ..] => 1,
                [b'{', ..] => 2,
                _ => 3,
            })
            .collect();
        path.push(if self.is_prefix { 0 } else { 4 });
        let host = match &self.host {
            None => (0, 0),
            Some(HostPattern::Below(name)) => (1, name.len()),
            Some(HostPattern::Exact(_)) => (2, 0),
        };
        let count = |what: fn(&Expected) -> bool| {
            self.headers.iter().filter(|it| what(&it.expected)).count()
        };
        let headers = [
            self.headers.len(),
            count(|it| matches!(it, Expected::Exact(_))),
            count(|it| matches!(it, Expected::Prefix(_))),
        ];
        let operations = match self.operations.first() {
            None => 0,
            Some(OperationPattern::Group(_)) => 1,
            Some(OperationPattern::Name(_)) => 2,
        };
        (path, host, headers, operations, !self.kinds.is_empty())
    }
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let paths = (
        subsequence(
            vec![
                "/a",
                "/a/{x}",
                "/{x}/b",
                "/a/{*rest}",
                "/{*rest}",
                "/crm/access/entities",
                "/Crm/Access/entities",
                "/crm/{*rest}",
                "/data/core/ups/export/jobs/{id}",
                "/{sandbox}/a",
                "/a/{sandbox}/{*rest}",
            ],
            0..3,
        ),
        subsequence(vec!["/", "/a", "/CRM", "/crm", "/data/core"], 0..2),
    );
    let hosts = subsequence(vec!["a.x", "*.x", "*.a.x", "c"], 0..3);
    let methods = subsequence(vec![Method::GET, Method::POST, Method::DELETE], 1..=3);
    let expected = prop_oneof![
        select(vec!["a", "ab", "b"]).prop_map(|value| Expected::Exact(value.to_owned())),
        select(vec!["a", "b"]).prop_map(|value| Expected::Prefix(value.to_owned())),
        Just(Expected::Present),
        Just(Expected::Absent),
    ];
    let headers = (
        prop::option::of(expected.clone()),
        prop::option::of(expected),
    );
    let operations = subsequence(
        vec![
            "entities.read",
            "exports.read",
            "exports.*",
            "unknown.*",
            "unknown.read",
        ],
        0..3,
    );
    let kinds = prop_oneof![
        3 => Just(Vec::new()),
        1 => subsequence(Kind::ALL.to_vec(), 1..3),
    ];
    let rewrite = prop_oneof![
        2 => Just(None),
        1 => select(vec![("/crm", "/data/core/ups"), ("/a", "/")]).prop_map(Some),
    ];
    let rule = (
        paths,
        hosts,
        methods,
        headers,
        operations,
        (kinds, rewrite, any::<bool>()),
    );
    let rule = rule.prop_map(
        |(
            (templates, prefixes),
            hosts,
            methods,
            headers,
            operations,
            (kinds, rewrite, take_off),
        )| Rule {
            templates: templates.iter().map(|it| it.parse().unwrap()).collect(),
            prefixes: prefixes.iter().map(|it| it.parse().unwrap()).collect(),
            hosts: hosts.iter().map(|it| it.parse().unwrap()).collect(),
            methods,
            headers: [("x-a", headers.0), ("x-b", headers.1)]
                .into_iter()
                .filter_map(|(name, expected)| {
                    let name = HeaderName::from_static(name);
                    expected.map(|expected| HeaderCondition { name, expected })
                })
                .collect(),
            operations: operations.iter().map(|it| it.parse().unwrap()).collect(),
            kinds,
            rewrite: rewrite.map(|(from, to)| Rewrite {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            }),
            take_off,
            ..Rule::new("r".to_owned())
        },
    );
    prop::collection::vec(rule, 1..8)
}

const PATHS: [&str; 15] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/c/b",
    "/a/b/c",
    "/crm",
    "/crm/access/entities",
    "/crm/ACCESS/entities",
    "/cRM/export/Jobs/7",
    "/crm/export/jobs/7",
    "/data/core/ups/export/jobs/7",
    "/data/core/other",
    "/dev-2/a",
    "/a/dev-2/data/core/ups/audiences",
];

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let hosts = vec![
        None,
        Some("a.x"),
        Some("b.A.x"),
        Some("A.x:80"),
        Some("c"),
        Some("x"),
    ];
    let values = || select(VALUES.to_vec());
    let methods = select(vec![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::DELETE,
        Method::PUT,
    ]);
    let asked = (
        select(PATHS.to_vec()),
        methods,
        select(hosts),
        values(),
        values(),
    );
    let asked = asked.prop_map(|(path, method, host, a, b)| {
        let asked = Request {
            host,
            ..request(method, path)
        };
        let asked = a
            .iter()
            .fold(asked, |asked, value| asked.with("x-a", value));
        b.iter()
            .fold(asked, |asked, value| asked.with("x-b", value))
    });
    prop::collection::vec(asked, 24)
}

const VALUES: [&[&str]; 6] = [&[], &["a"], &["ab"], &["b"], &["abc"], &["a", "b"]];

/// Whether two places match one request alike, by trying all there are. Operation and kind are taken as free here, since
/// which path means what is not the matter of two routes.
fn tie(candidates: &[Plain]) -> bool {
    let pairs = candidates.iter().enumerate().flat_map(|(index, one)| {
        let others = candidates.iter().skip(index + 1);
        others.map(move |other| (one, other))
    });
    let kinds_of = |name| Kind::ALL.map(|kind| (name, kind));
    let names = [
        "entities.read",
        "exports.read",
        "exports.list",
        "unknown.read",
        "unknown.write",
    ];
    let operations: Vec<_> = names.into_iter().flat_map(kinds_of).collect();
    pairs.into_iter().any(|(one, other)| {
        let both = |takes: &dyn Fn(&Plain) -> bool| takes(one) && takes(other);
        let shape = |it: &Plain| -> Vec<String> {
            let shape = |segment: &String| match segment.as_bytes() {
                [b'{', b'*', ..] => "{*}".to_owned(),
                [b'{', ..] => "{}".to_owned(),
                _ => segment.to_ascii_lowercase(),
            };
            it.path.iter().map(shape).collect()
        };
        let header = |name: &'static str| {
            VALUES.iter().any(|values| {
                let asked = values
                    .iter()
                    .fold(request(Method::GET, "/"), |asked, value| {
                        asked.with(name, value)
                    });
                both(&|it| {
                    let mut own = it.headers.iter().filter(|it| it.name == name);
                    own.all(|it| it.holds(&asked.headers))
                })
            })
        };
        one.rank() == other.rank()
            && shape(one) == shape(other)
            && one.host == other.host
            && one
                .methods
                .iter()
                .any(|method| other.methods.contains(method))
            && header("x-a")
            && header("x-b")
            && operations
                .iter()
                .any(|(name, kind)| both(&|it| it.takes_operation(name, *kind)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_route_that_is_found_is_the_one_that_trying_everything_finds(
        rules in rules(), requests in requests(),
    ) {
        let mut rules = rules;
        // Each that ties is left out, so that there is a table.
        let tied: BTreeSet<usize> = Table::ties(&settings(&rules))
            .iter()
            .map(|tie| tie.seats[1].route.0)
            .collect();
        for route in tied.into_iter().rev() {
            rules.remove(route);
        }
        let table = table(&rules);
        let candidates = plain(&rules);

        for asked in requests {
            let matching = candidates.iter().filter(|it| it.takes(&asked));
            let mut ranked: Vec<_> = matching.map(|it| (it.rank(), it)).collect();
            ranked.sort_by(|(one, _), (other, _)| other.cmp(one));
            let wanted = ranked.first().map(|(_, it)| *it);
            let unique = ranked.windows(2).next().is_none_or(|pair| pair[0].0 > pair[1].0);
            prop_assert!(unique, "{:?} ties: {:?}", asked, ranked);

            match asked.find_by(&table, &mut Unwatched) {
                Found::Route(hit) => {
                    prop_assert_eq!(Some(hit.route.0), wanted.map(|it| it.route), "{:?}", asked);
                    let way = &wanted.unwrap().way;
                    let path = hit.rewritten.as_ref().map_or(asked.path, |it| it.0.path.as_str());
                    let there = way.there(asked.path).unwrap().path;
                    prop_assert_eq!(path, there.as_str());
                    prop_assert_eq!(hit.operation, Operation::of(&asked.method, path));
                }
                Found::OtherMethods(others) => {
                    prop_assert!(wanted.is_none());
                    for method in Methods::ALL {
                        let asked = Request { method: method.clone(), ..asked.clone() };
                        let taken = candidates.iter().any(|it| it.takes(&asked));
                        prop_assert_eq!(others.contains(&method), taken, "{:?}", asked);
                    }
                }
                Found::Nothing => prop_assert!(wanted.is_none(), "{:?}: {:?}", asked, wanted),
            }
        }
    }

    #[test]
    fn routes_tie_if_trying_everything_finds_two_alike(rules in rules()) {
        let ties = Table::ties(&settings(&rules));

        prop_assert_eq!(!ties.is_empty(), tie(&plain(&rules)), "{:?}", ties);
    }

    #[test]
    fn who_watches_changes_nothing(rules in rules(), requests in requests()) {
        let (table, _) = Table::with_ties(&settings(&rules));
        for asked in requests {
            let mut misses = Vec::new();
            let watched = asked.find_by(&table, &mut |route: RouteId, _| misses.push(route));
            let watched = match watched {
                Found::Route(hit) => Some(hit.route.0),
                Found::OtherMethods(_) | Found::Nothing => None,
            };
            prop_assert_eq!(watched, asked.route(&table));
        }
    }
}
