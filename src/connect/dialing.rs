//! Dialing over real sockets, with addresses that a test gives.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::pool::settings;
use super::{Dialer, Settings, Stream};
use crate::error::{Error, Reason};

/// Prepares dialing to a name that has these addresses.
fn dialer(addresses: Vec<SocketAddr>, change: impl FnOnce(&mut Settings)) -> Dialer {
    let mut settings = settings("http://platform.example.com".parse().unwrap());
    change(&mut settings);
    let dialer = Dialer::new(settings).unwrap();
    dialer.resolved_by(move |_, _| Ok(addresses.clone()))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that nobody listens at, nor can while the socket is kept.
fn refusing() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// An address that swallows every packet.
async fn swallowing() -> (SocketAddr, TcpListener) {
    let (listener, address) = listener().await;
    // Of no packet anything is kept: `ret 0` in classic BPF (linux/filter.h).
    let filter = [SockFilter::new(0x06, 0, 0, 0)];
    SockRef::from(&listener).attach_filter(&filter).unwrap();
    (address, listener)
}

fn told(error: &Error) -> (Reason, String) {
    (error.reason(), error.story())
}

#[tokio::test]
async fn an_address_that_swallows_packets_holds_nobody_up() {
    let (swallowing, _listener) = swallowing().await;
    let (_good, good) = listener().await;

    // One after the other would take the whole time for connecting.
    let stream = dialer(vec![swallowing, good], |_| {})
        .dial(|| ())
        .await
        .unwrap();

    let Stream::Plain(stream) = stream else {
        panic!("it is plain http")
    };
    assert_eq!(stream.peer_addr().unwrap(), good);
}

#[tokio::test]
async fn addresses_that_refuse_are_passed_over_at_once() {
    let (_good, good) = listener().await;
    let (mut addresses, _taken): (Vec<_>, Vec<_>) = (0..20).map(|_| refusing()).unzip();
    addresses.push(good);

    // The usual rest between attempts would make five seconds of it, and the time for connecting is three.
    let stream = dialer(addresses, |_| {}).dial(|| ()).await.unwrap();

    assert_eq!(stream.address(), Some(good.ip()));
}

#[tokio::test]
async fn what_took_too_long_or_failed_is_told() {
    let limit = Duration::from_millis(300);
    let (swallowing, _listener) = swallowing().await;
    let (refusing, _taken) = refusing();

    let late = dialer(vec![swallowing], |settings| {
        settings.connect_timeout = limit;
    });
    let (reason, story) = told(&late.dial(|| ()).await.unwrap_err());
    assert_eq!(reason, Reason::UpstreamConnect);
    assert_eq!(
        story,
        "no connection to http://platform.example.com within 300ms"
    );

    let refused = dialer(vec![refusing], |_| {});
    let (reason, story) = told(&refused.dial(|| ()).await.unwrap_err());
    assert_eq!(reason, Reason::UpstreamConnect);
    let expected = format!("http://platform.example.com could not be connected to: {refusing}: ");
    assert!(story.starts_with(&expected), "{story}");

    let nowhere = dialer(Vec::new(), |_| {});
    let (reason, story) = told(&nowhere.dial(|| ()).await.unwrap_err());
    assert_eq!(reason, Reason::UpstreamName);
    let expected = "the name platform.example.com could not be resolved: the name has no address";
    assert_eq!(story, expected);

    let broken = nowhere.resolved_by(|_, _| Err(io::Error::other("no such host")));
    let (reason, story) = told(&broken.dial(|| ()).await.unwrap_err());
    assert_eq!(reason, Reason::UpstreamName);
    assert!(story.ends_with("resolved: no such host"), "{story}");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_waited_for_as_long_as_a_connect_may_take() {
    let (answer, answers) = std::sync::mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let hanging = dialer(Vec::new(), |_| {}).resolved_by(move |_, _| {
        let _ = answers.lock().unwrap().recv();
        Ok(Vec::new())
    });

    let dialing = async { hanging.dial(|| ()).await.unwrap_err() };
    let (error, ()) = tokio::join!(dialing, async {
        // A blocking thread at work keeps the clock from moving by itself.
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(4)).await;
    });

    let (reason, story) = told(&error);
    assert_eq!(reason, Reason::UpstreamName);
    assert!(story.ends_with("no answer within 3s"), "{story}");
    drop(answer);
}

#[tokio::test]
async fn tls_has_a_time_of_its_own() {
    let (listener, address) = listener().await;
    let (limit, slack) = (Duration::from_millis(200), Duration::from_mins(1));
    let silent = Dialer::new(Settings {
        address: Some(address),
        connect_timeout: slack,
        tls_timeout: limit,
        ..settings("https://localhost".parse().unwrap())
    })
    .unwrap();

    let (dialed, accepted) = tokio::join!(silent.dial(|| ()), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        // It takes the hello and says nothing.
        stream
    });

    let (reason, story) = told(&dialed.unwrap_err());
    assert_eq!(reason, Reason::UpstreamTls);
    assert_eq!(
        story,
        "TLS with https://localhost was not established within 200ms"
    );
    drop(accepted);
}

#[tokio::test]
async fn a_proxy_that_stays_silent_or_closes_is_told() {
    let (listener, address) = listener().await;
    let through = |limit| {
        Dialer::new(Settings {
            connect_timeout: limit,
            proxy: Some(format!("http://u:s3cret@{address}").parse().unwrap()),
            ..settings("http://platform.example.com".parse().unwrap())
        })
        .unwrap()
    };

    let silent = through(Duration::from_millis(200));
    let (dialed, accepted) = tokio::join!(silent.dial(|| ()), listener.accept());
    let (reason, story) = told(&dialed.unwrap_err());
    assert_eq!(reason, Reason::UpstreamConnect);
    let expected = format!(
        "no connection to http://platform.example.com within 200ms: \
         the egress proxy http://{address} gave no answer in this time"
    );
    assert_eq!(story, expected);
    drop(accepted);

    let refusing = through(Duration::from_mins(1));
    let (dialed, ()) = tokio::join!(refusing.dial(|| ()), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 407 No\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        // It is read before the other end closes, which would lose the answer otherwise.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = dialed.unwrap_err();
    let (reason, story) = told(&error);
    assert_eq!(reason, Reason::UpstreamConnect);
    assert!(
        story.contains(&format!(
            "the egress proxy http://{address}: it answered 407"
        )),
        "{story}"
    );
    // Neither where the proxy is nor how it is logged in to is for callers.
    assert!(!error.detail().contains("127.0.0.1") && !format!("{error:?}").contains("s3cret"));
}
