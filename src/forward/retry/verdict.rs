//! What one outcome says about another attempt.

use std::time::Duration;

use http::StatusCode;

use crate::error::Reason;

/// How an attempt ended that was not plainly good.
#[derive(Clone, Debug)]
pub(in crate::forward) enum Outcome {
    /// With an answer.
    Answered(Answer),
    /// Without one.
    Unanswered {
        /// Why.
        reason: Reason,
        /// Whether the connection may have been closed for its age.
        stale: bool,
    },
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(in crate::forward) struct Answer {
    /// Its status.
    pub(in crate::forward) status: StatusCode,
    /// Its `error_code`.
    pub(in crate::forward) code: Option<String>,
    /// Whether its body is there as a whole and can be read.
    pub(in crate::forward) readable: bool,
    /// Whether it is an answer of Adobe's gateway, or of something in front of it, rather than of a service.
    pub(in crate::forward) from_gateway: bool,
    /// How long it asks to wait, in a field.
    pub(in crate::forward) retry_after: Option<Duration>,
    /// How long it asks to wait, in its body.
    pub(in crate::forward) retry_after_ms: Option<Duration>,
}

/// That the request may go out once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forward) struct Another {
    pub(in crate::forward) cause: Cause,
    pub(in crate::forward) wait: Wait,
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forward) enum Wait {
    /// After what the upstream asks for, which is short.
    Asked(Duration),
    /// After a random time that grows from attempt to attempt.
    Backoff,
    /// At once, and at no cost to the budget.
    Nothing,
}

/// Why, as metrics have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::forward) enum Cause {
    /// There was no connection.
    NoConnection,
    /// Adobe's gateway could not look at the request.
    NotValidated,
    /// The upstream refused the request before it did anything.
    Refused,
    /// The connection ended before the answer began.
    Reset,
    /// The answer is a server's error.
    ServerError,
    /// A connection had grown old in the pool.
    StaleConnection,
    /// The answer asks for a short pause.
    Throttled,
    /// The answer did not begin in the time one attempt has.
    Timeout,
}

impl Cause {
    pub(in crate::forward) const ALL: [Self; 8] = [
        Self::NoConnection,
        Self::NotValidated,
        Self::Refused,
        Self::Reset,
        Self::ServerError,
        Self::StaleConnection,
        Self::Throttled,
        Self::Timeout,
    ];

    pub(in crate::forward) fn as_str(self) -> &'static str {
        match self {
            Self::NoConnection => "no_connection",
            Self::NotValidated => "not_validated",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::ServerError => "server_error",
            Self::StaleConnection => "stale_connection",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
        }
    }
}

/// Tells whether a request may go out once more after `outcome`. `replay_safe`: whether it does no harm when it is
/// executed twice.
pub(in crate::forward) fn verdict(outcome: &Outcome, replay_safe: bool) -> Option<Another> {
    match outcome {
        Outcome::Unanswered { reason, stale } => unanswered(*reason, *stale, replay_safe),
        Outcome::Answered(answer) => answered(answer, replay_safe),
    }
}

fn unanswered(reason: Reason, stale: bool, replay_safe: bool) -> Option<Another> {
    let cause = if reason.is_connecting() {
        Cause::NoConnection
    } else if reason == Reason::UpstreamRefused {
        Cause::Refused
    } else if !replay_safe {
        return None;
    } else if reason == Reason::UpstreamTimeout {
        Cause::Timeout
    } else if reason != Reason::UpstreamReset {
        return None;
    } else if stale {
        Cause::StaleConnection
    } else {
        Cause::Reset
    };
    let wait = if cause == Cause::StaleConnection {
        Wait::Nothing
    } else {
        Wait::Backoff
    };
    Some(Another { cause, wait })
}

fn answered(answer: &Answer, replay_safe: bool) -> Option<Another> {
    let asked = answer.retry_after.or(answer.retry_after_ms);
    // Its answer is what the request's caller can use better than a gateway that holds the request for long.
    if asked.is_some_and(|asked| asked > SHORT) {
        return None;
    }
    let wait = asked.map_or(Wait::Backoff, Wait::Asked);
    let another = |cause| Some(Another { cause, wait });
    let code = answer.code.as_deref().unwrap_or_default();
    if NOT_EXECUTED.contains(&code) {
        return another(Cause::NotValidated);
    }
    match answer.status {
        // Without a hint there is no telling when it is worth it.
        StatusCode::TOO_MANY_REQUESTS => {
            let executed_nothing = RATE.contains(&code);
            let may =
                asked.is_some() && (executed_nothing || (replay_safe && !LONG.contains(&code)));
            may.then_some(another(Cause::Throttled)).flatten()
        }
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
            if replay_safe =>
        {
            another(Cause::ServerError)
        }
        _ => None,
    }
}

/// Returns how long an answer asks everybody with the same API key to wait.
///
/// A service that is too busy speaks for itself alone: its wait is for the request that met it.
pub(in crate::forward) fn pause_asked(answer: &Answer) -> Option<Duration> {
    let can_ask = matches!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let asked = answer
        .retry_after
        .filter(|asked| can_ask && answer.from_gateway && !asked.is_zero());
    asked.map(|asked| asked.min(LONGEST_PAUSE))
}

/// Codes by which Adobe's gateway says that it could not validate a request, and so did not pass it on, whatever the
/// status. The token may be as good as it was.
///
/// # Source
/// Adobe's open-source gateway validator, read 2026-11-23: API key, token and profile could not be read, slow down.
const NOT_EXECUTED: [&str; 4] = ["503000", "503010", "503020", "503071"];

/// Its codes for a rate that was too high for a moment, and for one of the day or month.
const RATE: [&str; 1] = ["429050"];
const LONG: [&str; 2] = ["429001", "429002"];

/// The longest wait the upstream can ask for that a request is held for.
const SHORT: Duration = Duration::from_secs(2);

/// The longest pause the upstream can ask for. Hours were seen, and a pause is for all callers.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, asked_ms: Option<u64>) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            code: (!code.is_empty()).then(|| code.to_owned()),
            readable: true,
            from_gateway: !code.is_empty(),
            retry_after: asked_ms.map(Duration::from_millis),
            retry_after_ms: None,
        }
    }

    /// Causes for a request that is safe to repeat, and for one that is not.
    fn causes(outcome: &Outcome) -> (Option<Cause>, Option<Cause>) {
        let cause = |replay_safe| verdict(outcome, replay_safe).map(|another| another.cause);
        (cause(true), cause(false))
    }

    #[test]
    fn what_was_not_sent_goes_again_and_what_may_have_been_executed_only_if_that_is_safe() {
        let both = |cause| (Some(cause), Some(cause));
        let safe = |cause| (Some(cause), None);
        for (reason, expected) in [
            (Reason::UpstreamConnect, both(Cause::NoConnection)),
            (Reason::UpstreamName, both(Cause::NoConnection)),
            (Reason::UpstreamTls, both(Cause::NoConnection)),
            (Reason::UpstreamRefused, both(Cause::Refused)),
            (Reason::UpstreamReset, safe(Cause::Reset)),
            (Reason::UpstreamTimeout, safe(Cause::Timeout)),
        ] {
            let outcome = Outcome::Unanswered {
                reason,
                stale: false,
            };
            assert_eq!(causes(&outcome), expected, "{reason}");
        }
        let stale = Outcome::Unanswered {
            reason: Reason::UpstreamReset,
            stale: true,
        };
        assert_eq!(causes(&stale), safe(Cause::StaleConnection));
    }

    #[test]
    fn no_other_failure_is_repeated() {
        let repeated = [
            Reason::UpstreamConnect,
            Reason::UpstreamName,
            Reason::UpstreamTls,
            Reason::UpstreamRefused,
            Reason::UpstreamReset,
            Reason::UpstreamTimeout,
        ];
        for reason in Reason::ALL
            .iter()
            .filter(|reason| !repeated.contains(reason))
        {
            let outcome = Outcome::Unanswered {
                reason: *reason,
                stale: true,
            };
            assert_eq!(causes(&outcome), (None, None), "{reason}");
        }
    }

    #[test]
    fn answers_are_judged_by_code_then_by_status() {
        let both = |cause| (Some(cause), Some(cause));
        let safe = |cause| (Some(cause), None);
        let none = (None, None);
        for (status, code, asked_ms, expected) in [
            // The gateway's: nothing was executed, whatever the status.
            (403, "503020", None, both(Cause::NotValidated)),
            (503, "503010", None, both(Cause::NotValidated)),
            (500, "503010", None, both(Cause::NotValidated)),
            (503, "503000", None, both(Cause::NotValidated)),
            (503, "503071", Some(1000), both(Cause::NotValidated)),
            (503, "503071", Some(38_000), none),
            (429, "429050", Some(1000), both(Cause::Throttled)),
            (429, "429050", Some(38_000), none),
            (429, "429050", None, none),
            (429, "429001", Some(1000), none),
            (429, "429002", Some(1000), none),
            // A service's.
            (429, "", Some(500), safe(Cause::Throttled)),
            (429, "", None, none),
            (500, "", None, safe(Cause::ServerError)),
            (500, "500001", None, safe(Cause::ServerError)),
            (502, "", None, safe(Cause::ServerError)),
            (503, "", None, safe(Cause::ServerError)),
            (503, "", Some(60_000), none),
            (504, "", None, safe(Cause::ServerError)),
            (501, "", None, none),
            (505, "", None, none),
            // Never.
            (400, "", None, none),
            (401, "401013", None, none),
            (403, "403000", None, none),
            (404, "", None, none),
            (408, "", None, none),
            (409, "", None, none),
            (422, "", Some(1), none),
        ] {
            let outcome = Outcome::Answered(answer(status, code, asked_ms));
            assert_eq!(causes(&outcome), expected, "{status} {code} {asked_ms:?}");
        }
    }

    #[test]
    fn a_wait_is_as_long_as_the_upstream_asks() {
        let mut asked = answer(429, "", None);
        asked.retry_after_ms = Some(Duration::from_millis(500));

        let another = verdict(&Outcome::Answered(asked), true).unwrap();

        assert_eq!(another.wait, Wait::Asked(Duration::from_millis(500)));
    }

    #[test]
    fn only_the_gateway_speaks_for_the_key_and_not_for_more_than_five_minutes() {
        let pause = |status, code, asked_ms| pause_asked(&answer(status, code, asked_ms));

        assert_eq!(
            pause(429, "429050", Some(38_000)),
            Some(Duration::from_secs(38))
        );
        assert_eq!(pause(503, "503071", Some(3_600_000)), Some(LONGEST_PAUSE));
        assert_eq!(pause(429, "429050", None), None);
        assert_eq!(pause(429, "429050", Some(0)), None);
        assert_eq!(pause(500, "503010", Some(1000)), None);
        assert_eq!(pause(429, "", Some(1000)), None, "a service");
    }
}
