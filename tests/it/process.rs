//! The real binary: what it prints, exits with, serves and lets out.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::adobe::{Act, Adobe, TOKEN};
use crate::support::process::Process;
use crate::support::raw::{Answer, Raw, exchange, get, send};

/// A folder with one configuration file.
fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn configuration(url: &str, level: &str) -> String {
    format!(
        "
log: {{ format: json, level: {level} }}
drain: 10s
listeners: [{{ address: '127.0.0.1:0' }}]
admin: {{ address: '127.0.0.1:0' }}
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: ['${{env:SECRET}}']
sandboxes: {{ dev-2: {{}} }}
"
    )
}

fn path_of_example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

#[test]
fn a_broken_configuration_lists_all_faults_exits_78_and_binds_nothing() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (_folder, path) = written(&format!(
        "listeners: [{{ address: '{free}' }}]\n\
         upstraem: {{ url: https://platform.adobe.io }}\n\
         drain: soon\n\
         credentials: {{ a: {{ organization: nobody, client_id: x, client_secrets: [y] }} }}\n\
         sandboxes: {{ Prod: {{}} }}\n"
    ));

    let (code, printed) =
        Process::start(&["run", "--config", path.to_str().unwrap()], &[]).finish();

    assert_eq!(code, Some(78));
    for part in [
        "upstraem", "upstream", ":2:", "drain", ":3:", "nobody", ":4:", "Prod", ":5:",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    assert!(!printed.contains("serving"), "{printed}");
    TcpListener::bind(free).expect("the address was never taken");
}

#[test]
fn check_exits_with_1_for_faults_and_0_without() {
    let (_folder, broken) = written("listener: []\n");
    let check = |path: &PathBuf, more: &[&str]| {
        let arguments = [&["check", "--config", path.to_str().unwrap()], more].concat();
        Process::start(&arguments, &[]).finish()
    };

    let (code, printed) = check(&broken, &["--format", "json"]);
    assert_eq!(code, Some(1));
    let faults: Value = serde_json::from_str(&printed).unwrap();
    assert!(printed.contains("did you mean `listeners`?"), "{faults}");

    let (code, printed) = check(&path_of_example("simulator.yaml"), &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("no faults"));
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    assert_eq!(Process::start(&["serve"], &[]).finish().0, Some(2));
    assert_eq!(
        Process::start(&["simulate", "--client", "only-an-id"], &[])
            .finish()
            .0,
        Some(2)
    );
}

#[test]
fn an_address_in_use_is_named_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = configuration("http://127.0.0.1:1", "info").replacen("127.0.0.1:0", &address, 1);
    let (_folder, path) = written(&text);

    let arguments = ["run", "--config", path.to_str().unwrap()];
    let (code, printed) = Process::start(&arguments, &[("SECRET", "s")]).finish();

    assert_eq!(code, Some(1));
    assert!(
        printed.contains(&format!("cannot listen on {address}")),
        "{printed}"
    );
}

#[test]
fn the_schema_is_printed() {
    let (code, printed) = Process::start(&["schema"], &[]).finish();

    let schema: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(code, Some(0));
    assert!(schema["properties"]["routes"].is_object());
}

#[test]
fn the_commands_the_demo_prints_work() {
    let demo = Process::start(&["demo"], &[]);
    demo.wait_for("Stop: Ctrl-C");
    let printed = demo.lines().join("\n");
    let commands: Vec<_> = printed
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "))
        .map(str::to_owned)
        .collect();

    assert_eq!(commands.len(), 3, "{printed}");
    for command in &commands {
        let command = format!("{command} -w '\\n%{{http_code}}'");
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (body, status) = answer.rsplit_once('\n').unwrap();

        assert_eq!(status, "200", "{command}: {answer}");
        assert!(body.contains("janedoe@example.com"), "{command}: {body}");
    }
    demo.terminate();
    assert_eq!(demo.finish().0, Some(0));
}

/// The example for the simulator, on free ports.
fn example_on_free_ports(simulator: SocketAddr) -> String {
    let example = fs::read_to_string(path_of_example("simulator.yaml")).unwrap();
    let ours = example.replace("127.0.0.1:9090", &simulator.to_string());
    assert_ne!(ours, example);
    format!(
        "{ours}\nlisteners: [{{ address: '127.0.0.1:0' }}]\nadmin: {{ address: '127.0.0.1:0' }}\nlog: {{ format: json }}\n"
    )
}

#[test]
fn the_example_for_the_simulator_serves_reads_writes_jobs_and_deletes() {
    let simulator = Process::start(&["simulate", "--listen", "127.0.0.1:0"], &[]);
    let line = simulator.wait_for("Adobe simulated at");
    let url = line
        .split_whitespace()
        .nth(3)
        .unwrap()
        .trim_end_matches(';');
    let adobe: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let (_folder, path) = written(&example_on_free_ports(adobe));
    let gateway = Process::gateway(&path, &[]);
    let address = gateway.address("serving callers");

    let lookup = "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=janedoe@example.com&entityIdNS=email";
    let several = r#"{"schema":{"name":"_xdm.context.profile"},"identities":[{"entityId":"janedoe@example.com","entityIdNS":{"code":"email"}}]}"#;
    let policy = r#"{"name":"by time","schema":{"name":"_xdm.context.profile"},"identityGraph":{"type":"none"},"attributeMerge":{"type":"timestampOrdered"},"default":false}"#;
    let export = r#"{"fields":"identities.id","mergePolicy":{"id":"timestampOrdered-none-mp","version":1},"destination":{"datasetId":"5b7c86968f7b6501e21ba9df","segmentPerBatch":false},"schema":{"name":"_xdm.context.profile"},"evaluationInfo":{"segmentation":true}}"#;
    for (request, status, sandbox, target, body) in [
        (get(lookup, ""), 200, "prod", lookup, ""),
        (
            send("POST", "/data/core/ups/access/entities", "", several),
            200,
            "prod",
            "/data/core/ups/access/entities",
            several,
        ),
        (
            send(
                "POST",
                "/data/core/ups/config/mergePolicies",
                "x-profile-instance-id: ups\r\n",
                policy,
            ),
            200,
            "dev-2",
            "/data/core/ups/config/mergePolicies",
            policy,
        ),
        (
            send("POST", "/data/core/ups/export/jobs", "", export),
            200,
            "dev-2",
            "/data/core/ups/export/jobs",
            export,
        ),
        (
            format!("DELETE {lookup} HTTP/1.1\r\nHost: gateway\r\n\r\n"),
            202,
            "dev-2",
            lookup,
            "",
        ),
    ] {
        let answer = exchange(address, &request);

        assert_eq!(answer.status, status, "{request}\n{}", answer.text());
        let journal = exchange(adobe, get("/_simulator/requests", "")).json();
        let seen = journal
            .as_array()
            .unwrap()
            .iter()
            .rfind(|seen| seen["operation"] != "ims.token")
            .unwrap()
            .clone();
        assert_eq!(seen["target"], target);
        assert_eq!(seen["body"], body);
        for name in [
            "authorization",
            "x-api-key",
            "x-gw-ims-org-id",
            "x-sandbox-name",
        ] {
            let values: Vec<_> = seen["headers"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|pair| pair[0] == name)
                .collect();
            assert_eq!(values.len(), 1, "{name} in {seen}");
            if name == "x-sandbox-name" {
                assert_eq!(values[0][1], sandbox);
            }
        }
    }
}

#[test]
fn readiness_names_the_credential_that_has_no_token() {
    let adobe = Adobe::willing();
    let broken =
        configuration(&adobe.url(), "error").replacen(&adobe.url(), "http://127.0.0.1:1", 1);
    let (_folder, path) = written(&broken.replace("level: error", "level: info"));
    let gateway = Process::gateway(&path, &[("SECRET", "s")]);
    gateway.wait_for("no token could be minted");
    let (address, admin) = (
        gateway.address("serving callers"),
        gateway.address("serving operators"),
    );

    let live = exchange(admin, get("/livez", ""));
    let ready = exchange(admin, get("/readyz", ""));
    let refused = exchange(address, get("/data/core/ups/x", ""));

    assert_eq!(live.status, 200);
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("credential demo has no valid token"),
        "{}",
        ready.text()
    );
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (503, "token_unavailable")
    );
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["side"], "ims");
    assert!(adobe.seen().is_empty());
}

#[test]
fn a_stop_signal_lets_requests_in_flight_finish() {
    use std::sync::mpsc;
    let (arrived, has_arrived) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let may_go = std::sync::Mutex::new(may_go);
    let adobe = Adobe::start(move |_| {
        arrived.send(()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
        Act::json("200 OK", r#"{"late":true}"#)
    });
    let (_folder, path) = written(&configuration(&adobe.url(), "info"));
    let gateway = Process::gateway(&path, &[("SECRET", "s")]);
    let (address, admin) = (
        gateway.address("serving callers"),
        gateway.address("serving operators"),
    );
    let mut idle = Raw::connect(address);
    let mut busy = Raw::connect(address);
    busy.write(get("/data/core/ups/x", ""));
    has_arrived.recv().unwrap();

    gateway.terminate();
    gateway.wait_for("draining");
    assert!(idle.is_closed());
    let ready = exchange(admin, get("/readyz", ""));
    go.send(()).unwrap();
    let answer = busy.answer(false).unwrap();

    assert_eq!(
        (ready.status, ready.text().as_str()),
        (503, "not ready: draining\n")
    );
    assert_eq!(answer.json()["late"], true);
    assert!(busy.is_closed());
    let (code, printed) = gateway.finish();
    assert_eq!(code, Some(0));
    assert!(printed.contains("stopped"), "{printed}");
}

/// Adobe at its worst: every answer is an error of another kind, and IMS repeats what it was sent.
fn spiteful() -> Adobe {
    Adobe::start(|seen| match seen.target().split('?').next().unwrap() {
        "/data/core/ups/reset" => Act::Reset,
        "/data/core/ups/garbage" => Act::AnswerAndClose(b"NOT HTTP AT ALL\r\n\r\n".to_vec()),
        "/data/core/ups/cut" => {
            Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())
        }
        "/data/core/ups/redirect" => Act::Answer(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        ),
        "/data/core/ups/denied" => Act::json(
            "401 Unauthorized",
            r#"{"error_code":"401013","message":"Oauth token is not valid"}"#,
        ),
        _ => Act::ok(),
    })
}

#[test]
fn at_the_noisiest_level_neither_secrets_nor_personal_data_come_out() {
    const SECRET: &str = "p8e-never-to-be-seen";
    const PERSON: &str = "janedoe-never-to-be-seen";
    let adobe = spiteful();
    let (_folder, path) = written(&configuration(&adobe.url(), "trace"));
    let gateway = Process::gateway(&path, &[("SECRET", SECRET)]);
    let (address, admin) = (
        gateway.address("serving callers"),
        gateway.address("serving operators"),
    );
    gateway.wait_for("a token was minted");

    let mut told = Vec::new();
    let mut tell = |answer: Answer| told.extend([answer.head.clone(), answer.text()]);
    for path in [
        "reset",
        "garbage",
        "cut",
        "denied",
        "fine",
        "redirect",
        &format!("audiences/{PERSON}"),
    ] {
        let target = format!("/data/core/ups/{path}?entityId={PERSON}");
        tell(exchange(
            address,
            get(
                &target,
                &format!("Authorization: Bearer {PERSON}\r\nx-user-token: {PERSON}\r\n"),
            ),
        ));
    }
    for broken in [
        get(&format!("/data/core/ups/../{PERSON}"), ""),
        get(&format!("/elsewhere/{PERSON}"), ""),
        format!("GET /{PERSON} HTTP/1.1\r\nHost: {PERSON} {PERSON}\r\n\r\n"),
        format!(
            "DELETE /elsewhere/{PERSON} HTTP/1.1\r\nHost: x\r\nConnection: authorization\r\n\r\n"
        ),
        send("POST", "/data/core/ups/x", "Expect: 200-ok\r\n", PERSON),
    ] {
        tell(exchange(address, broken));
    }
    let metrics = exchange(admin, get("/metrics", ""));
    tell(exchange(admin, get("/readyz", "")));
    gateway.terminate();
    let (_, printed) = gateway.finish();

    assert!(metrics.text().contains("profile_gateway_requests_total"));
    let operations = "profile_gateway_operations_total{operation=\"";
    assert!(metrics.text().contains(operations), "{}", metrics.text());
    assert!(printed.contains("\"message\":\"access\""), "{printed}");
    assert!(
        adobe.token_calls()[0]
            .body
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
    for (place, text) in [
        ("log", &printed),
        ("answers", &told.join("\n")),
        ("metrics", &metrics.text()),
    ] {
        for hidden in [SECRET, TOKEN, PERSON] {
            assert!(!text.contains(hidden), "{hidden} in {place}: {text}");
        }
    }
}

fn echo(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_token_service_that_redirects_or_echoes_gets_no_second_request_and_leaks_nothing() {
    const SECRET: &str = "p8e-never-to-be-seen";
    const ESCAPED: &str = r"p8e-never-to-be-s\u0065en";
    let elsewhere = Adobe::willing();
    let target = elsewhere.url();
    for answer in [
        format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}/ims/token/v3\r\nContent-Length: 0\r\n\r\n"
        ),
        echo(&format!(
            r#"{{"error":"invalid_client","error_description":"wrong {SECRET} {ESCAPED}"}}"#
        )),
    ] {
        // A path that the scripted Adobe does not answer by itself.
        let ims = Adobe::start(move |_| Act::Answer(answer.clone().into_bytes()));
        let text = configuration(&ims.url(), "trace").replace(
            &format!("ims: {{ url: '{}' }}", ims.url()),
            &format!("ims: {{ url: '{}', token_path: /token }}", ims.url()),
        );
        let (_folder, path) = written(&text);
        let gateway = Process::gateway(&path, &[("SECRET", SECRET)]);
        gateway.wait_for("no token could be minted");
        let refused = exchange(
            gateway.address("serving callers"),
            get("/data/core/ups/x", ""),
        );
        let ready = exchange(gateway.address("serving operators"), get("/readyz", ""));
        gateway.terminate();
        let (_, printed) = gateway.finish();

        assert_eq!(refused.reason(), "token_unavailable");
        assert!(printed.contains("IMS answered"), "{printed}");
        for text in [&printed, &refused.text(), &ready.text()] {
            assert!(!text.contains(SECRET), "{text}");
        }
    }
    assert!(elsewhere.token_calls().is_empty() && elsewhere.seen().is_empty());
}
