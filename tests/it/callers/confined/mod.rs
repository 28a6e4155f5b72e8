//! That nobody gets further than was granted: whatever is configured, and whatever is sent.
//!
//! Configurations and requests are made at random. What Adobe sees of a request has to lie within what the caller and the
//! route were granted, by an oracle that reads the description the configuration was written from. What is sent in plain
//! spelling has to be served besides if it is granted, so that nothing passes for confined that is only refused.

mod oracle;
mod requests;
mod world;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::adobe::{Act, Adobe, Seen};
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, exchange};

use requests::Sent;
use world::{CREDENTIALS, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_request_reaches_what_its_caller_and_route_were_not_granted(
        world in world::worlds(),
        asked in prop::collection::vec(requests::requests(), 40),
    ) {
        // Tokens tell by whose credential they were made.
        let adobe = Adobe::minting(
            |_, call| {
                let body = String::from_utf8_lossy(&call.body).into_owned();
                let mut all = CREDENTIALS.iter();
                let of = all.find(|credential| body.contains(credential.client_id)).unwrap();
                Act::token(of.token, 86_399)
            },
            |_| Act::ok(),
        );
        let configuration = world.written(&adobe.url());
        let gateway = Gateway::bare(&configuration);

        for asked in &asked {
            let sent = &asked.sent(&world);
            let before = adobe.seen().len();
            let status = status(&gateway, sent);
            let seen = adobe.seen().split_off(before);
            let told = || format!("{}\n{configuration}", sent.text());

            prop_assert!(status < 500, "{status}: {}", told());
            prop_assert!(seen.len() <= 1, "{}", told());
            if let [seen] = seen.as_slice() {
                within(&world, sent, seen).map_err(|why| {
                    TestCaseError::fail(format!("{why}\n{}\n{}", seen.head, told()))
                })?;
            } else if sent.is_plain() {
                let granted = world.granted(sent, &sent.target(&world));
                prop_assert!(granted.is_err(), "{status}, but {granted:?} is granted: {}", told());
            }
        }
    }
}

/// Tells whether what Adobe saw is what its caller was granted.
fn within(world: &World, sent: &Sent, seen: &Seen) -> Result<(), String> {
    let (method, path) = {
        let mut words = seen.request_line().split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        (
            method.to_owned(),
            target.split('?').next().unwrap().to_owned(),
        )
    };
    let decoded = path.to_ascii_lowercase().replace("%2e", ".");
    let mut segments = decoded
        .split(['/', '\\'])
        .flat_map(|segment| segment.split("%2f"));
    if segments.any(|segment| segment == "." || segment == "..") {
        return Err(format!("the path leads elsewhere: {path}"));
    }
    let (sandbox, credential) = world.granted(sent, &world.target(&method, &path))?;
    for (name, expected) in [
        (
            "authorization",
            format!("Bearer {}", credential.token).as_str(),
        ),
        ("x-api-key", credential.client_id),
        ("x-gw-ims-org-id", credential.organization),
        ("x-sandbox-name", sandbox.at_adobe),
    ] {
        let spelled: Vec<_> = seen
            .fields()
            .filter(|(field, _)| field.to_ascii_lowercase().replace('_', "-") == name)
            .map(|(_, value)| value)
            .collect();
        if spelled != [expected] {
            return Err(format!("{name} should be {expected}, and is {spelled:?}"));
        }
    }
    let foreign = [
        "x-sandbox-id",
        "x-gw-ims-authorization",
        "x-user-token",
        "x-caller-key",
    ];
    let left = seen.fields().find(|(field, _)| {
        let field = field.to_ascii_lowercase().replace('_', "-");
        foreign.contains(&field.as_str())
    });
    match left {
        Some((field, _)) => Err(format!("{field} went on")),
        None if seen.target().contains("api_key") => Err("the parameter went on".to_owned()),
        None => Ok(()),
    }
}

fn status(gateway: &Gateway, sent: &Sent) -> u16 {
    if sent.method == "HEAD" {
        let mut raw = Raw::connect(gateway.address);
        raw.write(sent.text());
        return raw.answer(true).unwrap().status;
    }
    exchange(gateway.address, sent.text()).status
}
