//! How long a caller waits, as it says so itself.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::clock;
use crate::context::Exchange;
use crate::error::{Error, Reason};

/// Takes out of a request's fields how long its caller waits, and returns when `deadline` is with that: the wait can only
/// shorten it. The answer has to end by then as well.
///
/// # Errors
/// [`Reason::MalformedRequest`] for what cannot be read, [`Reason::RequestTimeout`] when it is over already.
pub fn shorten(
    fields: &mut HeaderMap,
    exchange: &Exchange,
    deadline: Instant,
) -> Result<Instant, Error> {
    let Some(asked) = take(fields, exchange.started)? else {
        return Ok(deadline);
    };
    let ends_by = exchange.ends_by.get();
    exchange
        .ends_by
        .set(Some(ends_by.map_or(asked, |end| end.min(asked))));
    Ok(deadline.min(asked))
}

/// Says whether what a request's fields say of how long its caller waits can be read, and is not over.
///
/// # Errors
/// As those of [`shorten`].
pub fn check(fields: &HeaderMap) -> Result<(), Error> {
    take(&mut fields.clone(), Instant::now()).map(|_| ())
}

/// Takes out of a request's fields how long its caller waits, and returns when that is over for a request that began at
/// `started`; `None` when the caller says nothing of it.
///
/// `Request-Timeout` counts seconds from the request on; `X-Request-Deadline` is a moment, in seconds since the Unix epoch
/// or as RFC 3339 has it, in UTC. With both, the earlier counts.
///
/// # Errors
/// [`Reason::MalformedRequest`] for what is neither, [`Reason::RequestTimeout`] when it is over already.
fn take(fields: &mut HeaderMap, started: Instant) -> Result<Option<Instant>, Error> {
    let waits = [
        take_one(fields, &TIMEOUT, |text| seconds(text).ok_or(SECONDS))?,
        take_one(fields, &DEADLINE, |text| {
            let moment = seconds(text).or_else(|| rfc3339(text)).ok_or(MOMENT)?;
            Ok(moment.saturating_sub(clock::since_epoch()))
        })?,
    ];
    let Some(wait) = waits.into_iter().flatten().min() else {
        return Ok(None);
    };
    if wait.is_zero() {
        let detail = "the time the request gives for its answer was over as it came";
        return Err(Error::new(Reason::RequestTimeout, detail));
    }
    // One too far away to be told is none.
    Ok(started.checked_add(wait))
}

fn take_one(
    fields: &mut HeaderMap,
    name: &HeaderName,
    read: impl FnOnce(&str) -> Result<Duration, &'static str>,
) -> Result<Option<Duration>, Error> {
    let mut values = fields.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = |what| {
        let detail = format!("{name} {what}");
        Error::new(Reason::MalformedRequest, detail)
    };
    if values.next().is_some() {
        return Err(malformed("is there twice"));
    }
    let wait = read(text(value)).map_err(malformed)?;
    fields.remove(name);
    Ok(Some(wait))
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default().trim()
}

/// Reads seconds with up to nine decimals, and nothing else.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 9 {
        return None;
    }
    let nanos = format!("{part:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

fn rfc3339(text: &str) -> Option<Duration> {
    let moment = humantime::parse_rfc3339(text).ok()?;
    moment.duration_since(std::time::UNIX_EPOCH).ok()
}

static TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");
static DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

const SECONDS: &str = "must be a number of seconds, such as 2 or 0.5";
const MOMENT: &str =
    "must be a time such as 2026-11-26T14:30:00.5Z, or in seconds since 1970 such as 1795703400.5";

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pairs: &[(&'static str, &str)]) -> (Result<Option<Duration>, Error>, HeaderMap) {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name, value);
        }
        let started = Instant::now();
        let taken = take(&mut fields, started);
        (taken.map(|end| end.map(|end| end - started)), fields)
    }

    #[test]
    fn a_time_is_in_seconds() {
        for (text, ms) in [("2", 2000), ("0.5", 500), ("10.125", 10_125), (" 3 ", 3000)] {
            let (taken, fields) = taken(&[("request-timeout", text), ("accept", "a/b")]);

            assert_eq!(taken.unwrap(), Some(Duration::from_millis(ms)), "{text}");
            assert_eq!(fields.len(), 1, "it was for the gateway");
        }
        assert_eq!(taken(&[("accept", "a/b")]).0.unwrap(), None);
        let forever = taken(&[("request-timeout", "18446744073709551615")]).0;
        assert_eq!(forever.unwrap(), None, "too far away to be told");
    }

    #[test]
    fn a_moment_is_on_the_wall_clock_and_the_earlier_of_both_counts() {
        let in_a_minute = clock::since_epoch() + Duration::from_mins(1);
        let unix = format!("{}.000000001", in_a_minute.as_secs());
        let words = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + in_a_minute);
        for text in [unix, words.to_string()] {
            let left = taken(&[("x-request-deadline", &text)]).0.unwrap().unwrap();
            assert!(left.as_secs() >= 58 && left.as_secs() <= 60, "{left:?}");

            let both = [("x-request-deadline", &*text), ("request-timeout", "5")];
            assert_eq!(taken(&both).0.unwrap(), Some(Duration::from_secs(5)));
        }
    }

    #[test]
    fn what_is_over_or_cannot_be_read_is_refused() {
        for (pairs, reason) in [
            (vec![("request-timeout", "0")], Reason::RequestTimeout),
            (
                vec![("x-request-deadline", "1700000000")],
                Reason::RequestTimeout,
            ),
            (
                vec![("x-request-deadline", "2023-11-14T22:13:20Z")],
                Reason::RequestTimeout,
            ),
            (vec![("request-timeout", "soon")], Reason::MalformedRequest),
            (vec![("request-timeout", "-1")], Reason::MalformedRequest),
            (vec![("request-timeout", "")], Reason::MalformedRequest),
            (vec![("request-timeout", "1e3")], Reason::MalformedRequest),
            (vec![("request-timeout", "5s")], Reason::MalformedRequest),
            (
                vec![("request-timeout", "2023-11-14T22:13:20Z")],
                Reason::MalformedRequest,
            ),
            (
                vec![("x-request-deadline", "tomorrow")],
                Reason::MalformedRequest,
            ),
            (
                vec![("request-timeout", "1"), ("request-timeout", "1")],
                Reason::MalformedRequest,
            ),
        ] {
            let refused = taken(&pairs).0.unwrap_err();
            assert_eq!(refused.reason(), reason, "{pairs:?}");
        }
    }
}
