//! Every example in `config/` loads, and says what it claims to say.

use std::fs;
use std::path::{Path, PathBuf};

use profile_gateway::aep::{Kind, Kinds};
use profile_gateway::config::{self, Settings, Supplied};
use profile_gateway::context::RouteId;
use profile_gateway::secret::Secret;
use profile_gateway::shared::Mode;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn sources() -> Supplied {
    Supplied::default()
        .with_variable("ADMIN_LISTEN", "127.0.0.1:0")
        .with_variable("IMS_CLIENT_ID", "client")
        .with_variable("IMS_CLIENT_SECRET", "secret")
        .with_variable("IMS_ORGANIZATION", "0A1B2C3D4E5F60718293A4B5@AdobeOrg")
        .with_variable("LISTEN", "127.0.0.1:0")
        .with_variable("LOYALTY_CLIENT_ID", "loyalty-client")
        .with_variable("SEGMENTATION_CLIENT_ID", "segmentation-client")
        .with_variable("SIMULATOR_URL", "http://127.0.0.1:9090")
        .with_file("/etc/profile-gateway/redis-ca.pem", super::certificate())
        .with_file("/var/run/secrets/ims/client-id", "client\n")
        .with_file("/var/run/secrets/ims/current", "current\n")
        .with_file("/var/run/secrets/ims/next", "next\n")
        .with_file("/var/run/secrets/loyalty/client-secret", "one\n")
        .with_file("/var/run/secrets/redis/password", "three\n")
        .with_file("/var/run/secrets/segmentation/client-secret", "two\n")
        .with_file("/var/run/secrets/shared/k1", super::ONE_KEY)
}

fn example(name: &str) -> Settings {
    config::load(&folder().join(name), &sources()).expect("examples are legal")
}

fn permits(settings: &Settings) -> Vec<(&str, bool, Kinds)> {
    let routes = settings.authorize.routes.iter();
    routes
        .map(|(_, rule)| {
            let mut allowed = rule.allow.iter();
            let allowed = allowed.next().expect("a route leads somewhere");
            let place = settings.authorize.places.get(allowed.place);
            let place = place.expect("the place is of the same settings");
            (place.name.as_str(), place.production, allowed.permit)
        })
        .collect()
}

#[test]
fn every_example_loads() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.as_str() != "schema.json")
        .collect();
    names.sort();

    for name in &names {
        example(name);
    }

    let expected = [
        "demo.yaml",
        "fleet.yaml",
        "full.yaml",
        "minimal.yaml",
        "shared.yaml",
        "sidecar.yaml",
        "simulator.yaml",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_full_example_writes_the_defaults_out() {
    // Settings hold nothing that prints alike but differs, except secrets, which both examples take from one place.
    let full = format!("{:#?}", example("full.yaml"));
    let minimal = format!("{:#?}", example("minimal.yaml"));

    assert_eq!(full, minimal);
}

#[test]
fn the_full_example_has_every_key() {
    let full = fs::read_to_string(folder().join("full.yaml")).unwrap();
    let mut missing = Vec::new();
    let words: Vec<&str> = full
        .lines()
        .filter_map(|line| {
            line.trim_start_matches([' ', '#', '-', '{'])
                .split_once(':')
        })
        .map(|(key, _)| key)
        .collect();
    visit(&config::schema(), &mut |key| {
        if !words.contains(&key) && !["rate", "burst"].contains(&key) {
            missing.push(key.to_owned());
        }
    });

    assert!(missing.is_empty(), "{missing:?}");
    assert!(full.contains("{ rate: 50/s, burst: 100 }"));
}

/// Loads a section that full.yaml has in comments, since its default is nothing.
pub(super) fn in_comments(section: &str) -> Settings {
    let full = fs::read_to_string(folder().join("full.yaml")).expect("it is there");
    let (_, lines) = full
        .split_once(&format!("# {section}:\n"))
        .expect("it has the section");
    let lines: Vec<&str> = lines
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let text = format!("{}\n{section}:\n{}\n", super::BASE, lines.join("\n"));
    config::parse("full.yaml", &text, &super::sources()).expect("the section is legal")
}

#[test]
fn the_shared_section_of_the_full_example_loads() {
    let settings = in_comments("shared");

    let shared = settings.shared.unwrap();
    let minimal = config::parse(
        "gateway.yaml",
        &super::with(super::SHARED),
        &super::sources(),
    );
    let minimal = minimal.unwrap().shared.unwrap();
    assert_eq!(format!("{:?}", shared.mode), format!("{:?}", minimal.mode));
    assert_eq!(
        (
            shared.tls,
            shared.allow_plain,
            shared.prefix,
            shared.timeout
        ),
        (
            minimal.tls,
            minimal.allow_plain,
            minimal.prefix,
            minimal.timeout
        )
    );
    assert_eq!(format!("{:?}", shared.keys), r#"["k2", "k1"]"#);
    assert_eq!(shared.extra_roots.len(), 1);
}

fn visit(schema: &serde_json::Value, seen: &mut dyn FnMut(&str)) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, inner) in properties {
            seen(key);
            visit(inner, seen);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(inner) {
            visit(inner, seen);
        }
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        visit(inner, seen);
    }
}

#[test]
fn the_schema_on_disk_is_the_one_the_types_make() {
    let made = format!("{:#}\n", config::schema());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.json");
    fs::write(&path, &made).unwrap();

    let stored = fs::read_to_string(folder().join("schema.json")).unwrap_or_default();

    assert!(
        stored == made,
        "copy {} to config/schema.json",
        path.display()
    );
}

#[test]
fn the_minimal_example_only_reads() {
    let settings = example("minimal.yaml");

    assert_eq!(permits(&settings), [("prod", true, Kinds::READ)]);
    assert_eq!(settings.route.routes[0].name, "default");
    assert_eq!(
        settings.upstream.origin.to_string(),
        "https://platform.adobe.io"
    );
    assert!(settings.limit.quotas.is_empty());
}

#[test]
fn the_sidecar_takes_its_secrets_from_files() {
    let settings = example("sidecar.yaml");

    let credential = &settings.ims.credentials[0];
    let secrets: Vec<&str> = credential
        .client_secrets
        .iter()
        .map(Secret::expose)
        .collect();
    assert_eq!(credential.client_id.as_str(), "client");
    assert_eq!(secrets, ["current", "next"]);
    let listeners = &settings.listeners;
    assert!(listeners.iter().all(|listener| listener.accepts.anonymous));
    assert_eq!(
        listeners[1].address.to_string(),
        "unix:/run/profile-gateway/http.sock"
    );
    assert_eq!(listeners[1].access.mode, 0o660);
}

#[test]
fn the_shared_example_keeps_credentials_sandboxes_and_quotas_apart() {
    let settings = example("shared.yaml");

    assert_eq!(
        permits(&settings),
        [
            ("prod", true, Kinds::READ),
            ("emea", true, [Kind::Read, Kind::Job].into_iter().collect()),
            ("dev-2", false, Kinds::ALL),
        ]
    );
    let of_route = |index| {
        let rule = settings.authorize.routes.get(RouteId(index)).unwrap();
        let own = settings.limit.routes.get(RouteId(index)).unwrap().iter();
        let shared = settings.limit.places.get(rule.allow[0].place).unwrap();
        let quotas = own.chain(shared.iter());
        quotas
            .map(|quota| settings.limit.quotas[*quota].name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(of_route(0), ["route lookups", "credential loyalty"]);
    assert_eq!(
        of_route(1),
        ["route segment-jobs", "credential segmentation"]
    );
    assert_eq!(of_route(2), ["credential loyalty"]);
}

#[test]
fn the_fleet_shares_through_a_redis_that_sentinels_name() {
    let shared = example("fleet.yaml").shared.unwrap();

    let Mode::Sentinel {
        sentinels, service, ..
    } = &shared.mode
    else {
        panic!("{:?}", shared.mode);
    };
    assert_eq!((sentinels.len(), service.as_str()), (3, "profile-gateway"));
    assert!(shared.tls && !shared.allow_plain);
    let login = shared.login.unwrap();
    assert_eq!(login.username.as_deref(), Some("profile-gateway"));
    assert_eq!(login.password.expose(), "three");
    assert_eq!(format!("{:?}", shared.keys), r#"["k1"]"#);
    for alone in ["minimal.yaml", "shared.yaml", "sidecar.yaml"] {
        assert!(example(alone).shared.is_none());
    }
}

#[test]
fn a_sandbox_that_a_permit_leaves_out_has_the_default() {
    let text = super::with(
        "  eu: { name: prod }
  dev-2: {}
routes:
  - name: a
    match: { prefix: / }
    sandbox: { from: header, allow: [prod, eu, dev-2] }
    permit: { prod: [read, write] }
",
    );
    let settings = config::parse("gateway.yaml", &text, &super::sources());
    let authorize = settings.expect("the text is legal").authorize;
    let (_, rule) = authorize.routes.iter().next().expect("there is one");

    let permits: Vec<_> = rule.allow.iter().map(|allowed| allowed.permit).collect();
    let both = [Kind::Read, Kind::Write].into_iter().collect();
    assert_eq!(permits, [both, Kinds::READ, Kinds::ALL]);
}

#[test]
fn the_simulator_and_the_demo_stay_on_this_machine() {
    for name in ["simulator.yaml", "demo.yaml"] {
        let settings = example(name);

        assert!(settings.upstream.is_loopback() && settings.ims.connect.is_loopback());
        assert_eq!(permits(&settings)[0], ("prod", true, Kinds::READ));
        assert!(
            permits(&settings)[1..]
                .iter()
                .all(|(sandbox, _, permit)| { *sandbox == "dev-2" && *permit == Kinds::ALL })
        );
    }
}
