//! Whatever IMS answers, a token comes out legal and with a possible lifetime, or a failure does.

#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use profile_gateway::ims::answer;

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if let Ok(minted) = answer::read(status, body, None) {
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
