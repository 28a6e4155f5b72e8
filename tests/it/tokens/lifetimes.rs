//! Lifetimes that cannot be, or hardly: none makes a loop, and none keeps a token for ever.

use std::thread;
use std::time::Duration;

use super::token_service::TokenService;
use crate::support::adobe::{Act, Adobe};
use crate::support::running::{CREDENTIAL, Running, pass};
use crate::support::steady::Steady;

#[test]
fn no_lifetime_makes_a_loop_or_lasts_for_ever() {
    // What IMS says, and between how many seconds the token is used at first.
    let lifetimes = [
        ("", 290.0..=300.0),
        (r#","expires_in":null"#, 290.0..=300.0),
        (r#","expires_in":"soon""#, 290.0..=300.0),
        (r#","expires_in":0"#, 50.0..=60.0),
        (r#","expires_in":-5"#, 50.0..=60.0),
        (r#","expires_in":1"#, 0.0..=1.0),
        (r#","expires_in":3599.5"#, 3590.0..=3599.5),
        (r#","expires_in":"3600""#, 3590.0..=3600.0),
        // A day in milliseconds where seconds belong.
        (r#","expires_in":86399992"#, 172_790.0..=172_800.0),
        (
            r#","expires_in":1000000000000000000"#,
            172_790.0..=172_800.0,
        ),
        (r#","expires_in":1e18"#, 172_790.0..=172_800.0),
        (r#","expires_in":1e400"#, 0.0..=0.0),
    ];
    let gateways = lifetimes.map(|(said, used)| {
        thread::spawn(move || {
            let ims = TokenService::start(move |calls, _| {
                let body = format!(r#"{{"access_token":"t{calls}"{said}}}"#);
                Act::json("200 OK", &body)
            });
            let (ims_url, upstream) = (ims.adobe.url(), Adobe::willing());
            let gateway = Running::start(
                &format!(
                    "{CREDENTIAL}ims: {{ url: '{ims_url}' }}\nupstream: {{ url: '{}' }}\n",
                    upstream.url()
                ),
                &[],
            );
            if said.ends_with("1e400") {
                // No number of JSON's that anything could hold.
                gateway.process.wait_for("the answer is not JSON");
            } else {
                gateway.wait_for_service();
            }
            let facts = gateway.credential("demo");
            let callers = Steady::start(gateway.address, 2, Duration::from_millis(20));
            pass(Duration::from_secs(3));
            let calls = callers.stop();
            let token_calls = ims.calls();
            let printed = gateway.stop();

            let usable = facts["usable_for_seconds"].as_f64().unwrap_or_default();
            assert!(used.contains(&usable), "{said}: {facts}");
            assert!(token_calls <= 8, "{said}: {token_calls} calls in 3 s");
            assert!(!printed.contains("panic"), "{said}: {printed}");
            let served = if said.ends_with("1e400") { 503 } else { 200 };
            assert!(
                calls.len() > 20 && calls.iter().all(|call| call.answer.status == served),
                "{said}"
            );
            assert_eq!(upstream.heads() > 0, served == 200, "{said}");
        })
    });
    let failed = gateways.into_iter().filter_map(|it| it.join().err());
    assert_eq!(
        failed.count(),
        0,
        "lifetimes with an unexpected end, see above"
    );
}
