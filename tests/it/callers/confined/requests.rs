//! Requests of every kind, plain and odd.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::Target;
use super::world::{CALLERS, Form, HOSTS, SANDBOXES, World, key};

/// What is asked, before it is known how paths are written.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: &'static str,
    area: usize,
    /// The segment that may name a sandbox.
    word: &'static str,
    tail: &'static str,
    query: &'static str,
    oddity: Oddity,
    hosts: Vec<&'static str>,
    fields: Vec<(&'static str, String)>,
}

/// How a path is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    Absolute(&'static str),
    /// Before the first segment of what Adobe knows.
    Below(&'static str),
    Inserted(&'static str),
    /// This in the place of the last slash.
    Slash(&'static str),
    /// Through another area.
    Through(&'static str),
    Trailing(&'static str),
    Upper,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: &'static str,
    /// Without its query.
    pub(super) path: String,
    query: &'static str,
    /// Scheme and host before the path, if they stand there.
    before: Option<&'static str>,
    hosts: Vec<&'static str>,
    fields: Vec<(&'static str, String)>,
    is_plain: bool,
    /// What the path is at Adobe when it is spelled plainly.
    at_adobe: String,
}

pub(super) fn requests() -> impl Strategy<Value = Asked> {
    let path = (
        0_usize..4,
        select(words()),
        select(TAILS.to_vec()),
        oddities(),
    );
    let query = select(vec![
        "",
        "?x-sandbox-name=eu-prod&a=1",
        "?api_key=mine&API%5fKEY=x",
        "?a=/../a1",
    ]);
    let fields = (keys(), names(), prop::collection::vec(others(), 0..4));
    let fields = fields.prop_map(|(keys, names, others)| [keys, names, others].concat());
    (methods(), path, query, hosts(), fields.prop_shuffle()).prop_map(
        |(method, (area, word, tail, oddity), query, hosts, fields)| Asked {
            method,
            area,
            word,
            tail,
            query,
            oddity,
            hosts,
            fields,
        },
    )
}

const TAILS: [&str; 10] = [
    "/ups/access/entities",
    "/ups/access/entities",
    "/ups/audiences",
    "/ups/audiences/7",
    "/ups/audiences/bulk-get",
    "/ups/export/jobs",
    "/ups/system/jobs",
    "/ups/system/jobs/1",
    "/ups/something/new",
    "/ca/attributes",
];
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

fn methods() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => select(METHODS.to_vec()),
        1 => select(vec!["OPTIONS", "TRACE", "PURGE", "get", "delete", "CONNECT"]),
    ]
}

fn words() -> Vec<&'static str> {
    let mut words: Vec<_> = SANDBOXES.iter().map(|sandbox| sandbox.key).collect();
    words.extend(["Prod", "nowhere", "pro%64"]);
    words
}

fn hosts() -> impl Strategy<Value = Vec<&'static str>> {
    let spelled = ["ONE.internal:8080", "two.internal.", "three.internal"];
    prop_oneof![
        12 => select([&HOSTS[..], &spelled].concat()).prop_map(|host| vec![host]),
        1 => select(vec![vec![], vec!["one.internal", "two.internal"], vec!["one.internal, two.internal"]]),
    ]
}

fn oddities() -> impl Strategy<Value = Oddity> {
    let odd = vec![
        Oddity::Absolute("http://one.internal"),
        Oddity::Absolute("http://two.internal:80"),
        Oddity::Below("%2F"),
        Oddity::Below("x%2F"),
        Oddity::Inserted("/."),
        Oddity::Inserted("/x/.."),
        Oddity::Inserted("/%2e%2e"),
        Oddity::Inserted("/"),
        Oddity::Inserted(";v=1"),
        Oddity::Inserted("%00"),
        Oddity::Slash("%2f"),
        Oddity::Slash("%2F"),
        Oddity::Slash("%2F%2F"),
        Oddity::Slash("%2F/"),
        Oddity::Slash("/%2f"),
        Oddity::Slash("%252f"),
        Oddity::Slash("\\"),
        Oddity::Slash("%5c"),
        Oddity::Slash("%2f..%2f"),
        Oddity::Slash("/%73"),
        Oddity::Through("/a0/../"),
        Oddity::Through("/a0/%2e%2e/"),
        Oddity::Through("/a0%2f..%2f"),
        Oddity::Through("//"),
        Oddity::Through("/a0/..;/"),
        Oddity::Trailing("/"),
        Oddity::Trailing("//"),
        Oddity::Trailing("%20"),
        Oddity::Trailing("/."),
        Oddity::Trailing("#a"),
        Oddity::Trailing("%2f"),
        Oddity::Trailing("%2F/"),
        Oddity::Trailing("/%2F"),
        Oddity::Upper,
    ];
    prop_oneof![2 => Just(Oddity::None), 1 => select(odd)]
}

/// Fields that show who calls.
fn keys() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let name = || select(vec!["X-Caller-Key", "x-caller-key"]);
    let good = || (name(), (1..=CALLERS).prop_map(key));
    let wrong = select(vec!["", "k-caller-9", "k-caller-", "K-CALLER-1"]).prop_map(str::to_owned);
    prop_oneof![
        9 => good().prop_map(|one| vec![one]),
        2 => Just(Vec::new()),
        1 => (name(), wrong).prop_map(|one| vec![one]),
        1 => prop::collection::vec(good(), 2),
        1 => good().prop_map(|(_, key)| vec![("x_caller_key", key)]),
        1 => good().prop_map(|(_, key)| vec![("Authorization", format!("Bearer {key}"))]),
    ]
}

/// Fields that name a sandbox.
fn names() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let spelled = || {
        select(vec![
            "x-sandbox-name",
            "X-SANDBOX-NAME",
            "x-sandbox-name",
            "x_sandbox_name",
        ])
    };
    let keys: Vec<_> = SANDBOXES.iter().map(|sandbox| sandbox.key).collect();
    let key = || (spelled(), select(keys.clone()));
    let odd = select(vec![
        "",
        "PROD",
        "nowhere",
        "prod,dev-2",
        "prod dev-2",
        " dev-2 ",
        "\tprod",
    ]);
    let all = prop_oneof![
        6 => Just(Vec::new()),
        8 => key().prop_map(|one| vec![one]),
        1 => key().prop_map(|(_, name)| vec![("x-sandbox-name", name); 2]),
        1 => prop::collection::vec(key(), 2..4),
        2 => (spelled(), odd).prop_map(|one| vec![one]),
    ];
    all.prop_map(|all| {
        let all = all.into_iter();
        all.map(|(name, value)| (name, value.to_owned())).collect()
    })
}

/// Fields that carry authority, or might.
fn others() -> impl Strategy<Value = (&'static str, String)> {
    let all = select(vec![
        ("x-team", "crm"),
        ("x-team", "crm"),
        ("x-team", "other"),
        ("Authorization", "Bearer mine"),
        ("X-Api-Key", "eu-client"),
        ("x_api_key", "eu-client"),
        ("x-gw-ims-org-id", "5B4A39281706F5E4D3C2B1A0@AdobeOrg"),
        ("x_gw_ims_org_id", "5B4A39281706F5E4D3C2B1A0@AdobeOrg"),
        ("x-sandbox-id", "1"),
        ("X-GW-IMS-Authorization", "Bearer mine"),
        ("x-user-token", "mine"),
        ("x_user_token", "mine"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/a1/data/core/ups/system/jobs"),
        ("x-forwarded-host", "two.internal"),
        ("x-request-id", "a-request"),
        ("Connection", "close, x-sandbox-name"),
        ("Connection", "keep-alive, x-team"),
        ("Connection", "x-caller-key"),
    ]);
    all.prop_map(|(name, value)| (name, value.to_owned()))
}

impl Asked {
    /// Returns it as it is sent to this gateway.
    pub(super) fn sent(&self, world: &World) -> Sent {
        let form = world
            .areas
            .get(self.area)
            .map_or(Form::Strip, |area| area.form);
        let plain = match form {
            Form::Sandbox => format!("/a{}/{}/data/core{}", self.area, self.word, self.tail),
            Form::Strip => format!("/a{}/data/core{}", self.area, self.tail),
            Form::Replace => format!("/a{}{}", self.area, self.tail),
        };
        let (head, last) = plain.rsplit_once('/').unwrap();
        let path = match self.oddity {
            Oddity::None | Oddity::Absolute(_) => plain.clone(),
            Oddity::Below(text) => plain.replace("/ups/", &format!("/ups/{text}")),
            Oddity::Inserted(text) => format!("{head}{text}/{last}"),
            Oddity::Slash(text) => format!("{head}{text}{last}"),
            Oddity::Through(text) => format!("{text}{}", plain.trim_start_matches('/')),
            Oddity::Trailing(text) => format!("{plain}{text}"),
            Oddity::Upper => plain.replace("ups", "UPS").replace("jobs", "Jobs"),
        };
        let has_connection = self.fields.iter().any(|(name, _)| *name == "Connection");
        let is_plain = self.oddity == Oddity::None
            && !path.contains('%')
            && METHODS.contains(&self.method)
            && matches!(self.hosts.as_slice(), [host] if !host.contains(','))
            && !has_connection;
        Sent {
            method: self.method,
            path,
            query: self.query,
            before: match self.oddity {
                Oddity::Absolute(before) => Some(before),
                Oddity::None
                | Oddity::Below(_)
                | Oddity::Inserted(_)
                | Oddity::Slash(_)
                | Oddity::Through(_)
                | Oddity::Trailing(_)
                | Oddity::Upper => None,
            },
            hosts: self.hosts.clone(),
            fields: self.fields.clone(),
            is_plain,
            at_adobe: format!("/data/core{}", self.tail),
        }
    }
}

impl Sent {
    /// Tells whether nothing about how it is written could be a reason to refuse it.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Returns what it is at Adobe when it is spelled plainly.
    pub(super) fn target(&self, world: &World) -> Target {
        world.target(self.method, &self.at_adobe)
    }

    /// Returns the values of a field, in order and without blanks around them.
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        let of = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        of.map(|(_, value)| value.trim()).collect()
    }

    /// Returns the host that is addressed, as configuration would write it.
    pub(super) fn host_name(&self) -> String {
        let host = match (self.before, self.hosts.as_slice()) {
            (Some(before), _) => before.trim_start_matches("http://"),
            (None, [host]) => host,
            (None, _) => "",
        };
        let name = host.split(':').next().unwrap();
        name.trim_end_matches('.').to_ascii_lowercase()
    }

    /// Returns its bytes.
    pub(super) fn text(&self) -> String {
        let before = self.before.unwrap_or_default();
        let mut text = format!(
            "{} {before}{}{} HTTP/1.1\r\n",
            self.method, self.path, self.query
        );
        for host in &self.hosts {
            write!(text, "Host: {host}\r\n").unwrap();
        }
        for (name, value) in &self.fields {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if ["POST", "PUT", "PATCH"].contains(&self.method) {
            text.push_str("Content-Length: 0\r\n");
        }
        text.push_str("\r\n");
        text
    }
}
