//! What a configuration says, value by value, so that two can be compared without keeping what either says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

use super::sources::Sources;

/// What a configuration says: a hash of each value, the defaults among them, by its key path.
///
/// A value that names a file, such as `ca_file`, says what is in the file too. Hashes are keyed anew in each process, so
/// that none tells a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outline(BTreeMap<String, Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Branch(Outline),
    Value(u64),
}

impl Outline {
    /// Outlines what was read as `complete`, the values as they are shown, from the checked values `written`, with the
    /// files that were noted meanwhile.
    pub(super) fn new(complete: &Value, written: &Value, noted: &Noting<'_>) -> Self {
        match part(complete, Some(written), &noted.read.borrow()) {
            Part::Branch(outline) => outline,
            Part::Value(_) => Self::default(),
        }
    }

    /// Puts what another configuration says, which this one names, in the place of the key that names it.
    pub(super) fn put(&mut self, key: &str, other: Self) {
        self.0.insert(key.to_owned(), Part::Branch(other));
    }

    /// Returns the key paths of what differs in `other`, such as `routes.lookups.timeout`. Routes go by their name,
    /// operations by method and path, and listeners by their address, so that their order is no difference.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(other, "", &mut found);
        found
    }

    fn compare(&self, other: &Self, path: &str, found: &mut Vec<String>) {
        let gone = self.0.keys().filter(|key| !other.0.contains_key(*key));
        let mut keys: Vec<&String> = other.0.keys().chain(gone).collect();
        keys.sort();
        for key in keys {
            let path = if path.is_empty() || key.starts_with('[') {
                format!("{path}{key}")
            } else {
                format!("{path}.{key}")
            };
            match (self.0.get(key), other.0.get(key)) {
                (Some(Part::Branch(ours)), Some(Part::Branch(theirs))) => {
                    ours.compare(theirs, &path, found);
                }
                (ours, theirs) if ours == theirs => {}
                _ => found.push(path),
            }
        }
    }
}

/// Outlines a value that is complete but for its secrets, which are only in what was `written`.
fn part(complete: &Value, written: Option<&Value>, files: &BTreeMap<PathBuf, u64>) -> Part {
    let below = |key: &str| written.and_then(|written| written.get(key));
    match complete {
        Value::Object(entries) => Part::Branch(Outline(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), part(value, below(key), files)))
                .collect(),
        )),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let mut addresses = BTreeMap::new();
            let entries = items.iter().enumerate().map(|(index, item)| {
                let written = written.and_then(|written| written.get(index));
                let key = key_of(item, index, &mut addresses);
                (key, part(item, written, files))
            });
            Part::Branch(Outline(entries.collect()))
        }
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            let shown = complete.to_string();
            // What is complete has defaults and one spelling for a value; what is written has the secrets.
            let secret = shown
                .contains(HIDDEN)
                .then(|| written.map(Value::to_string));
            let file = complete
                .as_str()
                .and_then(|path| files.get(Path::new(path)));
            Part::Value(KEY.hash_one((shown, secret, file)))
        }
    }
}

/// Returns the key of an item of a list: its method and path, its name, its address, or else its place. `addresses` counts those so far: at
/// port 0 there may be several listeners.
fn key_of<'a>(item: &'a Value, index: usize, addresses: &mut BTreeMap<&'a str, u32>) -> String {
    let text = |key| item.get(key).and_then(Value::as_str);
    // Operations, of which several may have one name.
    if let (Some(method), Some(path)) = (text("method"), text("path")) {
        return format!("[{method} {path}]");
    }
    match (text("name"), text("address")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(address)) => {
            let count = addresses.entry(address).or_default();
            *count += 1;
            match count {
                1 => format!("[{address}]"),
                count => format!("[{address}, {count}]"),
            }
        }
        (None, None) => format!("[{index}]"),
    }
}

/// What stands in the place of a secret where a file's values are written.
pub(super) const HIDDEN: &str = "(secret)";

/// The same for all outlines of a process, or they could not be compared.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Shows nothing of it: hashes are of no use to a reader.
impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outline(…)")
    }
}

/// Notes what is in the files that are read.
pub(super) struct Noting<'a> {
    sources: &'a dyn Sources,
    read: RefCell<BTreeMap<PathBuf, u64>>,
}

impl<'a> Noting<'a> {
    /// Reads from `sources`.
    pub(super) fn new(sources: &'a dyn Sources) -> Self {
        Self {
            sources,
            read: RefCell::default(),
        }
    }
}

impl Sources for Noting<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.sources.variable(name)
    }

    fn file(&self, path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
        let content = self.sources.file(path, most_bytes)?;
        let hash = KEY.hash_one(&content);
        self.read.borrow_mut().insert(path.to_owned(), hash);
        Ok(content)
    }

    fn folder(&self, path: &Path) -> Option<io::Result<Vec<PathBuf>>> {
        self.sources.folder(path)
    }

    fn mode_if_open_to_all(&self, path: &Path) -> Option<u32> {
        self.sources.mode_if_open_to_all(path)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Supplied, parse};

    use super::*;

    const BASE: &str = "
credentials:
  a: { organization: o@AdobeOrg, client_id: c, client_secrets: ['${env:ONE}', two] }
sandboxes: { dev: {} }
shared: { redis: { servers: ['127.0.0.1:1'], tls: false, password: '${env:ONE}',
  encryption_keys: [{ id: k, key: '${file:/key}' }] } }
upstream: { url: 'http://127.0.0.1:1', ca_file: /ca }
";

    const ROUTES: &str = "
routes:
  - { name: reads, match: { path: /a, methods: [GET] }, limits: [{ rate: 5/s }] }
  - { name: writes, match: { path: /b } }
";

    fn certificate() -> String {
        let names = vec!["localhost".to_owned()];
        rcgen::generate_simple_self_signed(names)
            .unwrap()
            .cert
            .pem()
    }

    fn outline(text: &str, secret: &str, key: &str, ca: &str) -> Outline {
        let sources = Supplied::default()
            .with_variable("ONE", secret)
            .with_file("/key", key.repeat(64))
            .with_file("/ca", ca);
        let settings = parse("gateway.yaml", text, &sources);
        settings.unwrap_or_else(|faults| panic!("{faults}")).outline
    }

    fn differences(before: &str, after: &str) -> Vec<String> {
        let ca = certificate();
        outline(before, "one", "1", &ca).differences(&outline(after, "one", "1", &ca))
    }

    #[test]
    fn what_differs_is_named_by_its_key_and_routes_by_their_name() {
        let before = format!("{BASE}{ROUTES}");
        let change = |from: &str, to: &str| {
            let after = before.replacen(from, to, 1);
            assert_ne!(before, after, "{from}");
            differences(&before, &after)
        };

        assert_eq!(
            change("methods: [GET]", "methods: [PUT]"),
            ["routes.reads.match.methods"]
        );
        assert_eq!(
            change("rate: 5/s", "rate: 6/s"),
            ["routes.reads.limits[0].rate"]
        );
        assert_eq!(
            change("name: writes", "name: jobs"),
            ["routes.jobs", "routes.writes"]
        );
        assert_eq!(
            change("client_id: c", "client_id: d"),
            ["credentials.a.client_id"]
        );
        assert_eq!(change(", two]", "]"), ["credentials.a.client_secrets"]);
        assert_eq!(
            change("dev: {}", "dev: { production: true }"),
            ["sandboxes.dev.production"]
        );
        assert_eq!(
            change("tls: false, ", "tls: false, timeout: 1s, "),
            ["shared.redis.timeout"]
        );
        let rows = "\noperations: [{ name: a.b, method: GET, path: /a, kind: read }, { name: a.b, method: PUT, path: /a, kind: write }]";
        let (one, other) = (
            format!("{before}{rows}"),
            format!(
                "{before}{}",
                rows.replace("GET, path: /a, kind: read", "GET, path: /a, kind: job")
            ),
        );
        assert_eq!(differences(&one, &other), ["operations[GET /a].kind"]);
        let second = "\nlisteners: [{ address: '127.0.0.1:8080' }, { address: '127.0.0.1:8082' }]";
        let after = format!("{before}{second}");
        assert_eq!(differences(&before, &after), ["listeners[127.0.0.1:8082]"]);
    }

    #[test]
    fn defaults_spellings_and_the_order_of_routes_are_no_difference() {
        let before = format!("{BASE}{ROUTES}");
        let after = format!(
            "{BASE}in_flight: 1024\ndrain: {{ delay: 5000ms }}
routes:
  - {{ name: writes, match: {{ path: /b }} }}
  - {{ name: reads, match: {{ path: /a, methods: [GET] }}, limits: [{{ rate: 5/1s }}], timeout: 65s }}
"
        );

        assert_eq!(differences(&before, &after), Vec::<String>::new());
    }

    #[test]
    fn a_login_of_a_proxy_that_changes_is_noticed() {
        let with = |proxy: &str| format!("{BASE}ims: {{ egress_proxy: '{proxy}' }}\n");
        let before = with("http://a:b@proxy");

        assert_eq!(
            differences(&before, &with("http://a:c@proxy")),
            ["ims.egress_proxy"]
        );
        assert_eq!(
            differences(&before, &with("http://proxy")),
            ["ims.egress_proxy"]
        );
        assert_eq!(differences(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn secrets_and_files_that_change_are_noticed_and_not_shown() {
        let (ca, other_ca) = (certificate(), certificate());
        let before = outline(BASE, "one", "1", &ca);
        let of = |secret, key, ca: &str| before.differences(&outline(BASE, secret, key, ca));

        assert_eq!(of("one", "1", &ca), Vec::<String>::new());
        assert_eq!(
            of("other", "1", &ca),
            ["credentials.a.client_secrets", "shared.redis.password"]
        );
        assert_eq!(of("one", "2", &ca), ["shared.redis.encryption_keys[0].key"]);
        assert_eq!(of("one", "1", &other_ca), ["upstream.ca_file"]);
        assert_eq!(format!("{before:?}"), "Outline(…)");
    }
}
