//! One token call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};

use super::answer::{self, Class, Failure, Head, Minted, Refusal};
use super::grant::{self, Grant, Paths};
use super::{CredentialSettings, Settings, printable};
use crate::aep;
use crate::clock;
use crate::connect::{Dialer, Pool, Times};
use crate::error::{Error, Reason};
use crate::secret::Secret;

/// Makes token calls. It sends to the configured token service only and follows no redirect.
#[derive(Debug)]
pub struct Mint {
    dialer: Dialer,
    paths: Paths,
    timeout: Duration,
}

/// Whoever gives tokens for client secrets.
pub trait TokenService {
    /// Asks for a token with one of the credential's secrets.
    ///
    /// # Errors
    /// [`Failure`], without any secret in it.
    fn mint(
        &self,
        credential: &CredentialSettings,
        secret: &Secret,
    ) -> impl Future<Output = Result<Minted, Failure>>;
}

impl TokenService for Mint {
    async fn mint(
        &self,
        credential: &CredentialSettings,
        secret: &Secret,
    ) -> Result<Minted, Failure> {
        let result = self.attempt(credential, secret).await;
        if !result.as_ref().is_err_and(|it| is_stale(it, credential)) {
            return result;
        }
        // The assertion may have been late on its way. The next one is new, and if that is no use either, no other is.
        self.attempt(credential, secret).await.map_err(|failure| {
            if is_stale(&failure, credential) {
                let message = format!("{}; {}", failure.message, about_clock(&failure));
                Failure { message, ..failure }
            } else {
                failure
            }
        })
    }
}

/// Tells whether IMS found the assertion expired or unreadable, and does not want to be left alone.
fn is_stale(failure: &Failure, credential: &CredentialSettings) -> bool {
    failure.refusal == Some(Refusal::InvalidToken)
        && failure.class == Class::Configuration
        && matches!(credential.grant, Grant::JwtExchange(_))
}

/// Says what the clock has to do with an assertion that was refused twice.
fn about_clock(failure: &Failure) -> String {
    let Some(ahead_s) = failure.clock_ahead_s else {
        return "a second assertion was refused too: check this machine's clock".to_owned();
    };
    if ahead_s.unsigned_abs() <= TOLERATED_S {
        return "a second assertion was refused too, and this machine's clock agrees with IMS's"
            .to_owned();
    }
    format!(
        "a second assertion was refused too: set this machine's clock, which is {} s {} IMS's",
        ahead_s.unsigned_abs(),
        if ahead_s > 0 { "ahead of" } else { "behind" },
    )
}

/// Seconds by which clocks may differ. IMS tolerates about as much in an assertion.
pub const TOLERATED_S: u64 = 30;

impl Mint {
    /// Prepares token calls through `dialer`.
    pub fn new(settings: &Settings, dialer: Dialer) -> Self {
        Self {
            dialer,
            paths: settings.paths.clone(),
            timeout: settings.timeout,
        }
    }

    /// Makes one call, with an assertion of its own where the grant wants one.
    async fn attempt(
        &self,
        credential: &CredentialSettings,
        secret: &Secret,
    ) -> Result<Minted, Failure> {
        let assertion = match &credential.grant {
            Grant::ClientCredentials { .. } => None,
            Grant::JwtExchange(account) => Some(account.assertion(
                &self.dialer.settings().origin,
                &credential.organization,
                &credential.client_id,
                now(),
                fastrand::u64(1..EXACT_IN_JSON),
            )?),
        };
        // It outlives the call, so that what it says counts even if the body comes too late.
        let mut head = None;
        let call = self.call(credential, secret, assertion.as_ref(), &mut head);
        let result = timeout(self.timeout, call)
            .await
            .unwrap_or_else(|_| {
                Err(match &head {
                    Some(head) if head.status != StatusCode::OK => Failure::new(
                        Class::Unreachable,
                        format!("the rest did not come within {:?}", self.timeout),
                    ),
                    _ => self.late(),
                })
            })
            .map_err(|failure| match &head {
                Some(head) if failure.status.is_none() => answer::without_body(head, failure),
                _ => failure,
            });
        let hidden = Hidden {
            credential,
            assertion: assertion.as_ref(),
        };
        match result {
            Ok(minted) => Ok(Minted {
                debug_id: minted.debug_id.filter(|id| hidden.spares(id)),
                ..minted
            }),
            Err(failure) => Err(Failure {
                message: hidden.quoted(&failure.message),
                debug_id: failure.debug_id.filter(|id| hidden.spares(id)),
                ..failure
            }),
        }
    }

    async fn call(
        &self,
        credential: &CredentialSettings,
        secret: &Secret,
        assertion: Option<&Secret>,
        arrived: &mut Option<Head>,
    ) -> Result<Minted, Failure> {
        let form = grant::form(credential, secret, assertion);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.paths.of(&credential.grant))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(form)))
            .map_err(|_| {
                Failure::new(Class::Configuration, "the token path is not a legal target")
            })?;
        let deadline = Instant::now() + self.timeout;
        // Calls are minutes and hours apart, so each has a connection of its own.
        let pool = Pool::new(self.dialer.clone(), Arc::default());
        let response = pool
            .send(&mut Some(request), &Times::until(deadline))
            .await
            .map_err(|unanswered| {
                let error = unanswered.error;
                // Either timer may go off first. What the pool's says is about callers and the upstream.
                if error.reason() == Reason::UpstreamTimeout {
                    self.late()
                } else {
                    unreachable(&error)
                }
            })?;
        let (head, body) = response.into_parts();
        let head = arrived.insert(head_of(head.status, &head.headers, now()));
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| unread(error.as_ref()))?;
        answer::read(head, &body.to_bytes(), credential.grant.unit())
    }

    fn late(&self) -> Failure {
        let message = format!("IMS did not answer within {:?}", self.timeout);
        Failure::new(Class::Unreachable, message)
    }
}

/// The wall clock, which assertions and dates are held against.
fn now() -> Duration {
    clock::since_epoch()
}

/// The first number that not every reader of JSON keeps exact.
const EXACT_IN_JSON: u64 = 1 << 53;

/// Reads what the head of an answer says that arrives at `now`.
fn head_of(status: StatusCode, fields: &HeaderMap, now: Duration) -> Head {
    let debug_id = fields
        .get("x-debug-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=DEBUG_ID_CHARS).contains(&id.len()))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
    let clock_ahead_s = fields.get(header::DATE).and_then(|value| {
        let theirs = i64::try_from(aep::http_date(value.to_str().ok()?)?.as_secs()).ok()?;
        Some(i64::try_from(now.as_secs()).ok()? - theirs)
    });
    Head {
        status,
        retry_after: fields
            .get(header::RETRY_AFTER)
            .and_then(|value| aep::retry_after(value, now)),
        debug_id: debug_id.map(str::to_owned),
        clock_ahead_s,
    }
}

/// A longer number is none of Adobe's, and the number goes into logs.
const DEBUG_ID_CHARS: usize = 64;

fn unread(error: &(dyn std::error::Error + 'static)) -> Failure {
    let message = if error.is::<LengthLimitError>() {
        "the answer is larger than 64 KiB"
    } else {
        "the answer broke off"
    };
    Failure::new(Class::Answer, message)
}

/// What IMS was told in confidence and may repeat.
///
/// The private key is not among it: it never leaves this process.
struct Hidden<'a> {
    credential: &'a CredentialSettings,
    assertion: Option<&'a Secret>,
}

impl Hidden<'_> {
    /// Returns what may be shown of what IMS said.
    ///
    /// What cannot be seen goes first, since a secret with a line break in it would not be found, and would be whole again
    /// afterwards; base64 in lines is the likely case. The text is shortened last: half a secret would not be found either.
    fn quoted(&self, said: &str) -> String {
        let clean = self.taken_out_of(&printable(said));
        clean.chars().take(QUOTED_CHARS).collect()
    }

    /// Takes everything secret out of what IMS said.
    fn taken_out_of(&self, said: &str) -> String {
        let secrets = self.credential.client_secrets.iter();
        let clean = secrets.fold(said.to_owned(), |text, secret| secret.taken_out_of(&text));
        let Some(assertion) = self.assertion else {
            return clean;
        };
        // A part of it alone is of no use to others, but nobody should have to know that.
        assertion
            .expose()
            .split('.')
            .map(|part| Secret::new(part.to_owned()))
            .fold(assertion.taken_out_of(&clean), |text, part| {
                part.taken_out_of(&text)
            })
    }

    /// Tells whether there is nothing secret in `text`.
    fn spares(&self, text: &str) -> bool {
        self.taken_out_of(text) == text
    }
}

const QUOTED_CHARS: usize = 300;

/// The most that is read of a token answer; real ones are under 4 KiB.
const ANSWER_BYTES: usize = 64 * 1024;

fn unreachable(error: &Error) -> Failure {
    Failure {
        broke_at: Some(error.reason()),
        ..Failure::new(Class::Unreachable, error.story())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;

    use super::*;
    use crate::ims::answer::Unit;

    fn credential() -> CredentialSettings {
        CredentialSettings {
            name: "c".to_owned(),
            organization: "o@AdobeOrg".parse().unwrap(),
            client_id: "id".parse().unwrap(),
            client_secrets: ["p8e-one", "p8e/two"]
                .map(|secret| Secret::new(secret.to_owned()))
                .to_vec(),
            grant: Grant::ClientCredentials {
                scopes: String::new(),
                send_org_id: false,
            },
            required: true,
        }
    }

    #[test]
    fn what_is_quoted_of_ims_is_short_printable_and_free_of_secrets() {
        let assertion = Secret::new("header00.claims00.signature".to_owned());
        let credential = credential();
        let hidden = Hidden {
            credential: &credential,
            assertion: Some(&assertion),
        };
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"{}p8e-\u006fne p8e\/two p8e%2ftwo {} {} signature{}"}}"#,
            "x".repeat(250),
            STANDARD.encode("p8e-one"),
            assertion.expose(),
            r"y\n".repeat(1000),
        );

        let head = Head::from(StatusCode::BAD_REQUEST);
        let failure = answer::read(&head, body.as_bytes(), Unit::Seconds).unwrap_err();
        let quoted = hidden.quoted(&failure.message);

        let message = &failure.message;
        assert!(message.contains("p8e-one p8e/two"), "{message}");
        assert!(quoted.contains("x… … … … … …yyy"), "{quoted}");
        assert!(quoted.chars().count() == QUOTED_CHARS && !quoted.contains('\n'));
    }

    #[test]
    fn a_secret_with_something_unseen_in_it_is_found() {
        let assertion = Secret::new(format!("header00.{}.signature", "claims".repeat(30)));
        let mut credential = credential();
        credential.client_secrets = vec![Secret::new("p8e-".repeat(30))];
        let hidden = Hidden {
            credential: &credential,
            assertion: Some(&assertion),
        };
        let secret = "p8e-".repeat(30);
        let encoded = STANDARD.encode(&secret);
        for whole in [&secret, &encoded, assertion.expose()] {
            for unseen in ["\n", "\r\n", "\0", "\u{200e}", "\u{202e}"] {
                let (first, second) = whole.split_at(76);

                let quoted = hidden.quoted(&format!("it was {first}{unseen}{second}."));

                assert_eq!(quoted, "it was ….", "{unseen:?}");
            }
        }
    }

    #[test]
    fn the_head_gives_a_number_and_how_clocks_differ() {
        // 2023-11-14 22:13:20.
        let now = Duration::from_secs(1_700_000_000);
        let head = |name: &'static str, value: &str| {
            let fields = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )]);
            head_of(StatusCode::OK, &fields, now)
        };

        let ahead = |date| head("date", date).clock_ahead_s;
        assert_eq!(ahead("Tue, 14 Nov 2023 22:13:20 GMT"), Some(0));
        assert_eq!(ahead("Tue, 14 Nov 2023 22:10:20 GMT"), Some(180));
        assert_eq!(ahead("Tue, 14 Nov 2023 22:14:20 GMT"), Some(-60));
        assert_eq!(ahead("yesterday"), None);
        let number = |id: &str| head("x-debug-id", id).debug_id;
        assert_eq!(number("abc-1").as_deref(), Some("abc-1"));
        assert_eq!(number(&"a".repeat(64)).map(|id| id.len()), Some(64));
        for wrong in ["", "a b", "a\tb", &"a".repeat(65)] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_number_that_repeats_a_secret_is_dropped() {
        let credential = credential();
        let hidden = Hidden {
            credential: &credential,
            assertion: None,
        };

        assert!(hidden.spares("abc-1"));
        assert!(!hidden.spares("id:p8e-one") && !hidden.spares("p8e%2Ftwo"));
    }

    #[test]
    fn the_clock_is_blamed_by_how_much_it_differs() {
        let about = |clock_ahead_s| {
            about_clock(&Failure {
                clock_ahead_s,
                ..Failure::new(Class::Configuration, "")
            })
        };

        assert!(about(None).contains("check this machine's clock"));
        assert!(about(Some(-30)).contains("agrees"));
        assert!(about(Some(31)).contains("31 s ahead of IMS's"));
        assert!(about(Some(-400)).contains("400 s behind IMS's"));
    }
}
