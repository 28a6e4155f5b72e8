//! A gateway process with its configuration, its callers' view and its operators'.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::port::Port;
use super::process::Process;
use super::raw::{Answer, exchange, get};

/// A running gateway, and the folder its files are in.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    folder: TempDir,
    /// What the configuration begins with, whatever else it says.
    lasting: String,
}

/// A read that every gateway of these tests lets pass.
pub(crate) const LOOKUP: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile\
    &entityId=janedoe@example.com&entityIdNS=email";

impl Running {
    /// Starts one with `more` configuration, in which `$FOLDER` is a folder with these files.
    pub(crate) fn start(more: &str, files: &[(&str, &str)]) -> Self {
        Self::with_environment(more, files, &[])
    }

    pub(crate) fn with_environment(
        more: &str,
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let configuration = folder.path().join(CONFIGURATION);
        fs::write(&configuration, text(more, &folder)).unwrap();
        let process = Process::gateway(&configuration, environment);
        Self {
            address: process.address("serving callers"),
            admin: process.address("serving operators"),
            process,
            folder,
            lasting: String::new(),
        }
    }

    /// Starts one from a shell, in which `preparing` happens first, such as `ulimit -n 64`; `$FOLDER` is its folder there
    /// too. Nothing that it prints is waited for.
    pub(crate) fn start_after(preparing: &str, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let [callers, operators] = [Port::take(), Port::take()];
        let lasting = format!(
            "listeners: [{{ address: '{}' }}]\nadmin: {{ address: '{}' }}\n",
            callers.address(),
            operators.address()
        );
        let configuration = folder.path().join(CONFIGURATION);
        let written = text(&format!("{lasting}{more}"), &folder);
        fs::write(&configuration, written).unwrap();
        let preparing = preparing.replace("$FOLDER", folder.path().to_str().unwrap());
        let arguments = ["run", "--config", configuration.to_str().unwrap()];
        let process = Process::start_after(&preparing, &arguments);
        for port in [&callers, &operators] {
            eventually("listener", || TcpStream::connect(port.address()).ok());
        }
        Self {
            address: callers.address(),
            admin: operators.address(),
            process,
            folder,
            lasting,
        }
    }

    /// Writes a file in place, as an editor or `cat` would.
    pub(crate) fn write(&self, file: &str, content: &str) {
        fs::write(self.folder.path().join(file), content).unwrap();
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join(CONFIGURATION)
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, more: &str) {
        let more = format!("{}{more}", self.lasting);
        self.write(CONFIGURATION, &text(&more, &self.folder));
    }

    /// Writes the configuration anew, asks for a reload, and returns what came of it once it has.
    pub(crate) fn reload(&self, more: &str) -> &'static str {
        self.configure(more);
        self.reload_by_signal()
    }

    /// Asks for a reload, and returns what came of it once it has.
    pub(crate) fn reload_by_signal(&self) -> &'static str {
        self.outcome_of(|| self.process.signal("HUP"))
    }

    /// Returns what comes of the reload that `cause` brings about, once it has.
    pub(crate) fn outcome_of(&self, cause: impl FnOnce()) -> &'static str {
        let counts = || {
            ["applied", "refused", "unchanged"].map(|outcome| {
                let name = format!("profile_gateway_config_reloads_total{{outcome=\"{outcome}\"}}");
                (outcome, self.count(&name))
            })
        };
        let before = counts();
        cause();
        eventually("reload", || {
            let now = counts();
            let mut both = now.iter().zip(&before);
            let more = both.find(|((_, now), (_, before))| now > before);
            more.map(|((outcome, _), _)| *outcome)
        })
    }

    pub(crate) fn ask(&self) -> Answer {
        exchange(self.address, get(LOOKUP, ""))
    }

    pub(crate) fn readiness(&self) -> (u16, String) {
        let answer = exchange(self.admin, get("/readyz", ""));
        (answer.status, answer.text())
    }

    /// Returns what operators are told of a credential.
    pub(crate) fn credential(&self, name: &str) -> Value {
        let page = exchange(self.admin, get("/credentials", "")).json();
        let all = page["credentials"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap().clone()
    }

    /// Waits until a credential is in this state, and returns what is told of it then.
    pub(crate) fn wait_for_state(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} {state}"), || {
            let facts = self.credential(name);
            (facts["state"] == state).then_some(facts)
        })
    }

    /// Waits until a credential has a token of at least this generation.
    pub(crate) fn wait_for_generation(&self, name: &str, generation: u64) {
        eventually(&format!("generation {generation}"), || {
            let facts = self.credential(name);
            (facts["generation"].as_u64().unwrap() >= generation).then_some(())
        });
    }

    /// Asks until a caller is served, and returns how long that took.
    pub(crate) fn wait_for_service(&self) -> Duration {
        let begun = Instant::now();
        eventually("service", || (self.ask().status == 200).then_some(()));
        begun.elapsed()
    }

    /// Returns the sum of a metric's samples.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.samples(name)
            .iter()
            .map(|sample| sample.parse::<f64>().unwrap())
            .sum()
    }

    /// Returns the sum of the samples of a metric that counts, or one of them when its labels are part of the name.
    pub(crate) fn count(&self, name: &str) -> i64 {
        self.samples(name)
            .iter()
            .map(|sample| sample.parse::<i64>().unwrap())
            .sum()
    }

    fn samples(&self, name: &str) -> Vec<String> {
        let text = exchange(self.admin, get("/metrics", "")).text();
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        samples
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect()
    }

    /// Stops it, and returns everything it printed.
    pub(crate) fn stop(self) -> String {
        self.process.terminate();
        let (code, printed) = self.process.finish();
        assert_eq!(code, Some(0), "{printed}");
        printed
    }
}

/// Returns the failed token calls that a credential's facts tell of.
pub(crate) fn failed_calls(facts: &Value) -> u64 {
    let calls = facts["token_calls"].as_object().unwrap();
    let failed = calls.iter().filter(|(class, _)| *class != "minted");
    failed.map(|(_, count)| count.as_u64().unwrap()).sum()
}

/// Looks again and again until there is something, for a time that no test takes unless it has failed.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "no {what}");
        pass(Duration::from_millis(20));
    }
}

/// Lets real time pass: between two looks at another process, or while something must not happen.
#[expect(
    clippy::disallowed_methods,
    reason = "another process's time cannot be paused"
)]
pub(crate) fn pass(time: Duration) {
    thread::sleep(time);
}

fn text(more: &str, folder: &TempDir) -> String {
    let said = |line: &&str| {
        let key = line.split_inclusive(':').next().unwrap();
        !more.lines().any(|line| line.starts_with(key))
    };
    let mut text: String = COMMON.split_inclusive('\n').filter(said).collect();
    text.push_str(more);
    text.replace("$FOLDER", folder.path().to_str().unwrap())
}

const CONFIGURATION: &str = "gateway.yaml";

/// Tells figures to whoever runs a test by hand.
#[expect(
    clippy::print_stdout,
    reason = "the test runner shows it when asked to"
)]
pub(crate) fn report(figures: &str) {
    println!("{figures}");
}

/// What is said where a test says nothing else.
const COMMON: &str = "\
drain: 2s
listeners: [{ address: '127.0.0.1:0' }]
admin: { address: '127.0.0.1:0' }
sandboxes: { dev-2: {} }
log: { format: json }
";

/// A credential with a secret that nothing may show.
pub(crate) const CREDENTIAL: &str = "
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [p8e-never-to-be-seen]
";

/// The secret of [`CREDENTIAL`].
pub(crate) const SECRET: &str = "p8e-never-to-be-seen";

/// Two organisations, each with a production sandbox that Adobe calls the same.
pub(crate) const TWO_ORGANIZATIONS: &str = "\
credentials:
  us:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: us-client
    client_secrets: [one]
  eu:
    organization: 5B4A39281706F5E4D3C2B1A0@AdobeOrg
    client_id: eu-client
    client_secrets: [two]
sandboxes:
  prod: { credential: us }
  dev-2: { credential: us }
  eu-prod: { name: prod, credential: eu }
";
