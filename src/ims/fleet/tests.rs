//! Replicas and a shelf under a clock that is moved by hand.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{JoinSet, LocalSet};

use super::*;
use crate::clock::steered::Wall;
use crate::connect;
use crate::ims::answer::Minted;
use crate::ims::credential::Credential;
use crate::ims::{Fingerprints, Grant, Keeper};

/// A shelf in memory, with a delay for each operation, that can be taken away.
#[derive(Clone, Debug, Default)]
struct Memory(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    record: RefCell<Option<(u64, Vec<u8>, Instant)>>,
    /// Who has the turn, and until when.
    turn: Cell<Option<(u64, Instant)>>,
    fences: Cell<u64>,
    delay: Cell<Duration>,
    is_away: Cell<bool>,
    /// Whether answers to publishing are lost.
    is_mute: Cell<bool>,
}

#[derive(Debug)]
struct Turn {
    fence: u64,
}

impl HasFence for Turn {
    fn fence(&self) -> u64 {
        self.fence
    }
}

impl Memory {
    async fn operation(&self) -> Result<(), Away> {
        sleep(self.0.delay.get()).await;
        if self.0.is_away.get() {
            Err(Away)
        } else {
            Ok(())
        }
    }
}

impl Shelf for Memory {
    type Lease = Turn;

    async fn read(&self, _: &str) -> Result<Option<shared::Record>, Away> {
        self.operation().await?;
        let record = self.0.record.borrow();
        let record = record.as_ref().filter(|(.., ends)| Instant::now() < *ends);
        Ok(record.map(|(fence, plain, ends)| shared::Record {
            fence: *fence,
            plain: SecretBytes::new(plain.clone()),
            left: ends.duration_since(Instant::now()),
        }))
    }

    async fn lease(&self, _: &str, lasts: Duration) -> Result<Result<Turn, Duration>, Away> {
        self.operation().await?;
        let now = Instant::now();
        if let Some((_, until)) = self.0.turn.get().filter(|(_, until)| now < *until) {
            return Ok(Err(until - now));
        }
        let fence = self.0.fences.get() + 1;
        self.0.fences.set(fence);
        self.0.turn.set(Some((fence, now + lasts)));
        Ok(Ok(Turn { fence }))
    }

    async fn publish(&self, turn: &Turn, plain: &[u8], lives: Duration) -> Result<bool, Away> {
        self.operation().await?;
        let mut record = self.0.record.borrow_mut();
        if record
            .as_ref()
            .is_some_and(|(fence, ..)| *fence > turn.fence)
        {
            return Ok(false);
        }
        *record = Some((turn.fence, plain.to_vec(), Instant::now() + lives));
        self.release_turn(turn.fence);
        if self.0.is_mute.get() {
            return Err(Away);
        }
        Ok(true)
    }

    async fn release(&self, turn: Turn) {
        self.release_turn(turn.fence);
    }
}

impl Memory {
    fn release_turn(&self, fence: u64) {
        if self.0.turn.get().is_some_and(|(holder, _)| holder == fence) {
            self.0.turn.set(None);
        }
    }
}

/// An IMS that gives tokens of a lifetime, and may be down or hang.
#[derive(Clone, Debug)]
struct Service {
    calls: Rc<Cell<u32>>,
    takes: Rc<Cell<Duration>>,
    lives: Duration,
    is_down: Rc<Cell<bool>>,
    /// What it asks for while it is down.
    pause: Option<Duration>,
}

impl Service {
    fn new(takes: Duration, lives: Duration) -> Self {
        Self {
            calls: Rc::default(),
            takes: Rc::new(Cell::new(takes)),
            lives,
            is_down: Rc::default(),
            pause: None,
        }
    }
}

impl TokenService for Service {
    async fn mint(&self, _: &CredentialSettings, _: &Secret) -> Result<Minted, Failure> {
        self.calls.set(self.calls.get() + 1);
        let number = self.calls.get();
        sleep(self.takes.get()).await;
        if self.is_down.get() {
            return Err(Failure {
                retry_after: self.pause,
                ..Failure::new(Class::Unwell, "down")
            });
        }
        let bearer = Secret::new(format!("token-{number}")).to_bearer().unwrap();
        Ok(Minted::new(bearer, self.lives))
    }
}

fn settings() -> CredentialSettings {
    CredentialSettings {
        name: "loyalty".to_owned(),
        organization: "o@AdobeOrg".parse().unwrap(),
        client_id: "id".parse().unwrap(),
        required: true,
        client_secrets: vec![Secret::new("one".to_owned())],
        grant: Grant::ClientCredentials {
            scopes: "openid".to_owned(),
            send_org_id: false,
        },
    }
}

/// Replicas that share a shelf and an IMS.
struct Replicas {
    credentials: Vec<Arc<Credential>>,
    tasks: Vec<JoinSet<()>>,
}

impl Replicas {
    /// Starts replicas on the local set of the caller.
    fn start(count: usize, shelf: &Memory, service: &Service) -> Self {
        let wall = Wall::new();
        let start = |_| {
            let credential = Credential::with_clock(settings(), wall.clock());
            let fleet = Fleet {
                shelf: shelf.clone(),
                ims: "https://ims.example".to_owned(),
                paths: Paths {
                    exchange: "/ims/exchange/jwt".to_owned(),
                    token: "/ims/token/v3".to_owned(),
                },
                name: String::new(),
                denied: 0,
                call: Duration::from_secs(5),
                lasts: Duration::from_secs(6),
                turn: None,
            };
            let keeper = Keeper::new(
                Arc::clone(&credential),
                service.clone(),
                Fingerprints::of_this_process(),
            );
            let mut task = JoinSet::new();
            task.spawn_local(keeper.sharing(fleet).run());
            (credential, task)
        };
        let (credentials, tasks) = (0..count).map(start).unzip();
        Self { credentials, tasks }
    }

    /// Waits for each replica's token, and returns which ones they are.
    async fn tokens(&self) -> Vec<String> {
        let mut tokens = Vec::new();
        for credential in &self.credentials {
            let bearer = credential
                .wait(Instant::now() + Duration::from_mins(1))
                .await;
            tokens.push(bearer.unwrap().value.to_str().unwrap().to_owned());
        }
        tokens.dedup();
        tokens
    }
}

const DAY: Duration = Duration::from_hours(24);

async fn local<F: Future<Output = ()>>(test: F) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_that_start_together_mint_one_token() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(150), DAY),
        );
        shelf.0.delay.set(Duration::from_millis(1));
        let begun = Instant::now();

        let replicas = Replicas::start(10, &shelf, &service);

        assert_eq!(replicas.tokens().await, ["Bearer token-1"]);
        assert_eq!(service.calls.get(), 1);
        assert!(
            begun.elapsed() < Duration::from_millis(400),
            "{:?}",
            begun.elapsed()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_gets_the_turn_looks_again_before_it_mints() {
    // The shelf is so slow that others publish between a replica's look and its turn, again and again.
    for _ in 0..20 {
        local(async {
            let (shelf, service) = (
                Memory::default(),
                Service::new(Duration::from_millis(150), DAY),
            );
            shelf.0.delay.set(Duration::from_millis(60));

            let replicas = Replicas::start(10, &shelf, &service);

            assert_eq!(replicas.tokens().await, ["Bearer token-1"]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_makes_one_call_a_renewal_and_nobody_is_ever_without_a_token() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(150), DAY),
        );
        let replicas = Replicas::start(10, &shelf, &service);
        replicas.tokens().await;

        for _ in 0..3 * 24 * 60 {
            sleep(Duration::from_mins(1)).await;
            for credential in &replicas.credentials {
                assert!(credential.bearer(Instant::now()).is_some());
            }
        }

        // A renewal a day, and the one at the start.
        assert!(
            (3..=5).contains(&service.calls.get()),
            "{}",
            service.calls.get()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_joins_takes_the_token_there_is_and_its_age() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(150), DAY),
        );
        let first = Replicas::start(1, &shelf, &service);
        first.tokens().await;
        sleep(Duration::from_hours(20)).await;

        let second = Replicas::start(1, &shelf, &service);
        second.tokens().await;

        let age = second.credentials[0].status().age.unwrap();
        assert_eq!(service.calls.get(), 1);
        assert!(age >= Duration::from_hours(20) && age < Duration::from_hours(21));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_for_all() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(150), DAY),
        );
        let replicas = Replicas::start(10, &shelf, &service);
        replicas.tokens().await;
        sleep(Duration::from_hours(1)).await;

        let deadline = Instant::now() + Duration::from_mins(1);
        for credential in &replicas.credentials {
            credential.refuse(1);
        }
        for credential in &replicas.credentials {
            let next = credential.successor(1, deadline).await.unwrap();
            assert_eq!(next.value, "Bearer token-2");
        }

        assert_eq!(service.calls.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_the_shelf_each_replica_mints_for_itself_and_nothing_stalls() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(150), DAY),
        );
        shelf.0.is_away.set(true);
        shelf.0.delay.set(Duration::from_millis(250));
        let begun = Instant::now();

        let replicas = Replicas::start(10, &shelf, &service);
        replicas.tokens().await;

        assert_eq!(service.calls.get(), 10);
        // A wait for the shelf, one to be apart from the others, and the call.
        assert!(
            begun.elapsed() <= Duration::from_millis(650),
            "{:?}",
            begun.elapsed()
        );

        // When it is back they have one token together from the next renewal on.
        shelf.0.is_away.set(false);
        sleep(DAY + Duration::from_hours(1)).await;
        assert_eq!(replicas.tokens().await.len(), 1);
        assert_eq!(service.calls.get(), 11);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_dies_in_its_turn_is_waited_for_no_longer_than_the_turn() {
    local(async {
        let (shelf, service) = (Memory::default(), Service::new(Duration::from_secs(1), DAY));
        let mut dying = Replicas::start(1, &shelf, &service);
        sleep(Duration::from_millis(500)).await;
        dying.tasks.clear();
        let begun = Instant::now();

        let replicas = Replicas::start(3, &shelf, &service);

        assert_eq!(replicas.tokens().await, ["Bearer token-2"]);
        assert!(
            begun.elapsed() < Duration::from_secs(13),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(service.calls.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_one_replica_tries_for_all_and_all_are_back_at_once() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(20), DAY),
        );
        service.is_down.set(true);
        let replicas = Replicas::start(20, &shelf, &service);

        sleep(Duration::from_secs(10)).await;
        let calls = service.calls.get();
        assert!(
            (2..=25).contains(&calls),
            "{calls} calls of twenty replicas in ten seconds"
        );

        service.is_down.set(false);
        // One of them tries again within four seconds, and the others look every quarter of a second.
        sleep(Duration::from_millis(4_500)).await;
        let begun = Instant::now();
        assert_eq!(replicas.tokens().await.len(), 1);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_was_too_late_does_not_undo_what_came_after() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_secs(12), DAY),
        );
        let slow = Replicas::start(1, &shelf, &service);
        sleep(Duration::from_millis(6_050)).await;
        // The turn of the first is over, and its call is not.
        service.takes.set(Duration::from_millis(100));
        let fast = Replicas::start(1, &shelf, &service);
        assert_eq!(fast.tokens().await, ["Bearer token-2"]);

        assert_eq!(slow.tokens().await, ["Bearer token-1"]);
        let late = Replicas::start(1, &shelf, &service);
        assert_eq!(late.tokens().await, ["Bearer token-2"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_of_this_version_has_written_is_replaced() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(20), DAY),
        );
        for plain in [
            "",
            "{}",
            r#"{"access_token":"a b","lifetime_ms":86400000,"asked_for_ms":1700000000000}"#,
            r#"{"access_token":"old","lifetime_ms":86400000,"asked_for_ms":1600000000000}"#,
        ] {
            let ends = Instant::now() + DAY;
            shelf.0.fences.set(shelf.0.fences.get() + 1);
            *shelf.0.record.borrow_mut() = Some((shelf.0.fences.get(), plain.into(), ends));
            let before = service.calls.get();

            let replicas = Replicas::start(1, &shelf, &service);
            replicas.tokens().await;

            assert_eq!(service.calls.get(), before + 1, "{plain}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_taken_back_when_nobody_knows_whether_it_was_published() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(20), DAY),
        );
        shelf.0.is_mute.set(true);
        let replicas = Replicas::start(1, &shelf, &service);
        replicas.tokens().await;
        sleep(Duration::from_mins(1)).await;

        let credential = &replicas.credentials[0];
        credential.refuse(1);
        let next = credential.successor(1, Instant::now() + DAY).await;

        assert_eq!(next.unwrap().value, "Bearer token-2");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_ims_asks_for_is_kept_by_all() {
    local(async {
        let (shelf, mut service) = (
            Memory::default(),
            Service::new(Duration::from_millis(20), DAY),
        );
        service.pause = Some(Duration::from_mins(2));
        service.is_down.set(true);
        let replicas = Replicas::start(10, &shelf, &service);

        sleep(Duration::from_secs(100)).await;
        assert_eq!(service.calls.get(), 1);

        service.is_down.set(false);
        sleep(Duration::from_secs(50)).await;
        assert_eq!(replicas.tokens().await.len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_in_a_pause_gives_way_to_the_one_another_replica_has() {
    local(async {
        let (shelf, service) = (
            Memory::default(),
            Service::new(Duration::from_millis(20), DAY),
        );
        let replicas = Replicas::start(2, &shelf, &service);
        replicas.tokens().await;
        // The first cannot renew and rests for long; the second has not come to its renewal.
        let [first, second] = &replicas.credentials[..] else {
            panic!("two replicas")
        };
        service.is_down.set(true);
        first.refuse(1);
        assert!(first.successor(1, Instant::now() + DAY).await.is_none());
        service.is_down.set(false);
        second.refuse(1);
        assert!(second.successor(1, Instant::now() + DAY).await.is_some());

        sleep(Duration::from_millis(600)).await;

        let bearer = first.bearer(Instant::now()).unwrap();
        assert_eq!(bearer.value, second.bearer(Instant::now()).unwrap().value);
    })
    .await;
}

#[test]
fn what_is_asked_for_otherwise_has_another_place() {
    let mut fleet = Fleet {
        shelf: Memory::default(),
        ims: "https://ims.example".to_owned(),
        paths: Paths {
            exchange: "/ims/exchange/jwt".to_owned(),
            token: "/ims/token/v3".to_owned(),
        },
        name: String::new(),
        call: Duration::from_secs(5),
        lasts: Duration::from_secs(6),
        denied: 0,
        turn: None,
    };
    let with = |scopes: &str, secret: &str| CredentialSettings {
        client_secrets: vec![Secret::new(secret.to_owned())],
        grant: Grant::ClientCredentials {
            scopes: scopes.to_owned(),
            send_org_id: false,
        },
        ..settings()
    };

    assert!(fleet.settle(&with("openid", "one")));
    assert!(!fleet.settle(&with("openid", "two")));
    assert!(fleet.settle(&with("openid,session", "two")));
}

#[test]
fn a_token_service_that_only_its_address_names_has_a_place_for_each() {
    let place = |url: &str, address: Option<&str>| {
        let connect = connect::Settings {
            called: "IMS",
            origin: url.parse().unwrap(),
            address: address.map(|it| it.parse().unwrap()),
            http2: false,
            connect_timeout: Duration::from_secs(3),
            tls_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(45),
            lifetime: Duration::from_mins(10),
            connections: NonZeroUsize::MIN,
            waiting: 1,
            breaker: None,
            extra_roots: Vec::new(),
            min_tls: connect::MinTls::Tls12,
            client_certificate: None,
            proxy: None,
        };
        let ims = Settings {
            connect,
            paths: Paths {
                exchange: "/ims/exchange/jwt".to_owned(),
                token: "/ims/token/v3".to_owned(),
            },
            timeout: Duration::from_secs(5),
            credentials: Vec::new(),
        };
        Fleet::new(Memory::default(), &ims, &settings()).name
    };
    let (one, other) = (Some("127.0.0.1:1"), Some("127.0.0.1:2"));

    assert_ne!(
        place("http://ims.example", one),
        place("http://ims.example", other)
    );
    assert_ne!(
        place("http://ims.example", one),
        place("http://ims.example", None)
    );
    assert_eq!(
        place("http://ims.example", one),
        place("http://ims.example", one)
    );
    // A certificate says who it is.
    assert_eq!(
        place("https://ims.example", one),
        place("https://ims.example", other)
    );
}
