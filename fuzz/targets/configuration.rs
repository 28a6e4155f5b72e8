//! No text makes the configuration panic, and no report of faults shows what came from the environment.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::config::{self, Supplied};

fuzz_target!(|text: &str| {
    let supplied = Supplied::default().with_variable("S", "never-to-be-seen");
    if let Err(faults) = config::parse("fuzz.yaml", text, &supplied) {
        assert!(
            text.contains("never-to-be-seen") || !faults.to_string().contains("never-to-be-seen")
        );
    }
});
