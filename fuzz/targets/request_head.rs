//! A head is judged without a panic, and a part of it is never refused when the whole is not.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use profile_gateway::listener::{Limits, guard};

fuzz_target!(|input: (u8, &[u8])| {
    let limits = Limits {
        head_bytes: 1024,
        fields: 20,
        target_bytes: 256,
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_secs(60),
        connections: 1,
    };
    let local = ([127, 0, 0, 1], 8080).into();
    let (cut, bytes) = input;
    let whole = guard::check(bytes, &limits, local);
    let part = bytes.get(..usize::from(cut)).unwrap_or(bytes);
    if guard::check(part, &limits, local).is_err() {
        assert!(whole.is_err());
    }
    if let Ok(Some(head)) = whole {
        assert!(bytes[..head.bytes].ends_with(b"\r\n\r\n"));
    }
});
