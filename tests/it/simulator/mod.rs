//! The simulated Adobe over real sockets.

mod answers;
mod control;
mod faults;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use profile_gateway::simulator::{Fault, Settings, Simulator};
use serde_json::Value;

use crate::support::client::{Client, Reply, Speaks, request};

const JANE: &str = "/data/core/ups/access/entities?schema.name=_xdm.context.profile\
    &entityId=janedoe@example.com&entityIdNS=email";
const JANE_XID: &str = "BVrqzwVv7o2p3naHvnsWpqZXv3KJgA";
const MINT: &str = "grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret\
    &scope=openid%2CAdobeID";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const ORGANIZATION: &str = "0A1B2C3D4E5F60718293A4B5@AdobeOrg";

/// A simulator, one HTTP/1.1 connection to it, and a token.
struct Stage {
    simulator: Simulator,
    client: Client,
    bearer: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let simulator = Simulator::start(settings).await.unwrap();
        let client = Client::connect(simulator.address(), Speaks::H1).await;
        let mut stage = Self {
            simulator,
            client,
            bearer: String::new(),
        };
        stage.mint().await;
        stage
    }

    async fn mint(&mut self) {
        let reply = self.token_call(MINT).await;
        assert_eq!(reply.status, 200);
        let answer = reply.json();
        self.bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    }

    async fn token_call(&mut self, body: &'static str) -> Reply {
        self.send(request(Method::POST, "/ims/token/v3", &[FORM], body))
            .await
    }

    /// Sends on the stage's connection, or on a new one when that is closed.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Reply {
        if self.client.is_closed() {
            self.client = Client::connect(self.simulator.address(), Speaks::H1).await;
        }
        self.client.send(request).await.unwrap()
    }

    /// The four headers for a sandbox.
    fn owned<'a>(&'a self, sandbox: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("authorization", &self.bearer),
            ("x-api-key", "demo-client"),
            ("x-gw-ims-org-id", ORGANIZATION),
            ("x-sandbox-name", sandbox),
        ]
    }

    async fn call(&mut self, method: Method, target: &str, body: &Value) -> Reply {
        let mut headers = self.owned("dev").to_vec();
        let body = if body.is_null() {
            String::new()
        } else {
            headers.extend([JSON, ("x-profile-instance-id", "ups")]);
            body.to_string()
        };
        let request = request(method, target, &headers, body);
        self.send(request).await
    }

    async fn get(&mut self, target: &str) -> Reply {
        self.call(Method::GET, target, &Value::Null).await
    }

    fn inject(&self, fault: Fault) {
        self.simulator.control().inject(fault).unwrap();
    }
}

fn get(target: &str) -> Request<Full<Bytes>> {
    request(Method::GET, target, &[], "")
}
