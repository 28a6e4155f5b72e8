//! `Retry-After` is a number of seconds or a date, and nothing else.

#![no_main]

use std::time::Duration;

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use profile_gateway::aep::retry_after;

fuzz_target!(|input: (u32, &[u8])| {
    let (now, bytes) = input;
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let now = Duration::from_secs(now.into());
    let Some(pause) = retry_after(&value, now) else {
        return;
    };
    let text = value.to_str().expect("what was read is text").trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(pause.as_secs(), text.parse().unwrap_or(u64::MAX));
        assert_eq!(retry_after(&value, Duration::ZERO), Some(pause));
    } else {
        let date = httpdate::parse_http_date(text).expect("it is a date");
        let since = date
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        assert_eq!(pause, since.saturating_sub(now));
    }
});
