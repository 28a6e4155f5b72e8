//! That the metrics are those that are written down.

use std::collections::BTreeSet;

use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{exchange, get};
use crate::support::running::eventually;

/// Returns the names of all series that are scraped, as those who query them write them.
fn scraped(gateway: &Gateway) -> BTreeSet<String> {
    let text = exchange(gateway.admin, get("/metrics", "")).text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.map(|kind| match kind.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, "info") => format!("{name}_info"),
        (name, _) => name.to_owned(),
    });
    names.collect()
}

/// Returns the names in the first column of the table.
fn documented() -> BTreeSet<String> {
    let rows = include_str!("../../README.md").lines();
    let rows = rows.filter(|row| row.starts_with("| `profile_gateway_"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(", "));
    let names = names.map(|name| name.trim().trim_matches('`').split('{').next().unwrap());
    // Those of the table of symptoms say more.
    let names = names.filter(|name| name.starts_with("profile_gateway_") && !name.contains(' '));
    names.map(str::to_owned).collect()
}

/// The key of RFC 7515, appendix A.3.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

#[test]
fn the_readme_lists_the_metrics_that_are_scraped_and_no_others() {
    let adobe = Adobe::start(|seen| match seen.target() {
        "/keys" => Act::json("200 OK", KEYS),
        _ => Act::json("500 Oops", ""),
    });
    let url = adobe.url();
    let issuers =
        format!("issuers: {{ a: {{ issuer: x, audiences: [y], jwks_url: '{url}/keys' }} }}\n");
    let gateway = Gateway::start(&url, &format!("{ROUTES}{issuers}"));
    eventually("keys", || {
        let age = "profile_gateway_issuer_keys_age_seconds";
        scraped(&gateway).contains(age).then_some(())
    });
    // What has never been counted has no series in some families.
    exchange(gateway.address, get("/data/core/ups/audiences", ""));

    let (scraped, documented) = (scraped(&gateway), documented());

    let undocumented: Vec<_> = scraped.difference(&documented).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    let missing: Vec<_> = documented.difference(&scraped).collect();
    assert_eq!(missing, ["profile_gateway_shared_up"]);
}
