//! A run full of faults at the noisiest level, after which nothing secret stands anywhere that anybody reads.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::percent_decode_str;

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::hidden::Hidden;
use crate::support::process::Process;
use crate::support::raw::{Answer, exchange, get, send};
use crate::support::running::{Running, eventually};

const KEY: &str = include_str!("../../keys/rsa-pkcs8.pem");

/// The ways in which IMS repeats what it was shown, of which each credential meets one.
const ECHOES: [fn(&str, &str) -> Act; 15] = [
    |secret, _| refusal("400 Bad Request", "invalid_client", secret),
    |_, form| refusal("401 Unauthorized", "invalid_client", form),
    |secret, _| refusal("400 Bad Request", secret, "that is no error"),
    |secret, _| refusal("500 Oh", "internal_error", &STANDARD.encode(secret)),
    |secret, _| {
        refusal(
            "500 Oh",
            "internal_error",
            &STANDARD.encode(format!("i:{secret}:x")),
        )
    },
    |secret, _| {
        refusal(
            "500 Oh",
            "internal_error",
            &URL_SAFE.encode(format!("id:{secret}")),
        )
    },
    |secret, _| {
        let escaped = secret.bytes().map(|byte| format!("\\u{byte:04x}"));
        let escaped: Vec<_> = escaped.collect();
        Act::json(
            "503 Busy",
            &format!(r#"{{"message":"{}"}}"#, escaped.concat()),
        )
    },
    |secret, _| Act::json("502 Oh", &format!("<html>{secret}</html>")),
    |secret, form| {
        let head =
            format!("HTTP/1.1 429 {secret}\r\nx-debug-id: {secret}\r\nRetry-After: {secret}");
        Act::Answer(format!("{head}\r\nx-form: {form}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    },
    |secret, _| {
        let place = format!("Location: http://127.0.0.1:1/{secret}");
        Act::Answer(format!("HTTP/1.1 307 Go\r\n{place}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    },
    |secret, _| Act::json("200 OK", &format!(r#"{{"access_token":"{secret}\nx"}}"#)),
    |secret, _| {
        refusal(
            "400 Bad Request",
            "invalid_client",
            &broken_by("\\n", secret),
        )
    },
    |secret, _| {
        refusal(
            "400 Bad Request",
            "invalid_client",
            &broken_by("\\u200e", secret),
        )
    },
    |secret, _| {
        let encoded = STANDARD.encode(format!("{}:{secret}", "i".repeat(60)));
        let (first, second) = encoded.split_at(76);
        refusal(
            "500 Oh",
            "internal_error",
            &format!("{first}\\r\\n{second}"),
        )
    },
    |secret, _| Act::AnswerAndClose(format!("{secret} is not HTTP\r\n\r\n").into_bytes()),
];

fn refusal(status: &str, error: &str, description: &str) -> Act {
    Act::json(
        status,
        &format!(r#"{{"error":"{error}","error_description":"it was {description}."}}"#),
    )
}

/// Puts an escaped character into the middle of a secret.
fn broken_by(escape: &str, secret: &str) -> String {
    let (first, second) = secret.split_at(secret.len() / 2);
    format!("{first}{escape}{second}")
}

fn secret(number: usize) -> String {
    format!("p8e/never+to~be=seen-{number:02}")
}

const TOKEN_BEGINS: &str = "tok.never.to.be.seen";

/// Returns a parameter of the form that a token call brought.
fn parameter(seen: &Seen, name: &str) -> String {
    let form = String::from_utf8(seen.body.clone()).unwrap();
    let value = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    percent_decode_str(value.unwrap_or_default())
        .decode_utf8()
        .unwrap()
        .into_owned()
}

struct Ims {
    adobe: Adobe,
    /// Which tokens of `demo` are refused: those before it.
    valid_from: Arc<AtomicUsize>,
    assertions: Arc<Mutex<Vec<String>>>,
}

/// An Adobe that repeats in its errors what it was shown, once for each client, and that refuses tokens.
fn adobe() -> Ims {
    let valid_from = Arc::new(AtomicUsize::new(1));
    let assertions = Arc::new(Mutex::new(Vec::new()));
    let (valid, keep) = (Arc::clone(&valid_from), Arc::clone(&assertions));
    let mint = |calls: usize, seen: &Seen| {
        let client = parameter(seen, "client_id");
        let form = String::from_utf8(seen.body.clone()).unwrap();
        match client.strip_prefix("echo-") {
            Some(number) => {
                let number: usize = number.parse().unwrap();
                ECHOES[number](&parameter(seen, "client_secret"), &form)
            }
            None => Act::token(&format!("{TOKEN_BEGINS}.{calls}"), 86_399),
        }
    };
    let platform = move |seen: &Seen| {
        if seen.target() == "/ims/exchange/jwt" {
            let mut shown = keep.lock().unwrap();
            let assertion = parameter(seen, "jwt_token");
            let form = String::from_utf8(seen.body.clone()).unwrap();
            let act = match shown.len() {
                0 => refusal("500 Oh", "internal_error", &assertion),
                1 => refusal("500 Oh", "internal_error", &form),
                2 => refusal("400 Oh", "invalid_token", &STANDARD.encode(&assertion)),
                _ => Act::token(&format!("{TOKEN_BEGINS}.service"), 86_399_000),
            };
            shown.push(assertion);
            return act;
        }
        let bearer = seen.values("authorization")[0].to_owned();
        let number = bearer.rsplit('.').next().unwrap().parse();
        if number.unwrap_or(usize::MAX) < valid.load(Ordering::SeqCst) {
            return Act::token_refused();
        }
        let token = bearer.trim_start_matches("Bearer ");
        match seen.target() {
            "/data/core/ups/code" => Act::json(
                "403 Forbidden",
                &format!(r#"{{"error_code":"{token}","message":"{bearer}"}}"#),
            ),
            "/data/core/ups/field" => Act::Answer(
                format!("HTTP/1.1 500 {token}\r\nx-request-id: {token}\r\nserver: {bearer}\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes(),
            ),
            "/data/core/ups/garbage" => Act::AnswerAndClose(format!("{bearer}\r\n\r\n").into_bytes()),
            "/data/core/ups/reset" => Act::Reset,
            _ => Act::ok(),
        }
    };
    Ims {
        adobe: Adobe::minting(mint, platform),
        valid_from,
        assertions,
    }
}

fn configuration(url: &str, demo: &str) -> String {
    let echoing: Vec<_> = (0..ECHOES.len())
        .map(|number| {
            format!(
                "
  echo-{number}:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: echo-{number}
    client_secrets: ['{}', '{}']
    required: false",
                secret(number),
                secret(number + 50),
            )
        })
        .collect();
    let echoing = echoing.concat();
    format!(
        "
log: {{ format: json, level: trace }}
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: ['{demo}']
  service:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: service-client
    client_secrets: ['{}']
    grant:
      jwt_exchange:
        technical_account: 1122334455667788990011AA@techacct.adobe.com
        private_key: ${{file:$FOLDER/key.pem}}
        metascopes: [ent_dataservices_sdk]{echoing}
routes:
  - {{ name: demo, match: {{ path: '/data/core/ups/{{*rest}}' }}, credential: demo, sandbox: dev-2 }}
  - {{ name: service, match: {{ path: '/data/core/ca/{{*rest}}' }}, credential: service, sandbox: dev-2 }}
  - {{ name: echo, match: {{ path: '/data/core/ais/{{*rest}}' }}, credential: echo-0, sandbox: dev-2 }}
",
        secret(90),
    )
}

/// What was read, and where.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn add(&mut self, place: &str, text: String) {
        self.0.push((place.to_owned(), text));
    }

    fn add_answer(&mut self, place: &str, answer: &Answer) {
        self.add(place, format!("{}\n{}", answer.head, answer.text()));
    }
}

#[test]
fn a_run_full_of_faults_tells_nobody_a_secret_a_token_an_assertion_or_a_key() {
    let ims = adobe();
    let url = ims.adobe.url();
    let gateway = Running::start(&configuration(&url, &secret(91)), &[("key.pem", KEY)]);
    let mut told = Told::default();
    gateway.wait_for_state("demo", "valid");
    for number in 0..ECHOES.len() {
        gateway.wait_for_state(&format!("echo-{number}"), "missing");
    }
    tell_pages(&gateway, &mut told);

    // Tokens that are refused, and an upstream that repeats them where it should not. What it says in the body is
    // Adobe's and passed on as it is, so it is not looked at.
    ims.valid_from.store(99, Ordering::SeqCst);
    told.add_answer(
        "answer",
        &exchange(gateway.address, get("/data/core/ups/x", "")),
    );
    ims.valid_from.store(1, Ordering::SeqCst);
    for target in ["code", "field"] {
        exchange(
            gateway.address,
            get(&format!("/data/core/ups/{target}"), ""),
        );
    }
    for target in [
        "/data/core/ups/garbage",
        "/data/core/ups/reset",
        "/data/core/ais/x",
        "/elsewhere",
        "/data/core/ups/../x",
    ] {
        told.add_answer(target, &exchange(gateway.address, get(target, "")));
        let posted = send(
            "POST",
            target,
            "authorization: Bearer of-the-caller\r\n",
            "{}",
        );
        told.add_answer(target, &exchange(gateway.address, posted));
    }
    // The assertion is repeated, in several spellings, before there is a token for it.
    gateway.wait_for_state("service", "valid");
    told.add_answer(
        "service",
        &exchange(gateway.address, get("/data/core/ca/x", "")),
    );

    // Configurations that are broken where the secret is, and then one with another secret.
    let good = configuration(&url, &secret(92));
    for (number, broken) in broken(&good, &secret(92)).iter().enumerate() {
        gateway.configure(broken);
        // A running gateway looks twice, a second apart.
        if number < 2 {
            eventually("faults", || {
                (lines_with(&gateway, "they have faults") > number).then_some(())
            });
        }
        tell_commands(&gateway, &["demo"], &mut told);
    }
    let generation = gateway.credential("demo")["generation"].as_u64().unwrap();
    gateway.configure(&good);
    gateway.wait_for_generation("demo", generation + 1);
    let all = [
        "demo", "service", "echo-0", "echo-1", "echo-8", "echo-10", "echo-12",
    ];
    tell_commands(&gateway, &all, &mut told);
    tell_pages(&gateway, &mut told);
    told.add("log", gateway.stop());

    let mut hidden = Hidden::default();
    hidden.add(TOKEN_BEGINS);
    hidden.add_key(KEY);
    for number in 0..100 {
        hidden.add(&secret(number));
    }
    let assertions = ims.assertions.lock().unwrap();
    assert!(assertions.len() >= 4);
    for assertion in assertions.iter() {
        let (_, rest) = assertion.split_once('.').unwrap();
        rest.split('.').for_each(|part| hidden.add(part));
    }
    // It is looked where there is something to see.
    let all: String = told.0.iter().map(|(_, text)| text.as_str()).collect();
    for part in [
        "it was ….",
        "\"DEBUG\"",
        "token_usable_seconds",
        "invalid_client",
        "IMS gave a token",
    ] {
        assert!(all.contains(part), "{part}");
    }
    for (place, text) in &told.0 {
        hidden.assert_absent(place, text);
    }
}

fn broken(good: &str, secret: &str) -> Vec<String> {
    let quoted = format!("['{secret}']");
    [
        format!("'{secret}'"),
        format!("[['{secret}']]"),
        format!("['{secret}"),
        format!("[{{ value: '{secret}' }}]"),
        format!("['{secret}', '{secret}', '{secret}']"),
        format!("['${{file:$FOLDER/missing}}{secret}', '${{env:MISSING}}{secret}']"),
    ]
    .iter()
    .map(|broken| good.replace(&quoted, broken))
    .collect()
}

fn lines_with(gateway: &Running, text: &str) -> usize {
    let lines = gateway.process.lines();
    lines.iter().filter(|line| line.contains(text)).count()
}

fn tell_pages(gateway: &Running, told: &mut Told) {
    for page in ["/metrics", "/readyz", "/credentials", "/livez", "/none"] {
        told.add_answer(page, &exchange(gateway.admin, get(page, "")));
    }
}

/// Runs the commands that read the configuration.
fn tell_commands(gateway: &Running, credentials: &[&str], told: &mut Told) {
    let path = gateway.configuration();
    let path = path.to_str().unwrap();
    for format in ["human", "json"] {
        let check = ["check", "--config", path, "--format", format];
        told.add("check", Process::start(&check, &[]).finish().1);
        for credential in credentials {
            let token = [
                "token",
                "--config",
                path,
                "--credential",
                credential,
                "--format",
                format,
            ];
            told.add("token", Process::start(&token, &[]).finish().1);
        }
    }
    told.add("run", {
        let text = fs::read_to_string(path).unwrap();
        let second = gateway.configuration().with_file_name("second.yaml");
        // Never serves: the address is in use, or the configuration broken.
        fs::write(
            &second,
            text.replace("127.0.0.1:0", &gateway.address.to_string()),
        )
        .unwrap();
        let run = ["run", "--config", second.to_str().unwrap()];
        Process::start(&run, &[]).finish().1
    });
}
