//! Taking the key out of a query leaves none behind, and nothing that was not there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::forward::query::without_api_key;

fuzz_target!(|query: &str| {
    if let Some(left) = without_api_key(query) {
        assert!(left.len() < query.len());
        assert_eq!(without_api_key(&left), None);
        assert!(
            left.is_empty()
                || left
                    .split('&')
                    .all(|pair| query.split('&').any(|sent| sent == pair))
        );
    }
});
