//! Rates, durations and sizes are read without a panic, and what is shown of one reads as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert!(profile_gateway::config::quantities_read_back(text));
});
