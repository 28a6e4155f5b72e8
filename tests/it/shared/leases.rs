//! One replica at a time replaces a record, and who is late replaces nothing.

use std::time::Duration;

use profile_gateway::shared::{Leased, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{LONG, content, take, take_after};
use crate::support::redis::{Redis, local};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn what_one_replica_publishes_the_others_read() {
    local(async {
        let redis = Redis::start();
        let (one, other) = (redis.store(), redis.store());
        assert!(other.read("loyalty").await.unwrap().is_none());
        let lease = take(&one, "loyalty", LONG).await;

        assert!(one.publish(&lease, b"token", LONG).await.unwrap());

        let record = other.read("loyalty").await.unwrap().unwrap();
        assert_eq!(record.plain.expose(), b"token");
        assert_eq!(record.fence, lease.fence());
        assert!(record.left <= LONG && record.left > LONG / 2);
        assert!(other.read("other").await.unwrap().is_none());
    });
}

#[test]
fn a_record_is_gone_when_its_time_is_over() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        let lease = take(&store, "loyalty", LONG).await;

        assert!(store.publish(&lease, b"token", SHORT).await.unwrap());

        while let Some(record) = store.read("loyalty").await.unwrap() {
            assert!(record.left <= SHORT);
            tokio::time::sleep(record.left.max(Duration::from_millis(1))).await;
        }
    });
}

#[test]
fn a_lease_excludes_others_until_it_is_released_or_used() {
    local(async {
        let redis = Redis::start();
        let (one, other) = (redis.store(), redis.store());
        let now = Instant::now();

        let lease = take(&one, "loyalty", LONG).await;

        assert!(lease.until() >= now + LONG && lease.until() <= Instant::now() + LONG);
        let Leased::Theirs { left } = other.lease("loyalty", LONG).await.unwrap() else {
            panic!("two have it");
        };
        assert!(left <= LONG && left > LONG / 2);
        take(&other, "segmentation", LONG).await;

        one.release(lease).await.unwrap();
        let lease = take(&other, "loyalty", LONG).await;
        other.publish(&lease, b"token", LONG).await.unwrap();
        take(&one, "loyalty", LONG).await;
    });
}

#[test]
fn of_many_who_ask_at_once_one_gets_the_lease_over_one_connection() {
    local(async {
        let redis = Redis::start();
        let stores: Vec<Store> = (0..5).map(|_| redis.store()).collect();
        let mut tasks = JoinSet::new();
        for index in 0..50 {
            let store = stores[index % stores.len()].clone();
            tasks.spawn_local(async move {
                matches!(store.lease("loyalty", LONG).await.unwrap(), Leased::Ours(_))
            });
        }

        let won = tasks.join_all().await.into_iter().filter(|ours| *ours);

        assert_eq!(won.count(), 1);
        let clients: String = redis.command(&["CLIENT", "LIST"]);
        assert_eq!(clients.lines().count(), stores.len() + 1, "{clients}");
    });
}

#[test]
fn a_lease_ends_by_itself_and_the_next_has_a_greater_fence() {
    local(async {
        let redis = Redis::start();
        let (one, other) = (redis.store(), redis.store());
        let mut fences = vec![take(&one, "loyalty", SHORT).await.fence()];

        for _ in 0..3 {
            fences.push(take_after(&other, "loyalty", SHORT).await.fence());
        }
        let lease = take_after(&one, "loyalty", LONG).await;
        fences.push(lease.fence());
        one.release(lease).await.unwrap();
        fences.push(take(&one, "loyalty", LONG).await.fence());

        assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
    });
}

#[test]
fn who_is_late_does_not_undo_what_came_after() {
    local(async {
        let redis = Redis::start();
        let (slow, quick) = (redis.store(), redis.store());
        let late = take(&slow, "loyalty", SHORT).await;
        let lease = take_after(&quick, "loyalty", LONG).await;
        quick.publish(&lease, b"new", LONG).await.unwrap();

        assert!(!slow.publish(&late, b"old", LONG).await.unwrap());

        assert_eq!(content(&slow, "loyalty").await.unwrap(), "new");
    });
}

#[test]
fn who_is_late_may_publish_while_nobody_else_has_and_leaves_the_others_lease_alone() {
    local(async {
        let redis = Redis::start();
        let (slow, quick, third) = (redis.store(), redis.store(), redis.store());
        let late = take(&slow, "loyalty", SHORT).await;
        let lease = take_after(&quick, "loyalty", LONG).await;

        assert!(slow.publish(&late, b"old", LONG).await.unwrap());
        slow.release(late).await.unwrap();

        assert_eq!(content(&quick, "loyalty").await.unwrap(), "old");
        let asked = third.lease("loyalty", LONG).await.unwrap();
        assert!(matches!(asked, Leased::Theirs { .. }));
        assert!(quick.publish(&lease, b"new", LONG).await.unwrap());
        assert_eq!(content(&third, "loyalty").await.unwrap(), "new");
    });
}

#[test]
fn a_lost_counter_makes_no_fence_that_could_not_publish() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        // Published while the clock was ahead.
        let ahead = "4102444800000000";
        let key = |part: &str| format!("profile-gateway:{{loyalty}}:{part}");
        let () = redis.command(&["HSET", &key("record"), "fence", ahead, "sealed", "-"]);

        let lease = take(&store, "loyalty", LONG).await;

        assert_eq!(lease.fence().to_string(), "4102444800000001");
        assert!(store.publish(&lease, b"token", LONG).await.unwrap());
        let removed: u32 = redis.command(&["DEL", &key("fence")]);
        assert_eq!(removed, 1);
        let next = take(&store, "loyalty", LONG).await;
        assert!(next.fence() > lease.fence());
        assert!(store.publish(&next, b"token", LONG).await.unwrap());
    });
}

#[test]
fn a_clock_that_is_set_back_makes_no_smaller_fence() {
    local(async {
        let redis = Redis::start();
        let ahead = "4102444800000000";
        let () = redis.command(&["SET", "profile-gateway:{loyalty}:fence", ahead]);

        let lease = take(&redis.store(), "loyalty", LONG).await;

        assert_eq!(lease.fence().to_string(), "4102444800000001");
    });
}

#[test]
fn when_all_is_lost_leases_from_before_are_still_the_older_ones() {
    local(async {
        let redis = Redis::start();
        let (slow, quick) = (redis.store(), redis.store());
        let late = take(&slow, "loyalty", LONG).await;
        let () = redis.command(&["FLUSHALL"]);
        let lease = take(&quick, "loyalty", LONG).await;

        assert!(lease.fence() > late.fence());
        assert!(quick.publish(&lease, b"new", LONG).await.unwrap());
        assert!(!slow.publish(&late, b"old", LONG).await.unwrap());
        assert_eq!(content(&slow, "loyalty").await.unwrap(), "new");
    });
}

#[test]
fn times_without_sense_do_no_harm() {
    local(async {
        let redis = Redis::start();
        let store = redis.store();
        let lease = take(&store, "loyalty", Duration::MAX).await;
        assert!(
            store
                .publish(&lease, b"token", Duration::MAX)
                .await
                .unwrap()
        );
        assert_eq!(content(&store, "loyalty").await.unwrap(), "token");

        let lease = take(&store, "loyalty", LONG).await;
        assert!(
            store
                .publish(&lease, b"token", Duration::ZERO)
                .await
                .unwrap()
        );

        take_after(&store, "loyalty", Duration::ZERO).await;
        take_after(&store, "loyalty", Duration::ZERO).await;
    });
}

#[test]
fn the_counter_outlives_records_and_is_not_for_ever() {
    local(async {
        let redis = Redis::start();
        take(&redis.store(), "loyalty", LONG).await;

        let left: i64 = redis.command(&["TTL", "profile-gateway:{loyalty}:fence"]);

        let days = left / (24 * 60 * 60);
        assert!((29..=30).contains(&days), "{left}");
    });
}
