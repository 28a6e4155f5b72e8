//! However a chunked body is cut into pieces, it ends at the same place or is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::listener::guard::Chunks;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, body) = input;
    let whole = Chunks::default().follow(body);
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    let mut chunks = Chunks::default();
    let in_two = match chunks.follow(first) {
        Ok(None) => chunks
            .follow(second)
            .map(|end| end.map(|end| first.len() + end)),
        ended => ended,
    };
    assert_eq!(in_two, whole);
});
