//! Whatever an issuer publishes, each key that is used has an algorithm with a signature, and a name of its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::issuers::KeySet;

fuzz_target!(|document: &[u8]| {
    let Ok(keys) = KeySet::read(document) else {
        return;
    };
    assert!((1..=100).contains(&keys.count()));
    assert!(keys.left_out().len() < 100);
    for left_out in keys.left_out() {
        assert!(!left_out.key.contains(char::is_control) && !left_out.why.is_empty());
    }
    for algorithm in keys.algorithms() {
        assert!(
            ["RS", "PS", "ES", "Ed"]
                .iter()
                .any(|kind| algorithm.starts_with(kind))
        );
    }
    assert_eq!(KeySet::read(document), Ok(keys));
});
