//! The life of a token under a clock that is moved by hand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::{advance, sleep, timeout_at};

use super::*;
use crate::clock::steered::Wall;
use crate::error::Reason;
use crate::ims::answer::{Class, Minted};
use crate::ims::{Grant, State};
use crate::secret::Secret;

/// A delay, and the lifetime or failure that comes after it.
type Planned = (Duration, Result<Duration, Failure>);

/// Gives what it is told to, each answer after a delay; then a token that lives for an hour.
#[derive(Clone, Default)]
struct Scripted {
    answers: Rc<RefCell<VecDeque<Planned>>>,
    calls: Rc<RefCell<Vec<String>>>,
    down: Rc<RefCell<bool>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = (u64, Result<u64, Class>)>) -> Self {
        let answers = answers.into_iter().map(|(delay_ms, answer)| {
            let answer = match answer {
                Ok(lifetime_ms) => Ok(Duration::from_millis(lifetime_ms)),
                Err(class) => Err(Failure::new(class, "scripted")),
            };
            (Duration::from_millis(delay_ms), answer)
        });
        Self {
            answers: Rc::new(RefCell::new(answers.collect())),
            calls: Rc::default(),
            down: Rc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.borrow().len()
    }
}

impl TokenService for Scripted {
    async fn mint(&self, _: &CredentialSettings, secret: &Secret) -> Result<Minted, Failure> {
        self.calls.borrow_mut().push(secret.expose().to_owned());
        let number = self.calls();
        if *self.down.borrow() {
            return Err(Failure::new(Class::Unwell, "scripted"));
        }
        let next = self.answers.borrow_mut().pop_front();
        let (delay, answer) = next.unwrap_or((Duration::ZERO, Ok(Duration::from_hours(1))));
        sleep(delay).await;
        answer.map(|lifetime| {
            let bearer = Secret::new(format!("token-{number}")).to_bearer();
            Minted::new(bearer.unwrap(), lifetime)
        })
    }
}

fn settings(secrets: &[&str]) -> CredentialSettings {
    CredentialSettings {
        name: "loyalty".to_owned(),
        organization: "o@AdobeOrg".parse().unwrap(),
        client_id: "id".parse().unwrap(),
        required: true,
        client_secrets: secrets
            .iter()
            .map(|secret| Secret::new((*secret).to_owned()))
            .collect(),
        grant: Grant::ClientCredentials {
            scopes: "openid".to_owned(),
            send_org_id: false,
        },
    }
}

/// Runs `test` beside a task that keeps the credential's token fresh.
async fn kept<F: Future<Output = ()>>(service: Scripted, test: impl FnOnce(Arc<Credential>) -> F) {
    kept_by(service, &Wall::new(), test).await;
}

/// The same, with a wall clock that can be set.
async fn kept_by<F: Future<Output = ()>>(
    service: Scripted,
    wall: &Wall,
    test: impl FnOnce(Arc<Credential>) -> F,
) {
    let credential = Credential::with_clock(settings(&["one", "two"]), wall.clock());
    let keeper = Keeper::new(
        Arc::clone(&credential),
        service,
        Fingerprints::of_this_process(),
    );
    let local = LocalSet::new();
    local.spawn_local(keeper.run());
    local.run_until(test(credential)).await;
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_cold_callers_share_one_call() {
    let service = Scripted::new([(2000, Ok(86_399_000))]);

    kept(service.clone(), async |credential| {
        let mut waiting = JoinSet::new();
        for _ in 0..10_000 {
            let credential = Arc::clone(&credential);
            waiting.spawn_local(async move { credential.wait(in_a_minute()).await.unwrap() });
        }
        let bearers = waiting.join_all().await;

        assert_eq!(bearers.len(), 10_000);
        assert!(
            bearers
                .iter()
                .all(|bearer| bearer.value == "Bearer token-1")
        );
    })
    .await;

    assert_eq!(service.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_hanging_up_cancels_nothing_for_others() {
    let service = Scripted::new([(2000, Ok(86_399_000))]);

    kept(service.clone(), async |credential| {
        let first = timeout_at(
            Instant::now() + Duration::from_secs(1),
            credential.wait(in_a_minute()),
        );
        assert!(first.await.is_err());

        assert_eq!(
            credential.wait(in_a_minute()).await.unwrap().value,
            "Bearer token-1"
        );
    })
    .await;

    assert_eq!(service.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_too_and_says_when_to_come_back() {
    let service = Scripted::new([(1000, Err(Class::Client)), (1000, Err(Class::Client))]);

    kept(service.clone(), async |credential| {
        let (first, second) = tokio::join!(
            credential.wait(in_a_minute()),
            credential.wait(in_a_minute())
        );
        let begun = Instant::now();
        let late = credential.wait(in_a_minute()).await;

        for failed in [first, second, late] {
            let error = failed.unwrap_err();
            assert_eq!(
                (error.reason(), error.retry_after()),
                (Reason::TokenUnavailable, Some(5))
            );
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    })
    .await;

    // Both secrets, once.
    assert_eq!(*service.calls.borrow(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_deadline() {
    kept(Scripted::new([(60_000, Ok(1000))]), async |credential| {
        let begun = Instant::now();

        let error = credential
            .wait(begun + Duration::from_secs(3))
            .await
            .unwrap_err();

        assert_eq!(error.reason(), Reason::TokenUnavailable);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_the_background_while_the_old_one_serves() {
    // The second call takes long: the first token has to last until it is done.
    let service = Scripted::new([(0, Ok(100_000)), (10_000, Ok(100_000))]);

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..120 {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            seen.push(
                credential
                    .bearer(Instant::now())
                    .expect("a token at every moment")
                    .value,
            );
        }

        seen.dedup();
        assert_eq!(seen, ["Bearer token-1", "Bearer token-2"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_never_given_out() {
    let failures = (0..1000).map(|_| (0, Err(Class::Unwell)));
    let service = Scripted::new([(0, Ok(10_000))].into_iter().chain(failures));

    kept(service, async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        let minted = Instant::now();
        while minted.elapsed() < Duration::from_secs(9) {
            assert!(
                credential.bearer(Instant::now()).is_some(),
                "{:?}",
                minted.elapsed()
            );
            advance(Duration::from_millis(100)).await;
        }
        advance(Duration::from_secs(1)).await;

        assert!(credential.bearer(Instant::now()).is_none());
        assert!(credential.wait(in_a_minute()).await.is_err());
        assert!(credential.status().usable_for.is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn service_returns_when_ims_does() {
    let service = Scripted::new((0..5).map(|_| (0, Err(Class::Unreachable))));

    kept(service.clone(), async |credential| {
        assert!(credential.wait(in_a_minute()).await.is_err());
        // Five failures wait 0.5, 1, 2, 4 and 4 seconds at most.
        sleep(Duration::from_millis(11_600)).await;

        assert!(credential.bearer(Instant::now()).is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_secret_that_works_is_remembered() {
    let service = Scripted::new([
        (0, Err(Class::Client)),
        (0, Ok(100_000)),
        (0, Ok(100_000)),
        (0, Ok(100_000)),
    ]);

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(100)).await;
    })
    .await;

    assert_eq!(*service.calls.borrow(), ["one", "two", "two"]);
}

/// Refuses the token of `generation`, and returns the one that comes after it.
async fn after_refusal(credential: &Credential, generation: u64) -> Option<String> {
    credential.refuse(generation);
    let next = credential.successor(generation, in_a_minute()).await?;
    Some(next.value.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_refusals_of_a_token_cost_one_call() {
    let service = Scripted::new([(0, Ok(86_399_000)), (200, Ok(86_399_000))]);

    kept(service.clone(), async |credential| {
        let first = credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_hours(1)).await;
        let mut refused = JoinSet::new();
        for _ in 0..10_000 {
            let credential = Arc::clone(&credential);
            refused.spawn_local(async move { after_refusal(&credential, first.generation).await });
        }
        let successors = refused.join_all().await;

        assert_eq!(successors.len(), 10_000);
        assert!(
            successors
                .iter()
                .all(|next| next.as_deref() == Some("Bearer token-2"))
        );
        // Those who come late, with the old token, cost nothing.
        assert_eq!(
            after_refusal(&credential, 1).await.as_deref(),
            Some("Bearer token-2")
        );
        let status = credential.status();
        assert_eq!(
            (status.generation, status.refusals, status.replacements),
            (2, 10_001, 1)
        );
    })
    .await;

    assert_eq!(service.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_a_refused_token_is_replaced_nobody_waits_who_need_not() {
    let service = Scripted::new([(0, Ok(86_399_000)), (60_000, Ok(86_399_000))]);

    kept(service, async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        credential.refuse(1);
        sleep(Duration::from_secs(1)).await;

        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_as_soon_as_it_is_minted_causes_no_storm() {
    let service = Scripted::default();

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        let mut replaced = 0;
        for _ in 0..100 {
            let generation = credential.bearer(Instant::now()).unwrap().generation;
            replaced += u32::from(after_refusal(&credential, generation).await.is_some());
            sleep(Duration::from_millis(100)).await;
        }

        // At once, after 2, and after 6 seconds.
        assert_eq!(replaced, 3);
        assert_eq!(credential.status().replacements, 3);
    })
    .await;

    assert_eq!(service.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_whose_replacement_fails_serves_on_and_its_refusals_pass() {
    let failures = (0..1000).map(|_| (10, Err(Class::Throttled)));
    let service = Scripted::new([(0, Ok(86_399_000))].into_iter().chain(failures));

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(10)).await;

        assert_eq!(after_refusal(&credential, 1).await, None);
        let begun = Instant::now();
        assert_eq!(after_refusal(&credential, 1).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 1);
        assert_eq!(credential.status().state, State::Failing);
    })
    .await;

    assert_eq!(service.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_early_revocation_of_short_tokens_is_cured_each_time() {
    kept(Scripted::default(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        for generation in 1..=5 {
            sleep(Duration::from_mins(10)).await;
            let next = format!("Bearer token-{}", generation + 1);
            assert_eq!(after_refusal(&credential, generation).await, Some(next));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_past_a_tokens_end_gets_a_new_one_before_it_sends_the_old() {
    let service = Scripted::new([(0, Ok(86_399_000)), (100, Ok(86_399_000))]);
    let wall = Wall::new();

    kept_by(service.clone(), &wall, async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(100)).await;
        // The monotonic clock stands still while a laptop sleeps.
        wall.set_ahead(2 * 24 * 60 * 60);

        assert!(credential.bearer(Instant::now()).is_none());
        let begun = Instant::now();
        let bearer = credential.wait(in_a_minute()).await.unwrap();
        assert_eq!((bearer.generation, begun.elapsed().as_millis()), (2, 100));
        sleep(Duration::from_hours(20)).await;
        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 2);
    })
    .await;

    assert_eq!(service.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_ahead_is_noticed_without_a_request() {
    let service = Scripted::new([(0, Ok(86_399_000))]);
    let wall = Wall::new();

    kept_by(service.clone(), &wall, async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        wall.set_ahead(86_000);
        sleep(Duration::from_secs(16)).await;

        assert_eq!(credential.status().generation, 2);
        assert_eq!(credential.status().state, State::Valid);
    })
    .await;

    assert_eq!(service.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_lengthens_no_tokens_life() {
    let service = Scripted::new([(0, Ok(3_600_000))]);
    let wall = Wall::new();

    kept_by(service.clone(), &wall, async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        wall.set_back(2 * 24 * 60 * 60);
        sleep(Duration::from_mins(40)).await;
        assert_eq!(service.calls(), 1);
        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 1);
        sleep(Duration::from_mins(19)).await;

        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 2);
    })
    .await;

    assert_eq!(service.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_is_latched_until_its_secret_changes() {
    let service = Scripted::new((0..200).map(|_| (0, Err(Class::Client))));

    kept(service.clone(), async |credential| {
        assert!(credential.wait(in_a_minute()).await.is_err());
        sleep(Duration::from_mins(10)).await;
        // Two secrets, after 5, 10, 20, 40 and then every 60 seconds.
        assert!((20..=30).contains(&service.calls()), "{}", service.calls());
        service.answers.borrow_mut().clear();
        let begun = Instant::now();

        credential.update(settings(&["three"]));
        credential.wait(in_a_minute()).await.unwrap_err();
        sleep(Duration::from_millis(1)).await;

        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 1);
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(service.calls.borrow().last().unwrap(), "three");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_used_at_once_while_the_old_token_serves() {
    let service = Scripted::new([(0, Ok(86_399_000)), (3000, Ok(86_399_000))]);

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        credential.update(settings(&["one", "two"]));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(service.calls(), 1, "nothing has changed");

        credential.update(settings(&["two"]));
        for _ in 0..4 {
            sleep(Duration::from_secs(1)).await;
            assert!(credential.bearer(Instant::now()).is_some());
        }

        assert_eq!(credential.bearer(Instant::now()).unwrap().generation, 2);
    })
    .await;

    assert_eq!(*service.calls.borrow(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_two_seconds_cost_one_call_a_renewal_and_never_run_out() {
    let service = Scripted::new((0..1000).map(|_| (500, Ok(2000))));

    kept(service.clone(), async |credential| {
        credential.wait(in_a_minute()).await.unwrap();
        for _ in 0..6000 {
            sleep(Duration::from_millis(10)).await;
            assert!(credential.bearer(Instant::now()).is_some());
        }

        let minted = credential.status().minted;
        assert!((50..=70).contains(&minted), "{minted}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_few_calls_and_its_end_is_noticed_within_half_a_second() {
    // Tokens of four seconds, and from the second on an IMS that is down for eight.
    let service = Scripted::new((0..2).map(|_| (20, Ok(4000))));
    let down = Rc::new(RefCell::new(false));

    kept(
        Scripted {
            down: Rc::clone(&down),
            ..service.clone()
        },
        async |credential| {
            credential.wait(in_a_minute()).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            down.replace(true);
            let before = service.calls();
            sleep(Duration::from_secs(8)).await;
            assert!(credential.bearer(Instant::now()).is_none());
            let calls = service.calls() - before;
            assert!((8..=15).contains(&calls), "{calls}");

            down.replace(false);
            sleep(Duration::from_millis(500)).await;
            assert!(credential.bearer(Instant::now()).is_some());
        },
    )
    .await;
}
