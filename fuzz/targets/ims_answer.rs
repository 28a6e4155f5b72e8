//! Whatever IMS answers, a token comes out legal and with a possible lifetime, or a failure does.

#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use profile_gateway::ims::answer::{self, Head, Unit};

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (status, seconds, body) = input;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let unit = if seconds {
        Unit::Seconds
    } else {
        Unit::Milliseconds
    };
    if let Ok(minted) = answer::read(&Head::from(status), body, unit) {
        assert!(
            minted
                .bearer
                .as_bytes()
                .iter()
                .skip(7)
                .all(u8::is_ascii_graphic)
        );
        assert!(!minted.lifetime.is_zero() && minted.lifetime.as_secs() <= 48 * 3600);
    }
});
