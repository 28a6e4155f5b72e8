//! What came of asking for a token, before it is printed.

use std::time::{Duration, UNIX_EPOCH};

use crate::ims::answer::{Failure, Minted};
use crate::ims::claims::{Claims, claims};
use crate::ims::mint::TOLERATED_S;
use crate::ims::{CredentialSettings, Grant, schedule};

/// What came of asking for a token.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) credential: &'a CredentialSettings,
    /// Where the call went.
    pub(super) endpoint: String,
    pub(super) attempt: Attempt,
}

/// The last of the calls that were made, one a secret. Those before it were refused for their secret.
#[derive(Debug)]
pub(super) struct Attempt {
    /// How many secrets were tried.
    pub(super) tried: usize,
    /// How long the call took.
    pub(super) took: Duration,
    pub(super) result: Result<Minted, Failure>,
}

/// How long the gateway works with a token, counted from its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// What the gateway takes the lifetime to be.
    pub(super) taken: Duration,
    /// When it asks for the next one, give or take what keeps replicas apart.
    pub(super) renewal: Duration,
    /// When it lets no request leave with it any more.
    pub(super) last_use: Duration,
}

impl Lifetime {
    pub(super) fn of(minted: &Minted) -> Self {
        let taken = minted.lifetime;
        Self {
            taken,
            renewal: schedule::renew_after(taken, 0.5),
            last_use: taken.saturating_sub(schedule::margin(taken)),
        }
    }
}

impl Report<'_> {
    /// Returns what may be shown of what the token says about itself.
    ///
    /// A secret that IMS might have put there is taken out before a text is shortened: half a secret would not be found.
    pub(super) fn claims(&self, minted: &Minted) -> Option<Claims> {
        let mut claims = claims(&minted.bearer)?;
        for text in [
            &mut claims.client_id,
            &mut claims.user_id,
            &mut claims.environment,
            &mut claims.scope,
        ] {
            *text = text.take().map(|text| self.quoted(text));
        }
        Some(claims)
    }

    fn quoted(&self, text: String) -> String {
        let secrets = self.credential.client_secrets.iter();
        let clean = secrets.fold(text, |text, secret| secret.taken_out_of(&text));
        clean.chars().take(SHOWN_CHARS).collect()
    }

    /// Returns what is amiss although it does not keep a token from being had.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let ahead_s = match &self.attempt.result {
            Ok(minted) => {
                self.warn_of_token(minted, &mut warnings);
                minted.clock_ahead_s
            }
            Err(failure) => failure.clock_ahead_s,
        };
        if let Some(ahead_s) = ahead_s.filter(|ahead_s| ahead_s.unsigned_abs() > TOLERATED_S) {
            let side = if ahead_s > 0 { "ahead of" } else { "behind" };
            warnings.push(format!(
                "this machine's clock is {} {side} IMS's: set it",
                span(Duration::from_secs(ahead_s.unsigned_abs()))
            ));
        }
        warnings
    }

    fn warn_of_token(&self, minted: &Minted, warnings: &mut Vec<String>) {
        if self.attempt.tried > 1 {
            warnings.push(
                "IMS refused the first secret: take it out of client_secrets once the rotation is over"
                    .to_owned(),
            );
        }
        match minted.stated_s {
            None => warnings.push(format!(
                "IMS did not say how long the token lives; it is taken for {}",
                span(minted.lifetime)
            )),
            Some(stated_s) if differ(stated_s, minted.lifetime.as_secs_f64()) => {
                warnings.push(format!(
                    "IMS says that the token lives for {stated_s} s, which cannot be; it is taken for {}",
                    span(minted.lifetime)
                ));
            }
            Some(_) => {}
        }
        let Some(shown) = self.claims(minted) else {
            return;
        };
        if let Some(lifetime) = shown.lifetime
            && differ(lifetime.as_secs_f64(), minted.lifetime.as_secs_f64())
        {
            warnings.push(format!(
                "the token says that it lives for {}, and the gateway works with {}: is the path that of {}?",
                span(lifetime),
                span(minted.lifetime),
                self.credential.grant.as_str(),
            ));
        }
        // What is shown may lack a part, and would then be another one's for no other reason.
        let written = claims(&minted.bearer).and_then(|claims| claims.client_id);
        if let Some(client_id) = &shown.client_id
            && written.as_deref() != Some(self.credential.client_id.as_str())
        {
            warnings.push(format!(
                "the token is for the client {client_id}, not for {}: Adobe will refuse it",
                self.credential.client_id
            ));
        }
    }

    /// Says which of the client's secrets came to what.
    pub(super) fn secrets(&self) -> String {
        let configured = self.credential.client_secrets.len();
        let worked = self.attempt.result.is_ok();
        match (configured, self.attempt.tried, worked) {
            (1, _, true) => "the only one works".to_owned(),
            (1, _, false) => "the only one was tried".to_owned(),
            (_, 1, true) => "the first of two works; the second was not tried".to_owned(),
            (_, 1, false) => "the first of two was tried".to_owned(),
            (_, _, true) => "the second of two works; IMS refused the first".to_owned(),
            (_, _, false) => "both were tried".to_owned(),
        }
    }

    /// Tells whether the token is asked for with an assertion.
    pub(super) fn is_exchange(&self) -> bool {
        matches!(self.credential.grant, Grant::JwtExchange(_))
    }
}

const SHOWN_CHARS: usize = 300;

/// Tells whether two lifetimes in seconds are not the same one rounded: IMS takes off up to a second.
fn differ(left: f64, right: f64) -> bool {
    (left - right).abs() > (left.max(right) * 0.05).clamp(2.0, 60.0)
}

/// Writes a duration for people, such as `23h 59m 59s`.
pub(super) fn span(duration: Duration) -> String {
    let whole = if duration < Duration::from_secs(10) {
        Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    } else {
        Duration::from_secs(duration.as_secs())
    };
    humantime::format_duration(whole).to_string()
}

/// Writes an instant as RFC 3339 does, unless it lies past the year 9999, which that has no form for.
pub(super) fn date(since_epoch: Duration) -> Option<String> {
    if since_epoch >= YEAR_10000 {
        return None;
    }
    let at = UNIX_EPOCH.checked_add(since_epoch)?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

/// From 1970 to the first moment that takes five digits for its year.
const YEAR_10000: Duration = Duration::from_hours(70_389_528);

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::secret::Secret;

    /// A credential whose client is `id-s3cret`, which holds its secret.
    fn credential() -> CredentialSettings {
        CredentialSettings {
            name: "a".to_owned(),
            organization: "o@AdobeOrg".parse().unwrap(),
            client_id: "id-s3cret".parse().unwrap(),
            client_secrets: vec![Secret::new("s3cret".to_owned())],
            grant: Grant::ClientCredentials {
                scopes: String::new(),
                send_org_id: false,
            },
            required: true,
        }
    }

    fn minted(claims: &Value) -> Minted {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let bearer = Secret::new(token).to_bearer().unwrap();
        Minted {
            stated_s: Some(3600.0),
            ..Minted::new(bearer, Duration::from_hours(1))
        }
    }

    fn report<'a>(credential: &'a CredentialSettings, minted: &Minted) -> Report<'a> {
        Report {
            credential,
            endpoint: String::new(),
            attempt: Attempt {
                tried: 1,
                took: Duration::ZERO,
                result: Ok(minted.clone()),
            },
        }
    }

    #[test]
    fn a_claim_is_shortened_after_secrets_are_taken_out() {
        let credential = credential();
        for before in ["", "s3\ncret", "s3\u{200e}cret"] {
            let scope = format!("{before}{}s3cret", "x".repeat(297));
            let minted = minted(&json!({ "scope": scope }));

            let shown = report(&credential, &minted).claims(&minted).unwrap();

            let shown = shown.scope.unwrap();
            assert!(!shown.contains("s3") && shown.contains('…'), "{shown}");
            assert!(shown.chars().count() <= 300, "{shown}");
        }
    }

    #[test]
    fn a_token_for_this_client_is_taken_for_it_whatever_is_shown_of_it() {
        let credential = credential();
        for (client_id, warned) in [
            ("id-s3cret", None),
            ("id-other", Some("for the client id-other, not for")),
        ] {
            let minted = minted(&json!({ "client_id": client_id }));

            let warnings = report(&credential, &minted).warnings();

            assert_eq!(warnings.len(), usize::from(warned.is_some()));
            let all = warnings.concat();
            assert!(all.contains(warned.unwrap_or_default()), "{all}");
        }
    }

    #[test]
    fn lifetimes_are_the_same_when_only_rounded() {
        for (left, right, different) in [
            (86_400.0, 86_399.0, false),
            (86_400.0, 86_399.992, false),
            (86_400.0, 86.399, true),
            (86_399_992.0, 172_800.0, true),
            (3_600.0, 3_599.0, false),
            (10.0, 5.0, true),
            (-5.0, 60.0, true),
        ] {
            assert_eq!(differ(left, right), different, "{left} {right}");
        }
    }

    #[test]
    fn dates_and_durations_are_written_for_people() {
        assert_eq!(
            date(Duration::from_millis(1_645_197_489_007)).as_deref(),
            Some("2022-02-18T15:18:09Z")
        );
        assert_eq!(date(Duration::MAX), None);
        assert_eq!(date(YEAR_10000), None);
        assert_eq!(span(Duration::from_secs(86_399)), "23h 59m 59s");
        assert_eq!(span(Duration::from_millis(1_900)), "1s 900ms");
        assert_eq!(span(Duration::ZERO), "0s");
    }
}
