//! Ten thousand requests at once for which there is no token, or one that Adobe no longer takes.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use http::{Method, StatusCode};
use profile_gateway::simulator::Settings;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::token_service::TokenService;
use crate::support::adobe::Act;
use crate::support::client::{Client, Speaks, request};
use crate::support::raw::exchange;
use crate::support::running::{LOOKUP, Running, eventually, report};
use crate::support::simulated::Simulated;

#[test]
fn ten_thousand_requests_at_once_cost_one_token_call_and_so_do_ten_thousand_refusals() {
    let adobe = Simulated::start(Settings {
        lenient: true,
        ..Settings::default()
    });
    // Token calls reach the simulator when this test lets them, and the first token counts no more when it is given.
    let (allow, allowed) = channel::<()>();
    let (allowed, simulated, control) = (Mutex::new(allowed), adobe.address, adobe.control.clone());
    let ims = TokenService::start(move |calls, seen| {
        allowed.lock().unwrap().recv().unwrap();
        let body = String::from_utf8(seen.body.clone()).unwrap();
        let answer = exchange(simulated, format!("{}\r\n\r\n{body}", seen.head));
        if calls == 1 {
            control.revoke_tokens();
        }
        Act::json("200 OK", &answer.text())
    });
    let gateway = Running::start(
        &CONFIGURATION
            .replace("$IMS", &ims.adobe.url())
            .replace("$ADOBE", &adobe.url),
        &[],
    );
    let seen = || {
        let counts = adobe.control.counts();
        let all: u64 = counts.requests.values().sum();
        let token_calls = counts.requests.get("ims.token").copied();
        all - token_calls.unwrap_or_default()
    };
    let minted = || adobe.control.counts().minted["demo-client"];

    let callers = Callers::ask_at_once(gateway.address);
    eventually("ten thousand callers who wait", || {
        let waiting = gateway.metric("profile_gateway_requests_in_flight");
        (waiting >= 10_000.0).then_some(())
    });
    let cold = (ims.calls(), seen());
    allow.send(()).unwrap();
    // All of them are refused before there is another token.
    eventually("ten thousand refusals", || {
        let refusals = gateway.credential("demo")["refusals"].as_u64();
        (refusals >= Some(REQUESTS)).then_some(())
    });
    let refused = (ims.calls(), seen());
    allow.send(()).unwrap();
    callers.assert_served();

    assert_eq!(cold, (0, 0));
    assert_eq!(refused, (1, REQUESTS));
    assert_eq!((minted(), ims.calls(), seen()), (2, 2, 2 * REQUESTS));
    let facts = gateway.credential("demo");
    assert_eq!(facts["refusals"], REQUESTS, "{facts}");
    assert_eq!(facts["replacements"], 1, "{facts}");
}

/// Ten thousand requests under way, a hundred on each of a hundred connections.
struct Callers {
    begun: Instant,
    thread: JoinHandle<Vec<StatusCode>>,
}

impl Callers {
    fn ask_at_once(address: SocketAddr) -> Self {
        let begun = Instant::now();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let lookup = request(Method::GET, &format!("http://gateway{LOOKUP}"), &[], "");
                let (mut clients, mut tasks) = (Vec::new(), JoinSet::new());
                for _ in 0..CONNECTIONS {
                    let client = Client::connect(address, Speaks::H2).await;
                    client.send_at_once(&lookup, STREAMS, &mut tasks);
                    clients.push(client);
                }
                tasks.join_all().await
            })
        });
        Self { begun, thread }
    }

    fn assert_served(self) {
        let statuses = self.thread.join().unwrap();
        report(&format!("{:?} for all answers", self.begun.elapsed()));
        let served = statuses.iter().filter(|status| **status == StatusCode::OK);
        assert_eq!(served.count(), CONNECTIONS * STREAMS);
    }
}

const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;
const REQUESTS: u64 = 10_000;

const CONFIGURATION: &str = "
workers: 2
in_flight: 20000
ims: { url: '$IMS', timeout: 60s }
upstream: { url: '$ADOBE', http2: true, waiting: 20000, connect_timeout: 60s, tls_timeout: 60s }
credentials:
  demo:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: demo-client
    client_secrets: [demo-secret]
sandboxes: { dev-2: {} }
routes:
  - { name: lookups, match: { path: /data/core/ups/access/entities }, timeout: 10m }
";
