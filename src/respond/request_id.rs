//! The id that ties a request to its log lines, at the gateway and at Adobe.

use http::HeaderValue;

/// Returns the caller's id if it is one, else a fresh one of 32 hexadecimal digits.
///
/// A caller's id need not be unique: one of Adobe's SDKs repeats the same one on every call.
pub(super) fn choose(sent: Option<&HeaderValue>) -> HeaderValue {
    match sent {
        Some(id) if is_legal(id.as_bytes()) => id.clone(),
        _ => fresh(),
    }
}

fn is_legal(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= LONGEST && id.iter().all(u8::is_ascii_graphic)
}

/// Bytes of an id that are copied into log lines.
const LONGEST: usize = 128;

fn fresh() -> HeaderValue {
    HeaderValue::from_str(&format!("{:032x}", fastrand::u128(..)))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legal_id_is_kept_and_another_replaced() {
        let kept = HeaderValue::from_static("order-17/a");

        assert_eq!(choose(Some(&kept)), kept);
        for wrong in ["", "two words", &"x".repeat(129)] {
            let id = choose(Some(&HeaderValue::from_str(wrong).unwrap()));
            assert_eq!(id.len(), 32, "{wrong}");
        }
        assert_ne!(choose(None), choose(None));
    }
}
