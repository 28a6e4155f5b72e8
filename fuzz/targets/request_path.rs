//! A path that passes means the same decoded, and is the only one that decodes so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::route::target;

fuzz_target!(|path: &str| {
    if target::check(path) == Ok(None) {
        assert!(path.starts_with('/') && path.is_ascii());
        let segments = path.split('/').skip(1).collect::<Vec<_>>();
        assert!(
            segments
                .iter()
                .all(|segment| *segment != "." && *segment != "..")
        );
        assert!(!path.contains("//") && !path.contains('\\') && !path.contains(';'));
        for escaped in ["%2e", "%2f", "%5c", "%00", "%3b", "%61"] {
            assert!(!path.to_ascii_lowercase().contains(escaped));
        }
    }
});
