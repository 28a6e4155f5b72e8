//! What the documents say is so: their examples load, and what they list is what there is.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use profile_gateway::config::{self, Supplied};
use profile_gateway::error::Reason;
use rcgen::{CertifiedKey, KeyPair};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// Everything the examples take from outside.
fn supplied() -> Supplied {
    let folder = "/var/run/secrets/ims";
    let tls = certificate();
    Supplied::default()
        .with_variable("IMS_CLIENT_ID", "0a1b2c3d4e5f")
        .with_variable("IMS_CLIENT_SECRET", "p8e-secret")
        .with_variable("US_CLIENT_ID", "us")
        .with_variable("US_SECRET", "p8e-us")
        .with_variable("EU_CLIENT_ID", "eu")
        .with_variable("EU_SECRET", "p8e-eu")
        .with_file(format!("{folder}/client_id"), "0a1b2c3d4e5f\n")
        .with_file(format!("{folder}/client_secret"), "p8e-secret\n")
        .with_file(
            format!("{folder}/organization"),
            "0A1B2C3D4E5F60718293A4B5@AdobeOrg\n",
        )
        .with_file(
            format!("{folder}/private.key"),
            include_str!("keys/rsa-pkcs8.pem"),
        )
        .with_file(format!("{TLS}/tls.crt"), tls.cert.pem())
        .with_file(format!("{TLS}/tls.key"), tls.signing_key.serialize_pem())
        .with_file(format!("{TLS}/callers-ca.crt"), tls.cert.pem())
}

/// Where the examples have certificates.
const TLS: &str = "/var/run/secrets/tls";

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

#[test]
fn every_configuration_in_the_readme_loads() {
    let readme = read("README.md");
    let examples = blocks(&readme, "yaml");

    assert_eq!(examples.len(), 5);
    for example in examples {
        // What an example leaves out is in those before it.
        let missing = ["credentials:", "sandboxes:"];
        let missing = missing.into_iter().filter(|key| !example.contains(key));
        let before: String = missing
            .map(|key| {
                if key == "credentials:" {
                    CREDENTIALS
                } else {
                    SANDBOXES
                }
            })
            .collect();
        config::parse("README.md", &format!("{before}{example}"), &supplied())
            .unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn what_the_readme_shows_of_explain_is_what_it_prints() {
    let readme = read("README.md");
    let example = blocks(&readme, "yaml")
        .into_iter()
        .find(|example| example.contains("\ncallers:"))
        .unwrap();
    let (command, shown) = readme
        .split_once("$ profile-gateway ")
        .and_then(|(_, rest)| rest.split_once('\n'))
        .unwrap();
    let shown = shown.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(
        folder.path().join("gateway.yaml"),
        example.replace(TLS, here),
    )
    .unwrap();
    let tls = certificate();
    let (chain, key) = (tls.cert.pem(), tls.signing_key.serialize_pem());
    for (name, content) in [
        ("tls.crt", &chain),
        ("tls.key", &key),
        ("callers-ca.crt", &chain),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }

    let output = Command::new(env!("CARGO_BIN_EXE_profile-gateway"))
        .current_dir(folder.path())
        .args(command.split(' '))
        .args(["--config", "gateway.yaml"])
        .envs(["US_CLIENT_ID", "US_SECRET", "EU_CLIENT_ID", "EU_SECRET"].map(|name| (name, "x")))
        .output()
        .unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), shown);
}

const CREDENTIALS: &str = "credentials:
  loyalty:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: client
    client_secrets: [secret]
";

const SANDBOXES: &str = "sandboxes: { prod: {} }\n";

#[test]
fn the_faults_in_the_readme_are_what_check_prints() {
    let broken = "\
credentials:
  loyalty:
    organisation: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: ${env:IMS_CLIENT_ID}
    client_secrets: [\"${env:IMS_CLIENT_SECRET}\"]
    quota: 120
sandboxes:
  prod: {}
";
    let faults = config::parse("gateway.yaml", broken, &supplied())
        .unwrap_err()
        .to_string();

    let shown = read("README.md");
    assert!(shown.contains(faults.trim_end()), "{faults}");
}

#[test]
fn the_readme_lists_every_reason_with_its_status_and_side() {
    let readme = read("README.md");
    for reason in Reason::ALL {
        let meaning = reason.meaning();
        let code = format!("`{}`", meaning.code);
        let row = readme
            .lines()
            .find(|line| line.starts_with("| `") && line.split('|').nth(1).unwrap().contains(&code))
            .unwrap_or_else(|| panic!("no row for {code}"));
        assert!(
            row.contains(&format!("| {} |", meaning.status.as_u16())),
            "{row}"
        );
        assert!(
            row.contains(&format!("| {} |", meaning.side.as_str())),
            "{row}"
        );
    }
}

#[test]
fn the_readme_lists_what_the_audit_counts_as_refused() {
    let readme = read("README.md");
    let row = readme
        .lines()
        .find(|line| line.starts_with("| what counts as refused | "))
        .unwrap();
    for reason in Reason::ALL {
        // That one counts where its caller is known.
        let counts = reason.is_decision() || *reason == Reason::MalformedRequest;
        let code = format!("`{}`", reason.meaning().code);
        assert_eq!(row.contains(&code), counts, "{code}");
    }
}

#[test]
fn the_readmes_figures_say_when_where_and_by_which_command_they_were_made() {
    let readme = read("README.md");
    let table = readme
        .split("<!-- compare: begin -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- compare: end -->").next())
        .unwrap();

    assert!(
        table.contains("| CPU of one request | profile-gateway | nginx | HAProxy | Envoy |"),
        "{table}"
    );
    for part in [
        "Measured 20",
        "`benches/compare/compare.py --rounds ",
        " cores, Linux ",
        "profile-gateway ",
        "Medians of ",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    assert!(read("docs/compare.svg").starts_with("<svg "));
    assert!(root().join("benches/compare/compare.py").exists());
}

#[test]
fn configurations_for_kubernetes_load() {
    let mut found = Vec::new();
    visit(&root().join("deploy"), &mut |path| {
        if path.file_name().unwrap() == "gateway.yaml" {
            found.push(path.to_owned());
        }
    });

    assert_eq!(found.len(), 3);
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let settings = config::parse(path.to_str().unwrap(), &text, &supplied())
            .unwrap_or_else(|faults| panic!("{faults}"));
        // Pods are given 10 s more than that to end.
        let longest = settings.drain.delay + settings.drain.timeout;
        assert!(longest.as_secs() <= 35, "{}", path.display());
    }
}

#[test]
fn tests_that_the_architecture_names_exist() {
    let page = read("ARCHITECTURE.md");
    let mut code = String::new();
    for folder in ["src", "tests"] {
        visit(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        });
    }
    let table = |heading| page.split(heading).nth(1).unwrap();
    let rows: Vec<_> = ["## What always holds", "## What may fail"]
        .into_iter()
        .flat_map(|heading| {
            let section = table(heading).split("\n## ").next().unwrap();
            let rows = section.lines().filter(|line| line.starts_with("| "));
            rows.skip(1)
        })
        .collect();

    assert!(rows.len() >= 25, "{rows:?}");
    for row in rows {
        let tests: Vec<_> = row
            .rsplit('|')
            .nth(1)
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(
                code.contains(&format!("fn {test}(")),
                "{test} does not exist: {row}"
            );
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/simulator.md",
        "deploy/README.md",
    ] {
        let folder = root().join(page).parent().unwrap().to_owned();
        for link in read(page).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{page} links to {target}");
            }
        }
    }
}

fn visit(folder: &Path, each: &mut impl FnMut(&PathBuf)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else {
            each(&path);
        }
    }
}
