//! Replicas that have one token together, through a real Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange, get};
use crate::support::redis::Redis;

const LOOKUP: &str = "/data/core/ups/x";

fn replica(adobe: &Adobe, redis: &Redis) -> Gateway {
    let (url, port) = (adobe.url(), redis.port());
    Gateway::with(&format!(
        "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
shared:
  redis:
    servers: ['127.0.0.1:{port}']
    tls: false
    encryption_keys: [{{ id: k1, key: '{}' }}]
routes:
  - name: trials
    match: {{ path: '/data/core/{{*rest}}' }}
    sandbox: dev-2
",
        "01".repeat(32)
    ))
}

/// An IMS that gives `token-1`, `token-2` and so on, each for `lives` seconds, and takes a while for it.
fn adobe(lives: u64) -> Adobe {
    Adobe::minting(
        move |calls, _| {
            Act::play(move |wire| {
                // Nobody sends anything: this takes as long as a call of IMS's.
                let (_sender, nobody) = channel::<()>();
                let _ = nobody.recv_timeout(Duration::from_millis(100));
                let body = format!(
                    r#"{{"access_token":"token-{calls}-of-this-test","expires_in":{lives}}}"#
                );
                let length = body.len();
                wire.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
                ));
            })
        },
        Act::echo,
    )
}

fn metrics(gateway: &Gateway) -> String {
    exchange(gateway.admin, get("/metrics", "")).text()
}

fn status(gateway: &Gateway) -> serde_json::Value {
    exchange(gateway.admin, get("/credentials", "")).json()["credentials"][0].clone()
}

#[test]
fn ten_replicas_that_start_together_mint_one_token() {
    let (redis, adobe) = (Redis::start(), adobe(86_399));

    let replicas: Vec<_> = thread::scope(|scope| {
        let starting: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| replica(&adobe, &redis)))
            .collect();
        starting
            .into_iter()
            .map(|replica| replica.join().unwrap())
            .collect()
    });
    for replica in &replicas {
        assert_eq!(exchange(replica.address, get(LOOKUP, "")).status, 200);
    }

    assert_eq!(adobe.token_calls().len(), 1);
    let seen = adobe.seen();
    assert_eq!(seen.len(), 10);
    assert!(
        seen.iter()
            .all(|seen| seen.values("authorization") == ["Bearer token-1-of-this-test"])
    );
    let all: Vec<_> = replicas.iter().map(status).collect();
    assert!(
        all.iter()
            .all(|one| one["fingerprint"] == all[0]["fingerprint"])
    );
    let taken = all.iter().filter(|one| one["token_calls"]["taken"] == 1);
    assert_eq!(taken.count(), 9);
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    for key in keys {
        let dump: Vec<u8> = redis.command(&["DUMP", &key]);
        assert!(
            !String::from_utf8_lossy(&dump).contains("of-this-test"),
            "{key}"
        );
    }
}

#[test]
fn a_revoked_token_is_replaced_once_for_all_replicas() {
    let redis = Redis::start();
    let valid = Arc::new(AtomicUsize::new(1));
    let from = Arc::clone(&valid);
    let adobe = Adobe::minting(
        |calls, _| Act::token(&format!("t{calls}"), 86_399),
        move |seen| {
            let bearer = seen.values("authorization")[0].to_owned();
            let number: usize = bearer.strip_prefix("Bearer t").unwrap().parse().unwrap();
            if number < from.load(Ordering::SeqCst) {
                Act::token_refused()
            } else {
                Act::echo(seen)
            }
        },
    );
    let replicas: Vec<_> = (0..4).map(|_| replica(&adobe, &redis)).collect();
    for replica in &replicas {
        assert_eq!(exchange(replica.address, get(LOOKUP, "")).status, 200);
    }

    valid.store(2, Ordering::SeqCst);
    thread::scope(|scope| {
        for replica in &replicas {
            scope.spawn(|| assert_eq!(exchange(replica.address, get(LOOKUP, "")).status, 200));
        }
    });

    assert_eq!(adobe.token_calls().len(), 2);
}

#[test]
fn when_redis_dies_under_load_no_request_fails_and_each_replica_mints_for_itself() {
    let mut redis = Redis::start();
    let adobe = adobe(2);
    let replicas: Vec<_> = (0..3).map(|_| replica(&adobe, &redis)).collect();
    for replica in &replicas {
        assert_eq!(exchange(replica.address, get(LOOKUP, "")).status, 200);
    }
    let shared = adobe.token_calls().len();
    assert!(shared <= 2, "{shared}");

    // Each token is renewed several times over: with Redis, without it, and with it again.
    let done = AtomicBool::new(false);
    let statuses: Vec<_> = thread::scope(|scope| {
        let load: Vec<_> = replicas
            .iter()
            .map(|replica| {
                scope.spawn(|| {
                    let mut raw = Raw::connect(replica.address);
                    let mut statuses = Vec::new();
                    while !done.load(Ordering::SeqCst) {
                        raw.write(get(LOOKUP, ""));
                        statuses.push(raw.answer(false).unwrap().status);
                    }
                    statuses
                })
            })
            .collect();
        wait_until(|| adobe.token_calls().len() > shared);
        redis.kill();
        let killed = adobe.token_calls().len();
        // Alone, all three make calls.
        wait_until(|| adobe.token_calls().len() >= killed + 6);
        assert!(metrics(&replicas[0]).contains("profile_gateway_shared_up 0"));
        redis.restart();
        wait_until(|| {
            let up = |replica| metrics(replica).contains("profile_gateway_shared_up 1");
            replicas.iter().all(up)
        });
        let restarted = adobe.token_calls().len();
        wait_until(|| adobe.token_calls().len() >= restarted + 2);
        done.store(true, Ordering::SeqCst);
        load.into_iter()
            .flat_map(|load| load.join().unwrap())
            .collect()
    });

    assert!(statuses.len() > 300, "{}", statuses.len());
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(failed, 0, "of {}", statuses.len());
    assert!(
        replicas
            .iter()
            .all(|replica| status(replica)["token_calls"]["minted"].as_u64() > Some(1))
    );
}

fn wait_until(happens: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(40);
    while !happens() {
        assert!(Instant::now() < patience);
        thread::yield_now();
    }
}

#[test]
fn a_replica_with_another_key_reads_nothing_and_serves() {
    let (redis, adobe) = (Redis::start(), adobe(86_399));
    let first = replica(&adobe, &redis);
    assert_eq!(exchange(first.address, get(LOOKUP, "")).status, 200);
    let (url, port) = (adobe.url(), redis.port());
    let other = Gateway::with(&format!(
        "
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
shared:
  redis: {{ servers: ['127.0.0.1:{port}'], tls: false, encryption_keys: [{{ id: k1, key: '{}' }}] }}
routes:
  - {{ name: trials, match: {{ path: '/data/core/{{*rest}}' }}, sandbox: dev-2 }}
",
        "02".repeat(32)
    ));

    assert_eq!(exchange(other.address, get(LOOKUP, "")).status, 200);
    assert_eq!(adobe.token_calls().len(), 2);
}
