//! How a configuration is read: the examples, what operators see when it is wrong, and where values come from.

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../keys/", $name))
    };
}

mod audit;
mod callers;
mod egress;
mod examples;
mod faults;
mod grants;
mod issuers;
mod listeners;
#[path = "../it/support/open.rs"]
mod open;
mod places;
mod shared;
mod sources;

use profile_gateway::config::{self, Supplied};

const HIDDEN: &str = "s3ntinel value";

fn sources() -> Supplied {
    Supplied::default()
        .with_variable("ID", "client")
        .with_variable("SECRET", "p8e-secret")
        .with_variable("EMPTY", "")
        .with_variable("HIDDEN", HIDDEN)
        .with_variable("HIDDEN_PATH", "/s3ntinel/{*rest}")
        .with_variable("HIDDEN_URL", "http://s3ntinel.example.com")
        .with_variable("HIDDEN_WORD", "s3ntinel")
        .with_variable("IMS_CLIENT_ID", "client")
        .with_variable("IMS_CLIENT_SECRET", "p8e-secret")
        .with_file("/hidden", HIDDEN)
        .with_file("/no-certificate.pem", "hello\n")
        .with_file("/etc/profile-gateway/redis-ca.pem", certificate())
        .with_file("/var/run/secrets/audit/key", AUDIT_KEY)
        .with_file("/keys.json", issuers::KEYS)
        .with_file("/no-keys.json", r#"{"keys":[]}"#)
        .with_file(
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
            certificate(),
        )
        .with_file(
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "bearer\n",
        )
        .with_file("/var/run/secrets/redis/password", "password\n")
        .with_file("/var/run/secrets/shared/k1", ONE_KEY)
        .with_file("/var/run/secrets/shared/k2", OTHER_KEY)
        .with_file("/keys/rsa-half.pem", PKCS8.split_at(700).0)
        .with_file("/keys/rsa-pkcs1.pem", PKCS1)
        .with_file("/keys/rsa-pkcs8.pem", PKCS8)
        .with_file("/keys/rsa-public.pem", key!("rsa-public.pem"))
        .with_file("/keys/rsa-1024.pem", key!("rsa-1024.pem"))
        .with_file("/keys/rsa-encrypted.pem", key!("rsa-encrypted.pem"))
        .with_file("/keys/ec.pem", key!("ec.pem"))
}

fn certificate() -> String {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a name is all it needs");
    made.cert.pem()
}

const PKCS1: &str = key!("rsa-pkcs1.pem");
const PKCS8: &str = key!("rsa-pkcs8.pem");

fn faults(text: &str) -> String {
    config::parse("gateway.yaml", text, &sources())
        .expect_err("the text is wrong")
        .to_string()
}

/// The lines that begin a fault.
fn messages(text: &str) -> Vec<String> {
    beginnings(&faults(text))
}

fn beginnings(shown: &str) -> Vec<String> {
    let lines = shown
        .lines()
        .filter_map(|line| line.strip_prefix("error: "));
    lines.map(str::to_owned).collect()
}

/// Those, or of a legal text what it says in vain.
fn told(text: &str, sources: &Supplied) -> Vec<String> {
    match config::parse("gateway.yaml", text, sources) {
        Ok(settings) => {
            let warnings = settings.warnings.iter();
            let shown = |it: &config::Warning| format!("warning: {}: {}", it.key, it.message);
            warnings.map(shown).collect()
        }
        Err(faults) => beginnings(&faults.to_string()),
    }
}

/// A legal file with `more` after it.
fn with(more: &str) -> String {
    format!("{BASE}{more}")
}

const BASE: &str = "\
credentials:
  loyalty:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: ${env:ID}
    client_secrets: ['${env:SECRET}']
sandboxes:
  prod: {}
";

/// The least that a store needs, for [`with`].
const SHARED: &str = "\
shared:
  redis:
    servers: ['redis.internal:6379']
    encryption_keys: [{ id: k1, key: '${file:/var/run/secrets/shared/k1}' }]
";

const AUDIT_KEY: &str = "0123456789abcdef\n";
const ONE_KEY: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=\n";
const OTHER_KEY: &str = "3232323232323232323232323232323232323232323232323232323232323232\n";

#[test]
fn the_base_of_these_tests_is_legal() {
    assert!(config::parse("gateway.yaml", BASE, &sources()).is_ok());
    assert!(config::parse("gateway.yaml", &with(SHARED), &sources()).is_ok());
}
