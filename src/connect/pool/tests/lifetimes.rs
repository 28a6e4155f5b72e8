//! How long connections are kept.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::advance;

use super::{Tested, one, stopped, until};
use crate::connect::pool::counts::Cause;
use crate::connect::pool::peer::{Peer, Speaks};

#[tokio::test(start_paused = true)]
async fn a_retired_pool_serves_who_waits_and_keeps_nothing() {
    for speaks in [Speaks::Http1, Speaks::Http2(100)] {
        stopped(async {
            let peer = Peer::start(speaks).await;
            let tested = Tested::with(&peer, |settings| settings.connections = one());
            let mut answers = Vec::new();
            for name in ["/held-a", "/held-b", "/held-c"] {
                answers.push(tested.send(name));
                yield_now().await;
            }
            // Over HTTP/2 they share the connection, and nobody waits.
            until(|| !peer.targets().is_empty()).await;

            tested.pool.retire();
            assert!(!tested.pool.is_done());
            peer.answer(3);
            for answer in answers {
                assert_eq!(answer.await.unwrap().unwrap(), "0");
            }
            tested.pool.sweep();
            until(|| tested.pool.is_done()).await;

            assert_eq!(tested.counts.open(), 0);
            assert_eq!(tested.counts.idle.get(), 0);
            assert_eq!(tested.closed(Cause::Replaced), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_is_closed_when_a_pool_retires_and_what_comes_to_be_as_well() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |_| {});
        let held = tested.send("/held");
        until(|| peer.targets().len() == 1).await;
        assert_eq!(tested.get("/").await, "1");

        tested.pool.retire();
        assert_eq!(tested.closed(Cause::Replaced), 1);
        // Somebody who still has it may use it; nothing is kept of that either.
        assert_eq!(tested.get("/").await, "2");
        assert_eq!(tested.closed(Cause::Replaced), 2);
        peer.answer(1);
        assert_eq!(held.await.unwrap().unwrap(), "0");
        assert_eq!(tested.closed(Cause::Replaced), 3);
        assert_eq!(tested.counts.open(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_at_the_end_of_its_lifetime() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let lifetime = Duration::from_mins(10);
        let tested = Tested::with(&peer, |settings| settings.lifetime = lifetime);
        assert_eq!(tested.get("/").await, "0");

        advance(lifetime * 3 / 4).await;
        assert_eq!(tested.get("/").await, "0");
        advance(lifetime / 4).await;
        assert_eq!(tested.get("/").await, "1");
        assert_eq!(tested.closed(Cause::Lifetime), 1);

        // One in use is not cut off, and closed when it comes back.
        let held = tested.send("/held");
        until(|| peer.targets().len() == 4).await;
        advance(lifetime).await;
        peer.answer(1);
        assert_eq!(held.await.unwrap().unwrap(), "1");
        assert_eq!(tested.closed(Cause::Lifetime), 2);
        assert_eq!(tested.counts.idle.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn upkeep_closes_what_is_unused() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let (idle, moment) = (Duration::from_secs(45), Duration::from_millis(1));
        let tested = Tested::with(&peer, |settings| settings.idle_timeout = idle + moment);
        assert_eq!(tested.get("/").await, "0");

        advance(idle).await;
        tested.pool.sweep();
        assert_eq!(tested.counts.idle.get(), 1);
        advance(moment).await;
        tested.pool.sweep();

        assert_eq!(tested.counts.idle.get(), 0);
        assert_eq!(tested.closed(Cause::Idle), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_dies_is_noticed_and_replaced() {
    stopped(async {
        for speaks in [Speaks::Http1, Speaks::Http2(100)] {
            let peer = Peer::start(speaks).await;
            let tested = Tested::with(&peer, |settings| settings.connections = one());
            assert_eq!(tested.get("/").await, "0");

            peer.close(0);
            until(|| {
                // An HTTP/1.1 connection that nobody uses lies still until upkeep looks at it.
                tested.pool.sweep();
                tested.closed(Cause::Dead) == 1
            })
            .await;

            assert_eq!(tested.counts.idle.get(), 0);
            assert_eq!(tested.get("/").await, "1");
        }
    })
    .await;
}
