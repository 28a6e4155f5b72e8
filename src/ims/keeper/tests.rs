//! The life of a token under a clock that is moved by hand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::LocalSet;
use tokio::time::advance;

use super::*;
use crate::ims::Grant;
use crate::secret::Secret;

/// A delay, and the lifetime or failure that comes after it.
type Planned = (Duration, Result<Duration, Failure>);

/// Gives what it is told to, each answer after a delay; then a token that lives for an hour.
#[derive(Clone, Default)]
struct Scripted {
    answers: Rc<RefCell<VecDeque<Planned>>>,
    calls: Rc<RefCell<Vec<String>>>,
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
        let next = self.answers.borrow_mut().pop_front();
        let (delay, answer) = next.unwrap_or((Duration::ZERO, Ok(Duration::from_hours(1))));
        sleep(delay).await;
        answer.map(|lifetime| {
            let bearer = Secret::new(format!("token-{number}")).to_bearer();
            Minted::new(bearer.unwrap(), lifetime)
        })
    }
}

fn credential() -> Arc<Credential> {
    Credential::new(CredentialSettings {
        name: "loyalty".to_owned(),
        organization: "o@AdobeOrg".parse().unwrap(),
        client_id: "id".parse().unwrap(),
        client_secrets: vec![Secret::new("one".to_owned()), Secret::new("two".to_owned())],
        grant: Grant::ClientCredentials {
            scopes: "openid".to_owned(),
            send_org_id: false,
        },
        required: true,
    })
}

/// Runs `test` beside a task that keeps the credential's token fresh.
async fn kept<F: Future<Output = ()>>(service: Scripted, test: impl FnOnce(Arc<Credential>) -> F) {
    let credential = credential();
    let local = LocalSet::new();
    local.spawn_local(Arc::clone(&credential).keep_fresh(service));
    local.run_until(test(credential)).await;
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cold_callers_share_one_call() {
    let service = Scripted::new([(2000, Ok(86_399_000))]);

    kept(service.clone(), async |credential| {
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let credential = Arc::clone(&credential);
            waiting.spawn_local(async move { credential.wait(in_a_minute()).await.unwrap() });
        }
        let bearers = waiting.join_all().await;

        assert_eq!(bearers.len(), 1000);
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
