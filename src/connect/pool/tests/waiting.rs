//! Who gets which connection, who waits, and until when.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::{Tested, one, stopped, until, until_count};
use crate::connect::pool::Times;
use crate::connect::pool::counts::Cause;
use crate::connect::pool::peer::{Peer, Speaks};
use crate::error::Reason;

#[tokio::test(start_paused = true)]
async fn the_connection_used_last_is_used_first() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |_| {});
        let held = [tested.send("/held"), tested.send("/held")];
        until(|| peer.targets().len() == 2).await;
        peer.answer(2);
        let mut last = String::new();
        for answer in held {
            last = answer.await.unwrap().unwrap();
        }

        for _ in 0..20 {
            assert_eq!(tested.get("/").await, last);
        }
        assert_eq!(peer.accepted(), 2);
        assert_eq!(tested.counts.reused.get(), 20);
        assert_eq!(tested.counts.idle.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_free_wins_over_a_slow_connect() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |_| {});
        peer.shake_hands(1);
        let first = tested.send("/held");
        until(|| peer.targets().len() == 1).await;

        let second = tested.send("/");
        until(|| peer.accepted() == 2).await;
        assert!(!second.is_finished());
        peer.answer(1);

        assert_eq!(first.await.unwrap().unwrap(), "0");
        assert_eq!(second.await.unwrap().unwrap(), "0");
        assert_eq!(tested.counts.opening.get(), 1);
        // The connect that lost the race is for the next.
        peer.shake_hands(1);
        until_count(&tested.counts.idle, 2).await;
        assert_eq!(tested.counts.opened.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_first_come_are_served_first() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let mut answers = Vec::new();
        for name in ["/held-a", "/held-b", "/held-c", "/held-d"] {
            answers.push(tested.send(name));
            yield_now().await;
        }
        until(|| peer.targets().len() == 1).await;
        until_count(&tested.counts.waiting, 3).await;

        for answer in answers {
            peer.answer(1);
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }

        let expected = ["/held-a", "/held-b", "/held-c", "/held-d"];
        assert_eq!(peer.targets(), expected);
        assert_eq!(tested.counts.waited.get(), 3);
        assert_eq!(tested.counts.waiting.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| {
            settings.connections = one();
            settings.waiting = 1;
        });
        let first = tested.send("/held");
        let second = tested.send("/");
        until_count(&tested.counts.waiting, 1).await;

        let error = tested.send("/").await.unwrap().unwrap_err();

        assert_eq!(error.reason(), Reason::ConnectionsBusy);
        assert_eq!(error.retry_after(), Some(1));
        assert_eq!(tested.counts.refused.get(), 1);
        peer.answer(1);
        for answer in [first, second] {
            assert_eq!(answer.await.unwrap().unwrap(), "0");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_tells_what_was_waited_for() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let limit = Duration::from_secs(1);
        let connecting = tested.send_until("/", limit);
        until(|| peer.accepted() == 1).await;
        advance(limit).await;
        let error = connecting.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Reason::UpstreamConnect);

        peer.shake_hands(1);
        until_count(&tested.counts.idle, 1).await;
        let answering = tested.send_until("/held", limit);
        let waiting = tested.send_until("/", limit);
        let patient = tested.send("/");
        until_count(&tested.counts.waiting, 2).await;
        until(|| peer.targets().len() == 1).await;
        // The one that waits for a connection comes to its end while the other still waits for its answer.
        advance(limit).await;
        let error = waiting.await.unwrap().unwrap_err();
        let answered = answering.await.unwrap().unwrap_err();

        assert_eq!(answered.reason(), Reason::UpstreamTimeout);
        assert_eq!(error.reason(), Reason::ConnectionsBusy);
        assert_eq!(error.retry_after(), Some(1));
        // The exchange that was given up closed its connection, which makes room for another.
        peer.shake_hands(1);
        assert_eq!(patient.await.unwrap().unwrap(), "1");
        assert_eq!(tested.closed(Cause::Abandoned), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_to_leave_before_its_deadline_waits_no_longer_and_is_handed_back() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let _held = tested.send("/held");
        until(|| peer.targets().len() == 1).await;
        let pool = tested.pool.clone();
        let leave_by = Instant::now() + Duration::from_secs(1);
        let waiting = spawn_local(async move {
            let mut request = Some(Request::get("/").body(Empty::new()).unwrap());
            let times = Times {
                leave_by,
                ..Times::until(leave_by + Duration::from_secs(9))
            };
            let sent = pool.send(&mut request, &times).await;
            (sent.map(|_| ()), request.is_some())
        });
        until_count(&tested.counts.waiting, 1).await;
        advance(Duration::from_secs(1)).await;

        let (sent, unsent) = waiting.await.unwrap();
        assert_eq!(sent.unwrap_err().error.reason(), Reason::ConnectionsBusy);
        assert!(unsent && peer.targets().len() == 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_a_connection_in_hand_passes_it_on() {
    stopped(async {
        let peer = Peer::start(Speaks::Http1).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let request = Request::get("/first").body(Empty::new()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        let first = tested
            .pool
            .send(&mut Some(request), &Times::until(deadline))
            .await
            .unwrap();
        let leaver = tested.send("/");
        until_count(&tested.counts.waiting, 1).await;
        let next = tested.send("/");
        until_count(&tested.counts.waiting, 2).await;

        // The leaver has been given the connection and has not run since.
        first.into_body().collect().await.unwrap();
        assert_eq!(tested.counts.waiting.get(), 1);
        leaver.abort();

        assert!(leaver.await.unwrap_err().is_cancelled());
        assert_eq!(next.await.unwrap().unwrap(), "0");
        assert_eq!(peer.targets(), ["/first", "/"]);
        assert_eq!(peer.accepted(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_fails_its_own_request_and_makes_room_for_the_next() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let first = tested.send("/");
        let second = tested.send("/");
        until(|| peer.accepted() == 1).await;
        assert_eq!(tested.counts.waiting.get(), 1);

        peer.close(0);
        let error = first.await.unwrap().unwrap_err();
        peer.shake_hands(1);

        assert_eq!(error.reason(), Reason::UpstreamTls);
        assert_eq!(second.await.unwrap().unwrap(), "1");
        assert_eq!(tested.counts.not_opened.get(), 1);
    })
    .await;
}
