//! The table beside a plain one that tries every route, on generated routes and requests.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

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
