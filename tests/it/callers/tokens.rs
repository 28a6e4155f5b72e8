//! Callers who show a token of a cluster: service accounts, known by keys that the cluster's discovery document leads to.

use http::{Method, StatusCode};
use profile_gateway::identify::KeyDigest;
use serde_json::json;
use tokio::task::JoinSet;

use super::configuration;
use crate::support::adobe::Adobe;
use crate::support::client::{Client, Speaks, request};
use crate::support::documents::Server;
use crate::support::raw::{Answer, exchange, get};
use crate::support::running::{LOOKUP, Running, eventually};
use crate::support::signer::{SUBJECT, Signer, discovery, set};

pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// A key of the caller that the tokens are of too.
pub(super) const ITS_KEY: &str = "k-checkout-4d8e1b";
/// A key of another caller.
pub(super) const OTHER_KEY: &str = "k-crm-7c2a9f";

/// A log of everything there is to tell.
pub(super) const TELLING_ALL: &str = "log: { format: json, level: trace }\n";

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
const BEARER: &str = "cluster-bearer";

/// A cluster, and a gateway in front of Adobe that trusts it.
pub(super) struct Trusting {
    pub(super) adobe: Adobe,
    pub(super) gateway: Running,
    cluster: Server,
}

impl Trusting {
    /// Starts both, with these keys published, and waits until callers can be served.
    pub(super) fn start(keys: &[&Signer], more: &str) -> Self {
        Self::fetching_every("1s", keys, more)
    }

    /// Like [`Self::start`], where no two fetches of keys are closer to each other than this.
    pub(super) fn fetching_every(time: &str, keys: &[&Signer], more: &str) -> Self {
        let started = Self::begin(time, keys, more);
        started.gateway.wait_for_state("demo", "valid");
        eventually("keys", || {
            (started.gateway.readiness().0 == 200).then_some(())
        });
        started
    }

    fn begin(min_refresh: &str, keys: &[&Signer], more: &str) -> Self {
        let (adobe, cluster) = (Adobe::willing(), Server::start(Some(BEARER)));
        if !keys.is_empty() {
            publish(&cluster, keys);
        }
        let text = written(&adobe, &cluster, &format!("{CALLERS}{more}"));
        let text = text.replace("min_refresh: 1s", &format!("min_refresh: {min_refresh}"));
        let files = [("ca.pem", cluster.pem.as_str()), ("bearer", BEARER)];
        let gateway = Running::start(&text, &files);
        Self {
            adobe,
            gateway,
            cluster,
        }
    }

    pub(super) fn ask(&self, fields: &str) -> Answer {
        exchange(self.gateway.address, get(LOOKUP, fields))
    }

    fn with(&self, token: &str) -> Answer {
        self.ask(&bearing(token))
    }

    fn fetches(&self) -> usize {
        let asked = format!("GET {KEYS} ");
        let heads = self.cluster.heads();
        heads.iter().filter(|head| head.starts_with(&asked)).count()
    }
}

pub(super) fn bearing(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn publish(cluster: &Server, keys: &[&Signer]) {
    let origin = format!("https://kubernetes.default.svc:{}", cluster.address.port());
    cluster.give(KEYS, set(keys));
    cluster.give(WELL_KNOWN, discovery(ISSUER, &format!("{origin}{KEYS}")));
}

/// The callers, in which `KEY` and `OTHER` stand for the digests of their keys.
const CALLERS: &str = "callers:
  checkout: { workload_token: { issuer: cluster, subject: SUBJECT }, api_key: { sha256: KEY } }
  crm: { api_key: { sha256: OTHER } }
";

fn written(adobe: &Adobe, cluster: &Server, more: &str) -> String {
    let digest = |key: &str| KeyDigest::of(key.as_bytes()).to_string();
    let more = more
        .replace("SUBJECT", &format!("'{SUBJECT}'"))
        .replace("KEY", &digest(ITS_KEY))
        .replace("OTHER", &digest(OTHER_KEY));
    let issuers = format!(
        "issuers:
  cluster:
    issuer: {ISSUER}
    audiences: [profile-gateway]
    discovery: https://kubernetes.default.svc:{}
    address: '{}'
    ca_file: $FOLDER/ca.pem
    bearer: '${{file:$FOLDER/bearer}}'
    min_refresh: 1s
    refresh: 1m
",
        cluster.address.port(),
        cluster.address
    );
    configuration(adobe, &format!("{issuers}{more}"))
}

#[tokio::test]
async fn a_service_accounts_token_makes_the_caller_and_goes_no_further_than_the_gateway() {
    let signer = Signer::new("k1");
    let stack = Trusting::start(&[&signer], TELLING_ALL);
    let token = signer.token(ISSUER);
    let address = stack.gateway.address;

    // The second request of each is believed since the first was.
    for speaks in [Speaks::H1, Speaks::H2] {
        let mut client = Client::connect(address, speaks).await;
        let target = match speaks {
            Speaks::H1 => LOOKUP.to_owned(),
            Speaks::H2 => format!("http://{address}{LOOKUP}"),
        };
        for scheme in ["Bearer", "bearer"] {
            let value = format!("{scheme} {token}");
            let host = (speaks == Speaks::H1).then_some(("host", "gateway"));
            let fields: Vec<_> = [("authorization", value.as_str())]
                .into_iter()
                .chain(host)
                .collect();
            let reply = client
                .send(request(Method::GET, &target, &fields, ""))
                .await
                .unwrap();
            assert_eq!(reply.status, 200, "{speaks:?} {scheme}");
        }
    }

    let seen = stack.adobe.seen();
    assert_eq!(seen.len(), 4);
    for seen in &seen {
        seen.assert_owned("dev-2");
        assert!(!seen.head.contains("eyJ"), "{}", seen.head);
    }
    assert_eq!(stack.fetches(), 1);
    let printed = stack.gateway.stop();
    let known = "\"caller\":\"checkout\",\"identified_by\":\"workload_token\"";
    assert_eq!(printed.matches(known).count(), 4, "{printed}");
    // Every part of a token in JSON begins like this, and so would what is left of one.
    assert!(!printed.contains("eyJ"), "{printed}");
    let signature = token.rsplit('.').next().unwrap();
    assert!(!printed.contains(signature), "{printed}");
}

#[test]
fn a_subject_makes_a_caller_only_in_tokens_of_the_issuer_it_is_written_for() {
    let (one, other) = (Signer::new("k1"), Signer::other("k2"));
    let adobe = Adobe::willing();
    let more = format!(
        "issuers:
  one: {{ issuer: https://one.corp, audiences: [profile-gateway], jwks_file: $FOLDER/one.json }}
  other: {{ issuer: https://other.corp, audiences: [profile-gateway], jwks_file: $FOLDER/other.json }}
callers:
  checkout: {{ workload_token: {{ issuer: one, subject: '{SUBJECT}' }} }}
  somebody: {{ workload_token: {{ issuer: other, subject: somebody }} }}
"
    );
    let files = [set(&[&one]), set(&[&other])];
    let gateway = Running::start(
        &configuration(&adobe, &more),
        &[("one.json", &files[0]), ("other.json", &files[1])],
    );
    let status = |token: String| super::ask(&gateway, &bearing(&token)).status;

    assert_eq!(status(one.token("https://one.corp")), 200);
    assert_eq!(status(other.token("https://other.corp")), 401);
    let somebody = json!({ "sub": "somebody" });
    let token = other.token_with("https://other.corp", &json!({}), &somebody);
    assert_eq!(status(token), 200);
}

#[test]
fn a_token_and_a_key_count_together_only_when_both_are_the_same_callers() {
    let signer = Signer::new("k1");
    let stack = Trusting::start(&[&signer], "");
    let good = signer.token(ISSUER);
    let stranger = signer.token_with(ISSUER, &json!({}), &json!({ "sub": "stranger" }));
    let and = |token: &str, key: &str| {
        let fields = format!("{}X-Caller-Key: {key}\r\n", bearing(token));
        stack.ask(&fields)
    };

    assert_eq!(and(&good, ITS_KEY).status, 200);
    assert_eq!(
        stack.ask(&format!("X-Caller-Key: {ITS_KEY}\r\n")).status,
        200
    );
    for (token, key) in [
        (good.as_str(), OTHER_KEY),
        (&good, "k-wrong"),
        (&stranger, ITS_KEY),
        (&stranger, OTHER_KEY),
        ("nonsense", ITS_KEY),
    ] {
        let answer = and(token, key);
        assert_eq!(
            answer.problem(),
            (401, "caller_unknown".to_owned()),
            "{key}"
        );
        assert!(
            answer.text().contains("is not accepted here"),
            "{}",
            answer.text()
        );
    }

    assert_eq!(stack.adobe.seen().len(), 2);
    let printed = stack.gateway.stop();
    // Whatever the caller is told, the access line says what it was.
    for (cause, times) in [
        ("callers_differ", 1),
        ("api_key_unknown", 1),
        ("subject_unknown", 2),
        ("token_malformed", 1),
    ] {
        let said = format!("\"reason\":\"caller_unknown\",\"cause\":\"{cause}\"");
        assert_eq!(printed.matches(&said).count(), times, "{cause}: {printed}");
    }
    for by in ["workload_token", "api_key"] {
        let known = format!("\"caller\":\"checkout\",\"identified_by\":\"{by}\"");
        assert_eq!(printed.matches(&known).count(), 1, "{printed}");
    }
}

#[test]
fn tokens_may_have_a_field_of_their_own_and_stand_alone_in_it() {
    let signer = Signer::new("k1");
    let listeners = "listeners: [{ address: '127.0.0.1:0', token_header: x-caller-token }]\n";
    let stack = Trusting::start(&[&signer], listeners);
    let token = signer.token(ISSUER);

    for fields in [
        format!("X-Caller-Token: {token}\r\n"),
        format!("x-caller-token: {token}\r\nAuthorization: Bearer of-somebody-else\r\n"),
    ] {
        assert_eq!(stack.ask(&fields).status, 200, "{fields}");
    }
    for (fields, told) in [
        (
            format!("X-Caller-Token: Bearer {token}\r\n"),
            "is not accepted here",
        ),
        ("X-Caller-Token:\r\n".to_owned(), "is not accepted here"),
        (
            bearing(&token),
            "show who calls: a workload token in x-caller-token",
        ),
        (format!("X_Caller_Token: {token}\r\n"), "show who calls"),
        (
            format!("X-Caller-Token: {token}\r\nx-caller-token: {token}\r\n"),
            "once, and no more",
        ),
    ] {
        let answer = stack.ask(&fields);
        assert_eq!(answer.problem(), (401, "caller_unknown".to_owned()));
        assert!(answer.text().contains(told), "{}", answer.text());
    }

    let seen = stack.adobe.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        seen.assert_owned("dev-2");
        assert!(!seen.head.contains("eyJ"), "{}", seen.head);
    }
}

#[tokio::test]
async fn keys_that_are_replaced_in_mid_flight_cost_no_caller_an_error() {
    let (old, new) = (Signer::new("old"), Signer::other("new"));
    let stack = Trusting::start(&[&old], "");
    let address = stack.gateway.address;
    let client = Client::connect(address, Speaks::H2).await;
    let lookup = |token: &str| {
        let value = format!("Bearer {token}");
        let target = format!("http://{address}{LOOKUP}");
        request(Method::GET, &target, &[("authorization", &value)], "")
    };
    assert_eq!(stack.with(&old.token(ISSUER)).status, 200);
    assert_eq!(stack.fetches(), 1);

    publish(&stack.cluster, &[&old, &new]);
    let mut flying = JoinSet::new();
    for caller in 0..20 {
        let own = json!({ "jti": caller });
        for signer in [&old, &new] {
            let token = signer.token_with(ISSUER, &json!({}), &own);
            client.send_at_once(&lookup(&token), 2, &mut flying);
        }
    }
    let statuses = flying.join_all().await;

    assert_eq!(statuses, [StatusCode::OK; 80]);
    assert_eq!(stack.fetches(), 2);

    // What the issuer withdraws counts no more from the next fetch on, which a key that nobody has brings about.
    publish(&stack.cluster, &[&new]);
    let unknown = new.token_with(ISSUER, &json!({ "kid": "unknown" }), &json!({}));
    assert_eq!(stack.with(&unknown).status, 401);
    eventually("end of the old key", || {
        stack.with(&unknown);
        (stack.with(&old.token(ISSUER)).status == 401).then_some(())
    });
    assert_eq!(stack.with(&new.token(ISSUER)).status, 200);
}

#[test]
fn without_keys_nobody_is_called_unknown_and_keys_once_fetched_outlast_their_server() {
    let signer = Signer::new("k1");
    let stack = Trusting::begin("1s", &[], "");
    let token = signer.token(ISSUER);
    stack.gateway.wait_for_state("demo", "valid");

    let answer = stack.with(&token);
    assert_eq!(answer.problem(), (503, "keys_unavailable".to_owned()));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(!answer.text().contains(ISSUER), "{}", answer.text());
    // What could not be believed with any keys is told so, and whoever needs no keys is served.
    assert_eq!(stack.with("a.b.c").status, 401);
    assert_eq!(
        stack.ask(&format!("X-Caller-Key: {ITS_KEY}\r\n")).status,
        200
    );
    assert_eq!(stack.adobe.seen().len(), 1);

    publish(&stack.cluster, &[&signer]);
    eventually("service", || {
        (stack.with(&token).status == 200).then_some(())
    });

    stack.cluster.take_away(KEYS);
    stack.cluster.take_away(WELL_KNOWN);
    let unknown = signer.token_with(ISSUER, &json!({ "kid": "unknown" }), &json!({}));
    let failures = "profile_gateway_issuer_fetches_total{issuer=\"cluster\",outcome=\"refused\"}";
    let before = stack.gateway.count(failures);
    eventually("failed fetch", || {
        assert_eq!(stack.with(&unknown).status, 401);
        (stack.gateway.count(failures) > before).then_some(())
    });
    // Neither one that was seen nor one that comes for the first time.
    assert_eq!(stack.with(&token).status, 200);
    let fresh = signer.token_with(ISSUER, &json!({}), &json!({ "jti": "fresh" }));
    assert_eq!(stack.with(&fresh).status, 200);

    // Anybody can write a token, and nobody fills the log with errors by that.
    let printed = stack.gateway.stop();
    assert!(!printed.contains("a request failed"), "{printed}");
    for (reason, cause) in [
        ("keys_unavailable", "issuer_keys_missing"),
        ("caller_unknown", "token_malformed"),
        ("caller_unknown", "token_key_unknown"),
    ] {
        let said = format!("\"reason\":\"{reason}\",\"cause\":\"{cause}\"");
        assert!(printed.contains(&said), "{cause}: {printed}");
    }
}

#[test]
fn a_reload_takes_callers_and_issuers_away_and_gives_them_back() {
    let signer = Signer::new("k1");
    let stack = Trusting::start(&[&signer], "");
    let token = signer.token(ISSUER);
    let text = |more: &str| written(&stack.adobe, &stack.cluster, more);
    let one = |subject: &str| {
        format!(
            "callers:\n  checkout: {{ workload_token: {{ issuer: cluster, subject: {subject} }} }}\n"
        )
    };
    assert_eq!(stack.with(&token).status, 200);

    assert_eq!(stack.gateway.reload(&text(&one("other"))), "applied");
    let answer = stack.with(&token);
    assert_eq!(answer.problem(), (401, "caller_unknown".to_owned()));
    assert_eq!(stack.gateway.reload(&text(&one("SUBJECT"))), "applied");
    assert_eq!(stack.with(&token).status, 200);

    let nobody = configuration(
        &stack.adobe,
        "callers: { lan: { network: { cidr: [192.0.2.0/24] } } }\n",
    );
    assert_eq!(stack.gateway.reload(&nobody), "applied");
    assert_eq!(stack.with(&token).status, 401);
    // Its keys were not fetched again but for the issuer that came back.
    assert_eq!(stack.gateway.reload(&text(CALLERS)), "applied");
    assert_eq!(stack.with(&token).status, 200);
    assert_eq!(stack.fetches(), 2);
}
