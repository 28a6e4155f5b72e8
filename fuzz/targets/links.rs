//! Of a `Link` field only the targets that name the upstream change, and they name the gateway afterwards.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_gateway::connect::Origin;
use profile_gateway::forward::links;

const BASE: &[u8] = b"http://gateway:8080";

fuzz_target!(|value: &[u8]| {
    let origin: Origin = "https://platform.adobe.io".parse().expect("it is one");
    if let Some(path) = links::reference(value, &origin, b"") {
        assert!(path.starts_with(b"/") && !path.starts_with(b"//") && value.ends_with(&path[1..]));
    }
    let targets = links::targets(value);
    let Some(rewritten) = links::link(value, &origin, BASE) else {
        assert!(
            targets
                .iter()
                .all(|target| links::reference(&value[target.clone()], &origin, BASE).is_none())
        );
        return;
    };
    let found = links::targets(&rewritten);
    assert_eq!(found.len(), targets.len());
    let (mut before, mut after) = (0, 0);
    for (old, new) in targets.into_iter().zip(found) {
        assert_eq!(value[before..old.start], rewritten[after..new.start]);
        (before, after) = (old.end, new.end);
        let (old, new) = (&value[old], &rewritten[new]);
        match links::reference(old, &origin, BASE) {
            Some(wanted) => assert!(wanted == new && new.starts_with(BASE)),
            None => assert_eq!(old, new),
        }
    }
    assert_eq!(value[before..], rewritten[after..]);
    assert_eq!(links::link(&rewritten, &origin, BASE), None);
});
