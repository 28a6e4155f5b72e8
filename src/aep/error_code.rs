//! The code by which Adobe's gateway and some of its services say what went wrong.

use serde::Deserialize;
use serde_json::Value;

/// Returns the `error_code` of an error answer's body, which Adobe writes as a text or as a number.
///
/// # Source
/// Adobe's open-source gateway validator (`401013`), Audience ingestion (`100911-400`), read 2026-11-23.
pub fn error_code(body: &[u8]) -> Option<String> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    match answer.error_code {
        Value::String(code) => Some(code),
        Value::Number(code) => Some(code.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Deserialize)]
struct Answer {
    error_code: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_text_or_a_number_and_nothing_else() {
        for (body, code) in [
            (r#"{"error_code":"401013","message":"…"}"#, Some("401013")),
            (r#"{"message":"","error_code":403003}"#, Some("403003")),
            (r#"{"error_code":"100911-400"}"#, Some("100911-400")),
            (r#"{"error_code":null}"#, None),
            (r#"{"error_code":["401013"]}"#, None),
            (r#"{"error":"revoked"}"#, None),
            (r#"[{"error_code":"401013"}]"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), code, "{body}");
        }
    }
}
