//! Who has the server but not the key learns and changes nothing.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use profile_gateway::secret::Secret;
use profile_gateway::shared::{Keyring, Login, Settings, Store};

use super::{LONG, content, take};
use crate::support::redis::{Redis, keys, local};

const PLAIN: &str = "eyJhbGciOiJSUzI1NiJ9.hidden-token?>";

fn with_keys(redis: &Redis, keys: Keyring) -> Store {
    Store::new(Settings {
        keys,
        ..redis.settings()
    })
    .unwrap()
}

#[test]
fn nothing_of_a_record_can_be_read_on_the_server() {
    local(async {
        let redis = Redis::with(&["--rdbcompression", "no"]);
        let store = redis.store();
        let lease = take(&store, "loyalty", LONG).await;
        store.publish(&lease, PLAIN.as_bytes(), LONG).await.unwrap();
        take(&store, "loyalty", LONG).await;

        // All keys and all values.
        let () = redis.command(&["SAVE"]);
        let seen = fs::read(redis.folder().join("dump.rdb")).unwrap();

        let holds = |text: &[u8]| seen.windows(text.len()).any(|window| window == text);
        for key in ["record", "lease", "fence"] {
            assert!(holds(
                format!("profile-gateway:{{loyalty}}:{key}").as_bytes()
            ));
        }
        assert!(holds(b"v1.k1."));
        // Pieces, so that neither one that is cut nor one that begins elsewhere goes unseen.
        for at in 0..PLAIN.len() - 12 {
            let piece = &PLAIN.as_bytes()[at..at + 12];
            let digits: Vec<String> = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!holds(piece) && !holds(digits.concat().as_bytes()));
            assert!(!holds(STANDARD_NO_PAD.encode(piece).as_bytes()));
            assert!(!holds(URL_SAFE_NO_PAD.encode(piece).as_bytes()));
        }
    });
}

#[test]
fn keys_are_replaced_without_a_moment_when_somebody_cannot_read() {
    local(async {
        let redis = Redis::start();
        let before = with_keys(&redis, keys(&[("k1", 1)]));
        let added = with_keys(&redis, keys(&[("k1", 1), ("k2", 2)]));
        let turned = with_keys(&redis, keys(&[("k2", 2), ("k1", 1)]));
        let after = with_keys(&redis, keys(&[("k2", 2)]));

        // Neighbouring steps of the rollout run side by side.
        for (one, other) in [(&before, &added), (&added, &turned), (&turned, &after)] {
            for (writer, reader) in [(one, other), (other, one)] {
                let lease = take(writer, "loyalty", LONG).await;
                writer.publish(&lease, b"token", LONG).await.unwrap();
                assert_eq!(content(reader, "loyalty").await.unwrap(), "token");
            }
        }

        assert!(before.read("loyalty").await.unwrap().is_none());
        let foreign = with_keys(&redis, keys(&[("k2", 3)]));
        assert!(foreign.read("loyalty").await.unwrap().is_none());
    });
}

#[test]
fn a_record_that_cannot_be_opened_can_be_replaced() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        let foreign = with_keys(&redis, keys(&[("other", 9)]));
        let lease = take(&foreign, "loyalty", LONG).await;
        foreign.publish(&lease, b"theirs", LONG).await.unwrap();
        assert!(store.read("loyalty").await.unwrap().is_none());

        let lease = take(&store, "loyalty", LONG).await;

        assert!(store.publish(&lease, b"ours", LONG).await.unwrap());
        assert_eq!(content(&store, "loyalty").await.unwrap(), "ours");
    });
}

#[test]
fn a_record_means_nothing_under_another_name_prefix_or_fence() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        let lease = take(&store, "loyalty", LONG).await;
        store.publish(&lease, b"token", LONG).await.unwrap();
        let record = "profile-gateway:{loyalty}:record";
        for other in [
            "profile-gateway:{segmentation}:record",
            "elsewhere:{loyalty}:record",
        ] {
            let copied: bool = redis.command(&["COPY", record, other]);
            assert!(copied);
        }
        let elsewhere = Store::new(Settings {
            prefix: "elsewhere".to_owned(),
            ..redis.settings()
        })
        .unwrap();

        assert!(store.read("segmentation").await.unwrap().is_none());
        assert!(elsewhere.read("loyalty").await.unwrap().is_none());
        assert_eq!(content(&store, "loyalty").await.unwrap(), "token");
        let () = redis.command(&["HINCRBY", record, "fence", "1"]);
        assert!(store.read("loyalty").await.unwrap().is_none());
    });
}

#[test]
fn what_others_have_written_is_no_record() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        let record = "profile-gateway:{loyalty}:record";
        for (fence, sealed) in [
            ("1", ""),
            ("1", "hello"),
            ("-1", "v1.k1.AAAA"),
            ("1e300", "v1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("x", "v1..\u{7f}"),
        ] {
            let () = redis.command(&["HSET", record, "fence", fence, "sealed", sealed]);
            assert!(store.read("loyalty").await.unwrap().is_none(), "{sealed}");
        }
    });
}

#[test]
fn a_password_and_keys_that_change_are_taken_while_the_store_is_used() {
    local(async {
        let redis = Redis::with(&["--requirepass", "one"]);
        let with = |password: &str, keys| Settings {
            login: Some(Login {
                username: None,
                password: Secret::new(password.to_owned()),
            }),
            keys,
            ..redis.settings()
        };
        let store = Store::new(with("one", keys(&[("k1", 1)]))).unwrap();
        let lease = take(&store, "loyalty", LONG).await;
        store.publish(&lease, PLAIN.as_bytes(), LONG).await.unwrap();
        let rotate = ["CONFIG", "SET", "requirepass", "two"];
        let () = redis.try_command(":one@", &rotate).unwrap();
        let kill = ["CLIENT", "KILL", "TYPE", "normal"];
        let _ = redis.try_command::<u32>(":two@", &kill);
        assert!(store.read("loyalty").await.is_err() && !store.is_up());

        assert!(store.update(&with("two", keys(&[("k1", 1)]))).unwrap());
        assert_eq!(content(&store, "loyalty").await.as_deref(), Some(PLAIN));
        assert!(store.is_up());
        assert!(!store.update(&with("two", keys(&[("k1", 1)]))).unwrap());

        // The same id with another key is another key.
        assert!(store.update(&with("two", keys(&[("k1", 2)]))).unwrap());
        assert!(store.read("loyalty").await.unwrap().is_none());
    });
}
