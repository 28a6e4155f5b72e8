//! The log's level, which follows the configuration.

use super::{ALL, PATH, configuration};
use crate::support::adobe::Adobe;
use crate::support::raw::{Raw, get};
use crate::support::running::Running;

#[test]
fn the_level_of_the_log_follows_also_for_access_lines() {
    let adobe = Adobe::willing();
    let with = |level: &str| {
        let log = format!("{ALL}log: {{ format: json, level: {level} }}\n");
        configuration(&adobe.url(), &log)
    };
    let gateway = Running::start(&with("info"), &[]);
    let mut caller = Raw::connect(gateway.address);
    let mut ask = |id: &str| {
        caller.write(get(PATH, &format!("x-request-id: {id}\r\n")));
        assert_eq!(caller.answer(false).unwrap().status, 200);
    };

    ask("at-info");
    assert_eq!(gateway.reload(&with("warn")), "applied");
    ask("at-warn");
    assert_eq!(gateway.reload(&with("debug")), "applied");
    ask("at-debug");
    // Another port than the upstream's: nobody listens there, which is told at debug only.
    let elsewhere = with("debug").replace("upstream: {", "upstream: { address: '127.0.0.1:1',");
    assert_eq!(gateway.reload(&elsewhere), "applied");
    caller.write(get(PATH, ""));
    assert_eq!(caller.answer(false).unwrap().status, 502);

    let printed = gateway.stop();
    assert!(
        printed.contains("at-info") && printed.contains("at-debug"),
        "{printed}"
    );
    assert!(!printed.contains("at-warn"), "{printed}");
    assert!(printed.contains("\"level\":\"DEBUG\""), "{printed}");
}
