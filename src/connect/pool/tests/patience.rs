//! Requests that wait for a connection less long than opening one may take.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use tokio::net::TcpListener;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, advance};

use super::{Answer, Tested, one, settings, stopped, until, until_count};
use crate::connect::pool::peer::{Peer, Speaks};
use crate::connect::pool::{Patience, Times};
use crate::connect::{Dialer, Settings};
use crate::error::{Error, Reason};

/// Less than an attempt may take, which is 3 s.
const LIMIT: Duration = Duration::from_secs(1);

fn for_connect() -> Patience {
    let connect = Some(LIMIT);
    Patience { connect, tls: None }
}

fn for_tls() -> Patience {
    let tls = Some(LIMIT);
    Patience { connect: None, tls }
}

impl Tested {
    fn send_with(&self, patience: Patience) -> Answer {
        let pool = self.pool.clone();
        let deadline = Instant::now() + Duration::from_hours(10);
        spawn_local(async move {
            let times = Times {
                patience: &patience,
                ..Times::until(deadline)
            };
            let request = Request::get("/").body(Empty::new()).unwrap();
            let sent = pool.send(&mut Some(request), &times).await;
            let answered = sent.map(|_| String::new());
            answered.map_err(|unanswered| unanswered.error)
        })
    }
}

/// Lets everybody do what there is to do.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

async fn failed(answer: Answer) -> (Reason, String) {
    let error: Error = answer.await.unwrap().unwrap_err();
    (error.reason(), error.detail().to_owned())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_tls_no_longer_leaves_it_to_the_next() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |settings| settings.connections = one());
        let hasty = tested.send_with(for_tls());
        until(|| peer.accepted() == 1).await;
        settle().await;

        advance(LIMIT).await;
        let (reason, told) = failed(hasty).await;
        assert_eq!(reason, Reason::UpstreamTls);
        assert_eq!(
            told,
            "TLS with https://localhost was not established within 1s"
        );

        // It is still being opened, and what has been waited for it is not the next one's.
        let next = tested.send_with(for_tls());
        settle().await;
        advance(LIMIT * 9 / 10).await;
        settle().await;
        assert!(!next.is_finished());
        peer.shake_hands(1);
        next.await.unwrap().unwrap();
        assert_eq!(peer.accepted(), 1);
        assert_eq!(tested.counts.not_opened.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn time_to_connect_is_not_time_for_tls() {
    stopped(async {
        let peer = Peer::start(Speaks::Tls).await;
        let tested = Tested::with(&peer, |_| {});
        let waiting = tested.send_with(for_connect());
        until(|| peer.accepted() == 1).await;
        settle().await;

        advance(LIMIT * 2).await;
        settle().await;
        assert!(!waiting.is_finished());
        peer.shake_hands(1);

        waiting.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_to_be_connected_no_longer_leaves() {
    stopped(async {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        let named = settings("http://platform.example.com".parse().unwrap());
        let hanging = Dialer::new(named).unwrap().resolved_by(move |_, _| {
            let _ = gone.lock().unwrap().recv();
            Ok::<Vec<SocketAddr>, io::Error>(Vec::new())
        });
        let tested = Tested::dialing(hanging);
        let hasty = tested.send_with(for_connect());
        let patient = tested.send_with(for_tls());
        until_count(&tested.counts.opening, 2).await;
        settle().await;

        advance(LIMIT).await;
        let (reason, told) = failed(hasty).await;

        assert_eq!(reason, Reason::UpstreamConnect);
        assert_eq!(
            told,
            "no connection to http://platform.example.com within 1s"
        );
        settle().await;
        assert!(!patient.is_finished());
        advance(LIMIT * 2).await;
        let (reason, _) = failed(patient).await;
        assert_eq!(reason, Reason::UpstreamName);
        drop(go);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_http2_has_as_long_as_tls() {
    stopped(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tested = Tested::dialing(
            Dialer::new(Settings {
                address: Some(silent.local_addr().unwrap()),
                http2: true,
                ..settings("http://localhost".parse().unwrap())
            })
            .unwrap(),
        );
        let hasty = tested.send_with(for_tls());
        let (_accepted, _) = silent.accept().await.unwrap();
        settle().await;

        advance(LIMIT).await;
        let (reason, told) = failed(hasty).await;

        assert_eq!(reason, Reason::UpstreamConnect);
        assert_eq!(told, "the upstream did not begin HTTP/2 within 1s");
    })
    .await;
}
