//! An upstream that moves: its name gets other addresses while its connections are idle and busy.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use super::counts::Cause;
use super::peer::{Peer, Speaks};
use super::tests::{Tested, settings, stopped, until};
use crate::connect::{Dialer, Settings};

const OLD: Ipv4Addr = Ipv4Addr::LOCALHOST;
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What the name's addresses are; an error when the resolver does not answer.
type Addresses = Arc<Mutex<Option<Vec<IpAddr>>>>;

/// An upstream at an old and at a new address, and a pool that reaches it by name.
struct Moving {
    old: Peer,
    new: Peer,
    addresses: Addresses,
    dialer: Dialer,
    tested: Tested,
}

impl Moving {
    async fn start(speaks: Speaks) -> Self {
        let old = Peer::start(speaks).await;
        let port = old.address.port();
        let new = Peer::start_at((NEW, port).into(), speaks).await;
        let addresses = Addresses::new(Mutex::new(Some(vec![OLD.into()])));
        let current = Arc::clone(&addresses);
        let origin = format!("http://platform.example.com:{port}");
        let dialer = Dialer::new(Settings {
            address: None,
            http2: matches!(speaks, Speaks::Http2(_)),
            ..settings(origin.parse().unwrap())
        });
        let dialer = dialer.unwrap().resolved_by(move |host, port| {
            assert_eq!(host, "platform.example.com");
            let current = current.lock().unwrap().clone();
            let current = current.ok_or(io::Error::other("no answer"))?;
            Ok(current.into_iter().map(|it| (it, port).into()).collect())
        });
        Self {
            old,
            new,
            addresses,
            tested: Tested::dialing(dialer.clone()),
            dialer,
        }
    }

    fn resolves_to(&self, addresses: Option<&[Ipv4Addr]>) {
        let addresses = addresses.map(|all| all.iter().copied().map(IpAddr::from).collect());
        *self.addresses.lock().unwrap() = addresses;
    }

    /// Lets upkeep come by every ten seconds until `so`, for a minute at most. Tells whether it came to that.
    async fn upkeep(&self, so: impl Fn() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_mins(1) {
            advance(Duration::from_secs(10)).await;
            // The answer to a PING has to come before more of its time is over.
            for _ in 0..1000 {
                yield_now().await;
            }
            self.tested.pool.sweep();
            until(|| !self.dialer.is_looking()).await;
            if so() {
                return true;
            }
        }
        false
    }
}

#[tokio::test(start_paused = true)]
async fn who_moves_is_followed_within_a_minute_by_idle_and_busy_connections() {
    stopped(async {
        for speaks in [Speaks::Http1, Speaks::Http2(1)] {
            let moving = Moving::start(speaks).await;
            let tested = &moving.tested;
            let held = tested.send("/held");
            until(|| moving.old.targets().len() == 1).await;
            assert_eq!(tested.get("/").await, "1");
            assert_eq!(tested.counts.open(), 2);

            moving.resolves_to(Some(&[NEW]));
            // The idle one ends at once, the busy one is not cut off and takes nobody on.
            assert!(moving.upkeep(|| tested.closed(Cause::Lifetime) == 1).await);
            assert_eq!(tested.get("/").await, "0");
            assert_eq!(moving.new.targets(), ["/"]);
            moving.old.answer(1);
            assert_eq!(held.await.unwrap().unwrap(), "0");

            until(|| tested.closed(Cause::Lifetime) == 2).await;
            assert_eq!(tested.get("/").await, "0");
            assert_eq!((moving.old.accepted(), moving.new.accepted()), (2, 1));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_or_gives_other_addresses_in_turn_ends_nothing() {
    stopped(async {
        let moving = Moving::start(Speaks::Http1).await;
        let tested = &moving.tested;
        assert_eq!(tested.get("/").await, "0");

        moving.resolves_to(None);
        assert!(!moving.upkeep(|| tested.closed(Cause::Lifetime) > 0).await);
        for addresses in [&[NEW][..], &[OLD, NEW], &[NEW], &[OLD]] {
            moving.resolves_to(Some(addresses));
            moving.upkeep(|| true).await;
        }

        assert_eq!(tested.closed(Cause::Lifetime), 0);
        assert_eq!(tested.get("/").await, "0");
        assert_eq!((moving.old.accepted(), moving.new.accepted()), (1, 0));
    })
    .await;
}
