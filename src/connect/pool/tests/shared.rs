//! Requests that share a connection, over HTTP/2.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::advance;

use super::{Tested, stopped, until, until_count};
use crate::connect::pool::counts::Cause;
use crate::connect::pool::peer::{Peer, Speaks};
use crate::error::Reason;

#[tokio::test(start_paused = true)]
async fn a_burst_shares_one_http2_connection_and_its_failure() {
    stopped(async {
        let peer = Peer::start(Speaks::Http2(100)).await;
        let tested = Tested::with(&peer, |_| {});
        let answers: Vec<_> = (0..50).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 50).await;
        peer.answer(50);
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }
        assert_eq!(peer.accepted(), 1);

        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.http2 = true);
        let answers: Vec<_> = (0..50).map(|_| tested.send("/")).collect();
        until(|| peer.accepted() == 1).await;
        peer.close(0);
        for answer in answers {
            let error = answer.await.unwrap().unwrap_err();
            assert_eq!(error.reason(), Reason::UpstreamTls);
        }
        assert_eq!(peer.accepted(), 1);
        assert_eq!(tested.counts.not_opened.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_chooses_http1_gets_a_connection_for_each() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.http2 = true);
        peer.shake_hands(10);

        let answers: Vec<_> = (0..3).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 3).await;

        assert_eq!(peer.accepted(), 3);
        peer.answer(3);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_as_many_as_the_peer_takes_and_then_another_connection_is_opened() {
    stopped(async {
        let peer = Peer::start(Speaks::Http2(2)).await;
        let two = NonZeroUsize::new(2).unwrap();
        let tested = Tested::with(&peer, |settings| settings.connections = two);
        assert_eq!(tested.get("/").await, "0");

        let mut answers: Vec<_> = (0..4).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 5).await;
        assert_eq!(peer.accepted(), 2);
        answers.push(tested.send("/held"));
        until_count(&tested.counts.waiting, 1).await;

        assert_eq!(peer.targets().len(), 5);
        peer.answer(5);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(peer.accepted(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn how_many_streams_a_peer_takes_is_known_before_the_first_is_opened() {
    stopped(async {
        for any in [2, 100, 101, u32::MAX] {
            let peer = Peer::start(Speaks::Http2(any)).await;
            assert_eq!(Tested::with(&peer, |_| {}).get("/").await, "0");
        }
        let peer = Peer::start(Speaks::Http2(1)).await;
        let tested = Tested::with(&peer, |_| {});

        let answers: Vec<_> = (0..3).map(|_| tested.send("/held")).collect();
        until(|| peer.targets().len() == 3).await;

        assert_eq!(peer.accepted(), 3);
        peer.answer(3);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(peer.accepted(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_past_its_lifetime_is_used_only_where_there_is_no_room() {
    stopped(async {
        let lifetime = Duration::from_mins(1);
        for (connections, expected, closed) in [(1, "0", 0), (2, "1", 1)] {
            let peer = Peer::start(Speaks::Http2(100)).await;
            let tested = Tested::with(&peer, |settings| {
                settings.connections = NonZeroUsize::new(connections).unwrap();
                settings.lifetime = lifetime;
            });
            let held = tested.send("/held");
            until(|| peer.targets().len() == 1).await;

            advance(lifetime).await;
            assert_eq!(tested.get("/").await, expected);

            peer.answer(1);
            assert_eq!(held.await.unwrap().unwrap(), "0");
            assert_eq!(tested.closed(Cause::Lifetime), 1);
            assert_eq!(tested.counts.open(), closed);
        }
    })
    .await;
}
