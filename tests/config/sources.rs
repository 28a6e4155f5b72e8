//! Where values come from: folders, certificates, the environment; and that none of it is shown or hangs the reader.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use profile_gateway::config::{self, Process};
use profile_gateway::route::table::Table;
use proptest::prelude::*;

use super::open::{self, mode};
use super::{BASE, certificate, sources, with};

#[test]
fn certificates_are_read_from_a_bundle() {
    let bundle = [certificate(), "a comment\n".to_owned(), certificate()].concat();
    let sources = sources().with_file("/bundle.pem", bundle).with_file(
        "/broken.pem",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );

    let text = with("upstream: { ca_file: /bundle.pem }");
    let settings = config::parse("gateway.yaml", &text, &sources).unwrap();
    assert_eq!(settings.upstream.extra_roots.len(), 2);
    assert!(settings.ims.connect.extra_roots.is_empty());

    let text = with("upstream: { ca_file: /broken.pem }");
    let error = config::parse("gateway.yaml", &text, &sources).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("error: upstream.ca_file: the file is not PEM\n"),
        "{error}"
    );
}

#[test]
fn a_folder_is_merged_by_section() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "10-base.yaml",
        &BASE
            .replace("${env:ID}", "client")
            .replace("'${env:SECRET}'", "secret"),
    );
    write(
        "20-routes.yml",
        "routes: [{ name: a, match: { path: /a }, sandbox: prod }]\nims: { timeout: 1s }",
    );
    write(
        "30-more.yaml",
        "routes: [{ name: b, match: { path: /b }, sandbox: dev-2 }]\nsandboxes: { dev-2: {} }\nims: { token_path: /t }",
    );
    write("..data.yaml", "nonsense: true");
    write("notes.txt", "nonsense: true");

    let settings = config::load(folder.path(), &Process).unwrap();

    let names: Vec<&str> = settings
        .route
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (
            settings.ims.timeout.as_secs(),
            settings.ims.paths.token.as_str()
        ),
        (1, "/t")
    );

    write(
        "40-again.yaml",
        "drain: 1s\nims: { timeout: 2s }\nsandboxes: { prod: {} }",
    );
    write("50-again.yaml", "drain: 1s");
    let error = config::load(folder.path(), &Process).unwrap_err();

    let at = format!("{}/", folder.path().display());
    let shown = error.to_string().replace(&at, "");
    let expected = "\
error: ims.timeout: the key stands in two files
 --> 40-again.yaml:2:8
  |
2 | ims: { timeout: 2s }
  |        ^^^^^^^
  = the first time is here
 --> 20-routes.yml:2:8
  |
2 | ims: { timeout: 1s }
  |        ^^^^^^^
";
    assert!(shown.contains(expected), "{shown}");
    assert_eq!(error.count(), 3, "{shown}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.yaml");

    let missing = config::load(&path, &Process).unwrap_err().to_string();
    let empty = config::load(folder.path(), &Process)
        .unwrap_err()
        .to_string();

    assert_eq!(
        missing,
        format!("error: the file does not exist\n --> {}\n", path.display())
    );
    assert!(
        empty.starts_with("error: the folder holds no file that ends in .yaml or .yml\n"),
        "{empty}"
    );
    assert_eq!(empty.matches("error").count(), 1, "{empty}");
}

/// Every value of the full example in turn becomes a reference to text that is legal nowhere, or only somewhere.
#[test]
fn no_value_from_elsewhere_is_shown() {
    let full = include_str!("../../config/full.yaml")
        .replace("# ca_file", "ca_file")
        .replace("# quota", "quota");
    let sources = sources().with_file("/etc/profile-gateway/ca.pem", certificate());
    assert!(config::parse("full.yaml", &full, &sources).is_ok());
    let mut refused = 0;
    for (number, line) in full.lines().enumerate() {
        for reference in [
            "${env:HIDDEN}",
            "${env:HIDDEN_PATH}",
            "${env:HIDDEN_URL}",
            "${env:HIDDEN_WORD}",
            "x${file:/hidden}",
        ] {
            let Some(end) = line
                .find(": ")
                .map(|at| at + 2)
                .or(line.find("- ").map(|at| at + 2))
            else {
                continue;
            };
            let (before, _) = line.split_at(end);
            let lines = full.lines().enumerate();
            let changed: Vec<String> = lines
                .map(|(index, other)| {
                    if index == number {
                        format!("{before}{reference}")
                    } else {
                        other.to_owned()
                    }
                })
                .collect();

            let result = config::parse("full.yaml", &changed.join("\n"), &sources);

            if let Err(error) = result {
                let shown = format!("{error}{error:?}{}", error.to_json());
                assert!(!shown.contains("s3ntinel"), "{shown}");
                assert!(!shown.contains("cannot be read:"), "{shown}");
                refused += 1;
            }
        }
    }
    assert!(refused > 150, "{refused}");
}

#[test]
fn a_large_file_without_sense_is_told_shortly() {
    let keys: Vec<String> = (0..60_000)
        .map(|number| format!("loyalt{number}: ~\n"))
        .collect();
    let routes = with(&format!(
        "routes:\n{}",
        "  - { name: a, match: { path: /a }, sandbox: b }\n".repeat(15_000)
    ));

    for text in [keys.concat(), routes] {
        let error = config::parse("a.yaml", &text, &sources()).unwrap_err();

        assert!(error.count() > 15_000 && error.to_string().len() < 100_000);
        assert!(error.to_string().trim_end().ends_with("more"));
    }
}

proptest! {
    #[test]
    fn routes_that_load_never_tie(routes in prop::collection::vec(route(), 1..6)) {
        let routes: Vec<String> = routes
            .iter()
            .enumerate()
            .map(|(index, (path, methods))| {
                format!("  - {{ name: r{index}, match: {{ path: '{path}', methods: [{methods}] }} }}\n")
            })
            .collect();
        let routes = routes.concat();
        let loaded = config::parse("a.yaml", &with(&format!("routes:\n{routes}")), &sources());

        match loaded {
            Ok(settings) => prop_assert!(Table::new(&settings.route).is_ok(), "{}", routes),
            Err(error) => prop_assert!(error.to_string().contains("ties with"), "{}", error),
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = config::parse("a.yaml", &text, &sources()).map_err(|error| (error.to_string(), error.to_json()));
    }

    #[test]
    fn no_shape_panics_or_shows_a_value(lines in prop::collection::vec(line(), 0..24)) {
        let text = lines.concat();
        if let Err(error) = config::parse("a.yaml", &text, &sources()) {
            let shown = format!("{error}{error:?}{}", error.to_json());
            prop_assert!(!shown.contains("s3ntinel"), "{}", shown);
            prop_assert!(!shown.contains("p8e-literal"), "{}", shown);
            prop_assert!(!shown.contains("cannot be read:"), "{}", shown);
        }
    }
}

fn route() -> impl Strategy<Value = (String, &'static str)> {
    let segment = prop::sample::select(vec!["a", "b", "{x}", "{y}"]);
    let end = prop::sample::select(vec!["", "/", "/{*rest}", "/{*all}"]);
    let methods = prop::sample::select(vec!["GET", "HEAD", "POST", "GET, POST", "DELETE, HEAD"]);
    (prop::collection::vec(segment, 1..3), end, methods)
        .prop_map(|(segments, end, methods)| (format!("/{}{end}", segments.join("/")), methods))
}

/// A line made of words that mean something here, so that most texts get past the reader.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "admin",
        "address",
        "credentials",
        "loyalty",
        "organization",
        "client_id",
        "client_secrets",
        "quota",
        "scopes",
        "sandboxes",
        "prod",
        "production",
        "routes",
        "- name",
        "match",
        "path",
        "methods",
        "limits",
        "- rate",
        "burst",
        "timeout",
        "listeners",
        "- address",
        "upstream",
        "ims",
        "url",
        "ca_file",
        "drain",
        "workers",
        "permit",
        "sandbox",
    ]);
    let value = prop::sample::select(vec![
        "",
        "{}",
        "[]",
        "~",
        "1",
        "true",
        "30s",
        "10/s",
        "${env:HIDDEN}",
        "${file:/hidden}",
        "[\"${env:HIDDEN}\"]",
        "\"a${env:HIDDEN}\"",
        "${env:NONE}",
        "https://a.example",
        "/data/{*rest}",
        "127.0.0.1:1",
        "&a x",
        "*a",
        "!t x",
        "{ path: /a }",
        "'",
        "[",
        "prod",
        "loyalty",
    ]);
    (0_usize..5, key, value).prop_map(|(depth, key, value)| {
        // Secrets in plain text are hidden wherever their key stands.
        let value = if key == "client_secrets" && value.is_empty() {
            "[p8e-literal]"
        } else {
            value
        };
        format!("{}{key}: {value}\n", "  ".repeat(depth))
    })
}

#[test]
fn files_with_secrets_that_everybody_may_read_are_named_once() {
    let (folder, is_open) = open::folder();
    let at = |name: &str| folder.path().join(name);
    // As Kubernetes mounts a Secret: links through links, whose own mode is 0777.
    fs::create_dir(at("version")).unwrap();
    mode(&at("version"), 0o755);
    symlink("version", at("..data")).unwrap();
    for (name, content) in [
        ("open", "secret-one"),
        ("closed", "secret-two"),
        ("client", "client"),
        ("key", key!("rsa-pkcs8.pem")),
    ] {
        fs::write(at("version").join(name), content).unwrap();
        symlink(format!("..data/{name}"), at(name)).unwrap();
        mode(&at(name), 0o644);
    }
    mode(&at("closed"), 0o440);
    let text = "
credentials:
  one: { organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg, client_id: '${file:$/client}', client_secrets: ['${file:$/open}', '${file:$/closed}'] }
  two: { organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg, client_id: other, client_secrets: ['${file:$/open}'],
    grant: { jwt_exchange: { technical_account: 1122334455667788990011AA@techacct.adobe.com, private_key: '${file:$/key}', metascopes: [ent_dataservices_sdk] } } }
sandboxes: { dev-2: {} }
routes: [{ name: all, match: { path: /a }, credential: one }]
";
    let text = text.replace("$/", &format!("{}/", folder.path().display()));
    fs::write(at("gateway.yaml"), &text).unwrap();
    mode(&at("gateway.yaml"), 0o644);
    let exposed = || {
        let settings = config::load(&at("gateway.yaml"), &Process);
        let settings = settings.unwrap_or_else(|faults| panic!("{faults}"));
        let exposed = settings.exposed.into_iter();
        exposed.map(|it| (it.path, it.mode)).collect::<Vec<_>>()
    };
    let expected = |of: &[(PathBuf, u32)]| if is_open { of.to_vec() } else { Vec::new() };

    // Nobody else comes into the folder.
    mode(folder.path(), 0o700);
    assert_eq!(exposed(), []);
    mode(folder.path(), 0o755);
    let of_files = [(at("key"), 0o644), (at("open"), 0o644)];
    assert_eq!(exposed(), expected(&of_files));
    // A secret in the configuration itself, which is no secret file otherwise.
    let literal = text.replacen("client_secrets: ['", "client_secrets: [plain-text, '", 2);
    let literal = literal.replacen(
        &format!(", '${{file:{}/closed}}'", folder.path().display()),
        "",
        1,
    );
    fs::write(at("gateway.yaml"), literal).unwrap();
    let [key, open] = of_files;
    let all = [(at("gateway.yaml"), 0o644), key, open];
    assert_eq!(exposed(), expected(&all));
    // A default of one is no less: the secret stands where the reference does.
    let default = text.replacen(
        &format!("${{file:{}/open}}", folder.path().display()),
        "${env:THAT_IS_NOT_SET:-plain-text}",
        1,
    );
    fs::write(at("gateway.yaml"), default).unwrap();
    assert_eq!(exposed(), expected(&all));
    for name in ["gateway.yaml", "key", "open"] {
        mode(&at(name), 0o640);
    }
    assert_eq!(exposed(), []);
}

#[test]
fn keys_of_tls_and_logins_of_proxies_are_secrets_too() {
    let (folder, is_open) = open::folder();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, content) in [
        ("crt", made.cert.pem()),
        ("key", made.signing_key.serialize_pem()),
        ("proxy", "http://user:password@proxy".to_owned()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        mode(&path, 0o604);
    }
    let identity = "{ certificate: $/crt, key: $/key }";
    for (text, named) in [
        (format!("listeners: [{{ tls: {identity} }}]"), "key"),
        (format!("ims: {{ client_certificate: {identity} }}"), "key"),
        (
            "upstream: { egress_proxy: '${file:$/proxy}' }".to_owned(),
            "proxy",
        ),
    ] {
        let text = BASE
            .replace("${env:ID}", "client")
            .replace("'${env:SECRET}'", "secret")
            + &text.replace("$/", &format!("{}/", folder.path().display()));

        let settings = config::parse("gateway.yaml", &text, &Process);
        let settings = settings.unwrap_or_else(|faults| panic!("{faults}"));

        let exposed: Vec<_> = settings.exposed.into_iter().map(|it| it.path).collect();
        let named = is_open.then(|| folder.path().join(named));
        assert_eq!(exposed, named.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn a_configuration_holds_what_is_written_of_a_secret_and_not_what_is_around_it() {
    let (folder, is_open) = open::folder();
    let at = |name: &str| folder.path().join(name);
    for (name, bits) in [("word", 0o644), ("secret", 0o600)] {
        fs::write(at(name), "word").unwrap();
        mode(&at(name), bits);
    }
    let reference = |name: &str| format!("${{file:{}}}", at(name).display());
    for (proxy, named) in [
        ("http://user:WORD@proxy", &["word"][..]),
        ("http://WORD:WORD@WORD", &["word"]),
        ("http://user:password@WORD", &["gateway.yaml", "word"]),
        ("http://user:passWORD@proxy", &["gateway.yaml", "word"]),
        ("http://user:${env:UNSET:-pass}@proxy", &["gateway.yaml"]),
        ("http://user@${env:UNSET:-proxy}", &["gateway.yaml"]),
        // Nothing of it is secret.
        ("http://WORD:3128", &[]),
    ] {
        let proxy = proxy.replace("WORD", &reference("word"));
        let base = BASE
            .replace("${env:ID}", "client")
            .replace("${env:SECRET}", &reference("secret"));
        let text = format!("{base}upstream: {{ egress_proxy: '{proxy}' }}\n");
        fs::write(at("gateway.yaml"), text).unwrap();
        mode(&at("gateway.yaml"), 0o644);

        let settings = config::load(&at("gateway.yaml"), &Process);
        let settings = settings.unwrap_or_else(|faults| panic!("{faults}"));

        let exposed: Vec<_> = settings.exposed.into_iter().map(|it| it.path).collect();
        let named = named.iter().filter(|_| is_open).map(|name| at(name));
        assert_eq!(exposed, named.collect::<Vec<_>>(), "{proxy}");
    }
}

#[test]
fn two_quotas_of_one_api_key_are_a_fault_unless_they_are_the_same() {
    let with = |client: &str, quota: &str| {
        let one = |name: &str, client: &str, quota: &str| {
            format!(
                "  {name}: {{ organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg, client_id: {client}, client_secrets: [s], quota: {quota} }}\n"
            )
        };
        format!(
            "credentials:\n{}{}sandboxes: {{ dev-2: {{}} }}\nroutes: [{{ name: a, match: {{ path: /a }}, credential: one }}]\n",
            one("one", "client", "120/min"),
            one("two", client, quota)
        )
    };
    let quotas = |text: &str| {
        let settings = config::parse("gateway.yaml", text, &sources());
        let quotas = settings.map(|settings| settings.limit.quotas.len());
        quotas.map_err(|faults| faults.to_string())
    };

    assert_eq!(quotas(&with("client", "120/min")), Ok(1));
    assert_eq!(quotas(&with("other", "60/min")), Ok(2));
    let faults = quotas(&with("client", "60/min")).unwrap_err();
    assert!(
        faults.starts_with("error: credentials.two.quota: is another quota for the same API key"),
        "{faults}"
    );
    // What stands in for a client id that is wrong is nobody's key.
    let faults = quotas(&with("[]", "60/min").replace("client_id: client,", "client_id: {},"));
    assert!(!faults.unwrap_err().contains("another quota"));
}
