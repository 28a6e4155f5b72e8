//! Who may do what where, as it is described and as configuration says it.

use std::fmt::Write;

use profile_gateway::identify::KeyDigest;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// A configuration.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) anonymous: bool,
    /// What the operator says of operations, by place in [`ROWS`].
    pub(super) rows: Vec<usize>,
    /// Those with keys, named `c1`, `c2` and so on.
    pub(super) callers: Vec<Bounds>,
    pub(super) areas: Vec<Area>,
}

/// A credential, by its place in [`CREDENTIALS`].
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) name: &'static str,
    pub(super) organization: &'static str,
    pub(super) client_id: &'static str,
    pub(super) token: &'static str,
}

pub(super) static CREDENTIALS: [Credential; 2] = [
    Credential {
        name: "us",
        organization: "0A1B2C3D4E5F60718293A4B5@AdobeOrg",
        client_id: "us-client",
        token: "token.of.us",
    },
    Credential {
        name: "eu",
        organization: "5B4A39281706F5E4D3C2B1A0@AdobeOrg",
        client_id: "eu-client",
        token: "token.of.eu",
    },
];

/// A sandbox, by its place in [`SANDBOXES`].
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) key: &'static str,
    pub(super) at_adobe: &'static str,
    /// Its credential; without one, routes say which.
    pub(super) credential: Option<usize>,
    pub(super) production: bool,
}

const fn sandbox(
    key: &'static str,
    at_adobe: &'static str,
    credential: Option<usize>,
    production: bool,
) -> Sandbox {
    Sandbox {
        key,
        at_adobe,
        credential,
        production,
    }
}

pub(super) static SANDBOXES: [Sandbox; 6] = [
    sandbox("prod", "prod", Some(0), true),
    sandbox("dev-2", "dev-2", Some(0), false),
    sandbox("eu-prod", "prod", Some(1), true),
    sandbox("eu-dev", "dev-2", Some(1), false),
    sandbox("qa", "qa", Some(1), true),
    sandbox("stage", "stage", None, false),
];

/// What an operator says of an operation.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
}

const fn row(
    method: &'static str,
    path: &'static str,
    name: &'static str,
    kind: &'static str,
) -> Row {
    Row {
        method,
        path,
        name,
        kind,
    }
}

/// Some add an operation, some say of a known one that it is milder or graver than it seems.
pub(super) static ROWS: [Row; 6] = [
    row(
        "GET",
        "/data/core/ups/something/new",
        "entities.purge",
        "delete",
    ),
    row(
        "DELETE",
        "/data/core/ups/something/{id}",
        "audiences.forget",
        "write",
    ),
    row(
        "POST",
        "/data/core/UPS/access/entities",
        "entities.query",
        "job",
    ),
    row(
        "GET",
        "/data/core/ups/audiences/{id}",
        "audiences.read",
        "write",
    ),
    row("PUT", "/data/core/ups/export/jobs", "exports.create", "job"),
    row(
        "POST",
        "/data/core/ups/audiences/bulk-get",
        "audiences.drop",
        "delete",
    ),
];

/// What somebody may do at most, and where.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) permit: Option<Vec<&'static str>>,
    pub(super) sandboxes: Option<Vec<usize>>,
}

/// Paths that begin alike: `/a0`, `/a1` and so on.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) form: Form,
    /// For some of its requests.
    pub(super) narrow: Option<(Narrow, Route)>,
    /// For the others.
    pub(super) wide: Route,
}

/// What becomes of the paths of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/a0/SANDBOX/data/core/…` is `/data/core/…`.
    Sandbox,
    /// `/a0/data/core/…` is `/data/core/…`.
    Strip,
    /// `/a0/…` is `/data/core/…`.
    Replace,
}

/// What distinguishes some requests of an area.
#[derive(Clone, Debug)]
pub(super) enum Narrow {
    Field,
    Host(&'static str),
    Kinds(Vec<&'static str>),
    Operations(Vec<&'static str>),
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) source: Source,
    pub(super) ignores_mismatch: bool,
    pub(super) permit: Permit,
    /// Callers by number, 0 for whoever shows nothing.
    pub(super) callers: Option<Vec<(usize, Bounds)>>,
    /// For sandboxes without one.
    pub(super) credential: usize,
    pub(super) encoded_slashes: bool,
    /// Whether nothing is refused that has a place to work in.
    pub(super) dry_run: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Caller(Vec<(usize, usize)>),
    Fixed(usize),
    Header(Vec<usize>, Option<usize>),
    Host(Vec<(&'static str, usize)>),
    Path(Vec<usize>),
}

#[derive(Clone, Debug)]
pub(super) enum Permit {
    BySandbox(Vec<(usize, Vec<&'static str>)>),
    Default,
    Everywhere(Vec<&'static str>),
}

pub(super) const HOSTS: [&str; 3] = ["one.internal", "two.internal", "gateway"];
pub(super) const CALLERS: usize = 3;
const KINDS: [&str; 4] = ["read", "write", "job", "delete"];

impl Source {
    /// Returns all sandboxes that it can lead to.
    pub(super) fn sandboxes(&self) -> Vec<usize> {
        match self {
            Self::Caller(by) => by.iter().map(|(_, sandbox)| *sandbox).collect(),
            Self::Fixed(sandbox) => vec![*sandbox],
            Self::Header(allow, _) | Self::Path(allow) => allow.clone(),
            Self::Host(by) => by.iter().map(|(_, sandbox)| *sandbox).collect(),
        }
    }
}

/// Returns the key of a caller.
pub(super) fn key(caller: usize) -> String {
    format!("k-caller-{caller}")
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    (
        any::<bool>(),
        subsequence((0..ROWS.len()).collect::<Vec<_>>(), 0..=3),
        prop::collection::vec(bounds(), CALLERS),
        prop::collection::vec(areas(), 1..4),
    )
        .prop_map(|(anonymous, rows, callers, mut areas)| {
            for area in &mut areas {
                let host = match &area.narrow {
                    Some((Narrow::Host(host), _)) => Some(*host),
                    Some(_) | None => None,
                };
                if let Some((_, route)) = &mut area.narrow {
                    route.keep_to(host);
                }
                area.wide.keep_to(None);
            }
            World {
                anonymous,
                rows,
                callers,
                areas,
            }
        })
}

impl Route {
    /// Leaves out what could come to nothing, where that is no legal configuration.
    fn keep_to(&mut self, host: Option<&'static str>) {
        if let (Source::Host(by), Some(host)) = (&mut self.source, host) {
            let (_, sandbox) = by[0];
            *by = vec![(host, sandbox)];
        }
        if matches!(self.source, Source::Header(..)) {
            self.ignores_mismatch = false;
        }
        let here = self.source.sandboxes();
        if let Permit::BySandbox(by) = &mut self.permit {
            by.retain(|(it, _)| here.contains(it));
            if by.is_empty() {
                self.permit = Permit::Default;
            }
        }
        for (_, bounds) in self.callers.iter_mut().flatten() {
            if let Some(all) = &mut bounds.sandboxes {
                all.retain(|it| here.contains(it));
                if all.is_empty() {
                    bounds.sandboxes = None;
                }
            }
        }
    }
}

fn areas() -> impl Strategy<Value = Area> {
    let form = select(vec![Form::Sandbox, Form::Strip, Form::Replace]);
    form.prop_flat_map(|form| {
        let narrow = prop::option::of((narrows(), routes(form)));
        (narrow, routes(form)).prop_map(move |(narrow, wide)| Area { form, narrow, wide })
    })
}

fn narrows() -> impl Strategy<Value = Narrow> {
    let operations = [
        "entities.*",
        "systemJobs.create",
        "audiences.*",
        "exports.create",
        "unknown.*",
    ];
    prop_oneof![
        Just(Narrow::Field),
        select(HOSTS.to_vec()).prop_map(Narrow::Host),
        subsequence(KINDS.to_vec(), 1..=3).prop_map(Narrow::Kinds),
        subsequence(operations.to_vec(), 1..=3).prop_map(Narrow::Operations),
    ]
}

fn routes(form: Form) -> impl Strategy<Value = Route> {
    let callers = prop::option::of((
        subsequence(vec![0, 1, 2, 3], 1..=4),
        prop::collection::vec(bounds(), 4),
    ));
    (
        sources(form),
        any::<bool>(),
        permits(),
        callers,
        0..CREDENTIALS.len(),
        any::<bool>(),
        prop::bool::weighted(0.15),
    )
        .prop_map(
            |(source, ignores_mismatch, permit, callers, credential, encoded_slashes, dry_run)| {
                let source = of_one(source, credential);
                let here = source.sandboxes();
                let permit = match permit {
                    Permit::BySandbox(by) => {
                        let by: Vec<_> =
                            by.into_iter().filter(|(it, _)| here.contains(it)).collect();
                        if by.is_empty() {
                            Permit::Default
                        } else {
                            Permit::BySandbox(by)
                        }
                    }
                    Permit::Default | Permit::Everywhere(_) => permit,
                };
                let callers = callers.map(|(numbers, bounds)| {
                    let within = |bounds: Bounds| Bounds {
                        sandboxes: bounds
                            .sandboxes
                            .map(|all| all.into_iter().filter(|it| here.contains(it)).collect())
                            .filter(|left: &Vec<_>| !left.is_empty()),
                        ..bounds
                    };
                    numbers
                        .into_iter()
                        .zip(bounds.into_iter().map(within))
                        .collect()
                });
                Route {
                    source,
                    ignores_mismatch,
                    permit,
                    callers,
                    credential,
                    encoded_slashes,
                    dry_run,
                }
            },
        )
}

/// Leaves sandboxes with another credential out where the route has to name one.
fn of_one(source: Source, credential: usize) -> Source {
    let needs = |all: &[usize]| all.iter().any(|it| SANDBOXES[*it].credential.is_none());
    if !needs(&source.sandboxes()) {
        return source;
    }
    let fits = |it: &usize| {
        SANDBOXES[*it]
            .credential
            .is_none_or(|own| own == credential)
    };
    match source {
        Source::Caller(by) => Source::Caller(by.into_iter().filter(|(_, it)| fits(it)).collect()),
        Source::Fixed(_) => source,
        Source::Header(allow, default) => Source::Header(
            allow.into_iter().filter(fits).collect(),
            default.filter(fits),
        ),
        Source::Host(by) => Source::Host(by.into_iter().filter(|(_, it)| fits(it)).collect()),
        Source::Path(allow) => Source::Path(allow.into_iter().filter(fits).collect()),
    }
}

fn sources(form: Form) -> BoxedStrategy<Source> {
    let all = || subsequence((0..SANDBOXES.len()).collect::<Vec<_>>(), 1..=4);
    if form == Form::Sandbox {
        return all().prop_map(Source::Path).boxed();
    }
    let one = 0..SANDBOXES.len();
    let several = prop::collection::vec(one.clone(), 3);
    prop_oneof![
        one.prop_map(Source::Fixed),
        (all(), any::<Option<prop::sample::Index>>()).prop_map(|(allow, default)| {
            let default = default.map(|index| *index.get(&allow));
            Source::Header(allow, default)
        }),
        (subsequence(HOSTS.to_vec(), 1..=3), several.clone())
            .prop_map(|(hosts, all)| Source::Host(hosts.into_iter().zip(all).collect())),
        (subsequence(vec![1, 2, 3], 1..=3), several)
            .prop_map(|(callers, all)| Source::Caller(callers.into_iter().zip(all).collect())),
    ]
    .boxed()
}

fn permits() -> impl Strategy<Value = Permit> {
    let sandboxes = subsequence((0..SANDBOXES.len()).collect::<Vec<_>>(), 1..=5);
    prop_oneof![
        Just(Permit::Default),
        kinds().prop_map(Permit::Everywhere),
        (sandboxes, prop::collection::vec(kinds(), 5)).prop_map(|(sandboxes, kinds)| {
            Permit::BySandbox(sandboxes.into_iter().zip(kinds).collect())
        }),
    ]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let sandboxes = subsequence((0..SANDBOXES.len()).collect::<Vec<_>>(), 1..=5);
    (prop::option::of(kinds()), prop::option::of(sandboxes))
        .prop_map(|(permit, sandboxes)| Bounds { permit, sandboxes })
}

fn kinds() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(KINDS.to_vec(), 1..=4)
}

impl World {
    /// Returns the configuration, with `url` for Adobe.
    pub(super) fn written(&self, url: &str) -> String {
        let anonymous = if self.anonymous { "allow" } else { "refuse" };
        let mut text = format!(
            "ims: {{ url: '{url}' }}\nupstream: {{ url: '{url}' }}\n\
             listeners: [{{ address: '127.0.0.1:0', anonymous: {anonymous} }}]\ncredentials:\n"
        );
        for Credential {
            name,
            organization,
            client_id,
            ..
        } in &CREDENTIALS
        {
            let line = format!(
                "  {name}: {{ organization: {organization}, client_id: {client_id}, client_secrets: [s] }}\n"
            );
            text.push_str(&line);
        }
        text.push_str("sandboxes:\n");
        for Sandbox {
            key,
            at_adobe,
            credential,
            production,
        } in &SANDBOXES
        {
            let credential = credential.map(|it| format!(", credential: {}", CREDENTIALS[it].name));
            let credential = credential.unwrap_or_default();
            writeln!(
                text,
                "  {key}: {{ name: {at_adobe}, production: {production}{credential} }}"
            )
            .unwrap();
        }
        let row = |it: &usize| {
            let Row {
                method,
                path,
                name,
                kind,
            } = &ROWS[*it];
            format!("  - {{ method: {method}, path: '{path}', name: {name}, kind: {kind} }}\n")
        };
        if !self.rows.is_empty() {
            text.push_str("operations:\n");
            text.extend(self.rows.iter().map(row));
        }
        text.push_str("callers:\n");
        for (index, bounds) in self.callers.iter().enumerate() {
            let digest = KeyDigest::of(key(index + 1).as_bytes());
            let more = bounds.written();
            writeln!(
                text,
                "  c{}: {{ api_key: {{ sha256: {digest} }}{more} }}",
                index + 1
            )
            .unwrap();
        }
        text.push_str("routes:\n");
        for (index, area) in self.areas.iter().enumerate() {
            if let Some((narrow, route)) = &area.narrow {
                let name = format!("a{index}-narrow");
                text.push_str(&route.written(&name, index, area.form, &narrow.written()));
            }
            text.push_str(
                &area
                    .wide
                    .written(&format!("a{index}"), index, area.form, ""),
            );
        }
        text
    }
}

impl Bounds {
    fn written(&self) -> String {
        let permit = self.permit.as_ref();
        let permit = permit.map(|kinds| format!(", permit: {}", list(kinds)));
        let sandboxes = self.sandboxes.as_ref();
        let sandboxes = sandboxes.map(|all| format!(", sandboxes: {}", list(&keys(all))));
        format!(
            "{}{}",
            permit.unwrap_or_default(),
            sandboxes.unwrap_or_default()
        )
    }
}

impl Narrow {
    fn written(&self) -> String {
        match self {
            Self::Field => ", headers: [{ name: x-team, exact: crm }]".to_owned(),
            Self::Host(host) => format!(", host: {host}"),
            Self::Kinds(kinds) => format!(", kinds: {}", list(kinds)),
            Self::Operations(names) => {
                let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
                format!(", operations: [{}]", names.join(", "))
            }
        }
    }
}

impl Route {
    fn written(&self, name: &str, area: usize, form: Form, narrow: &str) -> String {
        let (matching, rewrite) = match form {
            Form::Sandbox => (
                format!("path: '/a{area}/{{sandbox}}/data/core/{{*rest}}'"),
                format!("strip_prefix: /a{area}"),
            ),
            Form::Strip => (
                format!("prefix: /a{area}"),
                format!("strip_prefix: /a{area}"),
            ),
            Form::Replace => (
                format!("prefix: /a{area}"),
                format!("replace_prefix: {{ from: /a{area}, to: /data/core }}"),
            ),
        };
        let mut text = format!(
            "- name: {name}\n  match: {{ {matching}{narrow} }}\n  rewrite: {{ {rewrite} }}\n  sandbox: {}\n",
            self.source.written(self.ignores_mismatch)
        );
        let all = self.source.sandboxes();
        if all.iter().any(|it| SANDBOXES[*it].credential.is_none()) {
            writeln!(text, "  credential: {}", CREDENTIALS[self.credential].name).unwrap();
        }
        match &self.permit {
            Permit::BySandbox(by) => {
                let of = |(it, kinds): &(usize, Vec<_>)| {
                    format!("{}: {}", SANDBOXES[*it].key, list(kinds))
                };
                let by: Vec<_> = by.iter().map(of).collect();
                writeln!(text, "  permit: {{ {} }}", by.join(", ")).unwrap();
            }
            Permit::Default => {}
            Permit::Everywhere(kinds) => writeln!(text, "  permit: {}", list(kinds)).unwrap(),
        }
        if let Some(callers) = &self.callers {
            let of = |(caller, bounds): &(usize, Bounds)| {
                format!("{{ name: {}{} }}", called(*caller), bounds.written())
            };
            let all: Vec<_> = callers.iter().map(of).collect();
            writeln!(text, "  callers: [{}]", all.join(", ")).unwrap();
        }
        if self.encoded_slashes {
            text.push_str("  encoded_slashes: pass\n");
        }
        if self.dry_run {
            text.push_str("  dry_run: true\n");
        }
        text
    }
}

impl Source {
    fn written(&self, ignores_mismatch: bool) -> String {
        let by = |by: Vec<String>| format!("{{ {} }}", by.join(", "));
        let how = match self {
            Self::Caller(all) => {
                let of = |(caller, it): &(usize, usize)| {
                    format!("{}: {}", called(*caller), SANDBOXES[*it].key)
                };
                format!(
                    "from: caller, by_caller: {}",
                    by(all.iter().map(of).collect())
                )
            }
            Self::Fixed(it) => format!("allow: [{}]", SANDBOXES[*it].key),
            Self::Header(allow, default) => {
                let default = default.map(|it| format!(", default: {}", SANDBOXES[it].key));
                let default = default.unwrap_or_default();
                format!("from: header, allow: {}{default}", list(&keys(allow)))
            }
            Self::Host(all) => {
                let of = |(host, it): &(&str, usize)| format!("{host}: {}", SANDBOXES[*it].key);
                format!("from: host, by_host: {}", by(all.iter().map(of).collect()))
            }
            Self::Path(allow) => format!("from: path, allow: {}", list(&keys(allow))),
        };
        let on_mismatch = if ignores_mismatch { "ignore" } else { "refuse" };
        format!("{{ {how}, on_mismatch: {on_mismatch} }}")
    }
}

fn called(caller: usize) -> String {
    if caller == 0 {
        "anonymous".to_owned()
    } else {
        format!("c{caller}")
    }
}

fn keys(all: &[usize]) -> Vec<&'static str> {
    all.iter().map(|it| SANDBOXES[*it].key).collect()
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.join(", "))
}
