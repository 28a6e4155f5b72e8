//! The ways to a server: users, TLS, sentinels, clusters.

use std::time::Duration;

use profile_gateway::secret::Secret;
use profile_gateway::shared::{Login, Mode, Server, Settings, Store, Unavailable};

use super::{LONG, content, stand_in, take};
use crate::support::redis::{Authority, Redis, local, settings};

fn login(username: Option<&str>, password: &str) -> Login {
    Login {
        username: username.map(str::to_owned),
        password: Secret::new(password.to_owned()),
    }
}

const REFUSED: &str = "it does not take the username and password";

/// Does once all that a store can do.
async fn use_all(store: &Store) {
    let lease = take(store, "loyalty", LONG).await;
    store.release(lease).await.unwrap();
    let lease = take(store, "loyalty", LONG).await;
    assert!(store.publish(&lease, b"token", LONG).await.unwrap());
    assert_eq!(content(store, "loyalty").await.unwrap(), "token");
}

/// Returns why a store with these settings cannot be used.
async fn refusal(settings: Settings) -> String {
    let Unavailable { why, .. } = Store::new(settings)
        .unwrap()
        .read("loyalty")
        .await
        .unwrap_err();
    why
}

#[test]
fn a_server_with_a_password_takes_the_right_one_only() {
    local(async {
        let redis = Redis::with(&["--requirepass", "s3same"]);
        let with = |login| Settings {
            login,
            ..redis.settings()
        };

        use_all(&Store::new(with(Some(login(None, "s3same")))).unwrap()).await;

        let wrong = refusal(with(Some(login(None, "wr0ng")))).await;
        assert!(wrong.ends_with(REFUSED), "{wrong}");
        let none = refusal(with(None)).await;
        assert!(none.contains("NOAUTH"), "{none}");
    });
}

#[test]
fn a_user_with_the_documented_rights_can_do_all_and_nothing_elsewhere() {
    local(async {
        let redis = Redis::start();
        permit(&redis, &[]);
        let with = |prefix: &str, password| Settings {
            login: Some(login(Some("gateway"), password)),
            prefix: prefix.to_owned(),
            ..redis.settings()
        };
        let in_database = Settings {
            mode: Mode::Single {
                server: redis.server(),
                database: 1,
            },
            ..with("profile-gateway", "s3same")
        };

        use_all(&Store::new(with("profile-gateway", "s3same")).unwrap()).await;
        let other = refusal(in_database.clone()).await;
        assert!(!other.is_empty());
        let () = redis.command(&["ACL", "SETUSER", "gateway", "+select"]);
        use_all(&Store::new(in_database).unwrap()).await;

        let elsewhere = refusal(with("elsewhere", "s3same")).await;
        assert!(elsewhere.contains("NOPERM"), "{elsewhere}");
        let wrong = refusal(with("profile-gateway", "wr0ng")).await;
        assert!(wrong.ends_with(REFUSED), "{wrong}");
    });
}

/// Makes a user with the documented rights and more.
fn permit(redis: &Redis, more: &[&str]) {
    let mut rule = vec!["ACL", "SETUSER", "gateway", "on", ">s3same"];
    rule.extend(RIGHTS.split(' ').chain(more.iter().copied()));
    let () = redis.command(&rule);
}

/// As `config/full.yaml` has it for a single server.
const RIGHTS: &str =
    "~profile-gateway:* +eval +evalsha +get +set +del +hget +hmget +hset +pexpire +pttl +time";

#[test]
fn the_rights_in_the_full_example_are_those_that_are_tested() {
    let full = include_str!("../../../config/full.yaml");

    assert!(full.contains(RIGHTS));
}

#[test]
fn records_are_in_the_database_that_is_named() {
    local(async {
        let redis = Redis::start();
        let store = Store::new(Settings {
            mode: Mode::Single {
                server: redis.server(),
                database: 3,
            },
            ..redis.settings()
        })
        .unwrap();

        use_all(&store).await;

        let info: String = redis.command(&["INFO", "keyspace"]);
        assert!(
            info.contains("db3:keys=2") && !info.contains("db0"),
            "{info}"
        );
    });
}

#[test]
fn a_server_is_reached_over_tls_if_its_certificate_is_trusted_and_names_it() {
    local(async {
        let authority = Authority::new();
        let redis = Redis::with_tls(&authority, &["--requirepass", "s3same"]);
        let with = |authority: &Authority, host: &str| Settings {
            mode: Mode::Single {
                server: format!("{host}:{}", redis.port()).parse().unwrap(),
                database: 0,
            },
            tls: true,
            extra_roots: vec![authority.certificate()],
            login: Some(login(None, "s3same")),
            ..settings()
        };

        use_all(&Store::new(with(&authority, "127.0.0.1")).unwrap()).await;
        use_all(&Store::new(with(&authority, "localhost")).unwrap()).await;

        let stranger = refusal(with(&Authority::new(), "127.0.0.1")).await;
        assert!(stranger.contains("invalid peer certificate"), "{stranger}");
        let misnamed = refusal(with(&authority, "127.0.0.2")).await;
        assert!(misnamed.contains("certificate"), "{misnamed}");
        let clear = Settings {
            tls: false,
            timeout: Duration::from_secs(2),
            ..with(&authority, "127.0.0.1")
        };
        refusal(clear).await;
    });
}

#[test]
fn clear_text_leaves_this_machine_only_where_it_may() {
    local(async {
        // Not one of the addresses that stay on this machine by definition, but the system takes it there.
        let with = |allow_plain| Settings {
            mode: Mode::Single {
                server: "0.0.0.0:1".parse().unwrap(),
                database: 0,
            },
            allow_plain,
            ..settings()
        };

        let refused = refusal(with(false)).await;
        assert!(refused.contains("clear text may not leave"), "{refused}");
        let tried = refusal(with(true)).await;
        assert!(tried.contains("Connection refused"), "{tried}");
    });
}

#[test]
fn sentinels_name_the_server_and_after_a_failover_another() {
    local(async {
        let primary = Redis::start();
        let port = primary.port().to_string();
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &port]);
        primary.wait_for("Synchronization with replica");
        for server in [&primary, &replica] {
            permit(server, &["+role"]);
        }
        let sentinel = Redis::sentinel(&primary, "requirepass s3ntinel");
        let () = sentinel.try_command(":s3ntinel@", &HASTE).unwrap();
        sentinel.wait_for("+slave slave");
        let silent = "127.0.0.1:1".parse().unwrap();
        let with = |service: &str, password| Settings {
            mode: Mode::Sentinel {
                sentinels: vec![Clone::clone(&silent), sentinel.server()],
                service: service.to_owned(),
                login: Some(login(None, password)),
                database: 0,
            },
            login: Some(login(Some("gateway"), "s3same")),
            ..settings()
        };
        let store = Store::new(with("mymaster", "s3ntinel")).unwrap();
        use_all(&store).await;
        let keys: u32 = primary.command(&["DBSIZE"]);
        assert_eq!(keys, 2);

        // The sentinel has to have heard of the replica, which it asks once a second.
        let failover = ["SENTINEL", "FAILOVER", "mymaster"];
        while let Err(error) = sentinel.try_command::<()>(":s3ntinel@", &failover) {
            assert_eq!(error.code(), Some("NOGOODSLAVE"), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        sentinel.wait_for("+switch-master");
        // The sentinel does it too, after seconds.
        let port = replica.port().to_string();
        let () = primary.command(&["REPLICAOF", "127.0.0.1", &port]);
        let lease = take(&store, "loyalty", LONG).await;
        store.publish(&lease, b"new", LONG).await.unwrap();

        let key = "profile-gateway:{loyalty}:record";
        let fence: u64 = replica.command(&["HGET", key, "fence"]);
        assert_eq!(fence, lease.fence());
        let unknown = refusal(with("other", "s3ntinel")).await;
        assert!(unknown.contains("knows no service other"), "{unknown}");
        let wrong = refusal(with("mymaster", "wr0ng")).await;
        assert!(wrong.ends_with(REFUSED), "{wrong}");
    });
}

/// Milliseconds: a sentinel looks once in seconds at what the test waits for.
const HASTE: [&str; 6] = [
    "SENTINEL",
    "DEBUG",
    "INFO-PERIOD",
    "100",
    "PING-PERIOD",
    "100",
];

#[test]
fn nodes_of_a_cluster_point_to_where_a_name_is_kept() {
    local(async {
        let (one, other) = cluster();
        let silent = "127.0.0.1:1".parse().unwrap();
        let store = in_cluster(vec![silent, one.server()]);

        for _ in 0..2 {
            for name in 0..20 {
                let name = format!("name-{name}");
                let lease = take(&store, &name, LONG).await;
                assert!(store.publish(&lease, name.as_bytes(), LONG).await.unwrap());
                assert_eq!(content(&store, &name).await.unwrap(), name);
            }
        }

        for node in [&one, &other] {
            let keys: u32 = node.command(&["DBSIZE"]);
            assert!(keys > 4, "{keys}");
        }
    });
}

#[test]
fn a_name_that_has_moved_to_another_node_is_followed() {
    local(async {
        let (one, other) = cluster();
        let store = in_cluster(vec![one.server()]);
        let slot: u16 = one.command(&["CLUSTER", "KEYSLOT", "{loyalty}"]);
        let slot = slot.to_string();
        let (from, to) = if slot.parse::<u16>().unwrap() < 8192 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let id = |node: &Redis| node.command::<String>(&["CLUSTER", "MYID"]);
        let set = |node: &Redis, state: &str, of: &str| {
            let () = node.command(&["CLUSTER", "SETSLOT", &slot, state, of]);
        };
        assert!(store.read("loyalty").await.unwrap().is_none());
        set(to, "IMPORTING", &id(from));
        set(from, "MIGRATING", &id(to));

        let moving = store.read("loyalty").await.unwrap_err();
        assert!(moving.why.contains("ASK"), "{moving}");
        for node in [to, from] {
            set(node, "NODE", &id(to));
        }
        tokio::time::sleep(moving.retry_in).await;
        use_all(&store).await;

        let moved: u32 = to.command(&["DBSIZE"]);
        assert_eq!(moved, 2);
    });
}

#[test]
fn a_node_that_points_nowhere_is_not_followed_for_ever() {
    local(async {
        for (answer, expected) in [
            (
                "-MOVED 1 127.0.0.1:1\r\n",
                "127.0.0.1:1: Connection refused",
            ),
            ("-MOVED 1 0.0.0.0:1\r\n", "clear text may not leave"),
            ("-ASK 1 127.0.0.1:1\r\n", "ASK"),
            ("-MOVED 1 somewhere\r\n", "MOVED"),
            ("-CLUSTERDOWN Hash slot not served\r\n", "CLUSTERDOWN"),
        ] {
            let (address, _) = stand_in(vec![answer]);
            let seeds = vec![address.to_string().parse().unwrap()];

            let why = refusal(Settings {
                mode: Mode::Cluster { seeds },
                ..settings()
            })
            .await;

            assert!(why.contains(expected), "{why}");
        }
    });
}

#[test]
fn a_node_of_a_cluster_is_no_single_server() {
    local(async {
        let (one, other) = cluster();
        let slot: u16 = one.command(&["CLUSTER", "KEYSLOT", "{loyalty}"]);
        let wrong = if slot < 8192 { &other } else { &one };

        let why = refusal(wrong.settings()).await;

        assert!(
            why.ends_with("it is a node of a cluster, and `mode` is another"),
            "{why}"
        );
    });
}

/// Starts two nodes, each with half of the slots and a user that may do what is documented.
fn cluster() -> (Redis, Redis) {
    let (one, other) = (Redis::node(), Redis::node());
    let () = one.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    let () = other.command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    let bus: String = other.command(&["CLUSTER", "NODES"]);
    let bus = bus.split(['@', ' ', ',']).nth(2).unwrap();
    let port = other.port().to_string();
    let () = one.command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
    for node in [&one, &other] {
        node.wait_for("Cluster state changed: ok");
        permit(node, &[]);
    }
    (one, other)
}

fn in_cluster(seeds: Vec<Server>) -> Store {
    Store::new(Settings {
        mode: Mode::Cluster { seeds },
        login: Some(login(Some("gateway"), "s3same")),
        ..settings()
    })
    .unwrap()
}
