//! How long Adobe asks to wait: in a field, or in the body of a service that is too busy.

use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;

/// Reads a `Retry-After` (RFC 9110 §10.2.3) at `now`, the time since the Unix epoch: seconds or a date. A number that is
/// too large to be read is a long wait.
pub fn retry_after(value: &HeaderValue, now: Duration) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(http_date(text)?.saturating_sub(now))
}

/// Reads an HTTP date (RFC 9110 §5.6.7) as the time since the Unix epoch.
pub fn http_date(text: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok()
}

/// Returns the `retryAfterMs` of a service's error answer, an object or a list of them, as a number or in quotes.
///
/// # Source
/// Real-Time Customer Profile's answer when its store is too busy, read 2026-11-23.
pub fn retry_after_ms(body: &[u8]) -> Option<Duration> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let errors = answer.as_array();
    let first = errors.map_or(Some(&answer), |errors| errors.first())?;
    let ms = match first.get("retryAfterMs")? {
        Value::Number(ms) => ms.as_u64()?,
        Value::String(ms) => ms.parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds_or_a_date() {
        // 2023-11-14 22:13:20.
        let now = Duration::from_secs(1_700_000_000);
        let wait = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
        let seconds = |seconds| Some(Duration::from_secs(seconds));

        assert_eq!(wait("38"), seconds(38));
        assert_eq!(wait(" 0 "), seconds(0));
        assert_eq!(wait("99999999999999999999999"), seconds(u64::MAX));
        assert_eq!(wait("Tue, 14 Nov 2023 22:14:20 GMT"), seconds(60));
        assert_eq!(wait("Tue, 14 Nov 2023 22:10:20 GMT"), seconds(0));
        for wrong in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(wait(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_service_says_it_in_milliseconds() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (body, wait) in [
            (
                r#"[{"message":"Too many requests","retryAfterMs":"500","statusCode":"429"}]"#,
                ms(500),
            ),
            (r#"{"retryAfterMs":20}"#, ms(20)),
            (r#"{"retryAfterMs":-20}"#, None),
            (r#"{"retryAfterMs":null}"#, None),
            (r#"{"message":"no"}"#, None),
            ("[]", None),
            ("<html>", None),
        ] {
            assert_eq!(retry_after_ms(body.as_bytes()), wait, "{body}");
        }
    }
}
