//! When the server is slow, gone, or back.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use profile_gateway::secret::Secret;
use profile_gateway::shared::{Login, Mode, Settings, Store};
use tokio::time::Instant;

use super::{LONG, content, stand_in, take};
use crate::support::redis::{Redis, local, settings};

fn at(address: SocketAddr, timeout: Duration) -> Settings {
    Settings {
        mode: Mode::Single {
            server: address.to_string().parse().unwrap(),
            database: 0,
        },
        timeout,
        ..settings()
    }
}

#[test]
fn a_server_that_never_answers_is_waited_for_once_and_then_not_at_all() {
    local(async {
        let (address, accepted) = stand_in(Vec::new());
        let limit = Duration::from_millis(200);
        let store = Store::new(at(address, limit)).unwrap();
        let begun = Instant::now();

        let first = store.read("loyalty").await.unwrap_err();
        let waited = begun.elapsed();
        let begun_again = Instant::now();
        let mut refused = Vec::new();
        for _ in 0..1000 {
            refused.push(store.lease("loyalty", LONG).await.unwrap_err());
        }
        let more = begun_again.elapsed();

        assert_eq!(first.why, "no answer within 200ms");
        assert!(waited >= limit && waited < limit * 5, "{waited:?}");
        assert!(more < limit * 5, "{more:?}");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
        let second = Duration::from_secs(1);
        assert!(first.retry_in > second / 4 && first.retry_in <= second);
        for refused in refused {
            assert_eq!(refused.why, first.why);
            assert!(refused.retry_in <= first.retry_in);
        }
    });
}

#[test]
fn many_who_wait_for_the_same_silent_server_wait_no_longer_than_one() {
    local(async {
        let (address, accepted) = stand_in(Vec::new());
        let limit = Duration::from_millis(200);
        let store = Store::new(at(address, limit)).unwrap();
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..50 {
            let store = store.clone();
            tasks.spawn_local(async move { store.read(&format!("name-{index}")).await.is_err() });
        }

        assert!(tasks.join_all().await.into_iter().all(|failed| failed));

        assert!(begun.elapsed() < limit * 5, "{:?}", begun.elapsed());
        assert!(accepted.load(Ordering::SeqCst) <= 2);
    });
}

#[test]
fn a_server_that_is_gone_fails_at_once_and_is_found_again() {
    local(async {
        let mut redis = Redis::start();
        let store = redis.store();
        let lease = take(&store, "loyalty", LONG).await;
        store.publish(&lease, b"token", LONG).await.unwrap();
        redis.kill();
        let begun = Instant::now();

        let error = store.read("loyalty").await.unwrap_err();

        assert!(error.why.contains("Connection refused"), "{}", error.why);
        assert!(begun.elapsed() < Duration::from_secs(5));
        redis.restart();
        let mut failures = 0;
        while let Err(error) = store.read("loyalty").await {
            failures += 1;
            assert!(failures < 3, "{error}");
            tokio::time::sleep(error.retry_in).await;
        }
        assert!(content(&store, "loyalty").await.is_none());
        let lease = take(&store, "loyalty", LONG).await;
        assert!(store.publish(&lease, b"token", LONG).await.unwrap());
    });
}

#[test]
fn a_connection_that_died_unnoticed_costs_no_failure() {
    local(async {
        let mut redis = Redis::start();
        let store = redis.store();
        take(&store, "loyalty", LONG).await;

        redis.restart();

        // Scripts are gone with the server too.
        take(&store, "loyalty", LONG).await;
        let () = redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert!(store.read("loyalty").await.unwrap().is_none());
    });
}

#[test]
fn a_call_that_is_given_up_leaves_the_store_usable() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        for steps in 0..200 {
            let patience = async {
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                answer = store.read("loyalty") => assert!(answer.unwrap().is_none()),
                () = patience => {}
            }
        }

        assert!(store.read("loyalty").await.unwrap().is_none());
    });
}

#[test]
fn what_a_server_repeats_of_a_password_is_not_told() {
    local(async {
        for answers in [
            vec!["-ERR unknown command 'AUTH', with args beginning with: 'me' 'p8e-hidden'\r\n"],
            vec!["+OK\r\n", "-ERR p8e-hidden is what I was told\r\n"],
        ] {
            let (address, _) = stand_in(answers);
            let store = Store::new(Settings {
                login: Some(Login {
                    username: Some("me".to_owned()),
                    password: Secret::new("p8e-hidden".to_owned()),
                }),
                ..at(address, LONG)
            })
            .unwrap();

            let error = store.read("loyalty").await.unwrap_err();

            let told =
                error.why.contains("username and password") || error.why.contains("I was told");
            assert!(told, "{error}");
            assert!(!format!("{error} {error:?}").contains("hidden"));
        }
    });
}

#[test]
fn losing_and_finding_the_store_is_logged_once_each() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        local(async {
            let mut redis = Redis::start();
            let store = redis.store();
            store.read("loyalty").await.unwrap();
            redis.kill();
            let mut pauses = Vec::new();
            for _ in 0..2 {
                let error = store.read("loyalty").await.unwrap_err();
                assert!(store.read("loyalty").await.is_err());
                tokio::time::sleep(error.retry_in).await;
                pauses.push(error.retry_in);
            }
            assert!(pauses[1] >= pauses[0]);
            redis.restart();
            while let Err(error) = store.read("loyalty").await {
                tokio::time::sleep(error.retry_in).await;
            }
            store.read("loyalty").await.unwrap();
            let key = "profile-gateway:{loyalty}:record";
            let () = redis.command(&["HSET", key, "fence", "1", "sealed", "v1.k7.AAAA"]);
            for _ in 0..3 {
                assert!(store.read("loyalty").await.unwrap().is_none());
            }
        });
    });

    let text = lines.text();
    let count = |part: &str| text.matches(part).count();
    assert_eq!(count("the shared store is lost"), 1, "{text}");
    assert_eq!(count("the shared store is back"), 1, "{text}");
    assert_eq!(count("no key is named k7"), 1, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
