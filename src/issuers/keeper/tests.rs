//! The life of an issuer's keys under a clock that is moved by hand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::json;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{advance, sleep};

use super::*;
use crate::clock::steered::Wall;
use crate::issuers::Newer;
use crate::issuers::fetch::Class;
use crate::issuers::signer::{Signer, set};

/// A delay, and the keys or failure that come after it.
type Planned = (Duration, Result<KeySet, Failure>);

/// Gives what it is told to, each answer after a delay; then what it has for good.
#[derive(Clone)]
struct Scripted {
    answers: Rc<RefCell<VecDeque<Planned>>>,
    keys: Rc<RefCell<KeySet>>,
    down: Rc<Cell<bool>>,
    fetches: Rc<RefCell<Vec<Instant>>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = (u64, Result<KeySet, Class>)>) -> Self {
        let answers = answers.into_iter().map(|(delay_ms, answer)| {
            let answer = answer.map_err(|class| Failure::new(class, "scripted"));
            (Duration::from_millis(delay_ms), answer)
        });
        Self {
            answers: Rc::new(RefCell::new(answers.collect())),
            keys: Rc::new(RefCell::new(keys("old"))),
            down: Rc::default(),
            fetches: Rc::default(),
        }
    }

    fn fetches(&self) -> usize {
        self.fetches.borrow().len()
    }

    fn rotate(&self, kid: &str) {
        *self.keys.borrow_mut() = keys(kid);
    }

    /// Returns the shortest time from one fetch to the next.
    fn shortest(&self) -> Duration {
        let fetches = self.fetches.borrow();
        let pairs = fetches.windows(2);
        pairs.map(|pair| pair[1] - pair[0]).min().unwrap()
    }
}

impl Keyholder for Scripted {
    async fn fetch(&mut self) -> Result<KeySet, Failure> {
        self.fetches.borrow_mut().push(Instant::now());
        if self.down.get() {
            return Err(Failure::new(Class::Unreachable, "scripted"));
        }
        let next = self.answers.borrow_mut().pop_front();
        let usual = || (Duration::ZERO, Ok(self.keys.borrow().clone()));
        let (delay, answer) = next.unwrap_or_else(usual);
        sleep(delay).await;
        answer
    }
}

fn keys(kid: &str) -> KeySet {
    KeySet::read(&set(&[Signer::rsa().jwk(&json!({ "kid": kid }))])).unwrap()
}

const PACE: Pace = Pace {
    refresh: Duration::from_mins(5),
    min_refresh: Duration::from_secs(10),
};
const STALE: Duration = Duration::from_hours(24);

/// Runs `test` beside a task that keeps the keys fresh.
async fn kept<F: Future<Output = ()>>(
    keyholder: Scripted,
    wall: &Wall,
    test: impl FnOnce(Arc<Supply>) -> F,
) {
    let supply = Arc::new(Supply::new("cluster".to_owned(), wall.clock()));
    let local = LocalSet::new();
    local.spawn_local(Keeper::new(Arc::clone(&supply), keyholder, PACE).run());
    local.run_until(test(supply)).await;
}

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn has(supply: &Supply, kid: &str) -> bool {
    let keys = supply.keys(Some(STALE), supply.clock.now());
    keys.is_some_and(|keys| keys.set.find(Some(kid)).is_some())
}

#[tokio::test(start_paused = true)]
async fn many_first_callers_share_one_fetch() {
    let keyholder = Scripted::new([(1500, Ok(keys("old")))]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        let mut waiting = JoinSet::new();
        for _ in 0..200 {
            let supply = Arc::clone(&supply);
            waiting.spawn_local(async move { supply.newer(Newer::Generation(0), within(2)).await });
        }

        let all = waiting.join_all().await;

        assert!(all.into_iter().all(|found| found) && has(&supply, "old"));
        assert_eq!(keyholder.fetches(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_anew_and_stay_the_same_set_while_they_are() {
    let keyholder = Scripted::new([]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(1)).await;
        assert_eq!((supply.generation(), keyholder.fetches()), (1, 1));

        sleep(Duration::from_secs(310)).await;
        assert_eq!((supply.generation(), keyholder.fetches()), (1, 2));
        let age = supply.latest().unwrap().fetched.age(supply.clock.now());
        assert!(age < Duration::from_secs(50), "{age:?}");

        keyholder.rotate("new");
        sleep(Duration::from_secs(310)).await;
        assert!(supply.generation() == 2 && has(&supply, "new") && !has(&supply, "old"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_known_brings_the_new_ones_at_once() {
    let keyholder = Scripted::new([]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(20)).await;
        keyholder.rotate("new");
        assert!(!has(&supply, "new"));

        let asked = Instant::now();
        assert!(supply.newer(Newer::Generation(1), within(2)).await && has(&supply, "new"));

        assert_eq!((asked.elapsed(), keyholder.fetches()), (Duration::ZERO, 2));
        // Who comes later, with what it was refused by, need not wait.
        assert!(supply.newer(Newer::Generation(1), Instant::now()).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_at_once_there_is_one_fetch_and_none_after_it() {
    let keyholder = Scripted::new([]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(20)).await;
        assert_eq!(keyholder.fetches(), 1);

        let ask = || supply.newer(Newer::Generation(1), within(2));
        assert_eq!(tokio::join!(ask(), ask(), ask()), (false, false, false));
        assert_eq!(keyholder.fetches(), 2);
        sleep(Duration::from_mins(2)).await;
        assert_eq!(keyholder.fetches(), 2);
        // Who asks later is served all the same.
        assert!(!ask().await);
        assert_eq!(keyholder.fetches(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_a_moment_after_a_fetch_is_waited_for() {
    let keyholder = Scripted::new([]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(9)).await;
        keyholder.rotate("new");

        assert!(supply.newer(Newer::Generation(1), within(2)).await);

        assert_eq!(keyholder.shortest(), PACE.min_refresh);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_unknown_keys_costs_one_fetch_in_ten_seconds_and_holds_nobody_up() {
    let keyholder = Scripted::new([]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(30)).await;
        let begun = Instant::now();
        let before = keyholder.fetches();

        let mut waiting = JoinSet::new();
        let (mut held, mut longest) = (0, 0);
        while begun.elapsed() < Duration::from_mins(1) {
            let supply = Arc::clone(&supply);
            waiting.spawn_local(async move {
                let asked = Instant::now();
                assert!(!supply.newer(Newer::Generation(1), within(2)).await);
                asked.elapsed()
            });
            advance(Duration::from_millis(5)).await;
            longest = longest.max(waiting.len());
            while let Some(waited) = waiting.try_join_next() {
                held += usize::from(!waited.unwrap().is_zero());
            }
        }

        let fetches = keyholder.fetches() - before;
        assert!((6..=7).contains(&fetches), "{fetches}");
        assert!(keyholder.shortest() >= PACE.min_refresh);
        // Only who may see the next fetch waits for it: those of the two seconds before, and no more than there is room for.
        assert!(held <= 6 * 256 && longest < 300, "{held} {longest}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn so_many_wait_for_keys_and_the_next_are_told_at_once() {
    let keyholder = Scripted::new([(60_000, Ok(keys("old")))]);
    kept(keyholder, &Wall::new(), async |supply| {
        let mut waiting = JoinSet::new();
        for _ in 0..400 {
            let supply = Arc::clone(&supply);
            waiting.spawn_local(async move {
                let asked = Instant::now();
                supply.newer(Newer::Generation(0), within(2)).await;
                asked.elapsed()
            });
        }

        let waits = waiting.join_all().await;

        let held = waits.iter().filter(|wait| wait.as_secs() == 2).count();
        assert_eq!((held, waits.len() - held), (256, 144));
        let after = Instant::now();
        supply.newer(Newer::Generation(0), within(2)).await;
        assert_eq!(after.elapsed().as_secs(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_is_tried_ever_more_rarely() {
    let keyholder = Scripted::new([]);
    keyholder.down.set(true);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(10)).await;
        let early = keyholder.fetches();
        sleep(Duration::from_mins(10)).await;
        let late = keyholder.fetches() - early;

        assert!(
            (3..=5).contains(&early) && (8..=14).contains(&late),
            "{early} {late}"
        );
        // Nobody waits for what is not about to happen.
        let asked = Instant::now();
        assert!(!supply.newer(Newer::Generation(0), within(1)).await || has(&supply, "old"));
        assert!(asked.elapsed() <= Duration::from_secs(1));

        keyholder.down.set(false);
        sleep(Duration::from_secs(76)).await;
        assert!(has(&supply, "old"));
        assert_eq!(supply.progress.borrow().failures, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_serve_on_through_an_outage_until_they_are_too_old() {
    let keyholder = Scripted::new([]);
    let wall = Wall::new();
    kept(keyholder.clone(), &wall, async |supply| {
        sleep(Duration::from_secs(1)).await;
        keyholder.down.set(true);

        sleep(STALE.saturating_sub(Duration::from_mins(1))).await;
        assert!(has(&supply, "old"));
        let tries = keyholder.fetches();
        assert!((1000..1500).contains(&tries), "{tries}");
        sleep(Duration::from_mins(1)).await;
        assert!(!has(&supply, "old"));

        keyholder.down.set(false);
        // Who was refused since the keys were too old is told of the same ones as soon as they are not.
        let too_old = Newer::Fetch(supply.latest().unwrap().fetch);
        assert!(!supply.newer(too_old, Instant::now()).await);
        assert!(supply.newer(too_old, within(76)).await && has(&supply, "old"));
        // The same keys are the same set, which lets what was verified with them count again.
        assert_eq!(supply.generation(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_finds_its_keys_too_old() {
    let wall = Wall::new();
    kept(Scripted::new([]), &wall, async |supply| {
        sleep(Duration::from_secs(1)).await;
        assert!(has(&supply, "old"));

        wall.set_ahead(STALE.as_secs() + 1);

        assert!(!has(&supply, "old"));
        assert_eq!(supply.usable(Some(STALE), supply.clock.now()), None);
        assert_eq!(supply.usable(None, supply.clock.now()), Some(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_lets_nobody_ask_for_fetches() {
    let keyholder = Scripted::new([(0, Ok(keys("old"))), (0, Err(Class::Refused))]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(20)).await;
        keyholder.rotate("new");

        // The one that may be made fails.
        assert!(!supply.newer(Newer::Generation(1), within(2)).await);
        let asked = Instant::now();
        for _ in 0..1000 {
            assert!(!supply.newer(Newer::Generation(1), within(2)).await);
        }
        assert_eq!((asked.elapsed(), keyholder.fetches()), (Duration::ZERO, 2));

        // With the pause over it is made up for.
        sleep(Duration::from_secs(13)).await;
        assert!(has(&supply, "new"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fetch_outlives_whoever_asked_for_it() {
    let keyholder = Scripted::new([(0, Ok(keys("old"))), (5000, Ok(keys("new")))]);
    kept(keyholder.clone(), &Wall::new(), async |supply| {
        sleep(Duration::from_secs(20)).await;

        assert!(!supply.newer(Newer::Generation(1), within(2)).await);
        assert!(supply.newer(Newer::Generation(1), within(4)).await && has(&supply, "new"));

        assert_eq!(keyholder.fetches(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_keeper_begins_with_the_keys_there_are() {
    let keyholder = Scripted::new([]);
    let supply = Arc::new(Supply::new("cluster".to_owned(), Wall::new().clock()));
    let local = LocalSet::new();
    let begin = || Keeper::new(Arc::clone(&supply), keyholder.clone(), PACE).run();
    local
        .run_until(async {
            let first = tokio::task::spawn_local(begin());
            sleep(Duration::from_secs(100)).await;
            first.abort();

            let second = tokio::task::spawn_local(begin());
            sleep(Duration::from_secs(199)).await;
            assert_eq!(keyholder.fetches(), 1);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(keyholder.fetches(), 2);
            second.abort();

            // One that was failing tries at once: what was changed may have been what was wrong.
            keyholder.down.set(true);
            let third = tokio::task::spawn_local(begin());
            sleep(Duration::from_secs(301)).await;
            assert!(supply.progress.borrow().failing.is_some());
            third.abort();
            keyholder.down.set(false);
            let before = keyholder.fetches();
            tokio::task::spawn_local(begin());
            sleep(Duration::from_millis(1)).await;
            assert_eq!(keyholder.fetches(), before + 1);
            assert!(supply.progress.borrow().failing.is_none());
        })
        .await;
}

#[test]
fn pauses_grow_to_a_minute_and_one_that_is_asked_for_is_kept() {
    let mut failure = Failure::new(Class::Refused, "");
    let waits = |failure: &Failure, has_keys, random| {
        [1, 2, 3, 4, 5, 6, 7, 40].map(|n| PACE.after(failure, n, has_keys, random).as_secs())
    };

    assert_eq!(waits(&failure, false, 0.0), [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(waits(&failure, true, 0.0), [10, 20, 40, 60, 60, 60, 60, 60]);
    assert_eq!(waits(&failure, true, 1.0), [12, 25, 50, 75, 75, 75, 75, 75]);
    failure.retry_after = Some(Duration::from_secs(38));
    assert_eq!(waits(&failure, true, 0.0), [38, 38, 40, 60, 60, 60, 60, 60]);
    failure.retry_after = Some(Duration::from_hours(1));
    assert_eq!(waits(&failure, false, 0.0), [300; 8]);
    assert_eq!(PACE.next(0.0), PACE.refresh);
    assert_eq!(PACE.next(1.0), Duration::from_secs(270));
}
