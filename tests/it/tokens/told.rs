//! What operators are told about credentials.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::adobe::{Act, Adobe};
use crate::support::gateway::{Gateway, ROUTES};
use crate::support::raw::{exchange, get};
use crate::support::running::eventually;

/// Returns the names of all members, with the way to them.
fn members(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let path = format!("{path}.{name}");
                members(inner, &path, found);
                found.push(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, path, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_page_of_credentials_is_the_one_that_the_readme_shows() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let shown = readme
        .split("```json\n")
        .find(|part| part.starts_with(r#"{"credentials""#));
    let shown: Value = serde_json::from_str(shown.unwrap().split("```").next().unwrap()).unwrap();
    // The first call fails, so that there is an error to tell of.
    let adobe = Adobe::minting(
        |calls, _| match calls {
            1 => Act::Answer(
                b"HTTP/1.1 500 Oops\r\nx-debug-id: dbg-1\r\nContent-Length: 0\r\n\r\n".to_vec(),
            ),
            _ => Act::token("told-by-nobody", 86_399),
        },
        Act::echo,
    );
    let gateway = Gateway::start(&adobe.url(), ROUTES);
    eventually("service", || {
        let answer = exchange(gateway.address, get("/data/core/ups/x", ""));
        (answer.status == 200).then_some(())
    });

    let page = exchange(gateway.admin, get("/credentials", ""));

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    members(&page.json(), "", &mut ours);
    members(&shown, "", &mut theirs);
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    let credential = &page.json()["credentials"][0];
    assert_eq!(credential["state"], "valid");
    assert_eq!(credential["last_error"]["class"], "server_error");
    assert_eq!(credential["last_error"]["debug_id"], "dbg-1");
    assert_eq!(credential["token_calls"]["server_error"], 1);
    assert_eq!(page.header("content-type"), Some("application/json"));
    assert!(!page.text().contains("told-by-nobody"));
}
