//! One token call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::utf8_percent_encode;
use tokio::time::{Instant, timeout};

use super::answer::{self, Class, Failure, Minted};
use super::{CredentialSettings, Settings};
use crate::clock;
use crate::connect::{Dialer, Pool};
use crate::error::Error;
use crate::secret::{Secret, UNRESERVED};

/// Makes token calls. It sends to the configured token service only and follows no redirect.
#[derive(Debug)]
pub struct Mint {
    dialer: Dialer,
    token_path: String,
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
        timeout(self.timeout, self.call(credential, secret))
            .await
            .unwrap_or_else(|_| {
                let message = format!("IMS did not answer within {:?}", self.timeout);
                Err(Failure::new(Class::Unreachable, message))
            })
    }
}

impl Mint {
    /// Prepares token calls through `dialer`.
    pub fn new(settings: &Settings, dialer: Dialer) -> Self {
        Self {
            dialer,
            token_path: settings.token_path.clone(),
            timeout: settings.timeout,
        }
    }

    async fn call(
        &self,
        credential: &CredentialSettings,
        secret: &Secret,
    ) -> Result<Minted, Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.token_path.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(form(credential, secret))))
            .map_err(|_| {
                Failure::new(Class::Configuration, "the token path is not a legal target")
            })?;
        let deadline = Instant::now() + self.timeout;
        // Calls are minutes and hours apart, so each has a connection of its own.
        let pool = Pool::new(self.dialer.clone(), Arc::default());
        let response = pool
            .send(&mut Some(request), deadline, deadline)
            .await
            .map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        let debug_id = head
            .headers
            .get("x-debug-id")
            .and_then(|value| value.to_str().ok());
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(pause);
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|_| {
                Failure::new(
                    Class::Answer,
                    "the answer broke off or is larger than 64 KiB",
                )
            })?;
        let result = answer::read(head.status, &body.to_bytes(), retry_after);
        result.map_err(|mut failure| {
            if let Some(id) = debug_id {
                failure.message = format!("{} (x-debug-id {id})", failure.message);
            }
            failure.message = quotable(&failure.message, credential);
            failure
        })
    }
}

/// Takes every secret of the credential out of what IMS said, then shortens it: it may be long and is not ours.
///
/// In this order, since a secret that is cut in two would not be found.
fn quotable(said: &str, credential: &CredentialSettings) -> String {
    let clean = credential
        .client_secrets
        .iter()
        .fold(said.to_owned(), |text, secret| secret.taken_out_of(&text));
    clean
        .chars()
        .filter(|character| !character.is_control())
        .take(QUOTED_CHARS)
        .collect()
}

const QUOTED_CHARS: usize = 300;

/// The most that is read of a token answer; real ones are under 4 KiB.
const ANSWER_BYTES: usize = 64 * 1024;

fn unreachable(error: &Error) -> Failure {
    Failure::new(Class::Unreachable, error.chain())
}

/// The form, in the body only: query strings end up in logs.
fn form(credential: &CredentialSettings, secret: &Secret) -> String {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
        encode(credential.client_id.as_str()),
        encode(secret.expose()),
        encode(&credential.scopes),
    )
}

/// Reads a `Retry-After` (RFC 9110 §10.2.3): seconds or a date.
fn pause(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(clock::since_epoch()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn the_form_escapes_what_would_break_it() {
        let credential = CredentialSettings {
            name: "c".to_owned(),
            organization: "o@AdobeOrg".parse().unwrap(),
            client_id: "id&x".parse().unwrap(),
            required: true,
            client_secrets: Vec::new(),
            scopes: "openid, AdobeID".to_owned(),
        };

        let form = form(&credential, &Secret::new("p8e-a+b=c&d%é".to_owned()));

        assert_eq!(
            form,
            "grant_type=client_credentials&client_id=id%26x&client_secret=p8e-a%2Bb%3Dc%26d%25%C3%A9\
             &scope=openid%2C%20AdobeID"
        );
    }

    #[test]
    fn what_is_quoted_of_ims_is_short_printable_and_free_of_secrets() {
        let credential = CredentialSettings {
            name: "c".to_owned(),
            organization: "o@AdobeOrg".parse().unwrap(),
            client_id: "id".parse().unwrap(),
            required: true,
            client_secrets: ["p8e-one", "p8e/two"]
                .map(|secret| Secret::new(secret.to_owned()))
                .to_vec(),
            scopes: String::new(),
        };
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"{}p8e-\u006fne p8e\/two p8e%2Ftwo{}"}}"#,
            "x".repeat(250),
            r"y\n".repeat(1000),
        );

        let failure = answer::read(StatusCode::BAD_REQUEST, body.as_bytes(), None).unwrap_err();
        let quoted = quotable(&failure.message, &credential);

        assert!(
            failure.message.contains("p8e-one p8e/two"),
            "{}",
            failure.message
        );
        assert!(
            quoted.contains("x… … …y") && !quoted.contains("p8e"),
            "{quoted}"
        );
        assert!(quoted.chars().count() == QUOTED_CHARS && !quoted.contains('\n'));
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let pause = |text: &str| pause(&HeaderValue::from_str(text).unwrap());

        assert_eq!(pause("38"), Some(Duration::from_secs(38)));
        assert_eq!(pause("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert!(pause("Tue, 31 Dec 2999 23:59:59 GMT").unwrap() > Duration::from_hours(1));
        assert_eq!(pause("soon"), None);
        assert_eq!(pause("-1"), None);
    }
}
